"""What every metric's function does with input that is wrong, odd or at the edge."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from raycollapse.errors import RequestError
from raycollapse.metrics.data_copying import data_copying
from raycollapse.metrics.entropy import kozachenko_leonenko
from raycollapse.metrics.fidelity import coverage, density, fidelity, precision, recall
from raycollapse.metrics.frechet import frechet_distance
from raycollapse.metrics.generalization import generalization_score
from raycollapse.metrics.kernel import kernel_distance
from raycollapse.metrics.memorization import authenticity, auto_threshold, duplicates, generalization_ratio
from raycollapse.metrics.spread import mean_nearest_distance
from raycollapse.metrics.vendi import vendi_score

N, D = 40, 3
RNG = np.random.default_rng(0)
A, B = (RNG.normal(size=(N, D)).astype(np.float32) for _ in range(2))

OF_ONE: dict[str, Callable[[Any], Any]] = {
    "entropy": lambda x: kozachenko_leonenko(x).value,
    "nearest_distance": mean_nearest_distance,
    "vendi": vendi_score,
    "auto_threshold": auto_threshold,
}
OF_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "generalization_score": generalization_score,
    "generalization_ratio": lambda a, b: generalization_ratio(a, B, b + 1 if b is B else b),
    "held_out": lambda a, b: generalization_ratio(A, a, b),
    "authenticity": authenticity,
    "duplicates": lambda a, b: duplicates(a, b).share,
    "ct": lambda a, b: data_copying(a, A, b, num_cells=2, min_population=2).value,
    "fidelity": lambda a, b: fidelity(a, b).density,
    "precision": precision,
    "recall": recall,
    "density": density,
    "coverage": coverage,
    "frechet": frechet_distance,
    "kid": lambda a, b: kernel_distance(a, b).value,
}


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


BAD = [
    (np.zeros((0, D)), r"has shape \(0, 3\)"), (A[0], r"has shape \(3,\)"), (A[None], r"has shape \(1, 40, 3\)"),
    (np.where(A > 2, np.nan, A), "holds NaN or infinity"), (np.where(A > 2, np.inf, A), "holds NaN or infinity"),
    (A + 1j, "real numbers"), ([[1.0], [1.0, 2.0]], "rows differ in length"),
    (A.astype(np.float64) * 1e160, "range of float64"),
]  # fmt: skip


@pytest.mark.parametrize("name", [*OF_ONE, *OF_TWO])
@pytest.mark.parametrize(("points", "message"), BAD)
def test_points_that_are_none_are_refused(name: str, points: Any, message: str) -> None:
    calls = [lambda: OF_ONE[name](points)] if name in OF_ONE else [lambda: OF_TWO[name](points, B)]
    if name in OF_TWO:
        calls.append(lambda: OF_TWO[name](A, points))
    for call in calls:
        with pytest.raises(RequestError, match=message):
            call()


@pytest.mark.parametrize("name", OF_TWO)
def test_sets_of_different_width_are_refused(name: str) -> None:
    for a, b in ((A[:, :2], B), (A, B[:, :2])):
        with pytest.raises(RequestError, match=r"has \d dimensions and .* has \d; they must agree"):
            OF_TWO[name](a, b)


@pytest.mark.parametrize("name", ["entropy", "nearest_distance", "auto_threshold"])
def test_a_single_point_has_no_neighbour(name: str) -> None:
    with pytest.raises(RequestError, match=r"at least 2 point"):
        OF_ONE[name](A[:1])


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("generalization_score", 0, 0), ("authenticity", 0, 1), ("duplicates", 0, 1), ("ct", 0, 1), ("fidelity", 1, 1),
        ("precision", 0, 1), ("recall", 1, 0), ("density", 0, 1), ("coverage", 0, 1), ("frechet", 1, 1), ("kid", 1, 1),
    ],
)  # fmt: skip
def test_a_set_of_one_point_is_measured_where_that_means_something(name: str, first: int, second: int) -> None:
    for refused, a, b in ((first, A[:1], B), (second, A, B[:1])):
        if refused:
            with pytest.raises(RequestError, match=r"at least 2|k is|num_cells is"):
                OF_TWO[name](a, b)
        else:
            assert np.isscalar(OF_TWO[name](a, b))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *[(lambda v=v: kozachenko_leonenko(A, v), "k is") for v in (0, N, -1, 1.0, None)],
        *[(lambda v=v: kozachenko_leonenko(A, 1, v), "floor is") for v in (0, -1.0, np.inf, np.nan, None)],
        *[(lambda f=f: f(A, B, 0), "k is 0") for f in (fidelity, precision, recall, density, coverage)],
        *[(lambda v=v: fidelity(A, B, v), "k is") for v in (-1, N, 1.5, None)],
        *[(lambda v=v: duplicates(A, B, v), "threshold is") for v in (-1.0, np.inf, np.nan, None, "all")],
        *[(lambda v=v: data_copying(A, A, B, num_cells=v), "num_cells is") for v in (0, N + 1, 2.0)],
        *[(lambda v=v: data_copying(A, A, B, min_population=v), "min_population is") for v in (0, 1.5, None)],
        *[(lambda v=v: kernel_distance(A, B, num_subsets=v), "num_subsets is") for v in (0, -1, 1.5, None)],
        *[(lambda v=v: kernel_distance(A, B, subset_size=v), "subset_size is") for v in (0, 1, 1.5, None)],
        (lambda: vendi_score(np.zeros((N, D))), r"40 zero vector\(s\), first in row 0"),
        (lambda: generalization_ratio(A, B[:3], B), "the mean distance of held_out to train is 0"),
        *[(lambda f=f: f(A, B, metric="l1"), "'l2' or 'cosine'") for f in (generalization_score, authenticity)],
        (lambda: generalization_score(A, np.zeros((N, D)), metric="cosine"), "zero vector in row 0"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        call()


@pytest.mark.parametrize("value", [1.0, -40.0, 1e30])
def test_points_all_equal_have_the_documented_values(value: float) -> None:
    same = np.full((N, D), value, np.float32)
    entropy = kozachenko_leonenko(same)
    assert entropy.num_at_floor == N and np.isfinite(entropy.value)
    assert mean_nearest_distance(same) == auto_threshold(same) == frechet_distance(same, same) == 0
    assert vendi_score(same) == pytest.approx(1.0, abs=1e-12)
    assert generalization_score(same, same) == authenticity(same, same) == 0
    assert (duplicates(same, same).share, duplicates(same, same).threshold) == (1.0, 0.0)
    assert (fidelity(same, same).precision, fidelity(same, same).density) == (0.0, 0.0)  # balls of radius 0 are empty
    outcome = data_copying(same, same, same)
    assert (outcome.value, outcome.num_cells, outcome.share) == (0.0, 1, 1.0)


@pytest.mark.parametrize("change", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2], lambda x: x.tolist(),
                                    torch.from_numpy, lambda x: x[::-1].copy()[::-1]])  # fmt: skip
def test_the_layout_of_points_changes_nothing(change: Callable[[Any], Any]) -> None:
    a, b = np.round(A * 64) / 64, np.round(B * 64) / 64
    for name, one in OF_ONE.items():
        assert one(change(a)) == pytest.approx(one(a), rel=1e-12), name
    for name, two in OF_TWO.items():
        if name not in ("generalization_ratio", "ct"):
            assert two(change(a), change(b)) == pytest.approx(two(a, b), rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.int32, np.int64, np.float64])
def test_points_of_other_number_types_are_measured_by_their_values(kind: Any) -> None:
    a, b = np.round(A * 16), np.round(B * 16)
    a[(a == 0).all(axis=1)] = 1.0
    for name, one in OF_ONE.items():
        assert one(a.astype(kind)) == pytest.approx(one(a), rel=1e-12), name
    for name, two in OF_TWO.items():
        if name not in ("generalization_ratio", "ct"):
            assert two(a.astype(kind), b.astype(kind)) == pytest.approx(two(a, b), rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**120])
def test_what_has_no_unit_does_not_depend_on_the_scale(scale: float) -> None:
    a, b = A * np.float32(scale), B * np.float32(scale)
    for name in ("authenticity", "duplicates", "fidelity", "precision", "recall", "density", "coverage"):
        assert OF_TWO[name](a, b) == OF_TWO[name](A, B), name
    outcomes = [data_copying(*sets, num_cells=3, min_population=2) for sets in ((a, a, b), (A, A, B))]
    assert outcomes[0].num_cells == outcomes[1].num_cells > 1
    assert outcomes[0].share == outcomes[1].share
    assert vendi_score(a) == pytest.approx(vendi_score(A), rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(A, B) * scale**2, rel=1e-9)
    assert generalization_score(a, b) == pytest.approx(generalization_score(A, B) * scale, rel=1e-9)
