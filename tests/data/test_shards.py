"""The shard codec: exact, deterministic, and open to any Arrow reader."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from raycollapse.data.shards import read_labels, read_shard, write_shard
from raycollapse.errors import RequestError

_IMAGE_SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
_FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def _images(num: int = 20, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (num, 8, 6, 3), dtype=np.uint8)


@settings(max_examples=50, deadline=None)
@given(images=hnp.arrays(np.uint8, _IMAGE_SHAPES), with_labels=st.booleans())
def test_images_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, images: NDArray[np.uint8], with_labels: bool
) -> None:
    path = tmp_path_factory.mktemp("shards") / "shard.parquet"
    labels = np.arange(len(images)) - 2 if with_labels else None
    write_shard(path, images, labels)
    loaded = read_shard(path)
    assert loaded.images.dtype == np.uint8
    assert np.array_equal(loaded.images, images)
    for found in (loaded.labels, read_labels(path)):
        assert np.array_equal(found, labels) if with_labels else found is None  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(vectors=hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=_FINITE))
def test_vectors_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32]) -> None:
    path = tmp_path_factory.mktemp("shards") / "shard.parquet"
    write_shard(path, vectors)
    assert read_shard(path).images.tobytes() == vectors.tobytes()  # negative zeros too


def test_a_view_that_is_not_contiguous_is_written_as_it_reads(tmp_path: Path) -> None:
    images = _images().transpose(0, 2, 1, 3)[::-2]
    write_shard(tmp_path / "shard.parquet", images)
    assert np.array_equal(read_shard(tmp_path / "shard.parquet").images, images)


def test_the_same_input_gives_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from raycollapse.data.shards import write_shard;"
        "rng = np.random.default_rng(0);"
        "write_shard(Path(sys.argv[1]), rng.integers(0, 256, (500, 8, 8, 3), dtype=np.uint8), np.arange(500))"
    )
    digests = set()
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_plain_pyarrow_reads_the_canonical_tensor_columns(tmp_path: Path) -> None:
    images = _images()
    write_shard(tmp_path / "shard.parquet", images, np.arange(20))
    table = pq.read_table(tmp_path / "shard.parquet")
    assert table.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), (8, 6, 3))
    assert table.schema.field("label").type == pa.int64()
    assert np.array_equal(table["image"].combine_chunks().to_numpy_ndarray(), images)


def test_vectors_lie_in_a_column_of_that_name(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.parquet", np.ones((3, 4), np.float32))
    assert pq.read_schema(tmp_path / "shard.parquet").field("vector").type == pa.fixed_shape_tensor(pa.float32(), (4,))


def test_a_shard_is_one_row_group_compressed_with_zstd(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.parquet", np.zeros((70_000, 4), np.float32), np.arange(70_000))
    metadata = pq.read_metadata(tmp_path / "shard.parquet")
    assert metadata.num_row_groups == 1
    assert {metadata.row_group(0).column(column).compression for column in range(2)} == {"ZSTD"}


def test_noise_takes_no_more_than_a_hundredth_over_a_byte_a_pixel(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2048, 16, 16, 3), dtype=np.uint8)
    write_shard(tmp_path / "shard.parquet", images)
    assert (tmp_path / "shard.parquet").stat().st_size < 1.01 * images.nbytes


def test_reading_gives_a_view_of_arrows_memory(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.parquet", np.zeros((4096, 32, 32, 3), np.uint8), np.arange(4096))
    loaded = read_shard(tmp_path / "shard.parquet")
    assert not loaded.images.flags.owndata and not loaded.images.flags.writeable
    assert loaded.images.flags.c_contiguous


def test_polars_sees_the_same_pixels(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    images = _images()
    write_shard(tmp_path / "shard.parquet", images, np.arange(20))
    rows = polars.read_parquet(tmp_path / "shard.parquet")
    assert np.array_equal(np.asarray(rows["image"][7]).reshape(8, 6, 3), images[7])
    assert rows["label"].to_list() == list(range(20))


def test_datasets_sees_the_same_pixels_once_told_that_a_row_is_a_list(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")  # which, in version 5, does not know the canonical tensor type
    images = _images()
    write_shard(tmp_path / "shard.parquet", images, np.arange(20))
    features = datasets.Features(
        {"image": datasets.List(datasets.Value("uint8"), length=8 * 6 * 3), "label": datasets.Value("int64")}
    )
    rows = datasets.Dataset.from_parquet(
        str(tmp_path / "shard.parquet"), features=features, cache_dir=str(tmp_path / "cache")
    )
    assert np.array_equal(np.asarray(rows[7]["image"]).reshape(8, 6, 3), images[7])
    assert rows[7]["label"] == 7


@pytest.mark.parametrize("kept", [0, 3, 100, 0.5, -1])
def test_a_truncated_shard_is_an_error_that_names_it(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "shard.parquet"
    write_shard(path, _images(), np.arange(20))
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(RequestError, match=r"shard\.parquet"):
        read_shard(path)


def test_a_table_that_is_no_shard_is_refused_with_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "score": [1.0]}), tmp_path / "table.parquet")
    with pytest.raises(RequestError, match=r"table\.parquet has columns text, score"):
        read_shard(tmp_path / "table.parquet")
