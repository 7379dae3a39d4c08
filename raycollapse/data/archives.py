"""NumPy archives (.npz) to arrays, without unpickling anything."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from raycollapse.data.base import Loaded
from raycollapse.errors import RequestError


def read_npz(path: Path) -> Loaded:
    """Read `images` (N, H, W[, C]) uint8 or `vectors` (N, d) float, and `labels` (N,) if they are there."""
    with _opened(path) as archive:
        key = _data_key(path, archive)
        data, labels = archive[key], archive.get("labels")
    return (Loaded.of_images if key == "images" else Loaded.of_vectors)(data, labels, str(path))


def npz_shape(path: Path) -> tuple[int, ...]:
    """Return (H, W, C) or (d,), from the array's header alone."""
    with _opened(path) as archive, archive.zip.open(f"{_data_key(path, archive)}.npy") as stream:
        read_header = _READ_HEADER[np.lib.format.read_magic(stream)]
        whole, _, dtype = read_header(stream)
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded when allow_pickle=False")  # NumPy's words on loading
    shape: tuple[int, ...] = whole[1:]
    return (*shape, 1) if len(shape) == 2 else shape


_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the archive; whatever is wrong with it, then or on reading, is told by its name."""
    if not zipfile.is_zipfile(path):
        raise RequestError(f"{path} is not an .npz archive, or is truncated. Write it with np.savez.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except RequestError:
        raise
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise RequestError(
                f"{path} holds a pickled object, which is refused: unpickling a file can run any code in it. "
                "Save plain arrays: np.savez(path, images=np.stack(images))."
            ) from error
        raise RequestError(f"{path} is damaged ({error}). Write it anew.") from error


def _data_key(path: Path, archive: Any) -> str:
    keys = [key for key in ("images", "vectors") if key in archive]
    if len(keys) != 1:
        there = ", ".join(sorted(archive)) or "nothing"
        raise RequestError(f"{path} holds {there}; it must hold one of `images` and `vectors`, and may hold `labels`.")
    return keys[0]
