"""Where a training keeps the state it can resume from.

`Checkpoints` is the interface; the store brings its own. `FolderCheckpoints` is complete in itself: atomic by rename,
verified by hash, and only the newest is kept.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from raycollapse.errors import DamagedStageError

MANIFEST = "manifest.json"


class Checkpoints(Protocol):
    """Keeps full training states by step."""

    def latest(self) -> tuple[int, Path] | None:
        """Return the step and the folder, verified, of the newest checkpoint; None if there is none."""
        ...

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Call `write` on an empty folder, then commit that folder as the checkpoint of `step`: all or nothing."""
        ...


@dataclass(frozen=True)
class NoCheckpoints:
    """Keeps nothing: an interrupted training starts anew."""

    def latest(self) -> tuple[int, Path] | None:
        """Return None."""
        return None

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class FolderCheckpoints:
    """Keeps the newest checkpoint as `<folder>/step-<step>`."""

    folder: Path

    def latest(self) -> tuple[int, Path] | None:
        """Return the newest checkpoint whose files verify; one that does not is set aside as `damaged-*`."""
        for step, path in sorted(self._committed(), reverse=True):
            try:
                verify(path)
            except DamagedStageError:
                shutil.rmtree(self.folder / f"damaged-{path.name}", ignore_errors=True)
                path.rename(self.folder / f"damaged-{path.name}")
            else:
                return step, path
        return None

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Write into a temporary folder, flush it, rename it into place, and drop what is older."""
        self.folder.mkdir(parents=True, exist_ok=True)
        older = self._committed()
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self.folder))
        try:
            write(partial)
            seal(partial)
            target = self.folder / f"step-{step:09d}"
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
            _flush(self.folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for old_step, path in older:
            if old_step != step:
                shutil.rmtree(path, ignore_errors=True)

    def _committed(self) -> list[tuple[int, Path]]:
        return [(int(path.name.removeprefix("step-")), path) for path in self.folder.glob("step-*")]


def seal(folder: Path) -> None:
    """Flush every file of a folder to disk and write the manifest of their sizes and hashes, last."""
    files = {path.name: _entry(path) for path in sorted(folder.iterdir())}
    for name in files:
        _flush(folder / name)
    (folder / MANIFEST).write_text(json.dumps(files, indent=1))
    _flush(folder / MANIFEST)
    _flush(folder)


def verify(folder: Path) -> None:
    """Raise DamagedStageError unless every file is as the manifest says."""
    try:
        files = json.loads((folder / MANIFEST).read_text())
        damaged = [name for name, entry in files.items() if _entry(folder / name) != entry]
    except (OSError, ValueError, AttributeError) as error:
        raise DamagedStageError(f"{folder} cannot be read: {error}") from error
    if damaged:
        raise DamagedStageError(f"{folder}: {', '.join(damaged)} differ from what was written")


def _entry(path: Path) -> dict[str, int | str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
