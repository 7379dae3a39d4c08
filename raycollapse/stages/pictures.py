"""Images as PNG files: grids, pairs, scatter plots."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]  # (n, H, W, C), 0..255

MIN_CELL = 32
"""Smaller images are enlarged by whole factors to about this many pixels, so that a person can see them."""


def sample_grid(images: NDArray[Any], path: Path) -> None:
    """Write images (n, H, W, C) uint8 as a grid about as wide as high."""
    _save(_tile(images, num_columns=math.ceil(math.sqrt(len(images)))), path)


def side_by_side(samples: NDArray[Any], neighbours: NDArray[Any], path: Path) -> None:
    """Write two rows: samples (n, H, W, C) above, the nearest training image of each below."""
    _save(_tile(np.concatenate([samples, neighbours]), num_columns=len(samples)), path)


def scatter_plot(vectors: NDArray[Any], path: Path) -> None:
    """Write the first two coordinates of vectors (n, d) as a scatter plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter(vectors[:, 0], vectors[:, min(1, vectors.shape[1] - 1)], s=3, alpha=0.5)
    axes.set_aspect("equal", adjustable="datalim")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _tile(images: Images, num_columns: int, gap: int = 1) -> Images:
    """Return one (H', W', C) image with white gaps between the cells."""
    n, height, width, channels = images.shape
    num_rows = math.ceil(n / num_columns)
    shape = (num_rows * (height + gap) + gap, num_columns * (width + gap) + gap, channels)
    canvas = np.full(shape, 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = (gap + (index // num_columns) * (height + gap)), (gap + (index % num_columns) * (width + gap))
        canvas[top : top + height, left : left + width] = image
    factor = max(1, MIN_CELL // height)
    return canvas.repeat(factor, axis=0).repeat(factor, axis=1)


def _save(image: Images, path: Path) -> None:
    from PIL import Image

    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path, format="PNG")
