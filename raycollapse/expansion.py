"""The trials of an experiment: itself, one for each point of its grid, or those that a search may come to."""

from typing import Any

from raycollapse.config import Experiment, build
from raycollapse.errors import RequestError
from raycollapse.overrides import set_path


def trial_at(experiment: Experiment, point: dict[str, Any], source: str) -> Experiment:
    """Return the trial of a sweep that has these values at these dotted paths."""
    trial = {key: value for key, value in experiment.resolved().items() if key != "sweep"}
    for path, value in point.items():
        trial = set_path(trial, path, value)
    return build(trial, source)


def expand(experiment: Experiment) -> list[Experiment]:
    """Return the trials: the experiment itself, or one for each point of its grid.

    A search makes its trials as it goes: for one, these are trials all over its space, by which it can be checked.
    """
    sweep = experiment.sweep
    if sweep is not None:
        sweep.check_request(experiment.metrics, experiment.num_generations)
    if experiment.search is not None:
        tried = [trial_at(experiment, point, "sweep.search.space") for point in experiment.search.probes()]
        return list({trial.trial_key(): trial for trial in tried}.values())
    points = [{}] if sweep is None else sweep.points()
    trials = [trial_at(experiment, point, f"sweep.grid {point}") for point in points]
    first: dict[str, Any] = {}
    for built, point in zip(trials, points, strict=True):
        same = first.setdefault(built.trial_key(), point)
        if same is not point:
            raise RequestError(
                f"sweep.grid lists the same trial more than once: {point} would give the results of {same}. "
                "Remove one of them."
            )
    return trials


def num_trials(experiment: Experiment) -> int:
    """Return how many trials there will be; of a search, at most."""
    if experiment.search is not None:
        return experiment.search.num_trials
    return 1 if experiment.sweep is None else len(experiment.sweep.points())
