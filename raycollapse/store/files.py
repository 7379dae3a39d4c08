"""Files of a storage, by relative path: on the local disk (temporary name, fsync, rename) or behind a URI."""

import os
import shutil
import stat
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Files(ABC):
    """What the store needs of a file system. Paths are relative, with `/`."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Return the size in bytes of a file, or none if there is no such file."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return a file's content; FileNotFoundError if there is none."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Put a file in place whole, over any earlier one."""

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Put a file in place whole unless there is one already; return whether it is ours that lies there now."""

    @abstractmethod
    def children(self, path: str) -> list[str]:
        """Return the sorted names in a folder (none if it does not exist)."""

    @abstractmethod
    def below(self, path: str) -> dict[str, int]:
        """Return the size in bytes of everything below a folder, hidden files too, by path in it; of a folder 0."""

    @abstractmethod
    def prune(self, path: str) -> None:
        """Remove a folder if nothing is in it."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Move a file or a folder; FileNotFoundError if it is not there."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file or a folder with all that it holds, if it is there."""

    @abstractmethod
    def writing(self, path: str) -> Any:
        """Context manager: a local folder whose files lie durably in folder `path` once the block has ended."""

    @abstractmethod
    def fetch(self, path: str, names: list[str]) -> Path:
        """Return a local folder that holds these files of folder `path`."""


class LocalFiles(Files):
    """A folder on a local or shared disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def size(self, path: str) -> int | None:
        try:
            found = (self.root / path).stat()  # asked once: what is there may be removed at any moment
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        temporary = self._temporary(path, content)
        temporary.replace(self.root / path)
        _fsync(temporary.parent)

    def create(self, path: str, content: bytes) -> bool:
        temporary = self._temporary(path, content)
        try:
            (self.root / path).hardlink_to(temporary)  # fails if the target exists: the first one wins
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        _fsync(temporary.parent)
        return True

    def _temporary(self, path: str, content: bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return temporary

    def children(self, path: str) -> list[str]:
        try:
            names = os.listdir(self.root / path)  # noqa: PTH208 (a path's own way asks twice)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not name.startswith("."))

    def below(self, path: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for folder, folders, names in os.walk(self.root / path):
            where = Path(folder).relative_to(self.root / path)
            found |= {(where / name).as_posix(): 0 for name in folders}
            sizes = {(where / name).as_posix(): self.size(f"{path}/{(where / name).as_posix()}") for name in names}
            found |= {name: size for name, size in sizes.items() if size is not None}
        return found

    def prune(self, path: str) -> None:
        with suppress(OSError):  # it is not empty, or gone
            (self.root / path).rmdir()

    def move(self, source: str, target: str) -> None:
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        (self.root / source).rename(self.root / target)

    def remove(self, path: str) -> None:
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        folder = self.root / path
        while not folder.is_dir():
            with suppress(FileNotFoundError):  # the folder above was empty until now, and pruned in between
                folder.mkdir(parents=True, exist_ok=True)
        yield folder
        for entry in [*folder.rglob("*"), folder, folder.parent]:
            _fsync(entry)

    def fetch(self, path: str, names: list[str]) -> Path:
        return self.root / path


class RemoteFiles(Files):
    """A bucket or any other place that pyarrow.fs reaches by URI.

    An object appears whole or not at all, so a write needs no temporary name; but there is no first-wins creation, so
    the last writer of a manifest wins. Since a manifest names its own attempt's files, either outcome is consistent.
    """

    def __init__(self, uri: str) -> None:
        from pyarrow import fs

        self._fs, self._root = fs.FileSystem.from_uri(uri)
        self._not_found = fs.FileType.NotFound
        self._file = fs.FileType.File
        self._selector = fs.FileSelector
        self._cache = Path(tempfile.gettempdir()) / "raycollapse-cache" / uuid.uuid5(uuid.NAMESPACE_URL, uri).hex

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def size(self, path: str) -> int | None:
        info = self._fs.get_file_info(self._path(path))
        return int(info.size) if info.type == self._file else None

    def read(self, path: str) -> bytes:
        with self._fs.open_input_stream(self._path(path)) as stream:
            return bytes(stream.read())

    def write(self, path: str, content: bytes) -> None:
        self._fs.create_dir(self._path(path).rpartition("/")[0], recursive=True)
        with self._fs.open_output_stream(self._path(path)) as stream:
            stream.write(content)

    def create(self, path: str, content: bytes) -> bool:
        if self.size(path) is not None:
            return False
        self.write(path, content)
        return True

    def children(self, path: str) -> list[str]:
        entries = self._fs.get_file_info(self._selector(self._path(path), allow_not_found=True))
        return sorted(entry.base_name for entry in entries)

    def below(self, path: str) -> dict[str, int]:
        entries = self._fs.get_file_info(self._selector(self._path(path), allow_not_found=True, recursive=True))
        above = len(self._fs.normalize_path(self._path(path))) + 1
        return {entry.path[above:]: int(entry.size) if entry.type == self._file else 0 for entry in entries}

    def prune(self, path: str) -> None:
        """Do nothing: an object store has no folders, only names, and somebody may be writing one with this prefix."""

    def move(self, source: str, target: str) -> None:
        own = self._fs.get_file_info(self._path(source))
        below = [] if own.type == self._file else self._fs.get_file_info(self._selector(own.path, recursive=True))
        for info in [own, *below]:
            if info.type == self._file:
                moved = self._path(target) + info.path.removeprefix(own.path)
                self._fs.create_dir(moved.rpartition("/")[0], recursive=True)
                self._fs.copy_file(info.path, moved)
        self.remove(source)

    def remove(self, path: str) -> None:
        info = self._fs.get_file_info(self._path(path))
        if info.type == self._file:
            self._fs.delete_file(info.path)
        elif info.type != self._not_found:
            self._fs.delete_dir(info.path)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="raycollapse-") as scratch:
            folder = Path(scratch)
            yield folder
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    self.write(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def fetch(self, path: str, names: list[str]) -> Path:
        folder = self._cache / path
        cache = LocalFiles(folder)
        for name in names:
            if cache.size(name) is None:
                cache.write(name, self.read(f"{path}/{name}"))
        return folder


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_files(uri: str) -> Files:
    """Return the files behind a local path, a `file://` URI or any URI that pyarrow.fs knows (`s3://`, `gs://`)."""
    if "://" not in uri:
        return LocalFiles(Path(uri).expanduser().absolute())
    if uri.startswith("file://"):
        return LocalFiles(Path(uri.removeprefix("file://")))
    return RemoteFiles(uri)
