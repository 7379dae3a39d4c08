"""Stages on a Ray cluster: training as a task or a Ray Train job, shards through Ray Data, the rest as tasks."""

import time
from collections.abc import Sequence
from typing import Any

import ray

from raycollapse.backend import Backend, Unit
from raycollapse.config import Experiment
from raycollapse.distributed.claims import Claims
from raycollapse.distributed.sharding import make_shards
from raycollapse.distributed.training import train_on_workers
from raycollapse.distributed.workers import make_unit
from raycollapse.stages.features import FeaturesStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.training import TrainStage
from raycollapse.store import Store

POLL_SECONDS = 0.25
MAX_RETRIES = 10
"""Of a task whose worker or node was lost; a spot loss is an ordinary event."""


class RayBackend(Backend):
    """Makes stages on the cluster that this process is connected to.

    A stage that another trial is making is waited for; this process holds no resource meanwhile.
    """

    def __init__(self, store: Store, experiment: Experiment, num_gpus: int) -> None:
        super().__init__(store)
        self._resources = experiment.resources
        self._num_gpus = num_gpus
        self._claims = Claims(store.uri)

    def run(self, units: Sequence[Unit]) -> None:
        pending = self._missing(units)
        while pending:
            keys = [_claim_key(unit) for unit in pending]
            granted = self._claims.take(keys)
            # Between the look-up and the claim another trial may have finished: look again before working.
            mine = self._missing([unit for unit, key in zip(pending, keys, strict=True) if key in granted])
            try:
                self._make(mine)
            finally:
                self._claims.release(list(granted))
            pending = self._missing(pending)
            if pending and not mine:
                time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Stop beating for this trial's claims."""
        self._claims.close()

    def _missing(self, units: Sequence[Unit]) -> list[Unit]:
        def is_missing(unit: Unit) -> bool:
            return any(self.store.find(stage.kind, stage.key) is None for stage in unit)

        return [unit for unit in units if is_missing(unit)]

    def _make(self, units: list[Unit]) -> None:
        sharded = [unit for unit in units if isinstance(unit[0], SampleStage | FeaturesStage)]
        if sharded:
            make_shards(self.store.uri, sharded, self._resources, self._num_gpus)
        others = [unit for unit in units if unit not in sharded]
        for outcome in ray.get([self._submit(unit) for unit in others]):
            outcome.settle()

    def _submit(self, unit: Unit) -> Any:
        first = unit[0]
        if isinstance(first, TrainStage) and first.num_workers > 1:
            return ray.put(train_on_workers(self.store.uri, first))
        uses_gpu = isinstance(first, TrainStage) and first.device == "cuda"
        # A GPU task's process ends with it, so that its CUDA context does not keep memory from the next stage.
        where = {"num_cpus": 0, "num_gpus": 1, "max_calls": 1} if uses_gpu else {"num_cpus": self._resources.threads}
        options = {**where, "max_retries": MAX_RETRIES, "scheduling_strategy": "DEFAULT"}
        return ray.remote(make_unit).options(**options).remote(self.store.uri, unit)


def _claim_key(unit: Unit) -> str:
    return f"{unit[0].kind}/{unit[0].key}"
