"""Whether samples are copies, told by their distance to the train set in units that the data itself gives.

All compare with what is to be expected of samples that are new: with held-out images, or with how far training points
lie from each other. Distances are to the *whole* train set, since any of it may have been copied.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, as_points
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.scalars import as_number
from raycollapse.metrics.base import Metric, Points
from raycollapse.metrics.generalization import generalization_score

AUTO_QUANTILE = 0.01
"""`auto` calls that share of the training points near-duplicates of each other."""


def generalization_ratio(synthetic: Any, held_out: Any, train: Any, *, metric: Distance = "l2") -> float:
    """Return the generalization score of samples over that of held-out real points: near 1 = new, 0 = copies only.

    Without a unit, and unlike the score itself nearly independent of the feature space's scale and of the size of the
    train set. Above 1 where samples lie farther from the train set than real images do: then they are not new, but bad.

    Args:
        synthetic: (n, d) NumPy or torch.
        held_out: (h, d) real points that the model was not trained on.
        train: (m, d).
        metric: `l2`, or `cosine` for 1 - cos(x, y).
    """
    expected = generalization_score(held_out, train, metric=metric)
    if expected == 0:
        raise RequestError(
            f"the mean distance of held_out to train is 0: all {len(held_out)} held-out points are in the train set. "
            "Hold out images that are not trained on."
        )
    return generalization_score(synthetic, train, metric=metric) / expected


def authenticity(synthetic: Any, train: Any, *, metric: Distance = "l2") -> float:
    """Return the share of samples that are authentic (Alaa et al. 2022, Section 4.3): 0 = copies only.

    A sample is authentic when it lies farther from its nearest training point than that point lies from its own
    nearest other. At equal distance it is not: so a copy never is. New draws from the distribution of the train set
    score (in expectation) 1/3 in one dimension, rising to 1/2 in many: one point is the other's nearest, but not always
    conversely.

    Args:
        synthetic: (n, d) NumPy or torch.
        train: (m, d), m >= 2.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
    """
    points = as_points(train, "train", minimum=2)
    distances, indices = nearest(synthetic, points, 1, metric=metric)  # (n, 1)
    among_themselves = nearest(points, points, 1, exclude_self=True, metric=metric).distances[:, 0]  # (m,)
    return float((distances > among_themselves[indices]).mean())


@dataclass(frozen=True)
class Duplicates:
    """How many samples are as good as in the train set."""

    share: float
    """0 to 1"""
    threshold: float
    """The largest distance that makes a duplicate, in the units of the features for `l2`"""


def duplicates(
    synthetic: Any, train: Any, threshold: float | Literal["auto"] = "auto", *, metric: Distance = "l2"
) -> Duplicates:
    """Return the share of samples that lie no farther than a threshold from their nearest training point.

    `auto` is the 0.01 quantile of the distances of training points to their nearest others: new draws from the
    distribution of the train set are duplicates about as often, 1 %. It shrinks with a train set that collapses: give
    a number to measure every generation by the same distance.

    Args:
        synthetic: (n, d) NumPy or torch.
        train: (m, d), m >= 2 for `auto`.
        threshold: a distance, >= 0; 0 counts exact copies.
        metric: `l2`, in the units of the features, or `cosine` for 1 - cos(x, y).
    """
    limit = auto_threshold(train, metric) if threshold == "auto" else as_number(threshold, "threshold")
    if not 0 <= limit < np.inf:
        raise RequestError(f"threshold is {threshold}; it must be 'auto' or a number from 0 on.")
    return Duplicates(_share_within(nearest(synthetic, train, 1, metric=metric).distances, limit), limit)


def auto_threshold(train: Any, metric: Distance = "l2") -> float:
    """Return the 0.01 quantile of the distances of (m, d) training points to their nearest others, m >= 2."""
    points = as_points(train, "train", minimum=2)
    return float(np.quantile(nearest(points, points, 1, exclude_self=True, metric=metric).distances, AUTO_QUANTILE))


def _share_within(distances: NDArray[np.float64], limit: float) -> float:
    return float((distances <= limit).mean())


class GeneralizationRatio(Metric):
    """The generalization score of N synthetic points over that of up to N held-out ones, both to the whole train set.

    Nothing but the number of held-out points, 0, where there are none.
    """

    value_names: ClassVar[tuple[str, ...]] = (
        "memorization/generalization_ratio", "memorization/generalization_ratio_num_held_out",
    )  # fmt: skip

    name: Literal["generalization_ratio"] = "generalization_ratio"

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        super().check_request(where, num_train, num_held_out)
        if num_held_out < 1:
            raise RequestError(
                f"data.num_held_out is {num_held_out}, but {where} ({self.name}) compares with held-out points. Hold "
                "out one at least, or leave out that metric."
            )

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        fresh = held_out.first(num)
        if len(fresh):
            ratio = generalization_ratio(synthetic.first(num).features, fresh.features, train_set.features)
            yield "memorization/generalization_ratio", ratio
        yield "memorization/generalization_ratio_num_held_out", float(len(fresh))


class Authenticity(Metric):
    """The share of authentic ones among N synthetic points, and among up to N held-out ones, to compare with."""

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = ("memorization/authenticity", "memorization/authenticity_held_out")

    name: Literal["authenticity"] = "authenticity"

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        yield "memorization/authenticity", authenticity(synthetic.first(num).features, train_set.features)
        if len(held_out):
            yield "memorization/authenticity_held_out", authenticity(held_out.first(num).features, train_set.features)


class DuplicatesMetric(Metric):
    """The share of duplicates among N synthetic points, and among up to N held-out ones, to compare with."""

    value_names: ClassVar[tuple[str, ...]] = (
        "memorization/duplicates", "memorization/duplicates_threshold", "memorization/duplicates_held_out",
    )  # fmt: skip

    name: Literal["duplicates"] = "duplicates"
    threshold: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """The largest distance that makes a duplicate, in the units of the features; `auto`: the 0.01 quantile of the
    distances of training points to their nearest others."""

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        super().check_request(where, num_train, num_held_out)
        if self.threshold == "auto" and num_train < 2:
            raise RequestError(
                f"{where}.threshold is auto, but data.num_train is {num_train}: one point has no nearest other. Give a "
                "number, or raise data.num_train."
            )

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num, train = len(real), train_set.features
        found = duplicates(synthetic.first(num).features, train, self.threshold)
        yield "memorization/duplicates", found.share
        yield "memorization/duplicates_threshold", found.threshold
        if len(held_out):
            among_fresh = duplicates(held_out.first(num).features, train, found.threshold)
            yield "memorization/duplicates_held_out", among_fresh.share
