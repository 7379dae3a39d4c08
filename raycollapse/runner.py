"""Running an experiment from a configuration to its results: one trial or a thousand, here or on a cluster."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from rich.console import Console

from raycollapse.backend import LocalBackend
from raycollapse.compute import Compute, Ledger
from raycollapse.config import Experiment
from raycollapse.continuation import check_continuation
from raycollapse.diffusion.conditioning import check_labels
from raycollapse.early_stopping import StoppedEarly, forget_other_rules, stopping
from raycollapse.errors import FullDiskError, RequestError, describe
from raycollapse.expansion import expand, num_trials
from raycollapse.progress import Display, display_for
from raycollapse.report import trial_labels
from raycollapse.scheduling import Scheduler
from raycollapse.stages.base import make
from raycollapse.stages.imagesets import ImageSet
from raycollapse.stages.real import RealStage
from raycollapse.store import Manifest, Store
from raycollapse.store.at_work import Announcement, announced
from raycollapse.store.seal import canonical_json
from raycollapse.tracking.opening import open_recorder
from raycollapse.tracking.records import TrialRecords
from raycollapse.tracking.replay import replaying
from raycollapse.tracking.searches import write_search
from raycollapse.trial import Trial, fresh_stage, given_stage, real_stage
from raycollapse.trial_source import ListedTrials, TrialSource

log = logging.getLogger(__name__)

Run = Callable[[TrialSource, Scheduler | None, Store, Display], None]
"""Runs trials to their end; one that failed or was stopped early leaves the reason in its record."""


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    experiment: Experiment
    store: Store
    failures: dict[str, str]
    """Label -> reason, of the trials that failed."""
    stops: dict[str, str]
    """Label -> reason, of the trials that were stopped early."""
    has_records: bool
    """Whether any generation of any trial was recorded."""
    tracking_uri: str | None
    """Where MLflow has the results; none if it was not asked for."""
    compute: Compute
    """What its stages took, and what was saved."""


def run_here(experiment: Experiment, console: Console) -> Result:
    """Run an experiment in this process, one trial after the other."""
    for trial in expand(experiment):
        if trial.resources.train_workers > 1:
            raise RequestError(
                f"resources.train_workers is {trial.resources.train_workers}, but --local trains in one process. "
                "Leave out --local, or set it to 1, which is another model: the number of workers changes last bits."
            )
    return _run(experiment, console, _local_device(experiment), _run_here)


def run_on_ray(experiment: Experiment, console: Console, address: str | None = None) -> Result:
    """Run an experiment on the Ray cluster at `address`, or on one started on this machine for its length."""
    from raycollapse.distributed.cluster import connected
    from raycollapse.distributed.resources import num_concurrent, refusals
    from raycollapse.distributed.sweep import run_sweep

    for trial in expand(experiment):  # a mistake in the file is told before a cluster is waited for
        trial.check_sizes()
    with connected(address) as supply:
        has_gpu = supply.total.gpus >= 1
        device: Literal["cpu", "cuda"] = "cuda" if experiment.resources.device == "cuda" else "cpu"
        if experiment.resources.device == "auto":
            device = "cuda" if has_gpu else "cpu"
        trials = [trial.on(device) for trial in expand(experiment)]
        num = num_trials(experiment)
        found = refusals(trials, supply, num)
        if found:
            raise RequestError("\n".join(found))
        at_a_time, num_gpus = num_concurrent(trials, supply, num), int(supply.total.gpus)

        def run(source: TrialSource, scheduler: Scheduler | None, _: Store, display: Display) -> None:
            run_sweep(source, scheduler, at_a_time, num_gpus, display)

        return _run(experiment, console, device, run)


def _run(experiment: Experiment, console: Console, device: Literal["cpu", "cuda"], run: Run) -> Result:
    trials = [trial.on(device) for trial in expand(experiment)]
    store = Store(experiment.storage)
    with announced(store, [trial.resolved() for trial in trials]) as announcement:
        return _run_trials(experiment, trials, store, announcement, console, run)


def _run_trials(
    experiment: Experiment,
    trials: list[Experiment],
    store: Store,
    announcement: Announcement,
    console: Console,
    run: Run,
) -> Result:
    recorder = open_recorder(experiment, store)
    check_continuation(store, experiment, trials)
    _check_spaces(trials)
    ledger = Ledger(store)
    if experiment.search is not None:
        ledger.look(trials)  # these only show what there may be; each trial is added when it begins
    else:
        ledger.add(trials)
    _load_data(store, trials)
    _announce(trials, ledger, store, console, experiment)
    display = display_for(console, {}, experiment.num_generations, num_trials(experiment))
    known: list[TrialRecords] = []

    def begin(trial: Experiment, label: str) -> None:
        if experiment.search is not None:
            announcement.add(trial.resolved())
            ledger.add([trial])
        records = _records(store, trial)
        records.write_config(trial.resolved())
        records.write_failure(None)  # what an earlier run died of is no news of this one
        forget_other_rules(experiment.scheduler, records, trial.num_generations)
        display.add(trial.trial_key(), label)
        known.append(records)

    source = _source(experiment, trials, store, begin)
    with replaying(recorder, known), display:
        run(source, experiment.scheduler, store, display)
    reasons = {display.labels[records.trial_key]: records.read_failure() for records in known}
    failures = {label: reason for label, reason in reasons.items() if reason is not None}
    stops = {display.labels[records.trial_key]: stop.reason for records in known if (stop := records.read_stop())}
    has_records = any(records.read() for records in known)
    return Result(experiment, store, failures, stops, has_records, recorder.uri, ledger.compute())


def _source(
    experiment: Experiment, trials: list[Experiment], store: Store, begin: Callable[[Experiment, str], None]
) -> TrialSource:
    """Return where the run gets its trials from; those of a grid all begin at once, a search's in turn."""
    if experiment.search is not None:
        from raycollapse.search.study import SearchTrials  # needs Optuna

        write_search(store, experiment)
        return SearchTrials(experiment, trials[0].device, store, begin)
    for trial, label in zip(trials, trial_labels([trial.resolved() for trial in trials]), strict=True):
        begin(trial, label)
    return ListedTrials(trials)


