"""YAML as experiments are written in it: plain data, and no key twice, where PyYAML would silently keep the last."""

from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode


class RepeatedKeyError(yaml.MarkedYAMLError):
    """A mapping gives the same key twice."""


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Compose a mapping; it still is as it was written: `<<` has not brought in the keys of others."""
        node: MappingNode = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], ScalarNode] = {}
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and first.setdefault((key.tag, key.value), key) is not key:
                raise _repeated(first[key.tag, key.value], key)
        return node


def _repeated(first: ScalarNode, second: ScalarNode) -> RepeatedKeyError:
    lines = [key.start_mark.line + 1 for key in (first, second)]
    where = "" if lines[0] == lines[1] else f", first in line {lines[0]}"
    return RepeatedKeyError(problem=f"{second.value} is given twice{where}", problem_mark=second.start_mark)


def parse_yaml(text: str) -> Any:
    """Return what a YAML document holds.

    Raises:
        yaml.YAMLError: it is no YAML; a RepeatedKeyError, if a mapping gives a key twice.
        ValueError: it holds a scalar that only looks like what it should be, such as the date 2026-13-01.
    """
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None


def explain_yaml(error: yaml.YAMLError | ValueError, source: str) -> str:
    """Say what is wrong with the YAML of a source, and in which line."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return f"{source} is not valid YAML: {str(error).rstrip('.')}. Mend it, or put text in quotes."
    if isinstance(error, RepeatedKeyError):
        return f"{source}, line {mark.line + 1}: {error.problem}. Keep one of them."
    told = ", ".join(text for text in (error.context, error.problem) if text)
    where = f"line {mark.line + 1}, column {mark.column + 1}"
    return f"{source} is not valid YAML: {where}: {told}. Mend that line or the one before it."
