"""Exact nearest neighbours among more references than one process can hold: each actor holds a shard of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from raycollapse.distributed.cluster import supply
from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, Points, as_points
from raycollapse.maths.neighbours import Neighbours, nearest
from raycollapse.threads import limited_threads

Shard = Callable[[], Any] | Any
"""(n, d) features, or a function that loads them where the actor runs, so that they pass through no other process."""

MAX_RETRIES = 4
"""Of an actor whose process or node was lost."""

QUERIES = 4096
"""Queries sent to every actor at once."""


class ShardedReferences:
    """References held by actors all over the cluster, asked together.

    Args:
        shards: the references, in order; row numbers go on from shard to shard.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        num_cpus: of each actor, and its threads.
    """

    def __init__(self, shards: Sequence[Shard], *, metric: Distance = "l2", num_cpus: int = 1) -> None:
        _check_room(len(shards), num_cpus)
        options = {
            "num_cpus": num_cpus,
            "scheduling_strategy": "SPREAD",
            "max_restarts": MAX_RETRIES,
            "max_task_retries": MAX_RETRIES,
        }
        actor: Any = ray.remote(_Holder).options(**options)
        self._actors: list[Any] = [actor.remote(shard, metric, num_cpus) for shard in shards]
        sizes = _get([holder.size.remote() for holder in self._actors])
        self._offsets = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def nearest(self, queries: Any, k: int, exclude_self: bool = False) -> Neighbours:
        """Return what `raycollapse.maths.neighbours.nearest` returns for all references in one array.

        Args:
            queries: (n, d) NumPy or torch.
            k: how many, 1 <= k <= number of references (one less with `exclude_self`).
            exclude_self: query i is reference i, and no neighbour of its own.
        """
        points = as_points(queries, "queries")
        self._check(k, len(points), exclude_self)
        starts = range(0, len(points), QUERIES)
        blocks = [self._nearest(points[start : start + QUERIES], start, k, exclude_self) for start in starts]
        return Neighbours(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def close(self) -> None:
        """Let the actors go, and what they hold."""
        for holder in self._actors:
            ray.kill(holder)

    def _nearest(self, queries: NDArray[Any], start: int, k: int, exclude_self: bool) -> Neighbours:
        sent = ray.put(queries)
        found = _get([holder.nearest.remote(sent, k + exclude_self) for holder in self._actors])
        own = np.arange(start, start + len(queries)) if exclude_self else None
        return merged(found, self._offsets[:-1], k, own)

    def _check(self, k: int, num_queries: int, exclude_self: bool) -> None:
        if exclude_self and num_queries != len(self):
            raise RequestError(
                f"exclude_self is set, but there are {num_queries} queries and {len(self)} references; it means that "
                "they are the same set. Pass the references in the order of their shards, or leave it off."
            )
        if not 1 <= k <= len(self) - exclude_self:
            raise RequestError(f"k is {k}; with {len(self)} references it must lie in 1..{len(self) - exclude_self}.")


@contextmanager
def sharded_references(
    shards: Sequence[Shard], *, metric: Distance = "l2", num_cpus: int = 1
) -> Iterator[ShardedReferences]:
    """Hold references in actors for the length of the block, on the cluster that this process is connected to."""
    references = ShardedReferences(shards, metric=metric, num_cpus=num_cpus)
    try:
        yield references
    finally:
        references.close()


class _Holder:
    """An actor with one shard of the references."""

    def __init__(self, shard: Shard, metric: Distance, threads: int) -> None:
        self._shard, self._metric, self._threads = shard, metric, threads

    @cached_property
    def _references(self) -> Points:  # not in the constructor: errors of that reach nobody as what they are
        return as_points(self._shard() if callable(self._shard) else self._shard, "references")

    def size(self) -> int:
        return len(self._references)

    def nearest(self, queries: NDArray[Any], k: int) -> Neighbours:
        with limited_threads(self._threads):
            return nearest(queries, self._references, min(k, len(self._references)), metric=self._metric)


def _check_room(num_shards: int, num_cpus: int) -> None:
    """Raise where Ray would wait for ever."""
    if num_shards < 1:
        raise RequestError("There is no shard of references; at least one is needed.")
    there = supply().total.cpus
    if num_shards * num_cpus > there:
        raise RequestError(
            f"{num_shards} shards of references need {num_shards * num_cpus} CPUs at once; the cluster has {there:g}. "
            "Cut the references into fewer shards, or add nodes."
        )


def _get(answers: list[Any]) -> list[Any]:
    """Return the actors' answers, or raise an error of theirs as it was."""
    try:
        found: list[Any] = ray.get(answers)
    except RayTaskError as error:
        raise error.cause from error
    return found


def merged(
    found: Sequence[Neighbours], offsets: NDArray[np.int64], k: int, own: NDArray[np.int64] | None = None
) -> Neighbours:
    """Return the k nearest of what was found in each shard, equally near ones by their index.

    Args:
        found: for each shard, each query's neighbours there: at least k, or k + 1 with `own`, or all.
        offsets: where each shard's rows begin.
        k: how many to return.
        own: (n,) the row of each query, which is no neighbour of its own.
    """
    distances = np.concatenate([part.distances for part in found], axis=1)
    indices = np.concatenate([part.indices + start for part, start in zip(found, offsets, strict=True)], axis=1)
    if own is not None:
        distances[indices == own[:, None]] = np.inf
    best = np.lexsort((indices, distances))[:, :k]
    return Neighbours(np.take_along_axis(distances, best, axis=1), np.take_along_axis(indices, best, axis=1))
