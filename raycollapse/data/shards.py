"""Shards: images or vectors as Parquet, in Arrow's canonical `fixed_shape_tensor` columns.

pyarrow and polars open them as they are; `datasets` (5.2) must be told that a row is a flat list, by its `features=`.
One row group, so that a shard decodes to one contiguous array; nothing that depends on
the clock or the machine, so that the same input gives the same bytes (for one version of pyarrow) and a store may
compare hashes. Parquet has no 8-bit type and would spend 32 bits on a pixel: a dictionary of the 256 values brings it
back to 8. Floats repeat nothing, and compress best with their bytes split into streams.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.data.base import Images, Labels, Loaded
from raycollapse.errors import RequestError


def write_shard(path: Path, images: Images, labels: Labels | None = None) -> None:
    """Write images (n, H, W, C) uint8 as column `image`, or vectors (n, d) float32 as column `vector`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    Loaded(images, labels)  # holds the types and shapes
    name = "image" if images.ndim == 4 else "vector"
    # Arrow reads the order of the axes off the strides, which for a side of length 1 say nothing: make them canonical.
    canonical = np.ascontiguousarray(images).ravel().reshape(images.shape)
    columns = {name: pa.FixedShapeTensorArray.from_numpy_ndarray(canonical)}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=max(1, len(images)),
        compression="zstd",
        compression_level=3,
        use_dictionary=name == "image",
        use_byte_stream_split=[f"{name}.list.element"] if name == "vector" else False,
        write_statistics=False,
    )


def read_shard(path: Path) -> Loaded:
    """Read a shard back; the arrays are read-only views of Arrow's memory, not copies."""
    import pyarrow.parquet as pq

    with reading(path), pq.ParquetFile(path, memory_map=True) as file:
        table = file.read(use_threads=False)
    labels = table["label"].to_numpy() if "label" in table.column_names else None
    if "image" in table.column_names:
        return Loaded.of_images(_tensors(table["image"], path), labels, str(path))
    if "vector" in table.column_names:
        return Loaded.of_vectors(_tensors(table["vector"], path), labels, str(path))
    raise RequestError(f"{path} has columns {', '.join(table.column_names)}; a shard has `image` or `vector`.")


def read_labels(path: Path) -> Labels | None:
    """Read a shard's labels (n,), none if it has none, and leave its images alone."""
    import pyarrow.parquet as pq

    with reading(path), pq.ParquetFile(path, memory_map=True) as file:
        if "label" not in file.schema_arrow.names:
            return None
        labels: Labels = file.read(columns=["label"], use_threads=False)["label"].to_numpy()
    return labels


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever Arrow finds wrong with a Parquet file is told as an error that names it."""
    import pyarrow as pa

    try:
        yield
    except RequestError:
        raise
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:  # undecodable: damaged column names
        raise RequestError(f"{path} cannot be read as Parquet ({error}). Put an intact file in its place.") from error


def _tensors(column: Any, path: Path) -> NDArray[Any]:
    """Return a chunked tensor column as one array."""
    import pyarrow as pa

    if not isinstance(column.type, pa.FixedShapeTensorType):
        raise RequestError(f"{path} has a column of type {column.type}; a shard's is a fixed_shape_tensor.")
    if any(chunk.null_count or chunk.storage.flatten().null_count for chunk in column.chunks):
        raise RequestError(f"{path} holds nulls. Remove the rows that do.")  # they would read as zeros
    arrays = [chunk.to_numpy_ndarray() for chunk in column.chunks]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
