"""NumPy archives: read whole, checked, and never unpickled."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raycollapse.data import Files
from raycollapse.errors import RequestError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
VECTORS = np.random.default_rng(0).standard_normal((6, 3))


def _npz(folder: Path, **arrays: Any) -> Files:
    np.savez_compressed(folder / "data.npz", **arrays)
    return Files(path=folder / "data.npz", num_train=1)


class Trap:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_images_and_labels_come_back_as_they_were(tmp_path: Path) -> None:
    loaded = _npz(tmp_path, images=IMAGES, labels=np.arange(6, dtype=np.uint8), index=np.arange(6)).load()
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert (loaded.labels.dtype, loaded.labels.tolist()) == (np.dtype(np.int64), list(range(6)))


def test_labels_may_be_missing(tmp_path: Path) -> None:
    assert _npz(tmp_path, images=IMAGES).load().labels is None


def test_grayscale_images_without_a_channel_axis_get_one(tmp_path: Path) -> None:
    source = _npz(tmp_path, images=IMAGES[..., 0])
    assert source.load().images.shape == (6, 5, 4, 1)
    assert np.array_equal(source.load().images[..., 0], IMAGES[..., 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_of_any_float_type_become_float32(tmp_path: Path, dtype: type[np.floating[Any]]) -> None:
    loaded = _npz(tmp_path, vectors=VECTORS.astype(dtype), labels=np.arange(6)).load()
    assert loaded.images.dtype == np.float32
    assert np.array_equal(loaded.images, VECTORS.astype(dtype).astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "shape"),
    [
        ({"images": IMAGES}, (5, 4, 3)),
        ({"images": IMAGES[..., 0]}, (5, 4, 1)),
        ({"images": np.asfortranarray(IMAGES)}, (5, 4, 3)),
        ({"vectors": VECTORS}, (3,)),
    ],
)
def test_the_shape_is_known_from_the_header(tmp_path: Path, arrays: dict[str, Any], shape: tuple[int, ...]) -> None:
    source = _npz(tmp_path, **arrays)
    assert source.shape_hint() == shape == source.load().shape


def test_images_are_resized_when_asked(tmp_path: Path) -> None:
    _npz(tmp_path, images=np.full((2, 9, 6, 3), 33, np.uint8), labels=np.arange(2))
    source = Files(path=tmp_path / "data.npz", num_train=1, image_size=4)
    loaded = source.load()
    assert np.array_equal(loaded.images, np.full((2, 4, 4, 3), 33))
    assert loaded.labels is not None
    assert source.shape_hint() == loaded.shape


def test_resizing_vectors_is_refused(tmp_path: Path) -> None:
    _npz(tmp_path, vectors=VECTORS)
    source = Files(path=tmp_path / "data.npz", num_train=1, image_size=4)
    with pytest.raises(RequestError, match=r"data\.image_size is 4, but .*data\.npz holds vectors\. Leave it out"):
        source.load()


NAN, INFINITE, HUGE = VECTORS.copy(), VECTORS.copy(), VECTORS.copy()
NAN[2, 1], NAN[4, 0], INFINITE[5, 2], HUGE[0, 0] = np.nan, np.nan, -np.inf, 1e300

BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing of use": ({"x": IMAGES, "index": np.arange(6)}, "holds index, x; it must hold one of `images`"),
    "nothing at all": ({}, "holds nothing; it must hold one of"),
    "both": ({"images": IMAGES, "vectors": VECTORS}, "holds images, vectors; it must hold one of"),
    "NaN": ({"vectors": NAN}, "2 of 6 vectors hold NaN or infinity, the first is row 2. Remove these rows"),
    "infinity": ({"vectors": INFINITE}, "1 of 6 vectors hold NaN or infinity, the first is row 5"),
    "beyond float32": ({"vectors": HUGE}, "1 of 6 vectors hold NaN or infinity, the first is row 0"),
    "float images in 0..1": ({"images": IMAGES / 255}, "images are float64.*multiply by 255 and convert"),
    "float images in 0..255": ({"images": IMAGES.astype(np.float32)}, r"must be uint8, 0\.\.255\. Scale them"),
    "wide integers": ({"images": IMAGES.astype(np.int64)}, "images are int64.*Convert with"),
    "bilevel": ({"images": IMAGES > 7}, "images are bool"),
    "no images": ({"images": IMAGES[:0]}, "holds no rows"),
    "no vectors": ({"vectors": VECTORS[:0]}, "holds no rows"),
    "no height": ({"images": IMAGES[:, :0]}, "no side may be 0"),
    "no dimensions": ({"vectors": VECTORS[:, :0]}, "no side may be 0"),
    "alpha": ({"images": IMAGES[..., [0, 1, 2, 0]]}, "Drop the alpha channel"),
    "channels first": ({"images": IMAGES.transpose(0, 3, 1, 2)}, r"channels seem to come first.*transpose\(0, 2, 3, 1"),
    "one image alone": ({"images": IMAGES[0, :, :, 0]}, r"images have shape \(5, 4\)"),
    "a scalar": ({"images": np.uint8(3)}, r"images have shape \(\)"),
    "vectors of integers": ({"vectors": IMAGES[:, 0, :, 0]}, "vectors are uint8.*must be floating point"),
    "vectors of rank 3": ({"vectors": VECTORS[None]}, r"vectors are float64 of shape \(1, 6, 3\)"),
    "too few labels": ({"images": IMAGES, "labels": np.arange(5)}, r"labels are int64 of shape \(5,\).*shape \(6,\)"),
    "labels in a column": ({"images": IMAGES, "labels": np.zeros((6, 1), int)}, r"of shape \(6, 1\)"),
    "float labels": ({"images": IMAGES, "labels": np.zeros(6)}, "labels are float64.*must be integers"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_unfit_arrays_are_an_error_that_names_the_file_and_the_remedy(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=rf"data\.npz.*{message}"):
        _npz(tmp_path, **arrays).load()


@pytest.mark.parametrize("key", ["images", "labels", "vectors"])
def test_a_pickled_object_is_refused_and_not_unpickled(tmp_path: Path, key: str) -> None:
    trap = np.array([Trap(tmp_path / "sprung")] * 6, dtype=object)
    arrays = {key: trap} if key != "labels" else {"images": IMAGES, "labels": trap}
    with pytest.raises(RequestError, match=r"data\.npz holds a pickled object, which is refused.*np\.savez"):
        _npz(tmp_path, **arrays).load()
    assert not (tmp_path / "sprung").exists()


def test_a_bare_pickle_or_text_by_that_name_is_no_archive(tmp_path: Path) -> None:
    for contents in (pickle.dumps(Trap(tmp_path / "sprung")), b"text", b""):
        (tmp_path / "data.npz").write_bytes(contents)
        with pytest.raises(RequestError, match=r"data\.npz is not an \.npz archive"):
            Files(path=tmp_path / "data.npz", num_train=1).load()
    assert not (tmp_path / "sprung").exists()


def test_an_archive_cut_or_altered_anywhere_is_read_or_refused_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = _npz(tmp_path, images=IMAGES, labels=np.arange(6))
    contents = source.path.read_bytes()
    for _ in range(300):
        damaged = np.frombuffer(contents, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
        cut = rng.integers(0, len(damaged)) if rng.random() < 0.2 else len(damaged)
        source.path.write_bytes(damaged[:cut].tobytes())
        for read in (source.load, source.shape_hint):
            try:
                read()
            except RequestError as error:
                assert "data.npz" in str(error)


def test_real_cifar10_and_mnist_are_read(real_data: Path) -> None:
    cifar = Files(path=real_data / "cifar10_holdout_2048.npz", num_train=1024)
    mnist = Files(path=real_data / "mnist_test_2000.npz", num_train=1000)
    assert cifar.load().images.shape == (2048, 32, 32, 3)
    assert mnist.load().images.shape == (2000, 28, 28, 1)
    for source in (cifar, mnist):
        train, held_out = source.split(seed=0)
        assert train.labels is not None and held_out.labels is not None
        assert set(train.labels.tolist()) == set(held_out.labels.tolist()) == set(range(10))
