"""Differential entropy of a set, whose fall marks collapse (arXiv 2509.16499, Eq. 3; Kozachenko and Leonenko 1987)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import as_points
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.scalars import as_integer, as_number
from raycollapse.metrics.base import Metric, Points, check_neighbour


@dataclass(frozen=True)
class Entropy:
    """An estimate of differential entropy."""

    value: float
    """nats; comparable only at the same feature space, scale of the features and N"""
    num_at_floor: int
    """How many points have a k-th neighbour no farther than the floor: duplicates, for k = 1."""


def kozachenko_leonenko(features: Any, k: int = 1, floor: float = 1e-10) -> Entropy:
    """Estimate the differential entropy of the density that (n, d) points come from, in nats.

    H = psi(n) - psi(k) + log c_d + (d / n) sum_i log eps_k(i), with c_d = pi^(d/2) / Gamma(d/2 + 1) the volume of the
    unit ball and eps_k(i) the distance of point i to its k-th neighbour, itself excluded.

    Args:
        features: (n, d) NumPy or torch, n > k.
        k: the neighbour to look at.
        floor: eps below this counts as this, in the units of the features: a duplicate would give log 0.
    """
    points = as_points(features, minimum=2)
    _check(k, floor, len(points))
    return entropy_of_distances(
        nearest(points, points, k, exclude_self=True).distances[:, -1], points.shape[1], k, floor
    )


def entropy_of_distances(distances: NDArray[np.float64], dim: int, k: int, floor: float) -> Entropy:
    """Return the estimate from the (n,) distances of the points to their k-th neighbours in `dim` dimensions."""
    from scipy.special import digamma, gammaln  # a quarter of the time that loading a configuration would take

    log_ball = dim / 2 * np.log(np.pi) - gammaln(dim / 2 + 1)
    mean_log = np.log(np.maximum(distances, floor)).mean()
    value = digamma(len(distances)) - digamma(k) + log_ball + dim * mean_log
    return Entropy(float(value), int((distances <= floor).sum()))


def _check(k: int, floor: float, num: int) -> None:
    if not 1 <= as_integer(k, "k") < num:
        raise RequestError(f"k is {k}; with {num} points it must lie in 1..{num - 1}. Use 1, the paper's value.")
    if not 0 < as_number(floor, "floor") < np.inf:
        raise RequestError(f"floor is {floor}; it must be a positive number. Use 1e-10, the published code's value.")


class EntropyMetric(Metric):
    """Kozachenko-Leonenko entropy of the train set and of the synthetic set, N points each, in nats."""

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = (
        "entropy/train_set", "entropy/train_set_at_floor", "entropy/synthetic", "entropy/synthetic_at_floor",
    )  # fmt: skip

    name: Literal["entropy"] = "entropy"
    k: Annotated[int, Field(ge=1)] = 1
    """The neighbour whose distance is used; less than N."""
    floor: Annotated[float, Field(gt=0)] = 1e-10
    """The least distance counted, in the units of the features."""

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        super().check_request(where, num_train, num_held_out)
        check_neighbour(f"{where}.k", self.k, num_train)

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        for label, points in (("train_set", train_set.first(num)), ("synthetic", synthetic.first(num))):
            entropy = kozachenko_leonenko(points.features, self.k, self.floor)
            yield f"entropy/{label}", entropy.value
            yield f"entropy/{label}_at_floor", float(entropy.num_at_floor)
