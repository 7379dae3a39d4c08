"""Changing a raw configuration by path: the one function behind `--set`, `extends` and sweeps."""

from typing import Any

import pytest

from raycollapse.errors import RequestError
from raycollapse.overrides import merge, parse_assignment, set_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=1.5", 1.5),
        ("a=2e-3", 0.002),
        ("a=-2E+3", -2000.0),
        ("a=2.5e3", 2500.0),
        ("a= 1e3 ", 1000.0),
        ("a=true", True),
        ("a=null", None),
        ("a=", None),
        ("a=greedy", "greedy"),
        ("a=[1, two, 3.5]", [1, "two", 3.5]),
        ("a={name: greedy, metric: cosine}", {"name": "greedy", "metric": "cosine"}),
        ("a=s3://bucket/prefix?region=x&a=b", "s3://bucket/prefix?region=x&a=b"),
        ("a='5'", "5"),
        ('a="1e3"', "1e3"),
        ("a=nan", "nan"),
        ("a=infinity", "infinity"),
        ("a=1e", "1e"),
    ],
)
def test_a_value_is_read_as_yaml_and_exponents_are_numbers(text: str, value: Any) -> None:
    path, parsed = parse_assignment(text)
    assert path == "a"
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("text", ["training.num_steps", "=5", " =5", ""])
def test_what_is_no_assignment_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(RequestError, match=r"is not an assignment\. Write it as path=value"):
        parse_assignment(text)


def test_a_value_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(RequestError, match=r"--set 'a=\[1, 2': the value is not valid YAML: line 1, column 6: while"):
        parse_assignment("a=[1, 2")
    with pytest.raises(RequestError, match=r"--set 'a={b: 1, b: 2}': the value, line 1: b is given twice\. Keep one"):
        parse_assignment("a={b: 1, b: 2}")


def test_setting_changes_one_value_and_leaves_the_original_alone() -> None:
    raw = {"training": {"num_steps": 5, "batch_size": 8}, "seed": 0}
    assert set_path(raw, "training.num_steps", 6) == {"training": {"num_steps": 6, "batch_size": 8}, "seed": 0}
    assert raw == {"training": {"num_steps": 5, "batch_size": 8}, "seed": 0}


def test_a_path_that_is_not_there_is_made() -> None:
    assert set_path({}, "a.b.c", 1) == {"a": {"b": {"c": 1}}}
    assert set_path({"a": None}, "a.b", 1) == {"a": {"b": 1}}


def test_a_field_below_a_bare_name_belongs_to_that_member() -> None:
    assert set_path({"s": "threshold_decay"}, "s.decay", 0.9) == {"s": {"name": "threshold_decay", "decay": 0.9}}


@pytest.mark.parametrize("earlier", ["threshold_decay", {"name": "threshold_decay", "decay": 0.9}])
def test_another_name_replaces_the_member_with_all_its_fields(earlier: Any) -> None:
    for raw in (
        set_path({"s": earlier}, "s.name", "greedy"),
        set_path({"s": earlier}, "s", {"name": "greedy"}),
        merge({"s": earlier}, {"s": {"name": "greedy"}}),
    ):
        assert raw == {"s": {"name": "greedy"}}
    assert merge({"s": earlier}, {"s": "greedy"}) == {"s": "greedy"}


def test_the_same_name_keeps_the_members_fields() -> None:
    raw = {"s": {"name": "threshold_decay", "decay": 0.9}}
    assert set_path(raw, "s.name", "threshold_decay") == raw
    assert merge(raw, {"s": {"name": "threshold_decay", "threshold": 5}}) == {
        "s": {"name": "threshold_decay", "decay": 0.9, "threshold": 5}
    }


def test_fields_without_a_name_go_to_the_member_that_is_there() -> None:
    merged = {"s": {"name": "threshold_decay", "decay": 0.9}}
    assert merge({"s": "threshold_decay"}, {"s": {"decay": 0.9}}) == merged
    assert set_path({"s": "threshold_decay"}, "s", {"decay": 0.9}) == merged


def test_the_name_of_the_experiment_is_a_field_like_any_other() -> None:
    raw = {"name": "one", "seed": 3}
    assert set_path(raw, "name", "two") == {"name": "two", "seed": 3}
    assert merge(raw, {"name": "two"}) == {"name": "two", "seed": 3}


def test_null_takes_a_value_away_and_a_list_is_replaced_whole() -> None:
    assert set_path({"sweep": {"grid": {}}}, "sweep", None) == {"sweep": None}
    assert merge({"metrics": ["a", "b"]}, {"metrics": ["c"]}) == {"metrics": ["c"]}


@pytest.mark.parametrize("path", ["", ".", ".a", "a.", "a..b"])
def test_a_path_with_an_empty_name_is_refused(path: str) -> None:
    with pytest.raises(RequestError, match=r"is no path to a field\. Join names by single dots"):
        set_path({"a": {"b": 1}}, path, 2)


def test_a_field_of_something_that_has_none_is_refused() -> None:
    with pytest.raises(
        RequestError, match=r"a\.b\.c cannot be set: a\.b is 3, which has no fields\. Set a\.b as a whole"
    ):
        set_path({"a": {"b": 3}}, "a.b.c", 1)
    with pytest.raises(RequestError, match=r"seed is 3, which has no fields\. Set seed as a whole"):
        set_path({"seed": 3}, "seed.first", 1)
    with pytest.raises(RequestError, match=r"metrics is \['entropy'\], which has no fields"):
        set_path({"metrics": ["entropy"]}, "metrics.0.k", 1)


def test_merging_is_associative() -> None:
    a: dict[str, Any] = {"s": {"name": "x", "p": 1}, "t": {"u": 1}}
    b: dict[str, Any] = {"s": {"name": "y", "q": 2}, "t": {"v": 2}}
    c: dict[str, Any] = {"s": {"q": 3}, "t": {"u": 3}}
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == {"s": {"name": "y", "q": 3}, "t": {"u": 3, "v": 2}}
