"""Class-balanced orders: every prefix holds each class as often as any other, to within one image."""

import numpy as np
from numpy.typing import NDArray

from raycollapse.data.loaded import Labels


def balanced_order(labels: Labels, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a permutation rearranged in rounds: the first of every class, then the second of every class, ...

    Inside a class, and inside a round, images keep the permutation's order. Once a class is used up the rounds go on
    without it, and prefixes are balanced no longer; see `num_balanced`.

    Args:
        labels: of all n images.
        order: a permutation of the n images.
    """
    classes = labels[order]
    by_class = np.argsort(classes, kind="stable")
    _, starts, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    rounds = np.empty(len(order), np.int64)
    rounds[by_class] = np.arange(len(order)) - np.repeat(starts, counts)
    balanced: NDArray[np.int64] = order[np.argsort(rounds, kind="stable")]
    return balanced


def rarest_class(labels: Labels) -> tuple[int, int, int]:
    """Return the class with the fewest images, how many it has, and how many images can be drawn evenly in all."""
    classes, counts = np.unique(labels, return_counts=True)
    rarest = int(counts.argmin())
    return int(classes[rarest]), int(counts[rarest]), int(counts[rarest]) * len(classes)
