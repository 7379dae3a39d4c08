"""Changing one value of a raw configuration by its dotted path: for `--set`, for `extends` and for sweeps alike."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from raycollapse.errors import RequestError
from raycollapse.yaml_reading import explain_yaml, parse_yaml

EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
"""Numbers such as 2e-3, which YAML 1.1 reads as text for want of a dot or a sign."""


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return the path and the value of `a.b=c`, the value read as YAML.

    >>> parse_assignment("training.learning_rate=2e-3")
    ('training.learning_rate', 0.002)
    >>> parse_assignment("selection={name: threshold_decay, decay: 0.9}")
    ('selection', {'name': 'threshold_decay', 'decay': 0.9})
    """
    path, equals, value = text.partition("=")
    if not (path.strip() and equals):
        raise RequestError(
            f"--set {text!r} is not an assignment. Write it as path=value, such as training.num_steps=100."
        )
    try:
        parsed = parse_yaml(value)
    except (yaml.YAMLError, ValueError) as error:
        raise RequestError(explain_yaml(error, f"--set {text!r}: the value")) from None
    return path.strip(), float(value) if EXPONENT.fullmatch(value.strip()) else parsed


def apply(raw: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return a copy of `raw` with `a.b=c` assignments applied, in their order.

    Raises:
        RequestError: two of them give one field different values: which was meant is not to be guessed.
    """
    given: dict[str, Any] = {}
    for path, value in map(parse_assignment, assignments):
        if given.setdefault(path, value) != value:
            raise RequestError(f"{path} is set twice, to {given[path]!r} and to {value!r}. Set it once.")
        raw = set_path(raw, path, value)
    return raw


def set_path(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `raw` with the value at a dotted path replaced; a mapping with another `name` is replaced whole.

    >>> set_path({"selection": {"name": "threshold_decay", "decay": 0.9}}, "selection.name", "greedy")
    {'selection': {'name': 'greedy'}}
    >>> set_path({"training": {"num_steps": 5}}, "training.batch_size", 8)
    {'training': {'num_steps': 5, 'batch_size': 8}}
    """
    names = path.split(".")
    if not all(names):
        raise RequestError(f"{path!r} is no path to a field. Join names by single dots, such as training.num_steps.")
    return _set(raw, path, names, value)


def value_at(raw: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path; none where there is no such field.

    >>> value_at({"training": {"num_steps": 5}}, "training.num_steps")
    5
    """
    value: Any = raw
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _set(raw: dict[str, Any], path: str, names: list[str], value: Any) -> dict[str, Any]:
    """Set a field below `raw`; `names` are what is left of the whole path."""
    head, *rest = names
    if not rest:
        return merge(raw, {head: value})
    if rest == ["name"]:
        return merge(raw, {head: {"name": value}})
    below = raw.get(head)
    if below is None:
        below = {}
    elif isinstance(below, str):
        below = {"name": below}
    elif not isinstance(below, dict):
        whole = path.removesuffix("." + ".".join(rest))
        raise RequestError(f"{path} cannot be set: {whole} is {below!r}, which has no fields. Set {whole} as a whole.")
    return {**raw, head: _set(below, path, rest, value)}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top, mapping by mapping; a mapping with another `name` replaces the earlier one.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    >>> merge({"s": {"name": "greedy", "first": 1}}, {"s": {"name": "uniform"}})
    {'s': {'name': 'uniform'}}
    """
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merge_value(merged.get(key), value)
    return merged


def _merge_value(earlier: Any, value: Any) -> Any:
    if isinstance(value, dict) and isinstance(earlier, str):
        earlier = {"name": earlier}  # a member of a family, by its bare name
    if isinstance(value, dict) and isinstance(earlier, dict):
        same = value.get("name", earlier.get("name")) == earlier.get("name")
        return merge(earlier, value) if same else value
    return value
