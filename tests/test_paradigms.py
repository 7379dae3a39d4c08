"""Which sets of the history the next train set is chosen from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from raycollapse.data import Digits
from raycollapse.errors import RequestError
from raycollapse.paradigms import Accumulate, AnyParadigm, Augment, Fresh, Paradigm, RealShare, Replace, Window
from raycollapse.selection import Greedy, KeepAll

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
    [Replace(), Accumulate(), Window(num_newest=1), Window(num_newest=3, keep_real=True), Augment(), Fresh()],
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


@pytest.mark.parametrize("paradigm", [Replace(), Accumulate(), Window(num_newest=2)])
def test_paradigms_without_a_share_leave_the_whole_train_set_to_the_selection(paradigm: Paradigm) -> None:
    assert paradigm.num_real(100) == 0


@pytest.mark.parametrize("kind", [Augment, Fresh])
@given(share=st.floats(0.001, 0.999), num_train=st.integers(2, 5000))
def test_the_real_images_are_the_share_of_n_to_within_half_an_image(
    kind: type[RealShare], share: float, num_train: int
) -> None:
    paradigm = kind(real_share=share)
    if 0 < round(share * num_train) < num_train:
        assert abs(paradigm.num_real(num_train) - share * num_train) <= 0.5
    else:
        with pytest.raises(RequestError, match="real and selected ones"):
            paradigm.num_real(num_train)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_lies_strictly_between_0_and_1(share: float) -> None:
    with pytest.raises(ValidationError):
        Augment(real_share=share)


def test_a_share_that_is_no_image_says_which_shares_are() -> None:
    with pytest.raises(RequestError, match=r"real_share is 0\.001, which is 0 of 40 images.*Use 0\.025 or more"):
        Augment(real_share=0.001).num_real(40)


def test_the_whole_pool_and_a_fixed_share_exclude_each_other() -> None:
    data = Digits(num_train=40, num_fresh=400)
    for paradigm in (Augment(), Fresh()):
        paradigm.check_request(data, Greedy(), 4)
        with pytest.raises(RequestError, match=r"keep_all trains on the whole pool, so .* real images at 0\.5"):
            paradigm.check_request(data, KeepAll(), 4)
    Replace().check_request(data, KeepAll(), 4)


@given(num_generations=st.integers(1, 20), num_fresh=st.integers(0, 400), share=st.floats(0.1, 0.9))
def test_the_reserve_lasts_for_every_generation_after_the_first_or_is_refused(
    num_generations: int, num_fresh: int, share: float
) -> None:
    data, paradigm = Digits(num_train=40, num_fresh=num_fresh), Fresh(real_share=share)
    needed = (num_generations - 1) * paradigm.num_real(40)
    if needed <= num_fresh:
        paradigm.check_request(data, Greedy(), num_generations)
    else:
        with pytest.raises(RequestError, match=f"num_fresh is {num_fresh}, .* are {needed:,}. Raise num_fresh"):
            paradigm.check_request(data, Greedy(), num_generations)
    Augment(real_share=share).check_request(data, Greedy(), num_generations)  # it asks nothing of the reserve
