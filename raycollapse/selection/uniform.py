"""The vanilla loop: an even random draw, without regard to features (arXiv 2509.16499, its published code)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.scalars import as_integer
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.pool import Indices, Pool


def even_quotas(available: NDArray[np.int64], num_select: int) -> NDArray[np.int64]:
    """Return how many to draw from each source: floor(N / n) each, the remainder from the newest (last) first.

    A source that has fewer gives all it has, and the others share the rest evenly.

    >>> even_quotas(np.array([100, 100, 100]), 8).tolist()
    [2, 3, 3]
    >>> even_quotas(np.array([100, 1, 100]), 8).tolist()
    [3, 1, 4]
    """
    num_select = as_integer(num_select, "num_select")
    if not 1 <= num_select <= available.sum():
        raise RequestError(
            f"num_select is {num_select}; with {available.tolist()} candidates in the sources it must lie in "
            f"1..{available.sum()}. Select fewer, or offer more candidates."
        )
    quotas = np.zeros_like(available)
    while (left := num_select - int(quotas.sum())) > 0:
        open_sources = np.flatnonzero(quotas < available)
        share = left // len(open_sources)
        if share == 0:
            quotas[open_sources[-left:]] += 1
        quotas[open_sources] = np.minimum(quotas[open_sources] + share, available[open_sources])
    return quotas


class Uniform(SelectionStrategy):
    """An even draw from the sources of the pool, each from its first `num_select`."""

    name: Literal["uniform"] = "uniform"

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        generations = np.unique(pool.sources[:, 0])  # sorted: the newest is last
        firsts = [_first(pool.sources, generation, num_select) for generation in generations]
        available = np.array([len(first) for first in firsts])
        if available.sum() < num_select:
            raise RequestError(
                f"{num_select} samples are to be drawn, but the sources hold {available.tolist()}, "
                f"the first {num_select} of each at most. Lower num_train, or sample more."
            )
        quotas = even_quotas(available, num_select)
        draws = [rng.choice(first, quota, replace=False) for first, quota in zip(firsts, quotas, strict=True)]
        return np.concatenate(draws)

    def num_candidates(self, num_train: int, oversample: int) -> int:
        """Return N: it draws without looking, so more candidates would change nothing."""
        return num_train


def _first(sources: NDArray[np.int64], generation: int, num: int) -> Indices:
    """Return the positions of the first `num` of a generation, by their index in it."""
    positions = np.flatnonzero(sources[:, 0] == generation)
    return positions[np.argsort(sources[positions, 1], kind="stable")[:num]]
