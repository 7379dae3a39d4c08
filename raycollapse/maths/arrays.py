"""What every function accepts as points: NumPy or torch, any real type, checked once at the door."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError

Distance = Literal["l2", "cosine"]
"""`l2`: the Euclidean distance. `cosine`: 1 - cos(x, y), in [0, 2]."""

Points = NDArray[np.floating[Any]]  # (n, d) float32 or float64, C order, finite

_SMALLEST, _LARGEST = 1e-15, 1e15
"""Points whose largest value lies outside are float64: float32 could not hold squares of differences."""
_LEAST, _MOST = 1e-50, 1e50
"""Beyond these even float64 could not hold what metrics make of them: sixth powers at most, by a cubic kernel."""

_EXACT_IN_FLOAT32 = (np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.float16)


def as_points(values: Any, name: str = "features", minimum: int = 1) -> Points:
    """Return `values` as finite (n, d) float32 or float64 in C order, without a copy where it is that already.

    float64 stays float64; float16, bfloat16 and integers of up to 16 bits become float32, which holds them exactly.
    float32 becomes float64 where the largest value is above 1e15 or below 1e-15: distances could not be squared.

    Args:
        values: (n, d) array or tensor, on any device.
        name: what to call it in an error.
        minimum: how many points there must be.
    """
    array = _to_numpy(values, name)
    if array.ndim != 2:
        raise RequestError(f"{name} has shape {array.shape}; it must be (n, d): one row per point. Reshape it.")
    if array.shape[0] < minimum or array.shape[1] < 1:
        raise RequestError(f"{name} has shape {array.shape}; at least {minimum} point(s) of 1 dimension are needed.")
    points = np.ascontiguousarray(array, dtype=_float_type(array))
    if min(points.strides) < 0:  # contiguous to NumPy if it has one row, but not to torch
        points = points.copy()
    largest = _largest(points)
    if not np.isfinite(largest):
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
        raise RequestError(
            f"{name} holds NaN or infinity in {len(bad)} of {len(points)} rows, first in row {bad[0]}. "
            "Remove those rows, or find what made them."
        )
    if largest and not _LEAST <= largest <= _MOST:
        raise RequestError(
            f"{name} has a largest value of {largest:.3g}; its squares leave the range of float64. "
            f"It must be 0, or lie between {_LEAST:g} and {_MOST:g}: multiply all points by one number."
        )
    return points if largest == 0 or _SMALLEST <= largest <= _LARGEST else points.astype(np.float64, copy=False)


def _largest(points: Points) -> float:
    """Return the largest absolute value, NaN if there is one, without an array of absolute values."""
    return float(np.maximum(points.max(), -points.min()))


def check_same_width(a: Points, b: Points, name_a: str, name_b: str) -> None:
    """Raise RequestError unless both have the same number of dimensions."""
    if a.shape[1] != b.shape[1]:
        raise RequestError(
            f"{name_a} has {a.shape[1]} dimensions and {name_b} has {b.shape[1]}; they must agree. "
            "Extract both with the same feature extractor."
        )


def unit_rows(points: Points, name: str = "features") -> Points:
    """Return the rows scaled to length 1 (computed in float64, returned in the type given): cosine's sphere."""
    lengths = np.sqrt(np.einsum("ij,ij->i", points, points, dtype=np.float64))
    if not lengths.all():
        row = int(np.flatnonzero(lengths == 0)[0])
        raise RequestError(f"{name} has the zero vector in row {row}, which has no direction. Use metric l2.")
    scaled: Points = np.divide(points, lengths[:, None], out=np.empty_like(points), casting="same_kind")
    return scaled


def check_distance(metric: str) -> None:
    """Raise RequestError unless `metric` names a distance."""
    if metric not in ("l2", "cosine"):
        raise RequestError(f"metric is {metric!r}; it must be 'l2' or 'cosine'.")


def _to_numpy(values: Any, name: str) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a torch tensor, known without importing torch
        tensor = values.detach()
        values = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise RequestError(
            f"{name} cannot be an array: its rows differ in length. Give each as many values."
        ) from error
    if array.dtype.kind not in "biuf":
        raise RequestError(f"{name} holds values of type {array.dtype}; real numbers are needed.")
    return array


def _float_type(array: NDArray[Any]) -> type[np.floating[Any]]:
    if array.dtype == np.float32 or array.dtype.type in _EXACT_IN_FLOAT32:
        return np.float32
    return np.float64
