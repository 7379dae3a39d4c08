"""Sharded work through Ray Data: sampling and feature extraction, one unit a shard.

A row is a unit, pickled, and becomes how it went: no image crosses the object store, each worker writes its shard to
storage itself. So the result does not depend on how many workers there are.
"""

from typing import Any, cast

import ray.data

from raycollapse.backend import Unit
from raycollapse.config import Resources
from raycollapse.distributed.workers import Outcome, ShardMaker, make_rows, pack, unpack
from raycollapse.stages.sampling import SampleStage

MAX_RETRIES = 1
"""Of one shard, or one actor, whose process or node was lost: once, so that the others go on meanwhile. What is lost
again ends the pool, and is begun again with what is left to do: see `patience`."""


def make_shards(uri: str, units: list[Unit], resources: Resources, num_gpus: int) -> list[Outcome]:
    """Make units in a pool of actors, or in tasks on warm workers; tell how each went.

    Args:
        uri: the storage.
        units: shards to sample and embed.
        resources: device, threads and number of actors.
        num_gpus: GPUs in the cluster at its largest; the default number of actors there.
    """
    _set_context()
    rows = ray.data.from_items([{"unit": pack(unit)} for unit in units], override_num_blocks=len(units))
    has_sampling = any(isinstance(unit[0], SampleStage) for unit in units)
    if resources.device == "cpu" and (resources.num_actors is None or not has_sampling):
        made = rows.map_batches(
            cast(Any, make_rows), fn_kwargs={"uri": uri}, batch_size=1, compute=ray.data.TaskPoolStrategy(),
            num_cpus=resources.threads, max_retries=MAX_RETRIES,
        )  # fmt: skip
    else:
        most = min(len(units), resources.num_actors or max(num_gpus, 1))
        made = rows.map_batches(
            ShardMaker, fn_constructor_args=(uri,), batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most), **_actor_resources(resources),
            max_restarts=MAX_RETRIES, max_task_retries=MAX_RETRIES,
        )  # fmt: skip
    return [unpack(row["outcome"]) for row in made.take_all()]


def _actor_resources(resources: Resources) -> dict[str, Any]:
    if resources.device == "cuda":
        return {"num_cpus": 0, "num_gpus": 1}
    return {"num_cpus": resources.threads}


def _set_context() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a pool that waits for a GPU makes no progress, and that is fine
