"""The study of a search: what Optuna has suggested, and what came of it.

The study lies in the storage and survives anything; what trials came to is read from their records, which are the
truth. Each run hands out the earlier suggestions again, in their order: finished ones are replayed within seconds, and
one that was running is run on. What is suggested next depends on the search's seed, the number of the suggestion and
what others came to, not on when the search was stopped: run one trial after the other, it is the same search.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raycollapse.config import Experiment
from raycollapse.diffusion.base import Device
from raycollapse.errors import RequestError
from raycollapse.expansion import trial_at
from raycollapse.search.settings import Search
from raycollapse.store import Store, content_key
from raycollapse.tracking.records import GenerationRecord, TrialRecords
from raycollapse.trial_source import TrialSource

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, TrialState

SECONDS_PER_HOUR = 3600

log = logging.getLogger(__name__)


class SearchTrials(TrialSource):
    """The trials of a search, each made when it is asked for.

    Args:
        experiment: one with a search.
        device: where its trials run.
        store: where records and study are kept.
        on_trial: told each trial and what to call it, before it is handed out.
    """

    def __init__(
        self, experiment: Experiment, device: Device, store: Store, on_trial: Callable[[Experiment, str], None]
    ) -> None:
        assert experiment.search is not None
        self._experiment, self._search = experiment, experiment.search
        self._device, self._store, self._on_trial = device, store, on_trial
        self._study = _open_study(experiment, self._search, store)
        self._deadline = math.inf
        if self._search.max_hours is not None:
            self._deadline = time.monotonic() + self._search.max_hours * SECONDS_PER_HOUR
        self._position = 0
        """The number of the next suggestion to hand out."""
        self._handed_out: list[Experiment] = []
        self._numbers: dict[str, list[int]] = {}
        """Trial key -> the suggestions that came to this trial: fields with few values repeat themselves."""

    @property
    def handed_out(self) -> Sequence[Experiment]:
        return self._handed_out

    def next_trial(self) -> Experiment | None:
        while self._position < self._search.num_trials and time.monotonic() < self._deadline:
            number = self._position
            self._position += 1
            trial = self._trial(number)
            if trial is None:
                continue
            numbers = self._numbers.setdefault(trial.trial_key(), [])
            numbers.append(number)
            if len(numbers) == 1:
                self._handed_out.append(trial)
                self._on_trial(trial, f"trial {number}: {self._told(number)}")
                return trial
            self._tell(trial)  # that it is what an earlier one came to; if that one still runs, at its end
        return None

    def settle(self, trial: Experiment) -> None:
        self._tell(trial)

    def _trial(self, number: int) -> Experiment | None:
        """Return the trial of a suggestion; none if the configuration does not take it."""
        from optuna.trial import TrialState

        if number >= len(self._study.trials):
            self._study.add_trial(self._suggestion(number))
        try:
            trial = trial_at(self._experiment, self._point(number), f"trial {number} of the search")
            return trial.on(self._device)
        except RequestError as error:
            log.warning("%s It counts as failed; the search goes on.", error)
            self._finish(number, state=TrialState.FAIL)
            return None

    def _suggestion(self, number: int) -> "FrozenTrial":
        """Return what Optuna suggests next, asked of a copy: so the study gets it whole, in one entry."""
        import optuna

        seed = np.random.SeedSequence(self._search.seed, spawn_key=(number,)).generate_state(1)[0]
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=self._search.num_random, constant_liar=True, seed=int(seed)
        )
        directions = _directions(self._search)
        copy = optuna.create_study(directions=directions, sampler=sampler)
        copy.add_trials(self._study.trials)
        drawn = copy.ask({path: own.for_optuna() for path, own in sorted(self._search.space.items())})
        return _running(drawn.params, drawn.distributions)

    def _point(self, number: int) -> dict[str, Any]:
        params = self._study.trials[number].params
        return {path: own.value(params[path]) for path, own in sorted(self._search.space.items())}

    def _told(self, number: int) -> str:
        return ", ".join(f"{path}={_short(value)}" for path, value in self._point(number).items())

    def _tell(self, trial: Experiment) -> None:
        """Tell the study what a trial came to; nothing of one that is not at its end: the next run goes on with it."""
        from optuna.trial import TrialState

        own = TrialRecords(self._store, trial.name, trial.trial_key())
        try:
            records, stop = own.read(), own.read_stop()
        except RequestError as error:  # it failed before it could put them right: the next run does
            log.warning("%s The search goes on without this trial.", error)
            return
        last = next((record for record in records if record.generation == trial.num_generations), None)
        if last is None and stop is not None:
            self._tell_stopped(trial, records)
        if last is None:
            return
        values = [last.metrics.get(objective, math.nan) for objective in sorted(self._search.objectives)]
        for number in self._numbers[trial.trial_key()]:
            if any(map(math.isnan, values)):
                told = dict(zip(sorted(self._search.objectives), values, strict=True))
                log.warning("Trial %d has no value of an objective (%s); the search goes on without it.", number, told)
                self._finish(number, state=TrialState.FAIL)
            else:
                self._finish(number, values)

    def _tell_stopped(self, trial: Experiment, records: list[GenerationRecord]) -> None:
        """Tell the study that a trial was stopped early: what it had come to by then still says something of its kind.

        Of several objectives Optuna takes no values before the last generation.
        """
        from optuna.trial import Trial, TrialState

        objectives = list(self._search.objectives)
        for number in self._numbers[trial.trial_key()]:
            frozen = self._study.trials[number]
            if frozen.state == TrialState.RUNNING and len(objectives) == 1:
                running = Trial(self._study, frozen._trial_id)
                for record in records:
                    running.report(record.metrics.get(objectives[0], math.nan), record.generation)
            self._finish(number, state=TrialState.PRUNED)

    def _finish(self, number: int, values: list[float] | None = None, state: "TrialState | None" = None) -> None:
        """Tell the study how a suggestion ended; another command on the same search may have said so first."""
        with suppress(RuntimeError):  # in Optuna 4 there is no narrower class for that
            self._study.tell(number, values, state=state, skip_if_finished=True)


def _open_study(experiment: Experiment, search: Search, store: Store) -> "Study":
    """Return the study of this search over so many generations, as earlier runs have left it.

    With another number of generations, or another rule by which trials are stopped early, trials come to other values,
    so that is a study of its own; it begins with what the longest earlier one suggested, whose trials are carried on.
    """
    import optuna

    from raycollapse.search.journal import StoredJournal

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(StoredJournal(store, study_folder(experiment.name)))
    directions, start = _directions(search), f"{content_key(search.definition())[:16]}, generation "
    rule = experiment.scheduler
    name = f"{start}{experiment.num_generations}" + (f", {content_key(rule.identity())[:16]}" if rule else "")
    names = [one for one in optuna.get_all_study_names(storage) if one.startswith(start)]
    earlier = [optuna.load_study(study_name=one, storage=storage).trials for one in names]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
    for trial in max(earlier, key=len, default=[])[len(study.trials) :]:  # a run may have been killed in this loop
        study.add_trial(_running(trial.params, trial.distributions))
    return study


def study_folder(experiment: str) -> str:
    """Return where in a storage the study of an experiment's search lies."""
    return f"experiments/{experiment}/search.study"


def _directions(search: Search) -> "list[Literal['minimize', 'maximize']]":
    """Return Optuna's words, in the order of the names: that in the file, like the order of the space, is no matter."""
    return ["minimize" if way == "minimise" else "maximize" for _, way in sorted(search.objectives.items())]


def _running(params: dict[str, Any], distributions: dict[str, Any]) -> "FrozenTrial":
    from optuna.trial import TrialState, create_trial

    return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
