"""Configurations: strict and frozen; families: by name or import path; identity: what decides a result, no more."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from raycollapse.schema import Config, Family, Member


class Shape(Member):
    """Base of a family."""


class Circle(Shape):
    name: Literal["circle"] = "circle"
    radius: float = Field(default=1.0, gt=0)
    """Distance from the centre to the edge."""


class Box(Shape):
    name: Literal["box"] = "box"
    sides: tuple[int, int] = (1, 1)


AnyShape = Annotated[Circle | Box, Field(discriminator="name"), Family(Shape)]

PLUGIN = """
from raycollapse.selection.base import SelectionStrategy
from {module} import Shape

class Star(Shape):
    num_points: int = 5

class NoShape:
    pass
"""


class Drawing(Config):
    shape: AnyShape = Circle()


def _shape(value: Any) -> Shape:
    shape: Shape = TypeAdapter(AnyShape).validate_python(value)
    return shape


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder, which is not on the path: its name."""
    module = f"plugin_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(PLUGIN.format(module=__name__))
    monkeypatch.chdir(tmp_path)
    return module


def test_a_bare_name_is_the_member_with_its_defaults() -> None:
    assert _shape("circle") == Circle()


def test_a_mapping_names_the_member_and_sets_its_fields() -> None:
    assert _shape({"name": "box", "sides": [2, 3]}) == Box(sides=(2, 3))


def test_a_member_passes_through_unchanged() -> None:
    circle = Circle(radius=3)
    assert _shape(circle) is circle


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ValidationError, match=r"'triangle'.*'circle', 'box'"):
        _shape("triangle")


def test_a_missing_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="discriminator"):
        _shape({"radius": 1})


def test_an_import_path_brings_a_member_from_the_current_folder(plugin: str) -> None:
    star = _shape({"name": f"{plugin}:Star", "num_points": 7})
    assert star.model_dump() == {"name": f"{plugin}:Star", "num_points": 7}


def test_a_bare_import_path_is_the_member_with_its_defaults(plugin: str) -> None:
    assert _shape(f"{plugin}:Star").model_dump()["num_points"] == 5


def test_an_imported_members_fields_are_validated(plugin: str) -> None:
    with pytest.raises(ValidationError, match="num_points"):
        _shape({"name": f"{plugin}:Star", "num_points": "many"})


def test_an_imported_member_survives_a_round_trip_through_json(plugin: str) -> None:
    drawing = Drawing(shape=_shape({"name": f"{plugin}:Star", "num_points": 7}))
    assert Drawing.model_validate_json(drawing.model_dump_json()) == drawing


@pytest.mark.parametrize("path", ["no_such_module:Star", "json:NoSuchClass", "json:"])
def test_an_import_path_that_leads_nowhere_says_so(path: str) -> None:
    with pytest.raises(ValidationError, match=r"cannot be imported .*package\.module:Class"):
        _shape(path)


def test_a_class_outside_the_family_is_refused_with_the_base_it_needs(plugin: str) -> None:
    with pytest.raises(ValidationError, match=r"not a subclass of .*Shape"):
        _shape(f"{plugin}:NoShape")


def test_a_function_in_place_of_a_class_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a subclass"):
        _shape("json:dumps")


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Circle().radius = 2.0  # type: ignore[misc]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"diameter[\s\S]*not permitted"):
        _shape({"name": "circle", "diameter": 2})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Circle(radius=value)


def test_a_docstring_under_a_field_describes_it() -> None:
    assert Circle.model_fields["radius"].description == "Distance from the centre to the edge."


class Sampler(Config):
    code_version: ClassVar[int] = 3
    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"eta"})

    folder: Path = Path("/somewhere")
    eta: float = 0.0
    shapes: tuple[AnyShape, ...] = (Circle(),)
    extra: dict[str, Any] = Field(default_factory=dict)


def test_identity_is_canonical_json_of_all_fields_and_the_code_version() -> None:
    identity = Sampler(extra={"a": [1, None, True]}).identity()
    assert identity == {
        "folder": "/somewhere",
        "shapes": [{"name": "circle", "radius": 1.0, "code_version": 1}],
        "extra": {"a": [1, None, True]},
        "code_version": 3,
    }
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity


def test_a_later_field_enters_the_identity_only_away_from_its_default() -> None:
    assert "eta" not in Sampler(eta=0.0).identity()
    assert Sampler(eta=0.5).identity()["eta"] == 0.5


def test_identity_of_a_nested_member_follows_its_fields() -> None:
    assert Drawing(shape=Circle(radius=2)).identity() != Drawing(shape=Circle(radius=3)).identity()
    assert (
        Drawing(shape=Circle(radius=2)).identity()
        == Drawing.model_validate({"shape": {"name": "circle", "radius": 2}}).identity()
    )
