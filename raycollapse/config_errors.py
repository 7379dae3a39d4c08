"""What pydantic found, in words for the person who wrote the file: the path, the value, what is allowed."""

import difflib
import json
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_BOUNDS = {"gt", "ge", "lt", "le"}

_ALLOWED = {
    "greater_than": "be greater than {gt:g}", "greater_than_equal": "be at least {ge:g}",
    "less_than": "be less than {lt:g}", "less_than_equal": "be at most {le:g}",
    "finite_number": "be a finite number", "multiple_of": "be a multiple of {multiple_of:g}",
    "int_type": "be an integer", "int_parsing": "be an integer", "int_from_float": "be an integer",
    "float_type": "be a number", "float_parsing": "be a number",
    "bool_type": "be true or false", "bool_parsing": "be true or false",
    "string_type": "be text", "path_type": "be a path", "literal_error": "be {expected}",
    "model_type": "be a mapping of fields", "model_attributes_type": "be a mapping of fields",
    "dict_type": "be a mapping", "list_type": "be a list", "tuple_type": "be a list",
    "string_too_short": "have at least {min_length} character(s)",
    "too_short": "have at least {min_length} value(s)", "too_long": "have at most {max_length} value(s)",
}  # fmt: skip
"""What follows "it must", by pydantic's kind of error."""


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Return one line for each mistake in `source`; a value that fits no branch of a union is one mistake."""
    places: dict[str, tuple[_Place, list[ErrorDetails]]] = {}
    for details in error.errors(include_url=False):
        place = _place(details["loc"], model)
        places.setdefault(place.path, (place, []))[1].append(details)
    lines = [line for place, found in places.values() for line in _explain_place(place, found)]
    return "\n".join(f"{source}: {line}" for line in dict.fromkeys(lines))


@dataclass(frozen=True)
class _Place:
    """Where in the configuration a mistake is."""

    path: str
    """Dotted, without pydantic's own marks: `metrics[1].k`."""
    owner: type[BaseModel] | None
    """The model that has, or does not have, the field; none where that is not known (a plugin's)."""
    field: FieldInfo | None
    annotation: Any
    """What may stand here."""

    def hint(self) -> str:
        """Return what the field's own docstring says of it."""
        description = None if self.field is None else self.field.description
        return f" ({' '.join(description.split())})" if description else ""

    def remedy(self) -> str:
        """Return the value to use if none is wanted in particular; nothing where the user has to know."""
        default = None if self.field is None else self.field.default
        known = isinstance(default, bool | int | float | str)
        return f" Leave it out for its default, {value_of(default)}." if known else ""

    def members(self) -> list[str]:
        """Return the names of the family that may stand here; none if it is not a family."""
        return [str(tag) for model in _models_in(self.annotation) if isinstance(tag := _tag(model), str)]


def _place(loc: tuple[int | str, ...], model: type[BaseModel]) -> _Place:
    """Follow pydantic's location through the annotations of the models."""
    path, place = "", _Place("", None, None, model)
    for item in loc:
        models = _models_in(place.annotation)
        tagged = [member for member in models if _tag(member) == item]
        only = models[0] if len(models) == 1 else None
        if isinstance(item, int):
            path += f"[{item}]"
            place = _Place(path, None, None, place.annotation)
        elif only is not None and item in only.model_fields:
            path += f".{item}"
            field = only.model_fields[item]
            place = _Place(path, only, field, field.annotation)
        elif tagged:
            place = _Place(path, tagged[0], None, tagged[0])
        elif models or _is_mapping(place.annotation):
            path += f".{item}"
            place = _Place(path, only, None, _values_of(place.annotation))
        # anything else is pydantic's name for one branch of a union
    return _Place(path.removeprefix("."), place.owner, place.field, place.annotation)


def _explain_place(place: _Place, found: list[ErrorDetails]) -> list[str]:
    lines = [_explain_one(place, details) for details in found if details["type"] not in _ALLOWED]
    rest = [details for details in found if details["type"] in _ALLOWED]
    if rest:
        allowed = " or ".join(dict.fromkeys(_allowed(place, details) for details in rest))
        lines.append(f"{place.path} is {value_of(rest[0]['input'])}; it must {allowed}.{place.remedy()}{place.hint()}")
    return lines


def _allowed(place: _Place, details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind.startswith("model_") and (names := place.members()):
        return f"name one of: {', '.join(names)}"
    if context.keys() & _BOUNDS and place.field is not None:
        marks = place.field.metadata
        bounds = {name: getattr(mark, name) for mark in marks for name in _BOUNDS if hasattr(mark, name)}
        if bounds.keys() == {"gt", "lt"}:
            return "lie strictly between {gt:g} and {lt:g}".format(**bounds)
        if bounds.keys() == {"ge", "le"}:
            return "lie between {ge:g} and {le:g}".format(**bounds)
    return _ALLOWED[kind].format(**context)


def _explain_one(place: _Place, details: ErrorDetails) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    match kind:
        case "missing":
            return f"{place.path} is missing.{place.hint()}"
        case "extra_forbidden":
            return f"{place.path} is not a field.{_suggestion(place)}"
        case "invalid_key":
            return f"{value_of(value)} is not a field; fields are text."
        case "union_tag_invalid":
            names = place.members()
            meant = _meant(context["tag"], names)
            return f"{place.path}.name is {value_of(context['tag'])}; it must be one of: {', '.join(names)}.{meant}"
        case "union_tag_not_found":
            return f"{place.path} has no name; it must name one of: {', '.join(place.members())}."
        case "import_path":
            name = value["name"] if isinstance(value, dict) else value
            return f"{place.path}.name is {value_of(name)}; it {details['msg']}."
    reason = str(context["error"]) if kind == "value_error" else details["msg"]
    if not place.path:
        return _sentence(reason)
    whole = isinstance(value, dict | BaseModel)
    return _sentence(f"{place.path}: {reason}" if whole else f"{place.path} is {value_of(value)}; {reason}")


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."


def value_of(value: Any) -> str:
    """Return a value about as it would be written, shortened."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_is_mapping(argument) for argument in get_args(annotation))


def _values_of(annotation: Any) -> Any:
    """Return what the values of a mapping are; none if it is no mapping, or they may be anything."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    return next((found for argument in get_args(annotation) if (found := _values_of(argument)) is not None), None)


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["name"].default if "name" in model.model_fields else None


def _suggestion(place: _Place) -> str:
    if place.owner is None:
        return ""
    fields = sorted(place.owner.model_fields)
    return _meant(place.path.rpartition(".")[2], fields) or f" Its fields are: {', '.join(fields)}."


def _meant(word: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    return f" Did you mean {close[0]}?" if close else ""
