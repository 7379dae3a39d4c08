"""Parquet: our shards, and tables of encoded images as the Hugging Face hub keeps them."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from raycollapse.data import Files
from raycollapse.data.shards import write_shard
from raycollapse.errors import RequestError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(6)


def _files(path: Path, **fields: Any) -> Files:
    return Files(path=path, num_train=1, **fields)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def _structs(images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    return [{"bytes": _png(pixels), "path": f"{row}.png"} for row, pixels in enumerate(images)]


def test_a_shard_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", IMAGES, LABELS)
    loaded = _files(tmp_path / "a.parquet").load()
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None and np.array_equal(loaded.labels, LABELS)


def test_a_folder_of_shards_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name, rows in [
        ("part-2.parquet", slice(4, 6)),
        ("part-0.parquet", slice(0, 1)),
        ("part-1.parquet", slice(1, 4)),
    ]:
        write_shard(tmp_path / name, IMAGES[rows], LABELS[rows])
    (tmp_path / "manifest.json").write_text("{}")
    loaded = _files(tmp_path).load()
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None and np.array_equal(loaded.labels, LABELS)


def test_shards_of_vectors_are_read(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    write_shard(tmp_path / "a.parquet", vectors)
    assert np.array_equal(_files(tmp_path).load().images, vectors)
    assert _files(tmp_path).shape_hint() == (3,)
    with pytest.raises(RequestError, match=r"data\.image_size is 4, but .* holds vectors"):
        _files(tmp_path, image_size=4).load()


@pytest.mark.parametrize("name", ["image", "img", "photo"])
def test_hugging_face_tables_of_structs_are_decoded(tmp_path: Path, name: str) -> None:
    path = _table(tmp_path / "a.parquet", **{name: _structs(IMAGES), "label": LABELS, "caption": list("abcdef")})
    loaded = _files(path).load()
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None and np.array_equal(loaded.labels, LABELS)


@pytest.mark.parametrize("binary", [pa.binary(), pa.large_binary()])
def test_tables_of_plain_bytes_are_decoded(tmp_path: Path, binary: pa.DataType) -> None:
    path = _table(tmp_path / "a.parquet", image=pa.array([_png(pixels[..., 0]) for pixels in IMAGES], binary))
    loaded = _files(path).load()
    assert np.array_equal(loaded.images, IMAGES[..., :1])
    assert loaded.labels is None


def test_tables_that_datasets_writes_are_decoded(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=6)})
    rows = {"image": [Image.fromarray(pixels) for pixels in IMAGES], "label": LABELS.tolist()}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    loaded = _files(tmp_path / "a.parquet").load()
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None and np.array_equal(loaded.labels, LABELS)


def test_among_several_binary_columns_the_one_named_image_is_taken(tmp_path: Path) -> None:
    path = _table(tmp_path / "a.parquet", mask=[b"no image"] * 6, image=_structs(IMAGES))
    assert np.array_equal(_files(path).load().images, IMAGES)


def test_labels_that_are_no_integers_are_left_out(tmp_path: Path) -> None:
    assert _files(_table(tmp_path / "a.parquet", image=_structs(IMAGES), label=list("abcdef"))).load().labels is None


def test_a_folder_named_like_a_partition_adds_no_labels(tmp_path: Path) -> None:
    (tmp_path / "label=3").mkdir()
    write_shard(tmp_path / "label=3" / "a.parquet", IMAGES)
    assert _files(tmp_path).load().labels is None


def test_images_are_resized_when_asked_also_from_shards_of_different_sizes(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", np.full((2, 9, 6, 3), 33, np.uint8))
    write_shard(tmp_path / "b.parquet", np.full((1, 16, 16, 3), 44, np.uint8))
    _table(tmp_path / "c.parquet", image=_structs(np.full((1, 5, 7, 3), 55, np.uint8)))
    images = _files(tmp_path, image_size=4).load().images
    assert images.shape == (4, 4, 4, 3)
    assert images[:, 0, 0, 0].tolist() == [33, 33, 44, 55]


def test_the_shape_is_known_from_the_schema_or_the_first_row(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", IMAGES)
    _table(tmp_path / "b.parquet", image=_structs(IMAGES[..., 0]))
    assert _files(tmp_path / "a.parquet").shape_hint() == (8, 8, 3)
    assert _files(tmp_path / "b.parquet").shape_hint() == (8, 8, 1)


def test_no_usable_column_lists_those_there_are(tmp_path: Path) -> None:
    path = _table(tmp_path / "a.parquet", text=["a"], score=[1.0])
    for read in (_files(path).load, _files(path).shape_hint):
        with pytest.raises(
            RequestError, match=r"a\.parquet has no column of images\. Its columns: text \(string\), score"
        ):
            read()


def test_several_columns_of_images_under_other_names_are_not_guessed_between(tmp_path: Path) -> None:
    path = _table(tmp_path / "a.parquet", left=_structs(IMAGES), right=_structs(IMAGES))
    with pytest.raises(RequestError, match=r"several columns of images.*left .*right .*One must be `image`"):
        _files(path).load()


@pytest.mark.parametrize("value", [None, {"bytes": None, "path": "elsewhere.png"}])
def test_a_row_without_bytes_is_named(tmp_path: Path, value: Any) -> None:
    path = _table(tmp_path / "a.parquet", image=[*_structs(IMAGES), value])
    with pytest.raises(RequestError, match=r"a\.parquet, column image, row 6 holds no image"):
        _files(path).load()


def test_a_row_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = _table(tmp_path / "a.parquet", image=[*(_png(pixels) for pixels in IMAGES), b"no image"])
    with pytest.raises(RequestError, match=r"a\.parquet, column image, row 6 cannot be read as an image"):
        _files(path).load()


def test_mixed_sizes_name_two_rows(tmp_path: Path) -> None:
    path = _table(tmp_path / "a.parquet", image=[_png(IMAGES[0]), _png(IMAGES[1, :4])])
    with pytest.raises(RequestError, match=r"row 0 is 8 x 8 but .*row 1 is 4 x 8"):
        _files(path).load()


def test_files_that_disagree_are_both_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", IMAGES, LABELS)
    write_shard(tmp_path / "b.parquet", IMAGES)
    with pytest.raises(RequestError, match=r"a\.parquet holds .*with labels but .*b\.parquet holds .*without labels"):
        _files(tmp_path).load()


@pytest.mark.parametrize("column", [_structs(IMAGES[:0]), []])
def test_no_rows_is_an_error(tmp_path: Path, column: list[Any]) -> None:
    path = tmp_path / "a.parquet"
    _table(path, image=pa.array(column, pa.struct({"bytes": pa.binary()})))
    for read in (_files(path).load, _files(path).shape_hint):
        with pytest.raises(RequestError, match=r"a\.parquet holds no rows"):
            read()


@pytest.mark.parametrize("rows", [[[1], None], [[1], [None]]])
def test_a_tensor_column_with_nulls_is_refused(tmp_path: Path, rows: list[Any]) -> None:
    kind = pa.fixed_shape_tensor(pa.uint8(), (1, 1, 1))
    column = pa.ExtensionArray.from_storage(kind, pa.array(rows, kind.storage_type))
    path = _table(tmp_path / "nulls.parquet", image=column)
    with pytest.raises(RequestError, match=r"nulls\.parquet (holds nulls|cannot be read as Parquet)"):
        _files(path).load()  # pyarrow 25 itself refuses a row that is null


def test_a_tensor_column_of_another_type_is_refused(tmp_path: Path) -> None:
    _table(tmp_path / "float.parquet", image=pa.FixedShapeTensorArray.from_numpy_ndarray(IMAGES / 255))
    with pytest.raises(RequestError, match=r"float\.parquet: images are float64.*multiply by 255"):
        _files(tmp_path / "float.parquet").load()


def test_a_text_file_by_that_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("this is no table")
    for read in (_files(tmp_path).load, _files(tmp_path).shape_hint):
        with pytest.raises(RequestError, match=r"a\.parquet cannot be read as Parquet"):
            read()


def test_a_damaged_table_is_read_or_refused_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = _table(tmp_path / "a.parquet", image=_structs(IMAGES), label=LABELS)
    contents = path.read_bytes()
    for _ in range(200):
        damaged = np.frombuffer(contents, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        for read in (_files(path).load, _files(path).shape_hint):
            try:
                read()
            except RequestError as error:
                assert "a.parquet" in str(error)


def test_images_beside_tables_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", IMAGES)
    Image.fromarray(IMAGES[0]).save(tmp_path / "b.png")
    with pytest.raises(RequestError, match=r"holds both images \(b\.png\) and Parquet files \(a\.parquet\)"):
        _files(tmp_path).load()
