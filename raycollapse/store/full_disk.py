"""A full disk: how it is recognised, and what is said of it."""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal

from raycollapse.errors import FullDiskError

SAID = re.compile(
    r"No space left on device|Disk quota exceeded|\(os error (28|122)\)"  # also by libraries that keep no errno
    r"|^\d+ requested and \d+ written$"  # by NumPy, of an array that broke off
)

ROOM = 2**28
"""So many bytes free make it doubtful that this is the full disk."""


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error says that a disk, or the quota on it, is full."""
    has_number = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return has_number or SAID.search(str(error)) is not None


@contextmanager
def told_if_full(place: Path, advice: str, size: int | None = None) -> Iterator[None]:
    """Within the block, raise a FullDiskError in the place of an error that says the disk is full.

    Args:
        place: the file or folder that is written.
        advice: how to free space there: a sentence.
        size: how many bytes it takes; none: that is not known before it is written.
    """
    try:
        yield
    except FullDiskError:
        raise
    except Exception as error:
        if not is_full_disk(error):
            raise
        elsewhere = Path(error.filename) if isinstance(error, OSError) and isinstance(error.filename, str) else place
        if not elsewhere.absolute().is_relative_to(place.absolute()):
            raise FullDiskError(
                f"The disk is full, or its quota: {elsewhere} cannot be written, and {decimal(_free(elsewhere))} are "
                "free there. Free space on that disk. Then run the same command again: what is finished is kept."
            ) from error
        what = f"broke off after {decimal(_size(place))}" if size is None else f"takes {decimal(size)}"
        said = str(error).splitlines()[0]
        raise FullDiskError(
            f"The disk is full, or its quota: {place} {what} ({said}), and {decimal(_free(place))} are free there. "
            f"{_doubt(place, size)}{advice} Then run the same command again: what is finished is kept."
        ) from error


def _doubt(place: Path, size: int | None) -> str:
    """Return what to think of where there is room after all."""
    has_room = _free(place) > (size or 0) + ROOM
    return (
        "That is room enough: another disk, with a cache or temporary files, may be the full one. " if has_room else ""
    )


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def _free(place: Path) -> int:
    there = next(folder for folder in (place, *place.parents) if folder.is_dir())
    return shutil.disk_usage(there).free
