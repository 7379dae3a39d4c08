"""Experiment files: plain data, each on top of the file that it extends."""

from pathlib import Path
from typing import Any

import yaml

from raycollapse.config_errors import value_of
from raycollapse.errors import RequestError
from raycollapse.overrides import merge
from raycollapse.yaml_reading import explain_yaml, parse_yaml


def read_raw(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the mapping in a YAML file, on top of the file that its `extends` names."""
    path = path.expanduser().resolve()
    if path in seen:
        raise RequestError(f"{path} extends itself, through {' -> '.join(p.name for p in (*seen, path))}.")
    raw = _read_mapping(path)
    parent = raw.pop("extends", None)
    if parent is None:
        return raw
    if not isinstance(parent, str):
        raise RequestError(f"{path}: extends is {value_of(parent)}; it must be the path of one YAML file.")
    return merge(read_raw(path.parent / Path(parent).expanduser(), (*seen, path)), raw)


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        raw = parse_yaml(path.read_text())
    except OSError as error:
        raise RequestError(
            f"{path} cannot be read: {error.strerror}. Give the path of an experiment's YAML file."
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise RequestError(explain_yaml(error, str(path))) from None
    if not isinstance(raw, dict):
        raise RequestError(f"{path} holds {value_of(raw)}; an experiment is a mapping of fields.")
    return raw
