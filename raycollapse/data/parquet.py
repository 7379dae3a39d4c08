"""Parquet files to arrays: our own shards, and tables of encoded images as the Hugging Face hub keeps them."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from raycollapse.data.base import Loaded
from raycollapse.data.decoding import Pixels, decode, stack
from raycollapse.data.shards import read_shard, reading
from raycollapse.errors import RequestError

_IMAGE_NAMES = ("image", "img", "images")
_LABEL_NAMES = ("label", "labels")


def read_parquet(path: Path, image_size: int | None) -> Loaded:
    """Read a shard as it is, or a column of encoded images, each resized as it is decoded.

    Encoded images are PNG, JPEG, ... bytes, or structs with such `bytes`.
    """
    import pyarrow.parquet as pq

    with reading(path):
        schema = pq.read_schema(path)
        return read_shard(path) if _tensor_shape(schema) else _read_encoded(path, schema, image_size)


def parquet_shape(path: Path) -> tuple[int, ...]:
    """Return the (H, W, C) or (d,) of the first row, without reading the others."""
    import pyarrow.parquet as pq

    with reading(path), pq.ParquetFile(path) as file:
        if shape := _tensor_shape(file.schema_arrow):
            return shape
        column = _image_column(path, file.schema_arrow)
        first_rows = next(file.iter_batches(batch_size=1, columns=[column], use_threads=False), None)
        if first_rows is None:
            raise RequestError(f"{path} holds no rows; at least one is needed.")
        return next(_decoded(first_rows[column], f"{path}, column {column}", None))[1].shape


def _tensor_shape(schema: Any) -> tuple[int, ...] | None:
    """Return the shape of a shard's rows; none, if the schema is not a shard's."""
    import pyarrow as pa

    tensors = (field.type for field in schema if field.name in ("image", "vector"))
    return next((tuple(kind.shape) for kind in tensors if isinstance(kind, pa.FixedShapeTensorType)), None)


def _read_encoded(path: Path, schema: Any, image_size: int | None) -> Loaded:
    import pyarrow.parquet as pq

    image_column = _image_column(path, schema)
    label_column = _label_column(schema)
    with pq.ParquetFile(path) as file:
        table = file.read([image_column, *filter(None, [label_column])], use_threads=False)
    if len(table) == 0:
        raise RequestError(f"{path} holds no rows; at least one is needed.")
    images = stack(_decoded(table[image_column], f"{path}, column {image_column}", image_size), len(table))
    return Loaded.of_images(images, _labels(table[label_column]) if label_column else None, str(path))


def _image_column(path: Path, schema: Any) -> str:
    """Return the column of encoded images: the only one, or the one with the usual name."""
    usable = [field.name for field in schema if _is_encoded(field.type)]
    named = [name for name in _IMAGE_NAMES if name in usable]
    if named or len(usable) == 1:
        return (named or usable)[0]
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
    raise RequestError(
        f"{path} has {'several columns' if usable else 'no column'} of images. Its columns: {columns}. One must be "
        "`image`, of encoded images (binary, or a struct with binary `bytes`), or a fixed_shape_tensor column `image` "
        "or `vector`."
    )


def _label_column(schema: Any) -> str | None:
    """Return the column of class numbers; labels of other kinds are of no use here, and no harm."""
    import pyarrow as pa

    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    return next((name for name in _LABEL_NAMES if name in integers), None)


def _is_encoded(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _is_encoded(kind.field(position).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _decoded(column: Any, name: str, image_size: int | None) -> Iterator[tuple[str, Pixels]]:
    for row, value in enumerate(column):
        row_name = f"{name}, row {row}"
        cell = value.as_py()
        encoded = cell.get("bytes") if isinstance(cell, dict) else cell
        if encoded is None:
            raise RequestError(f"{row_name} holds no image. Remove the row, or embed the image's bytes.")
        yield row_name, decode(BytesIO(encoded), row_name, image_size)


def _labels(column: Any) -> NDArray[Any]:
    labels: NDArray[Any] = column.to_numpy()
    return labels
