"""Sharded work through Ray Data: sampling and feature extraction, one unit a shard.

Rows are unit numbers, so no image crosses the object store; each worker writes its shard to storage itself. The result
does not depend on how many workers there are.
"""

from typing import Any, cast

import ray
import ray.data

from raycollapse.backend import Unit
from raycollapse.config import Resources
from raycollapse.distributed.workers import ShardMaker, make_rows, outcome_of


def make_shards(uri: str, units: list[Unit], resources: Resources, num_gpus: int) -> None:
    """Make units in a pool of actors, or in tasks on warm workers; raise the first error that a stage gave.

    Args:
        uri: the storage.
        units: shards to sample and embed.
        resources: device, threads and number of actors.
        num_gpus: GPUs in the cluster at its largest; the default number of actors there.
    """
    _quiet_context()
    rows = ray.data.from_items([{"unit": index} for index in range(len(units))], override_num_blocks=len(units))
    shared = ray.put(units)
    if resources.num_actors is None and resources.device == "cpu":
        mapped = rows.map_batches(
            cast(Any, _make_rows_of), fn_kwargs={"uri": uri, "units": [shared]}, batch_size=1,
            num_cpus=resources.threads, compute=ray.data.TaskPoolStrategy(),
        )  # fmt: skip
    else:
        most = min(len(units), resources.num_actors or max(num_gpus, 1))
        mapped = rows.map_batches(
            _SharedShardMaker, fn_constructor_args=(uri, [shared]), batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most), **_actor_resources(resources),
        )  # fmt: skip
    for row in mapped.take_all():
        outcome_of(row).settle()


def _actor_resources(resources: Resources) -> dict[str, Any]:
    if resources.device == "cuda":
        return {"num_cpus": 0, "num_gpus": 1}
    return {"num_cpus": resources.threads}


def _make_rows_of(batch: dict[str, Any], uri: str, units: list[Any]) -> dict[str, list[Any]]:
    return make_rows(batch, uri, ray.get(units[0]))


class _SharedShardMaker(ShardMaker):
    def __init__(self, uri: str, units: list[Any]) -> None:
        super().__init__(uri, ray.get(units[0]))


def _quiet_context() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a pool that waits for a GPU makes no progress, and that is fine
