"""Running an experiment from a configuration to its results: one trial or a thousand, here or on a cluster."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from rich.console import Console

from raycollapse.backend import LocalBackend
from raycollapse.compute import Compute, compute, there
from raycollapse.config import Experiment, expand
from raycollapse.continuation import check_continuation
from raycollapse.diffusion.conditioning import check_labels
from raycollapse.errors import RequestError, describe
from raycollapse.plan import plan
from raycollapse.progress import Display, display_for
from raycollapse.report import trial_labels
from raycollapse.stages.base import make
from raycollapse.stages.imagesets import ImageSet
from raycollapse.stages.real import RealStage
from raycollapse.store import Manifest, Store
from raycollapse.store.at_work import announced
from raycollapse.store.seal import canonical_json
from raycollapse.tracking.opening import open_recorder
from raycollapse.tracking.records import TrialRecords
from raycollapse.tracking.replay import replaying
from raycollapse.trial import Trial, fresh_stage, given_stage, real_stage

log = logging.getLogger(__name__)

Run = Callable[[list[Experiment], Store, Display], None]
"""Runs trials to their end; a failed one leaves its reason in its record."""


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    experiment: Experiment
    store: Store
    failures: dict[str, str]
    """Label -> reason, of the trials that failed."""
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
    from raycollapse.distributed.resources import refusals
    from raycollapse.distributed.sweep import run_sweep

    for trial in expand(experiment):  # a mistake in the file is told before a cluster is waited for
        trial.check_sizes()
    with connected(address) as supply:
        has_gpu = supply.total.gpus >= 1
        device: Literal["cpu", "cuda"] = "cuda" if experiment.resources.device == "cuda" else "cpu"
        if experiment.resources.device == "auto":
            device = "cuda" if has_gpu else "cpu"
        found = refusals([trial.on(device) for trial in expand(experiment)], supply)
        if found:
            raise RequestError("\n".join(found))
        return _run(experiment, console, device, lambda trials, _, display: run_sweep(trials, supply, display))


def _run(experiment: Experiment, console: Console, device: Literal["cpu", "cuda"], run: Run) -> Result:
    trials = [trial.on(device) for trial in expand(experiment)]
    store = Store(experiment.storage)
    with announced(store, [trial.resolved() for trial in trials]):
        return _run_trials(experiment, trials, store, console, run)


def _run_trials(experiment: Experiment, trials: list[Experiment], store: Store, console: Console, run: Run) -> Result:
    recorder = open_recorder(experiment, store)
    check_continuation(store, experiment, trials)
    _check_spaces(trials)
    planned = plan(trials)
    before = there(planned, store)
    _load_data(store, trials)
    for trial in trials:
        _records(store, trial).write_config(trial.resolved())
        _records(store, trial).write_failure(None)  # what an earlier run died of is no news of this one
    labels = trial_labels([trial.resolved() for trial in trials])
    keys = [trial.trial_key() for trial in trials]
    names = dict(zip(keys, labels, strict=True))
    _announce(trials, len(planned.shared), len(before), store, console)
    display = display_for(console, names, experiment.num_generations)
    with replaying(recorder, [_records(store, trial) for trial in trials]), display:
        run(trials, store, display)
    reasons = {label: _records(store, trial).read_failure() for label, trial in zip(labels, trials, strict=True)}
    failures = {label: reason for label, reason in reasons.items() if reason is not None}
    has_records = any(_records(store, trial).read() for trial in trials)
    spent = compute(planned, before, there(planned, store, before))
    return Result(experiment, store, failures, has_records, recorder.uri, spent)


def _announce(trials: list[Experiment], num_stages: int, num_done: int, store: Store, console: Console) -> None:
    """Say what is about to happen."""
    first = trials[0]
    console.print(
        f"{first.name}: {len(trials)} trial(s) of {first.num_generations} generation(s) on {first.device}; "
        f"{num_stages - num_done} stages to make, {num_done} are there already. Storage: {store.uri}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _run_here(trials: list[Experiment], store: Store, display: Display) -> None:
    for trial in trials:
        key, records = trial.trial_key(), _records(store, trial)

        try:
            Trial(trial, LocalBackend(store), partial(display.show, key)).run()
            records.write_failure(None)
        except Exception as error:  # noqa: BLE001 (a bug in a strategy of somebody's fails that trial, not the sweep)
            records.write_failure(describe(error))
            display.fail(key, describe(error))


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
