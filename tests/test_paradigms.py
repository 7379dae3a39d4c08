"""Which sets of the history the next train set is chosen from."""

import pytest
from pydantic import TypeAdapter, ValidationError

from raycollapse.paradigms import Accumulate, AnyParadigm, Replace


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
