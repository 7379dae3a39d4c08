"""What is refused before a selection starts."""

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.scalars import as_integer, as_number


def check_num_select(num_select: int, num_points: int) -> None:
    """Raise RequestError unless 1 <= num_select <= num_points."""
    if not 1 <= as_integer(num_select, "num_select") <= num_points:
        raise RequestError(
            f"num_select is {num_select}; with {num_points} candidates it must lie in 1..{num_points}. "
            "Select fewer, or offer more candidates (the paradigm's oversample)."
        )


def check_row(row: int, num_points: int, name: str) -> None:
    """Raise RequestError unless `row` is a row of the points."""
    if not 0 <= as_integer(row, name) < num_points:
        raise RequestError(f"{name} is {row}; with {num_points} candidates it must lie in 0..{num_points - 1}.")


def check_rows(rows: NDArray[np.int64], num: int, num_points: int, name: str) -> None:
    """Raise RequestError unless `rows` are `num` distinct rows of the points."""
    if rows.shape != (num,) or rows.dtype.kind not in "iu":
        raise RequestError(f"{name} has shape {rows.shape} and type {rows.dtype}; it must be {num} row numbers.")
    if len(np.unique(rows)) != num or rows.min() < 0 or rows.max() >= num_points:
        raise RequestError(
            f"{name} must be {num} distinct rows from 0 to {num_points - 1}. Use rng.choice(n, {num}, replace=False)."
        )


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


def check_threshold(threshold: float) -> None:
    """Raise RequestError unless the threshold is a positive number."""
    if not 0 < as_number(threshold, "threshold") < np.inf:
        raise RequestError(
            f"threshold is {threshold}; it must be a positive number, in the units of the distance. "
            "Use auto, or the paper's 60 in DINOv2 space."
        )


def check_decay(decay: float) -> None:
    """Raise RequestError unless the decay lies strictly between 0 and 1."""
    if not 0 < as_number(decay, "decay") < 1:
        raise RequestError(f"decay is {decay}; it must lie strictly between 0 and 1. Use 0.95, the paper's value.")