def _announce(trials: list[Experiment], ledger: Ledger, store: Store, console: Console, experiment: Experiment) -> None:
    """Say what is about to happen."""
    head = f"{experiment.name}: {num_trials(experiment)} trial(s) of {experiment.num_generations} generation(s)"
    if experiment.search is not None:
        what = f"suggested by a search over {', '.join(experiment.search.space)}"
    else:
        at_most = "" if experiment.scheduler is None else "at most "
        what = f"{at_most}{ledger.num_stages - ledger.num_there} stages to make, {ledger.num_there} are there already"
    console.print(
        f"{head} on {trials[0].device}; {what}. Storage: {store.uri}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _run_here(source: TrialSource, scheduler: Scheduler | None, store: Store, display: Display) -> None:
    while (trial := source.next_trial()) is not None:
        key, records = trial.trial_key(), _records(store, trial)
        tell = stopping(partial(display.show, key), scheduler, records, trial.num_generations)
        try:
            Trial(trial, LocalBackend(store), tell).run()
            records.write_failure(None)
        except StoppedEarly as stop:
            records.write_failure(None)
            display.stop(key, str(stop))
        except FullDiskError as error:  # the next trial would find it full too
            with suppress(FullDiskError):
                records.write_failure(describe(error))
            raise
        except Exception as error:  # noqa: BLE001 (a bug in a strategy of somebody's fails that trial, not the sweep)
            records.write_failure(describe(error))
            display.fail(key, describe(error))
        source.settle(trial)


def _local_device(experiment: Experiment) -> Literal["cpu", "cuda"]:
    import torch

    if experiment.resources.device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if experiment.resources.device == "cuda":
        raise RequestError("resources.device is cuda, but this machine has no GPU. Set it to cpu or auto.")
    return "cpu"


def _check_spaces(trials: list[Experiment]) -> None:
    """Find the weights of each feature space before any work starts."""
    spaces = [space for trial in trials for space in trial.spaces()]
    for space in {canonical_json(space.identity()): space for space in reversed(spaces)}.values():
        space.check_ready()


def _load_data(store: Store, trials: list[Experiment]) -> None:
    """Load, check and split each data source before any work starts: its errors are the request's."""
    users: dict[str, tuple[RealStage, list[Experiment]]] = {}
    for trial in trials:
        stage = real_stage(trial)
        users.setdefault(stage.key, (stage, []))[1].append(trial)
    for stage, sharing in users.values():
        shape = _shape(make(stage, store))
        for trial in sharing:
            trial.denoiser.check_shape(shape)
            for extractor in trial.spaces():
                extractor.check_shape(shape)
        asked_for = {trial.denoiser.num_classes for trial in sharing} - {None}
        _check_classes(store, (stage.train(), stage.held_out()), asked_for)
    for trial in trials:
        if trial.start is not None:
            given = given_stage(trial)
            given.check_shape(_shape(make(given, store)), _shape(make(real_stage(trial), store)))
            _check_classes(store, (given.synthetic(),), {trial.denoiser.num_classes} - {None})
        if trial.paradigm.needs_fresh and trial.num_generations > 1:
            make(fresh_stage(trial, trial.num_generations - 1), store)  # the last to come: the reserve is large enough


def _shape(manifest: Manifest) -> tuple[int, ...]:
    return tuple(cast(list[int], manifest.facts["shape"]))


def _check_classes(store: Store, sets: tuple[ImageSet, ...], asked_for: set[int | None]) -> None:
    """Check the labels against each number of classes that a class-conditional denoiser asks for."""
    for images in sets if asked_for else ():
        labels = images.labels(store)
        for num_classes in filter(None, asked_for):
            check_labels(labels, num_classes)


def _records(store: Store, trial: Experiment) -> TrialRecords:
    return TrialRecords(store, trial.name, trial.trial_key())
