"""How new the samples are: their distance to what the model was trained on (arXiv 2509.16499, Eq. 2)."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from raycollapse.maths.arrays import Distance
from raycollapse.maths.neighbours import nearest
from raycollapse.metrics.base import Metric, Points


def generalization_score(synthetic: Any, train: Any, *, metric: Distance = "l2") -> float:
    """Return the mean distance of a synthetic point to its nearest training point, over all of both sets.

    GS = (1 / n) sum over x in synthetic of min over z in train of |x - z|: low means memorising, 0 means copies only.
    In the units of the features; comparable only at the same feature space, scale and size of the train set.

    Args:
        synthetic: (n, d) NumPy or torch.
        train: (m, d).
        metric: `l2`, or `cosine` for 1 - cos(x, y).
    """
    return float(nearest(synthetic, train, 1, metric=metric).distances.mean())


class Generalization(Metric):
    """The generalization score of N synthetic points against the whole train set of their own generation."""

    value_names: ClassVar[tuple[str, ...]] = ("memorization/generalization_score",)

    name: Literal["generalization"] = "generalization"

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        score = generalization_score(synthetic.first(len(real)).features, train_set.features)
        yield "memorization/generalization_score", score
