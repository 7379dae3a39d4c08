"""The plan: which stages an experiment needs, in all and after sharing, by running its loops without the work."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raycollapse.backend import Backend, Unit
from raycollapse.config import Experiment
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import TrainSet
from raycollapse.stages.measuring import MeasureStage
from raycollapse.store import Store
from raycollapse.trial import Trial


@dataclass(frozen=True)
class Plan:
    """What a run of some trials amounts to."""

    trials: list[Experiment]
    num_users: Counter[tuple[str, str]]
    """How many of the trials need each stage, by kind and key."""
    shared: dict[tuple[str, str], Stage]
    """The distinct stages, by kind and key."""

    @property
    def num_in_all(self) -> Counter[str]:
        """Stages by kind, summed over trials as if each worked alone."""
        in_all: Counter[str] = Counter()
        for (kind, _), num in self.num_users.items():
            in_all[kind] += num
        return in_all

    @property
    def num_shared(self) -> Counter[str]:
        """Distinct stages by kind."""
        return Counter(kind for kind, _ in self.shared)

    def include(self, other: "Plan") -> None:
        """Add another plan's trials to this one."""
        self.trials.extend(other.trials)
        self.num_users.update(other.num_users)
        self.shared.update(other.shared)


class PlanBackend(Backend):
    """Carries nothing out: it notes which stages would be made.

    Args:
        store: where it is looked up what has been decided in an earlier run; none: nowhere.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.stages: dict[tuple[str, str], Stage] = {}
        self._decided = store

    def run(self, units: Sequence[Unit]) -> None:
        self.stages |= {(stage.kind, stage.key): stage for unit in units for stage in unit}

    def has(self, stage: Stage) -> bool:
        """Return whether a stage is in the store; one that decides how things go on belongs to the plan itself."""
        found = self._decided is not None and self._decided.find(stage.kind, stage.key) is not None
        self.stages |= {(stage.kind, stage.key): stage} if found else {}
        return found


class PlannedTrial(Trial):
    """A trial whose stages are only noted: there are no values to read and none to record."""

    def _values(self, train_set: TrainSet, stages: list[MeasureStage]) -> dict[str, float]:
        return {}

    def record(self, generation: int, metrics: Mapping[str, float]) -> None:
        pass


def stages_of(trial: Experiment, store: Store | None = None) -> dict[tuple[str, str], Stage]:
    """Return the stages of one trial, in the order they are first needed.

    Args:
        trial: its configuration.
        store: where shards may be that were made with half the batch for want of memory; none: as if none were.
    """
    backend = PlanBackend(store)
    PlannedTrial(trial, backend).run()
    return backend.stages


def plan(trials: list[Experiment], store: Store | None = None) -> Plan:
    """Return the plan of some trials, given what a storage knows of them."""
    num_users: Counter[tuple[str, str]] = Counter()
    shared: dict[tuple[str, str], Stage] = {}
    for trial in trials:
        stages = stages_of(trial, store)
        num_users.update(stages.keys())
        shared.update(stages)
    return Plan(list(trials), num_users, shared)
