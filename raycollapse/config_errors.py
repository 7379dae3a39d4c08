"""What pydantic found, in words for the person who wrote the file: the path, the value, what is allowed."""

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_BOUNDS = {
    "greater_than": "it must be greater than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "finite_number": "it must be a finite number",
    "int_type": "it must be an integer", "int_parsing": "it must be an integer",
    "int_from_float": "it must be an integer",
    "float_type": "it must be a number", "float_parsing": "it must be a number",
    "bool_type": "it must be true or false", "bool_parsing": "it must be true or false",
    "string_type": "it must be text",
    "model_type": "it must be a mapping of fields", "model_attributes_type": "it must be a mapping of fields",
    "dict_type": "it must be a mapping", "list_type": "it must be a list", "tuple_type": "it must be a list",
    "literal_error": "it must be one of: {expected}",
}  # fmt: skip


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Return one line for each mistake in `source`."""
    lines = []
    for details in error.errors(include_url=False):
        line = f"{source}: {_explain_one(details, model)}"
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)


def _explain_one(details: ErrorDetails, model: type[BaseModel]) -> str:
    owner, path = _walk(details["loc"], model)
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return f"{path} is missing.{_hint(owner, path)}"
    if kind == "extra_forbidden":
        return f"{path} is not a field.{_suggestion(path, owner)}"
    if kind == "union_tag_invalid":
        return f"{path}.name is {value_of(context['tag'])}; it must be one of: {_names(context['expected_tags'])}."
    if kind == "union_tag_not_found":
        return f"{path} has no name. Say which with `name`."
    if kind in ("value_error", "import_path"):
        reason = str(context["error"]) if kind == "value_error" else details["msg"]
        where = f"{path} is {value_of(value)}; " if path and not isinstance(value, dict | BaseModel) else ""
        return f"{where}{reason}".rstrip(".") + "."
    allowed = _BOUNDS.get(kind, details["msg"]).format(**context)
    return f"{path} is {value_of(value)}; {allowed}.{_hint(owner, path)}"


def value_of(value: Any) -> str:
    """Return a value as it would be written, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _names(expected: str) -> str:
    return expected.replace("'", "")


def _walk(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[type[BaseModel] | None, str]:
    """Return the model that holds the field, and the dotted path without pydantic's union tags."""
    owner: type[BaseModel] | None = model
    current: type[BaseModel] | None = model
    parts: list[str] = []
    annotation: Any = None
    for item in loc:
        members = _models_in(annotation)
        if isinstance(item, int):
            parts.append(f"[{item}]")
        elif current is not None and (item in current.model_fields or not members):
            owner, annotation = current, current.model_fields[item].annotation if item in current.model_fields else None
            current = _only(_models_in(annotation))
            parts.append(item)
        elif tagged := [m for m in members if _tag(m) == item]:
            current, annotation = tagged[0], None
            owner = current
        else:
            parts.append(item)
    return owner, ".".join(parts).replace(".[", "[")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _only(models: list[type[BaseModel]]) -> type[BaseModel] | None:
    return models[0] if len(models) == 1 else None


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["name"].default if "name" in model.model_fields else None


def _hint(owner: type[BaseModel] | None, path: str) -> str:
    """Return what the field's own docstring says of it."""
    field = owner.model_fields.get(path.rpartition(".")[2]) if owner else None
    return f" {' '.join(field.description.split())}" if field is not None and field.description else ""


def _suggestion(path: str, owner: type[BaseModel] | None) -> str:
    if owner is None:
        return ""
    fields = sorted(owner.model_fields)
    close = difflib.get_close_matches(path.rpartition(".")[2], fields, n=1)
    return f" Did you mean {close[0]}?" if close else f" Its fields are: {', '.join(fields)}."
