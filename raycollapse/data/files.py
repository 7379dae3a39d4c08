"""Images, or vectors, of one's own: a folder of images, an .npz, a Parquet file or a folder of these."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from raycollapse.data.archives import npz_shape, read_npz
from raycollapse.data.base import DataSource, Loaded
from raycollapse.data.decoding import IMAGE_SUFFIXES, decode, resize, stack
from raycollapse.data.parquet import parquet_shape, read_parquet
from raycollapse.errors import RequestError
from raycollapse.schema import Json


class Files(DataSource):
    """Images, or vectors, read from a path.

    A folder is searched to any depth, hidden files and folders apart, and read in the order of its files' relative
    names; its subfolders give no labels. It holds images or Parquet files, not both; files of other kinds are ignored.
    """

    name: Literal["files"] = "files"

    path: Path
    """A folder of images (png, jpg, jpeg, bmp, webp, tif, tiff); an .npz with `images` uint8, (N, H, W) or
    (N, H, W, 1 or 3), or `vectors` float (N, d), and perhaps `labels`; a Parquet file, or a folder of them, of this
    program's shards or of encoded images as the Hugging Face hub keeps them."""
    image_size: int | None = Field(default=None, gt=0)
    """Crop every image to its centred square and resize it (antialiased Lanczos) to this many pixels a side; none:
    leave the images as they are, in which case all must have one size."""

    @field_validator("path")
    @classmethod
    def _resolved(cls, path: Path) -> Path:
        return resolved_path(path)

    def load(self) -> Loaded:
        files = _data_files(self.path)
        match files[0].suffix.lower():
            case ".npz":
                return self._sized(read_npz(self.path))
            case ".parquet":
                return _concatenated([(file, self._sized(read_parquet(file, self.image_size))) for file in files])
        decoded = ((str(file), decode(file, str(file), self.image_size)) for file in files)
        return Loaded.of_images(stack(decoded, len(files)), None, str(self.path))

    def shape_hint(self) -> tuple[int, ...]:
        """Return the shape of the first row, without reading the others."""
        first = _data_files(self.path)[0]
        match first.suffix.lower():
            case ".npz":
                shape = npz_shape(first)
            case ".parquet":
                shape = parquet_shape(first)
            case _:
                shape = decode(first, str(first)).shape
        return shape if self.image_size is None else (self.image_size, self.image_size, *shape[2:])

    def num_classes_hint(self) -> int | None:
        """A folder of images has no labels; what else there is must be read."""
        return 0 if _data_files(self.path)[0].suffix.lower() in IMAGE_SUFFIXES else None

    def fingerprint(self) -> str:
        """Return a SHA-256 over the files' relative names and contents; of a single file the name does not count."""
        state = tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in _data_files(self.path))
        return _fingerprint(self.path, state)

    def identity(self) -> dict[str, Json]:
        return {field: value for field, value in super().identity().items() if field != "path"}

    def _sized(self, loaded: Loaded) -> Loaded:
        if self.image_size is None:
            return loaded
        if loaded.images.ndim == 2:
            raise RequestError(f"data.image_size is {self.image_size}, but {self.path} holds vectors. Leave it out.")
        return Loaded(resize(loaded.images, self.image_size), loaded.labels)

    def _described(self) -> str:
        return str(self.path)


def resolved_path(path: Path) -> Path:
    """Return the absolute path of data that are there, for a validator."""
    resolved = path.expanduser().resolve()
    if not resolved.exists():
        raise PydanticCustomError("path", "there is no file or folder {path}", {"path": str(resolved)})
    if not (resolved.is_dir() or resolved.suffix.lower() in (".npz", ".parquet")):
        raise PydanticCustomError(
            "path", "{path} must be a folder, an .npz or a .parquet file", {"path": str(resolved)}
        )
    return resolved


def _data_files(path: Path) -> list[Path]:
    """Return the files that hold the data: `path` itself, or all images or all Parquet files below it."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise RequestError(f"{path} is not there, on this machine. Put it where every machine sees it under this path.")
    files = sorted(_visible_files(path), key=lambda file: file.relative_to(path).as_posix())
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    tables = [file for file in files if file.suffix.lower() == ".parquet"]
    if images and tables:
        raise RequestError(
            f"{path} holds both images ({images[0].name}) and Parquet files ({tables[0].name}). Keep one kind."
        )
    if not images and not tables:
        raise RequestError(
            f"{path} holds no images ({', '.join(IMAGE_SUFFIXES)}) and no .parquet files, at any depth; "
            f"it holds {len(files):,} other files. Point data.path at a folder that does."
        )
    return images or tables


def _visible_files(path: Path) -> list[Path]:
    return [
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]


def _concatenated(parts: list[tuple[Path, Loaded]]) -> Loaded:
    """Return the files' rows as one set; they must agree in shape, and in whether there are labels."""
    (first, head), *rest = parts
    for file, loaded in rest:
        if (loaded.shape, loaded.labels is None) != (head.shape, head.labels is None):
            raise RequestError(
                f"{first} holds {_contents(head)} but {file} holds {_contents(loaded)}. Keep files of one kind only."
            )
    labels = (
        None
        if head.labels is None
        else np.concatenate([loaded.labels for _, loaded in parts if loaded.labels is not None])
    )
    return Loaded(np.concatenate([loaded.images for _, loaded in parts]), labels)


def _contents(loaded: Loaded) -> str:
    return f"rows of shape {loaded.shape} {'without' if loaded.labels is None else 'with'} labels"


@lru_cache(maxsize=8)  # hashing reads everything; size and time of change tell whether it must be read again
def _fingerprint(path: Path, state: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file, size, _ in state:
        name = file.suffix.lower() if file == path else file.relative_to(path).as_posix()
        with file.open("rb") as stream:
            contents = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{name}\0{size}\0{contents}\n".encode())
    return digest.hexdigest()
