"""Running under a name that has results already: more of the same extends it, another value of the same is refused."""

from typing import Any

from raycollapse.config import Experiment
from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

Leaves = dict[str, Any]


def check_continuation(store: Store, experiment: Experiment, trials: list[Experiment]) -> None:
    """Raise RequestError, with the difference, if these trials contradict those that the experiment has already.

    Seeds, generations, metrics and the values of swept fields may be added to. Any other field must have a value that
    one of the earlier trials had.
    """
    earlier = [_leaves(config) for config in _earlier_configs(store, experiment.name)]
    if not earlier:
        return
    swept = ("seed", *(experiment.sweep.grid if experiment.sweep else ()))
    for trial in trials:
        differences = _differences(_leaves(trial.resolved()), earlier, swept)
        if differences:
            raise RequestError(
                f"{experiment.name} has results in {store.uri} with other settings:\n"
                + "\n".join(f"  {line}" for line in differences)
                + "\nGive the experiment another name (--set name=...), or put the earlier values back."
            )


def _earlier_configs(store: Store, name: str) -> list[dict[str, Any]]:
    records = (TrialRecords(store, name, key) for key in trial_keys(store, name))
    return [config for record in records if (config := record.read_config()) is not None]


def _differences(own: Leaves, earlier: list[Leaves], swept: tuple[str, ...]) -> list[str]:
    """Return a line for each leaf whose value none of the earlier trials had."""
    paths = sorted({path for leaves in [own, *earlier] for path in leaves})
    lines = []
    for path in paths:
        if any(path == field or path.startswith(f"{field}.") for field in swept):
            continue
        before = [leaves.get(path) for leaves in earlier]
        if own.get(path) not in before:
            known = sorted({_written(value) for value in before})
            lines.append(f"{path} was {' or '.join(known)}, now it is {_written(own.get(path))}")
    return lines


def _written(value: Any) -> str:
    return "not set" if value is None else repr(value)


def _leaves(config: dict[str, Any], prefix: str = "") -> Leaves:
    """Return dotted path -> value of a resolved configuration, without the fields that may differ."""
    leaves: Leaves = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        if not prefix and key in Experiment.EXTENSION_FIELDS and key != "resources":
            continue
        if path in ("resources.num_actors", "resources.max_concurrent_trials", "training.checkpoint_steps"):
            continue
        leaves |= _leaves(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return leaves
