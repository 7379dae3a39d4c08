"""Stages on a Ray cluster: training as a task or a Ray Train job, shards through Ray Data, the rest as tasks."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import ray

from raycollapse.backend import Backend, Unit
from raycollapse.config import Experiment
from raycollapse.distributed.claims import Claims
from raycollapse.distributed.patience import LostError, Patience, told_as_lost
from raycollapse.distributed.workers import make_unit, settle_all
from raycollapse.errors import StageError
from raycollapse.stages.features import FeaturesStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.training import StageCheckpoints, TrainStage
from raycollapse.store import Store

POLL_SECONDS = 0.25
MAX_UNSEEN = 3
"""How often a stage may be reported as made and not be in the storage that this process sees."""


class RayBackend(Backend):
    """Makes stages on the cluster that this process is connected to.

    A stage that another trial is making is waited for; this process holds no resource meanwhile. So it is after the
    loss of a process or node, until the stages are begun again.
    """

    def __init__(self, store: Store, experiment: Experiment, num_gpus: int) -> None:
        self.store = store
        self._resources = experiment.resources
        self._num_gpus = num_gpus
        self._claims = Claims(store.uri)

    def run(self, units: Sequence[Unit]) -> None:
        pending, unseen = self._missing(units), Counter[str]()
        patience, loss = Patience(lambda: self._finished(units)), None
        while pending:
            granted = self._claims.take([_claim_key(unit) for unit in pending])
            # Between the look-up and the claim another trial may have finished: look again before working.
            mine = self._missing([unit for unit in pending if _claim_key(unit) in granted])
            try:
                self._make(mine)
            except LostError as error:
                loss = error
            finally:
                self._claims.release(list(granted))
            if loss is not None:
                patience.lost(loss)
                pending, loss = self._missing(pending), None
                continue
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

    def _finished(self, units: Sequence[Unit]) -> set[str]:
        """Return the names of stages and of trainings' checkpoints that are there."""
        names = set()
        for stage in {stage.key: stage for unit in units for stage in unit}.values():
            if self.has(stage):
                names.add(stage.key)
            elif isinstance(stage, TrainStage):
                names |= {f"{stage.key}/{step}" for step in StageCheckpoints(self.store, stage.key).steps()}
        return names

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

                    with told_as_lost(str(stage)):
                        outcome = train_on_workers(self.store.uri, stage)
                    outcome.settle()
                case _:
                    tasks.append((unit, self._start(unit)))
        if shards:
            from raycollapse.distributed.sharding import make_shards  # imports Ray Data

            with told_as_lost(f"{len(shards)} shards, {shards[0][0]} the first of them,"):
                outcomes = make_shards(self.store.uri, shards, self._resources, self._num_gpus)
            settle_all(outcomes)
        for unit, task in tasks:
            with told_as_lost(str(unit[0])):
                outcome = ray.get(task)
            outcome.settle()

    def _start(self, unit: Unit) -> Any:
        uses_gpu = isinstance(unit[0], TrainStage) and unit[0].device == "cuda"
        # A GPU task's process ends with it, so that its CUDA context does not keep memory from the next stage.
        where = {"num_cpus": 0, "num_gpus": 1, "max_calls": 1} if uses_gpu else {"num_cpus": self._resources.threads}
        # Not tried again by Ray, which would do that at once, and count: see `patience`.
        options = {**where, "max_retries": 0, "scheduling_strategy": "DEFAULT"}
        return ray.remote(make_unit).options(**options).remote(self.store.uri, unit)


def _claim_key(unit: Unit) -> str:
    return f"{unit[0].kind}/{unit[0].key}"
