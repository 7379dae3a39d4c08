"""Files of a storage, by relative path, and those of one on a disk: temporary name, fsync, rename."""

import os
import shutil
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from raycollapse.store.full_disk import told_if_full


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
    """A folder on a local or shared disk.

    Args:
        root: the folder.
        advice: how to free space there when the disk is full: a sentence.
    """

    def __init__(self, root: Path, advice: str | None = None) -> None:
        self.root = root
        self._advice = advice or (
            f"Free space on that disk: `raycollapse clean {root}` lists what no experiment in this storage needs."
        )

    def size(self, path: str) -> int | None:
        try:
            found = (self.root / path).stat()  # asked once: what is there may be removed at any moment
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        with told_if_full(self.root / path, self._advice, len(content)):
            temporary = self._temporary(path, content)
            temporary.replace(self.root / path)
            _fsync(temporary.parent)

    def create(self, path: str, content: bytes) -> bool:
        with told_if_full(self.root / path, self._advice, len(content)):
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
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)  # what there is of it takes space that may be the last
            raise
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
        with told_if_full(folder, self._advice):
            while not folder.is_dir():
                with suppress(FileNotFoundError):  # the folder above was empty until now, and pruned in between
                    folder.mkdir(parents=True, exist_ok=True)
            yield folder
            for entry in [*folder.rglob("*"), folder, folder.parent]:
                _fsync(entry)

    def fetch(self, path: str, names: list[str]) -> Path:
        return self.root / path


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
    from raycollapse.store.remote_files import RemoteFiles  # imports this module

    return RemoteFiles(uri)
