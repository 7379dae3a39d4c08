"""Stages on a Ray cluster: training as a task or a Ray Train job, shards through Ray Data, the rest as tasks."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, WorkerCrashedError

from raycollapse.backend import Backend, Unit
from raycollapse.config import Experiment
from raycollapse.distributed.claims import Claims
from raycollapse.distributed.workers import MAX_RETRIES, Outcome, make_unit
from raycollapse.errors import StageError
from raycollapse.stages.features import FeaturesStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.training import TrainStage
from raycollapse.store import Store

POLL_SECONDS = 0.25
MAX_UNSEEN = 3
"""How often a stage may be reported as made and not be in the storage that this process sees."""


class RayBackend(Backend):
    """Makes stages on the cluster that this process is connected to.

    A stage that another trial is making is waited for; this process holds no resource meanwhile.
    """

    def __init__(self, store: Store, experiment: Experiment, num_gpus: int) -> None:
        self.store = store
        self._resources = experiment.resources
        self._num_gpus = num_gpus
        self._claims = Claims(store.uri)

    def run(self, units: Sequence[Unit]) -> None:
        pending, unseen = self._missing(units), Counter[str]()
        while pending:
            granted = self._claims.take([_claim_key(unit) for unit in pending])
            # Between the look-up and the claim another trial may have finished: look again before working.
            mine = self._missing([unit for unit in pending if _claim_key(unit) in granted])
            try:
                self._make(mine)
            finally:
                self._claims.release(list(granted))
            unseen.update(_claim_key(unit) for unit in self._missing(mine))
            self._check_seen(unseen)
            pending = self._missing(pending)
            if pending:
                time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Stop beating for this trial's claims."""
        self._claims.close()

    def _missing(self, units: Sequence[Unit]) -> list[Unit]:
        def is_missing(unit: Unit) -> bool:
            return any(self.store.find(stage.kind, stage.key) is None for stage in unit)

        return [unit for unit in units if is_missing(unit)]

    def _check_seen(self, unseen: Counter[str]) -> None:
        stage, times = max(unseen.items(), key=lambda item: item[1], default=("", 0))
        if times >= MAX_UNSEEN:
            raise StageError(
                f"{stage} was made {times} times on other nodes, and never seen in {self.store.uri} from here. The "
                "storage must be one place that every node reaches: s3://..., gs://... or a shared disk."
            )

    def _make(self, units: list[Unit]) -> None:
        shards: list[Unit] = []
        tasks: list[tuple[Unit, Any]] = []
        for unit in units:
            match unit[0]:
                case SampleStage() | FeaturesStage():
                    shards.append(unit)
                case TrainStage(num_workers=num) as stage if num > 1:
                    from raycollapse.distributed.training import train_on_workers  # imports Ray Train and torch

                    train_on_workers(self.store.uri, stage).settle()
                case _:
                    tasks.append((unit, self._start(unit)))
        if shards:
            from raycollapse.distributed.sharding import make_shards  # imports Ray Data

            make_shards(self.store.uri, shards, self._resources, self._num_gpus)
        for unit, task in tasks:
            _finish(unit, task)

    def _start(self, unit: Unit) -> Any:
        uses_gpu = isinstance(unit[0], TrainStage) and unit[0].device == "cuda"
        # A GPU task's process ends with it, so that its CUDA context does not keep memory from the next stage.
        where = {"num_cpus": 0, "num_gpus": 1, "max_calls": 1} if uses_gpu else {"num_cpus": self._resources.threads}
        options = {**where, "max_retries": MAX_RETRIES, "scheduling_strategy": "DEFAULT"}
        return ray.remote(make_unit).options(**options).remote(self.store.uri, unit)


def _finish(unit: Unit, task: Any) -> None:
    try:
        outcome: Outcome = ray.get(task)
    except (WorkerCrashedError, OutOfMemoryError) as error:
        raise StageError(f"the process that made {unit[0]} died {MAX_RETRIES + 1} times: {error}") from error
    outcome.settle()


def _claim_key(unit: Unit) -> str:
    return f"{unit[0].kind}/{unit[0].key}"
