"""Files behind a URI: a bucket, say."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raycollapse.store.files import Files, LocalFiles
from raycollapse.store.full_disk import told_if_full


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
            with told_if_full(folder, "Free space on that disk, or set TMPDIR to a folder on a larger one."):
                yield folder
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    self.write(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def fetch(self, path: str, names: list[str]) -> Path:
        folder = self._cache / path
        cache = LocalFiles(folder, f"Free space on that disk: between runs all of {self._cache} may be removed.")
        for name in names:
            if cache.size(name) is None:
                cache.write(name, self.read(f"{path}/{name}"))
        return folder
