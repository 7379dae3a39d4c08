"""The records of experiments as one tidy table: a row for each generation of each trial."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys
from raycollapse.tracking.trial_configs import differences, labels, space_of

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = (
    "experiment", "trial_key", "paradigm", "strategy", "seed", "label", "data", "space", "num_train", "generation",
)  # fmt: skip
"""The columns that say which trial and generation a row is."""

SETTING = "setting."
"""Before the path of a setting that differs between trials, as a column; every other column is a metric."""

FIRST = ("uniform", "keep_all", "replace")
"""Baselines come before what is compared with them."""


def collect(store: Store, experiments: Sequence[str]) -> "pd.DataFrame":
    """Return every record of some experiments: identity, settings that differ, and one column for each metric.

    `label` is the same for trials that differ in their seeds only. A metric that a generation does not have is NaN.

    Raises:
        RequestError: an experiment is not in the storage, or has recorded nothing yet.
    """
    import pandas as pd

    found = [(name, trial) for name in dict.fromkeys(experiments) for trial in _trials(store, name)]
    trials = {f"{trial.trial_key} {name}": trial for name, trial in found}
    configs = {key: config for key, trial in trials.items() if (config := trial.read_config()) is not None}
    written, settings = _labels(configs), differences(configs)
    rows = [
        {
            **_identity(trials[key], config, written[key]),
            "generation": record.generation,
            **{f"{SETTING}{name}": _cell(value) for name, value in settings[key].items()},
            **record.metrics,
        }
        for key, config in configs.items()
        for record in trials[key].read()
    ]
    frame = pd.DataFrame(rows)
    others = sorted(set(frame.columns) - set(IDENTITY), key=lambda name: (not name.startswith(SETTING), name))
    return frame[[*IDENTITY, *others]].sort_values(
        ["paradigm", "strategy", "label", "experiment", "seed", "trial_key", "generation"],
        key=lambda column: column.map(baseline_first) if column.name in ("paradigm", "strategy") else column,
        ignore_index=True,
    )


def metric_names(frame: "pd.DataFrame") -> list[str]:
    """Return the columns that are metrics."""
    return [name for name in frame.columns if name not in IDENTITY and not name.startswith(SETTING)]


def trial_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a short name for each trial, from resolved configurations: its label, and its seed where seeds differ."""
    written = labels({str(index): config for index, config in enumerate(configs)})
    has_seeds = len({config["seed"] for config in configs}) > 1
    pairs = zip(written.values(), configs, strict=True)
    return [f"{label}, seed {config['seed']}" if has_seeds else label for label, config in pairs]


def baseline_first(name: str) -> tuple[bool, str]:
    """Return a sorting key."""
    return name not in FIRST, name


def _trials(store: Store, experiment: str) -> list[TrialRecords]:
    """Return the trials of an experiment that have recorded something."""
    known = store.files.children("experiments")
    if experiment not in known:
        there = f"There are: {', '.join(known)}." if known else "There are none yet."
        raise RequestError(f"The storage {store.uri} has no experiment {experiment!r}. {there}")
    trials = (TrialRecords(store, experiment, key) for key in trial_keys(store, experiment))
    recorded = [trial for trial in trials if trial.read() and trial.read_config() is not None]
    if not recorded:
        raise RequestError(
            f"{experiment} in {store.uri} has recorded nothing yet: no trial has completed its first generation. "
            "Wait for one, or run the experiment again if it was stopped."
        )
    return recorded


def _labels(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return labels; those of several experiments begin with the experiment's name."""
    own = labels(configs)
    if len({config["name"] for config in configs.values()}) == 1:
        return own
    return {key: f"{configs[key]['name']}: {label}" for key, label in own.items()}


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)


def _identity(trial: TrialRecords, config: Mapping[str, Any], label: str) -> dict[str, Any]:
    return {
        "experiment": trial.experiment,
        "trial_key": trial.trial_key,
        "paradigm": config["paradigm"]["name"],
        "strategy": config["selection"]["name"],
        "seed": config["seed"],
        "label": label,
        "data": config["data"]["name"],
        "space": space_of(config),
        "num_train": config["data"]["num_train"],
    }
