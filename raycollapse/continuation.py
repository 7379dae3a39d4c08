"""Running under a name that has results already: more of the same extends it, another value of the same is refused."""

from collections.abc import Mapping
from typing import Any

from raycollapse.config import Experiment, build
from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys
from raycollapse.tracking.searches import read_search
from raycollapse.tracking.trial_configs import Leaves, flat, leaves

Config = dict[str, Any]
"""A trial's resolved configuration."""

ADDED_TO = ("seed", "data.num_fresh")
"""Fields that may have any value: another one changes nothing that is there."""


def check_continuation(store: Store, experiment: Experiment, trials: list[Experiment]) -> None:
    """Raise RequestError, with the difference, if these trials contradict those that the experiment has already.

    Seeds, generations, metrics, the reserve of fresh images and the values of swept fields may be added to. Any other
    field must have a value that one of the earlier trials had.
    """
    own = {trial.trial_key(): trial.resolved() for trial in trials}
    earlier = [leaves(config) for config in _earlier_configs(store, experiment.name, own)]
    if not earlier:
        return
    _check_search(store, experiment)
    swept = (*ADDED_TO, *(experiment.sweep.paths if experiment.sweep else ()))
    for trial in trials:
        differences = _differences(leaves(trial.resolved()), earlier, swept)
        if differences:
            raise RequestError(
                f"{experiment.name} has results in {store.uri} with other settings:\n"
                + "\n".join(f"  {line}" for line in differences)
                + "\nGive the experiment another name (--set name=...), or put the earlier values back."
            )


def _check_search(store: Store, experiment: Experiment) -> None:
    """Raise RequestError if the search is another than the one that the experiment has results of."""
    kept, now = read_search(store, experiment.name), experiment.search
    if kept is None or now is None or kept.search.definition() == now.definition():
        return
    told, told_now = flat(kept.search.definition()), flat(now.definition())
    paths = sorted({path for path in (*told, *told_now) if told.get(path) != told_now.get(path)})
    raise RequestError(
        f"{experiment.name} has results in {store.uri} of another search:\n"
        + "\n".join(f"  {p} was {_written(told.get(p))}, now it is {_written(told_now.get(p))}" for p in paths)
        + "\nGive the experiment another name (--set name=...), or put the earlier values back. Only num_trials "
        "and max_hours may change."
    )


def _earlier_configs(store: Store, name: str, own: Mapping[str, Config]) -> list[Config]:
    """Return the configurations of trials with results; one stopped before its first generation holds to nothing."""
    found = (_earlier_config(TrialRecords(store, name, key), own.get(key)) for key in trial_keys(store, name))
    return [_up_to_date(config) for config in found if config is not None]


def _earlier_config(trial: TrialRecords, own: Config | None) -> Config | None:
    """Return what a trial with results ran with.

    Args:
        trial: perhaps with damaged files.
        own: what it is to run with now, if it is; then its files are put right by that.
    """
    try:
        return trial.read_config() if trial.read() else None
    except RequestError:
        if own is not None:
            return own  # its key is the hash of what may not change
        config = trial.read_config()  # of a trial that a search has suggested: its records are put right in its turn
        if config is None or _key(config) != trial.trial_key:
            raise
        return config


def _key(config: Config) -> str | None:
    try:
        return build(config).trial_key()
    except RequestError:
        return None


def _up_to_date(config: Config) -> Config:
    """Return a stored configuration with the defaults of fields that have been added since it was written.

    One that no longer loads (its data have moved, a plugin is not here) is compared as it was stored.
    """
    try:
        return build(config).resolved()
    except RequestError:
        return config


def _differences(own: Leaves, earlier: list[Leaves], swept: tuple[str, ...]) -> list[str]:
    """Return a line for each leaf whose value none of the earlier trials had."""
    paths = sorted({path for other in [own, *earlier] for path in other})
    lines = []
    for path in paths:
        if any(path == field or path.startswith(f"{field}.") for field in swept):
            continue
        before = [other.get(path) for other in earlier]
        if own.get(path) not in before:
            known = sorted({_written(value) for value in before})
            lines.append(f"{path} was {' or '.join(known)}, now it is {_written(own.get(path))}")
    return lines


def _written(value: Any) -> str:
    return "not set" if value is None else repr(value)
