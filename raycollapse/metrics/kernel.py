"""Kernel distance of two sets: the squared maximum mean discrepancy of a cubic kernel (KID: Binkowski et al. 2018)."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import as_points, check_same_width
from raycollapse.maths.scalars import as_integer
from raycollapse.metrics.base import Metric, Points


@dataclass(frozen=True)
class KernelDistance:
    """An estimate of the squared maximum mean discrepancy."""

    value: float
    """The mean over subsets; no unit. Unbiased, so about 0, and as often below it, for two draws of one distribution"""
    deviation: float
    """The standard deviation over subsets, which shrinks with their size and not with their number"""
    subset_size: int
    """How many points of each set a subset held"""


def kernel_distance(
    a: Any, b: Any, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """Return the unbiased MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) with k(x, y) = (x.y / d + 1)^3, in float64.

    Computed by torchmetrics' KernelInceptionDistance, which is given features instead of images: a mean over random
    subsets, whose cost does not grow with the sets. Two sets no larger than a subset make one subset, without chance.
    The kernel is not invariant to the scale of the features: values compare only within one feature space and scale.

    Args:
        a: (n, d) NumPy or torch, n >= 2.
        b: (m, d), m >= 2.
        num_subsets: how many subsets to draw, each without replacement.
        subset_size: points of either set in a subset; at most as many as the smaller set has.
        seed: of the draw; the same input and seed give the same value.
    """
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    first, second = as_points(a, "a", minimum=2), as_points(b, "b", minimum=2)
    check_same_width(first, second, "a", "b")
    num_subsets, subset_size = as_integer(num_subsets, "num_subsets"), as_integer(subset_size, "subset_size")
    if num_subsets < 1 or subset_size < 2:
        raise RequestError(
            f"num_subsets is {num_subsets} and subset_size is {subset_size}; there must be at least 1 subset, of at "
            "least 2 points of each set. Use 100 of 1000, the usual values."
        )
    size = min(subset_size, len(first), len(second))
    subsets = 1 if size == len(first) == len(second) else num_subsets
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save all")
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also set the generators of GPUs
        distance = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=subsets, subset_size=size)
        distance.update(torch.from_numpy(first.astype(np.float64)), real=True)
        distance.update(torch.from_numpy(second.astype(np.float64)), real=False)
        value, deviation = distance.compute()
    return KernelDistance(float(value), float(deviation), size)


class Kid(Metric):
    """Kernel distance of N synthetic points to the real ones, and the held-out points' own distance as its floor.

    Unlike the Frechet distance it has no bias that depends on N: with fewer points held out its floor is only noisier.
    """

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = (
        "quality/kd", "quality/kd_deviation", "quality/kd_floor", "quality/kd_floor_num",
    )  # fmt: skip

    name: Literal["kid"] = "kid"
    num_subsets: Annotated[int, Field(ge=1)] = 100
    """Random subsets to average over."""
    subset_size: Annotated[int, Field(ge=2)] = 1000
    """Points of each set in a subset; at most N. The default takes all N points where there are fewer."""

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        super().check_request(where, num_train, num_held_out)
        default = type(self).model_fields["subset_size"].default
        if self.subset_size > num_train and self.subset_size != default:
            raise RequestError(
                f"{where}.subset_size is {self.subset_size}; with N = {num_train} (data.num_train) it must lie in "
                f"2..{num_train}. Lower it, or leave it out, which takes at most {default} points."
            )

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        distance = self._distance(synthetic.first(num), real)
        yield "quality/kd", distance.value
        yield "quality/kd_deviation", distance.deviation
        floor = held_out.first(num)
        if len(floor) > 1:
            yield "quality/kd_floor", self._distance(floor, real).value
        yield "quality/kd_floor_num", float(len(floor))

    def _distance(self, points: Points, real: Points) -> KernelDistance:
        return kernel_distance(
            points.features, real.features, num_subsets=self.num_subsets, subset_size=self.subset_size
        )
