"""Whether samples look real and whether all that is real is sampled: precision and recall (Kynkaanniemi et al. 2019),
density and coverage (Naeem et al. 2020), by balls that reach each point's k-th nearest neighbour in its own set.

The papers leave open, or differ in, whether a ball holds its surface. Here it does not, as in Naeem et al.'s `prdc`:
so a set that is measured against itself has a density of exactly 1, and a point with k duplicates has an empty ball.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import as_points, check_same_width
from raycollapse.maths.balls import Inside, count_inside
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.scalars import as_integer
from raycollapse.metrics.base import Metric, Points, check_neighbour


@dataclass(frozen=True)
class FidelityScores:
    """All four, for the price of two counts."""

    precision: float
    """0 to 1"""
    recall: float
    """0 to 1"""
    density: float
    """0 to n / k for n real points; 1 in expectation for samples of the real distribution"""
    coverage: float
    """0 to 1"""


def fidelity(synthetic: Any, real: Any, k: int = 5) -> FidelityScores:
    """Return precision, recall, density and coverage of synthetic points, exactly and without a matrix of all pairs.

    Args:
        synthetic: (m, d) NumPy or torch, m > k.
        real: (n, d), n > k.
        k: the neighbour that a ball reaches, itself not counted; 5 is Naeem et al.'s value, 3 is Kynkaanniemi et al.'s.
    """
    in_real = _in_real_balls(synthetic, real, k)
    return FidelityScores(
        precision=_share_held(in_real.balls_of_point),
        recall=recall(synthetic, real, k),
        density=_density(in_real, k),
        coverage=_share_held(in_real.points_of_ball),
    )


def precision(synthetic: Any, real: Any, k: int = 5) -> float:
    """Return the share of (m, d) synthetic points that lie in some real point's ball (Kynkaanniemi et al., Eq. 2).

    Real outliers have balls so large that they hold samples that look like nothing real: `density` suffers less.
    """
    return _share_held(_in_real_balls(synthetic, real, k).balls_of_point)


def recall(synthetic: Any, real: Any, k: int = 5) -> float:
    """Return the share of (n, d) real points that lie in some synthetic point's ball (Kynkaanniemi et al., Eq. 2)."""
    return _share_held(_inside(real, synthetic, k, "real", "synthetic").balls_of_point)


def density(synthetic: Any, real: Any, k: int = 5) -> float:
    """Return 1 / (k m) sum over m synthetic points of how many real points' balls hold them (Naeem et al., Eq. 3)."""
    return _density(_in_real_balls(synthetic, real, k), k)


def coverage(synthetic: Any, real: Any, k: int = 5) -> float:
    """Return the share of real points whose ball holds some synthetic point (Naeem et al., Eq. 4)."""
    return _share_held(_in_real_balls(synthetic, real, k).points_of_ball)


def _in_real_balls(synthetic: Any, real: Any, k: int) -> Inside:
    return _inside(synthetic, real, k, "synthetic", "real")


def _inside(points: Any, centres: Any, k: int, name: str, name_of_centres: str) -> Inside:
    p, c = as_points(points, name), as_points(centres, name_of_centres, minimum=2)
    check_same_width(p, c, name, name_of_centres)
    if not 1 <= as_integer(k, "k") < len(c):
        raise RequestError(
            f"k is {k}; with {len(c)} {name_of_centres} points it must lie in 1..{len(c) - 1}. "
            "Use a smaller k (5 is usual), or more points."
        )
    return count_inside(p, c, nearest(c, c, k, exclude_self=True).distances[:, -1])


def _share_held(counts: NDArray[np.int64]) -> float:
    return float((counts > 0).mean())


def _density(in_real: Inside, k: int) -> float:
    return float(in_real.balls_of_point.mean()) / k


class Fidelity(Metric):
    """Precision, recall, density and coverage of N synthetic points against the N real ones."""

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = (
        "quality/precision", "diversity/recall", "quality/density", "diversity/coverage",
    )  # fmt: skip

    name: Literal["fidelity"] = "fidelity"
    k: Annotated[int, Field(ge=1)] = 5
    """The neighbour that a point's ball reaches; less than N."""

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        super().check_request(where, num_train, num_held_out)
        check_neighbour(f"{where}.k", self.k, num_train)

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        scores = fidelity(synthetic.first(len(real)).features, real.features, self.k)
        yield "quality/precision", scores.precision
        yield "diversity/recall", scores.recall
        yield "quality/density", scores.density
        yield "diversity/coverage", scores.coverage
