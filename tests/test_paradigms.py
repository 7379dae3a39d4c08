"""Which sets of the history the next train set is chosen from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from raycollapse.paradigms import Accumulate, AnyParadigm, Paradigm, Replace, Window

HISTORIES = st.integers(2, 12).map(lambda num: list(range(num)))
"""Generations by their numbers: 0, the real data, and at least one synthetic one."""


def test_replace_keeps_only_the_newest() -> None:
    assert Replace().pool(["real", "first", "second"]) == ("second",)


def test_accumulate_keeps_everything_the_real_data_first() -> None:
    assert Accumulate().pool(["real", "first", "second"]) == ("real", "first", "second")


def test_the_pools_do_not_follow_a_history_that_grows() -> None:
    history = ["real"]
    pool = Accumulate().pool(history)
    history.append("first")
    assert pool == ("real",)


def test_a_selector_sees_twice_n_under_replace_and_n_of_each_under_accumulate() -> None:
    assert (Replace().oversample, Accumulate().oversample) == (2, 1)


def test_oversample_is_at_least_1() -> None:
    with pytest.raises(ValidationError):
        Replace(oversample=0)


def test_paradigms_are_found_by_their_names() -> None:
    adapter = TypeAdapter[object](AnyParadigm)
    assert adapter.validate_python("replace") == Replace()
    assert adapter.validate_python({"name": "accumulate", "oversample": 3}) == Accumulate(oversample=3)
    assert adapter.validate_python({"name": "window", "num_newest": 3}) == Window(num_newest=3)


@given(HISTORIES, st.integers(1, 14))
def test_a_window_holds_the_newest_generations_the_real_data_as_one_of_them(history: list[int], num: int) -> None:
    pool = Window(num_newest=num).pool(history)
    assert list(pool) == history[max(0, len(history) - num) :]


@given(HISTORIES, st.integers(1, 14))
def test_a_window_that_keeps_the_real_data_has_them_once_beside_its_newest_synthetic_sets(
    history: list[int], num: int
) -> None:
    pool = Window(num_newest=num, keep_real=True).pool(history)
    assert pool == (0, *range(max(1, len(history) - num), len(history)))


@given(HISTORIES)
def test_a_window_of_one_is_replace_and_one_that_spans_the_history_is_accumulate(history: list[int]) -> None:
    assert Window(num_newest=1).pool(history) == Replace().pool(history)
    assert Window(num_newest=len(history)).pool(history) == Accumulate().pool(history)
    assert Window(num_newest=len(history) - 1, keep_real=True).pool(history) == Accumulate().pool(history)


@pytest.mark.parametrize(
    "paradigm",
    [Replace(), Accumulate(), Window(num_newest=1), Window(num_newest=3), Window(num_newest=2, keep_real=True)],
)
@given(history=HISTORIES)
def test_every_pool_ends_with_the_newest_samples_and_holds_nothing_twice(
    paradigm: Paradigm, history: list[int]
) -> None:
    pool = paradigm.pool(history)
    assert pool[-1] == history[-1]
    assert list(pool) == sorted(set(pool) & set(history))


@pytest.mark.parametrize("fields", [{}, {"num_newest": 0}, {"num_newest": -2}])
def test_a_window_says_how_many_generations_it_spans(fields: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="num_newest"):
        Window.model_validate(fields)
