"""What is refused before a selection starts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Points, as_points, check_distance, unit_rows


def check_num_select(num_select: int, num_points: int) -> None:
    """Raise RequestError unless 1 <= num_select <= num_points."""
    if not 1 <= num_select <= num_points:
        raise RequestError(
            f"num_select is {num_select}; with {num_points} candidates it must lie in 1..{num_points}. "
            "Select fewer, or offer more candidates (the paradigm's oversample)."
        )


def check_row(row: int, num_points: int, name: str) -> None:
    """Raise RequestError unless `row` is a row of the points."""
    if not 0 <= row < num_points:
        raise RequestError(f"{name} is {row}; with {num_points} candidates it must lie in 0..{num_points - 1}.")


def check_order(order: NDArray[np.int64], num_points: int) -> None:
    """Raise RequestError unless `order` is a permutation of 0..num_points - 1."""
    if order.shape != (num_points,) or order.dtype.kind not in "iu":
        raise RequestError(
            f"order has shape {order.shape} and type {order.dtype}; it must be a permutation of the {num_points} rows."
        )
    valid = order[(order >= 0) & (order < num_points)]
    if len(np.unique(valid)) != num_points:
        raise RequestError(
            f"order is no permutation of 0..{num_points - 1}: {num_points - len(np.unique(valid))} rows are missing. "
            "Use rng.permutation(n)."
        )


def selection_points(features: Any, metric: str) -> Points:
    """Return the points among which Euclidean distances are compared: on the unit sphere for cosine.

    There |x - y|^2 / 2 = 1 - cos(x, y), so that both distances order pairs alike. Points of a size whose squares
    float32 cannot hold are scaled.
    """
    check_distance(metric)
    points = as_points(features)
    if metric == "cosine":
        return unit_rows(points)
    largest = float(np.abs(points).max())
    return points if 1e-12 < largest < 1e15 or largest == 0 else (points / largest)
