"""What a record and a configuration become in MLflow: points, parameters and tags within its rules, as plain data."""

import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raycollapse.tracking.records import GenerationRecord
from raycollapse.tracking.trial_configs import flat, leaves, space_of

MAX_NAME = 250
MAX_PARAM = 6000
MAX_TAG = 8000
"""Characters that MLflow takes."""


@dataclass(frozen=True)
class Point:
    """One value of one metric."""

    name: str
    value: float
    """Finite or NaN."""
    timestamp: int
    """Milliseconds since the epoch; always the recorded one: MLflow keeps one entry of equal points."""
    step: int


def safe_name(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits, `/ . _ -` and spaces, and a plain relative path.

    >>> safe_name("quality/fd")
    'quality/fd'
    >>> safe_name("../recall@k=3")
    'recall_k_3'
    """
    path = posixpath.normpath(re.sub(r"[^/\w.\- ]", "_", name))
    return re.sub(r"^[./]+", "", path)[:MAX_NAME] or "unnamed"


def milliseconds(timestamp: float) -> int:
    """Return seconds since the epoch as MLflow counts them."""
    return round(timestamp * 1000)


def metric_points(record: GenerationRecord) -> Iterator[Point]:
    """Yield a generation's metrics, step = generation; infinities, which MLflow would clip, are left to the tags."""
    for name, value in record.metrics.items():
        if not math.isinf(value):
            yield Point(safe_name(name), value, milliseconds(record.timestamp), record.generation)


def infinity_tags(record: GenerationRecord) -> dict[str, str]:
    """Return `nonfinite.<metric>.generation_0003` -> `inf` or `-inf`."""
    infinite = {name: value for name, value in record.metrics.items() if math.isinf(value)}
    return {safe_name(f"nonfinite.{name}.{folder_of(record)}"): str(value) for name, value in infinite.items()}


def changed_tags(record: GenerationRecord, logged: Mapping[str, str]) -> dict[str, str]:
    """Return `changed.<metric>.generation_0003` -> the value now, where another one was logged first.

    A generation that was the last one gets more samples when the experiment is extended, and so costs more; a damaged
    stage that was made anew took another time. MLflow would show two values for one step.
    """
    return {
        safe_name(f"changed.{point.name}.{folder_of(record)}"): repr(point.value)
        for point in metric_points(record)
        if logged.get(point.name, repr(point.value)) != repr(point.value)
    }


def folder_of(record: GenerationRecord) -> str:
    """Return the name under which a generation's files lie."""
    return f"generation_{record.generation:04d}"


def params(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a trial's configuration by dotted path: what cannot differ between runs of one trial."""
    return {safe_name(path): _text(value)[:MAX_PARAM] for path, value in leaves(config).items()}


def tags(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what a trial is, and the settings that a later run may change."""
    return {
        "raycollapse.experiment": str(config["name"]),
        "raycollapse.strategy": str(config["selection"]["name"]),
        "raycollapse.paradigm": str(config["paradigm"]["name"]),
        "raycollapse.data": str(config["data"]["name"]),
        "raycollapse.space": space_of(config),
        "raycollapse.storage": str(config.get("storage", ""))[:MAX_TAG],
        "raycollapse.num_generations": str(config["num_generations"]),
        "raycollapse.metrics": ", ".join(str(metric["name"]) for metric in config.get("metrics", []))[:MAX_TAG],
    }


def protocol_tags(protocol: Mapping[str, Any] | None) -> dict[str, str]:
    """Return `protocol.<path>` -> what a trial's protocol says there.

    >>> protocol_tags({"data": {"shape": [8, 8, 1]}})
    {'protocol.data.shape': '[8, 8, 1]'}
    """
    told = flat(protocol or {})
    return {safe_name(f"protocol.{path}"): _text(value)[:MAX_TAG] for path, value in told.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
