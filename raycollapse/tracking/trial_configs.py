"""The resolved configurations of trials, flattened and compared: what tells the trials of an experiment apart."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from raycollapse.config import Experiment
from raycollapse.features import AnyExtractor

Leaves = dict[str, Any]
"""Dotted path -> value."""

MAY_CHANGE = ("resources.num_actors", "resources.max_concurrent_trials", "training.checkpoint_steps")
"""Settings that may differ between runs of one trial, beside the extension fields."""


def leaves(config: Mapping[str, Any]) -> Leaves:
    """Return what is fixed for a trial: its configuration without the fields that a later run may change."""
    fields = {k: v for k, v in config.items() if k not in Experiment.EXTENSION_FIELDS or k == "resources"}
    return {path: value for path, value in flat(fields).items() if path not in MAY_CHANGE}


def flat(fields: Mapping[str, Any]) -> Leaves:
    """Return what nested mappings hold, by dotted path."""
    return dict(_flatten(fields, ""))


def _flatten(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def space_of(config: Mapping[str, Any]) -> str:
    """Return the feature space's name; an extractor of a package that is not here leaves only its import path."""
    try:
        extractor: Any = TypeAdapter(AnyExtractor).validate_python(config["features"])
    except ValidationError:
        return str(config["features"]["name"])
    return str(extractor.space)


def differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Leaves]:
    """Return, by trial, the leaves that tell it from the others beside paradigm, strategy and seed.

    Fields that only one member of a family has are no difference: the member's name says it already. So leaves below
    `selection`, `data`, ... are compared among the trials that have the same member there.
    """
    flat = {key: leaves(config) for key, config in configs.items()}
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    paths = sorted({path for own in flat.values() for path in own} - {"seed", "paradigm.name", "selection.name"})
    for path in paths:
        for own in flat.values():
            values[path, _member(own, path)].add(repr(own.get(path)))
    return {
        key: {
            path.removesuffix(".name"): own[path]
            for path in paths
            if path in own and len(values[path, _member(own, path)]) > 1
        }
        for key, own in flat.items()
    }


def _member(own: Leaves, path: str) -> str:
    """Return which member of the family at the head of a path this trial has; nothing for the member's name itself."""
    member = f"{path.partition('.')[0]}.name"
    return "" if path == member else str(own.get(member, ""))


def labels(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return, by trial, `paradigm, strategy` and whatever else tells it from the others; seeds are replicates.

    Two trials with the same label and seed (of two versions of this package, say) are told apart by their keys.
    """
    differing = differences(configs)
    names = _short_names({path for own in differing.values() for path in own})
    written: dict[str, str] = {}
    for key, config in configs.items():
        extra = [f"{names[path]}={_short(value)}" for path, value in differing[key].items()]
        written[key] = ", ".join([config["paradigm"]["name"], config["selection"]["name"], *extra])
    identities = {key: (written[key], config["name"], config["seed"]) for key, config in configs.items()}
    count = Counter(identities.values())
    twice = {key for key, identity in identities.items() if count[identity] > 1}
    return {key: f"{label} ({key[:6]})" if key in twice else label for key, label in written.items()}


def _short_names(paths: set[str]) -> dict[str, str]:
    """Return each path's last part where that says enough: `decay` for `selection.decay`.

    >>> sorted(_short_names({"selection.decay", "data.num_train"}).values())
    ['decay', 'num_train']
    """
    last = [path.rpartition(".")[2] for path in paths]
    return {path: path if last.count(path.rpartition(".")[2]) > 1 else path.rpartition(".")[2] for path in paths}


def _short(value: Any) -> str:
    """Return a value in a label; a search draws numbers of 17 digits, of which four tell them apart.

    >>> _short(0.9123456789), _short(0.95), _short("linear")
    ('0.9123', '0.95', 'linear')
    """
    return f"{value:.4g}" if isinstance(value, float) and len(repr(value)) > 8 else str(value)
