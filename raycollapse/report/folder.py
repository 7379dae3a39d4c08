"""The folder that a report is written to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raycollapse.errors import FullDiskError, RequestError
from raycollapse.store.full_disk import told_if_full


@contextmanager
def writing_to(folder: Path, what: str) -> Iterator[None]:
    """Make the folder; within the block, tell of a failure to write there.

    Args:
        folder: where.
        what: what is written, as the subject of a sentence.

    Raises:
        RequestError: nothing can be written there.
        FullDiskError: there is no space left.
    """
    try:
        with told_if_full(folder, "Free space on that disk."):
            folder.mkdir(parents=True, exist_ok=True)
            yield
    except FullDiskError:
        raise
    except OSError as error:
        raise RequestError(f"{what} cannot be written to {folder} ({error}). Give a folder with --output.") from error
