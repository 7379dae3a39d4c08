"""Frechet distance between Gaussians fitted to two sets (Dowson and Landau 1982; FID: Heusel et al. 2017)."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from raycollapse.features import AnyExtractor, FeatureExtractor, Inception
from raycollapse.maths.arrays import as_points, check_same_width
from raycollapse.maths.moments import Moments
from raycollapse.metrics.base import Metric, Points


def frechet_distance(a: Any, b: Any) -> float:
    """Return |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), in squared units of the features, float64.

    With S = F^T F / (n - 1) and F the centred points, tr (S_a S_b)^(1/2) is the sum of the singular values of
    F_a F_b^T / sqrt((n_a - 1)(n_b - 1)): no root of a matrix that N < d makes singular.

    Args:
        a: (n, d) NumPy or torch, n >= 2.
        b: (m, d).
    """
    first, second = as_points(a, "a", minimum=2), as_points(b, "b", minimum=2)
    check_same_width(first, second, "a", "b")
    (mean_a, factor_a), (mean_b, factor_b) = _mean_and_factor(first), _mean_and_factor(second)
    shift = mean_a - mean_b
    spread = (factor_a**2).sum() + (factor_b**2).sum()  # the traces
    overlap = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    return float(shift @ shift + max(spread - 2 * overlap, 0.0))


def _mean_and_factor(points: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and an (r, d) F with F^T F = the covariance, r = min(n, d)."""
    num, dim = points.shape
    if num > dim:
        moments = Moments.of(points)
        values, vectors = np.linalg.eigh(moments.covariance)
        return moments.mean, np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    mean = points.mean(axis=0, dtype=np.float64)
    return mean, (points - mean) / np.sqrt(num - 1)


class Frechet(Metric):
    """Frechet distance of N synthetic points to the real ones, and the held-out points' own distance as its floor.

    The distance grows as N falls; where fewer than N points are held out, the floor is therefore too high, and
    `quality/fd_floor_num` says how many it was made from.
    """

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = ("quality/fd", "quality/fd_floor", "quality/fd_floor_num")

    name: Literal["frechet"] = "frechet"

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        yield from _distance_and_floor("quality/fd", real, held_out, synthetic)


class Fid(Metric):
    """The standard FID (Heusel et al. 2017): the Frechet distance between features of the FID network, and its floor.

    Of N samples to the N images of the real train set, so it lies above the values that are published for 50,000. It is
    measured in the space `inception` whatever the selection's is, and is called `quality/fid` there and nowhere else.
    """

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = ("quality/fid", "quality/fid_floor", "quality/fid_floor_num")

    name: Literal["fid"] = "fid"
    features: AnyExtractor | None = Inception()
    """The FID network; its `weights` and `batch_size` may be set. Another space is refused."""

    @field_validator("features")
    @classmethod
    def _is_the_fid_network(cls, features: FeatureExtractor | None) -> FeatureExtractor:
        if not isinstance(features, Inception):
            found = "null" if features is None else features.name
            raise ValueError(
                f"fid is measured in the space inception alone, and features is {found}; leave features out, or use "
                "the metric frechet, which measures in any space"
            )
        return features

    @property
    def suffix(self) -> str:
        """Nothing: the name says the space."""
        return ""

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        yield from _distance_and_floor("quality/fid", real, held_out, synthetic)


def _distance_and_floor(name: str, real: Points, held_out: Points, synthetic: Points) -> Iterator[tuple[str, float]]:
    """Yield the distance of N synthetic points, that of up to N held-out ones, and how many those were."""
    num = len(real)
    yield name, frechet_distance(synthetic.first(num).features, real.features)
    floor = held_out.first(num)
    if len(floor) > 1:
        yield f"{name}_floor", frechet_distance(floor.features, real.features)
    yield f"{name}_floor_num", float(len(floor))
