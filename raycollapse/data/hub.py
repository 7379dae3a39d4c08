"""Image data sets of the Hugging Face hub to arrays, through the library `datasets`, which caches them on this machine.

Images are decoded by `decoding.py`, as files are: the same bytes give the same pixels whichever way they come.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.data.decoding import Pixels, decode, grayscale, stack
from raycollapse.data.loaded import Loaded
from raycollapse.errors import RequestError
from raycollapse.hub import cache_folder, hub_failures, is_commit

log = logging.getLogger(__name__)

_LABEL_NAMES = ("label", "labels")


@dataclass(frozen=True)
class HubImages:
    """What to read: one split of one data set at one revision."""

    dataset: str
    """`owner/name`, or a local folder laid out like one."""
    config: str | None
    split: str
    revision: str | None
    image_column: str
    label_column: str | None
    """None: the column of integers called `label` or `labels`, if there is one."""

    def __str__(self) -> str:
        return f"{self.dataset} (split {self.split})"


def load_images(source: HubImages, image_size: int | None, channels: int | None) -> Loaded:
    """Return all images of a split, in its order, each cropped and resized as it is decoded.

    Args:
        image_size: side of the square, or none to leave images as they are.
        channels: 1 makes every image grayscale, 3 makes it RGB; none leaves it.
    """
    table = _load_table(source)
    _warn_of_a_moving_revision(source, table)
    _check_image_column(source, table)
    label_column = source.label_column or _label_column(table)
    labels = None if label_column is None else _labels(source, table, label_column)
    images = stack(_decoded(source, table, image_size, channels), len(table))
    return Loaded.of_images(images, labels, str(source))


def fetch_command(source: HubImages) -> str:
    """Return a shell command that downloads the data set into the cache of the machine it is run on."""
    arguments = [repr(source.dataset), *([repr(source.config)] if source.config else [])]
    arguments += [f"split={source.split!r}", *([f"revision={source.revision!r}"] if source.revision else [])]
    return f'python -c "import datasets; datasets.load_dataset({", ".join(arguments)})"'


def _load_table(source: HubImages) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise RequestError(
            f"{source} comes from the Hugging Face hub, and the package `datasets` is not installed ({error}). "
            "Install raycollapse[hub], or read local files: set data.path."
        ) from error
    try:
        table = datasets.load_dataset(source.dataset, source.config, split=source.split, revision=source.revision)
    except (*hub_failures(), datasets.exceptions.DatasetsError) as error:
        raise RequestError(_unavailable(source, error)) from error
    if len(table) == 0:
        raise RequestError(f"{source} holds no rows; at least one is needed.")
    return table


def _unavailable(source: HubImages, error: Exception) -> str:
    return (
        f"{source}, revision {source.revision}, cannot be loaded from the Hugging Face hub: {str(error).rstrip('.')}. "
        f"Check the name, config, split and revision. Without a network, either set data.path to local files (a folder "
        f"of images, an .npz or Parquet), or fetch it beforehand where there is one: {fetch_command(source)}, "
        f"and have its cache ({cache_folder()}, or where HF_HOME says) on every machine."
    )


def _warn_of_a_moving_revision(source: HubImages, table: Any) -> None:
    if source.revision is None or is_commit(source.revision):
        return
    path = " ".join(file["filename"] for file in table.cache_files)
    found = re.search(r"[/\\]([0-9a-f]{40})[/\\]", path)
    advice = f"write data.revision: {found[1]}, which it is now" if found else "write a commit's hash"
    log.warning("data.revision is %s, which can come to mean other images; to pin them %s.", source.revision, advice)


def _check_image_column(source: HubImages, table: Any) -> None:
    import datasets

    if not isinstance(table.features.get(source.image_column), datasets.Image):
        columns = ", ".join(f"{name} ({type(kind).__name__})" for name, kind in table.features.items())
        raise RequestError(
            f"data.image_column is {source.image_column!r}, but {source} has the columns {columns}. Name one of type "
            "Image."
        )


def _label_column(table: Any) -> str | None:
    return next((name for name in _LABEL_NAMES if _is_integer(table.features.get(name))), None)


def _is_integer(kind: Any) -> bool:
    return "int" in str(getattr(kind, "dtype", ""))  # Value("int64"), ClassLabel


def _labels(source: HubImages, table: Any, column: str) -> NDArray[Any]:
    if not _is_integer(table.features.get(column)):
        raise RequestError(
            f"data.label_column is {column!r}, but {source} has no such column of integers; it has "
            f"{', '.join(table.features)}. Name one, or leave it out."
        )
    return np.asarray(table[column][:], np.int64)


def _decoded(
    source: HubImages, table: Any, image_size: int | None, channels: int | None
) -> Iterator[tuple[str, Pixels]]:
    import datasets

    encoded = table.select_columns([source.image_column]).cast_column(source.image_column, datasets.Image(decode=False))
    for row, cells in enumerate(encoded):
        cell, name = cells[source.image_column], f"{source}, row {row}"
        if cell is None:
            raise RequestError(f"{name} holds no image. Choose a data set, or a split, without empty rows.")
        file = Path(cell["path"]) if cell["bytes"] is None else BytesIO(cell["bytes"])
        yield name, _with_channels(decode(file, name, image_size), channels)


def _with_channels(pixels: Pixels, channels: int | None) -> Pixels:
    if channels is None or pixels.shape[2] == channels:
        return pixels
    return np.repeat(pixels, 3, axis=2) if channels == 3 else grayscale(pixels)
