"""The base of every configuration: frozen, strict, documented field by field, and hashable as canonical JSON.

A *member* of a family (a strategy, a metric, a data source, ...) is its own configuration: a frozen model whose
`name` tells it from its siblings. A family is one explicit union, annotated with `Family`, which also admits members
of other packages by their import path.
"""

import importlib
import inspect
import os
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, JsonValue, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Json = JsonValue
"""What JSON can hold."""


class Config(BaseModel):
    """A piece of configuration."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, protected_namespaces=()
    )

    code_version: ClassVar[int] = 1
    """Raised whenever the same configuration gives another result: stages made by an older version are made anew."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset()
    """Fields added later whose default preserves behaviour: left out of the hash there, so old stages stay valid."""

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, raw: Any) -> Any:
        """Refuse `true`, as which YAML reads `yes` and `on` too, where pydantic would take it for 1."""
        for name, value in raw.items() if isinstance(raw, dict) else ():
            annotation = cls.model_fields[name].annotation if name in cls.model_fields else bool
            if isinstance(value, bool) and _takes(annotation, (int, float)) and not _takes(annotation, (bool,)):
                raise ValueError(f"{name} is {str(value).lower()}; it must be a number")
        return raw

    def identity(self) -> dict[str, Json]:
        """Return what decides this configuration's results, for hashing."""
        fields = type(self).model_fields
        kept = {
            name: _identity(getattr(self, name))
            for name in fields
            if not (name in self.unhashed_at_default and getattr(self, name) == fields[name].default)
        }
        return {**kept, "code_version": self.code_version}


def _takes(annotation: Any, kinds: tuple[type, ...]) -> bool:
    """Return whether one of these types may stand in a field, or inside what stands there."""
    return annotation in kinds or any(_takes(argument, kinds) for argument in get_args(annotation))


def _identity(value: Any) -> Json:
    if isinstance(value, Config):
        return value.identity()
    if isinstance(value, tuple | list):
        return [_identity(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _identity(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


class Member(Config):
    """A member of a family. A member of another package leaves `name` as it is: there it is the import path."""

    name: str
    """Which member of the family this is."""


@dataclass(frozen=True)
class Family:
    """Annotation of a union of members: accepts a bare name, and `package.module:Class` for members from elsewhere."""

    base: type[Member]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            self._validate,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda member: member.model_dump(mode="json")
            ),
        )

    def _validate(self, value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, dict) and ":" in str(value.get("name", "")):
            return import_member(str(value["name"]), self.base).model_validate(value)
        return inner(value)


def import_member(path: str, base: type[Member]) -> type[Member]:
    """Return the class at `package.module:Class`, which must derive from `base`; the current folder is searched too."""
    if os.getcwd() not in sys.path:  # noqa: PTH109 (sys.path holds strings)
        sys.path.append(os.getcwd())  # noqa: PTH109
    module_name, _, class_name = path.partition(":")
    try:
        member = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # its own code runs, and may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise PydanticCustomError(
            "import_path", "cannot be imported ({reason}); it must read package.module:Class", {"reason": reason}
        ) from error
    if not (isinstance(member, type) and issubclass(member, base)):
        raise PydanticCustomError(
            "import_path",
            "is not a subclass of {base}",
            {"base": f"{base.__module__}.{base.__qualname__}"},
        )
    if inspect.isabstract(member):
        missing = ", ".join(sorted(member.__abstractmethods__))
        raise PydanticCustomError("import_path", "lacks what its base asks for: {missing}", {"missing": missing})
    return member
