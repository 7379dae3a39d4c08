"""C1 to C4 on curves whose slopes, correlations and factors are known."""

import math

import pytest

from raycollapse.report.claims.decline import correlation, entropy_decline, exponential_decline, neighbours_close_in
from raycollapse.report.claims.runs import Run

from .synthetic import make_runs, measure, only

SIZES = (128, 512)


def test_an_exponential_decline_has_its_rate_as_slope_and_an_r_squared_of_one() -> None:
    runs = [
        run
        for size, rate in zip(SIZES, (0.3, 0.1), strict=True)
        for run in make_runs(
            num_train=size,
            memorization__generalization_score=lambda g, seed, rate=rate: 300 * math.exp(-(rate + 0.01 * seed) * g),
        )
    ]
    finding = only(exponential_decline(runs))
    slope, fit = finding.measures
    assert finding.verdict == "holds"
    assert finding.where == "digits, pixels, N = 128, 512, replace"
    assert dict(slope.by_seed) == pytest.approx({0: -0.10, 1: -0.11, 2: -0.12})
    assert (slope.mean, slope.deviation) == pytest.approx((-0.11, 0.01))
    assert list(fit.by_seed.values()) == pytest.approx([1.0, 1.0, 1.0])
    assert slope.statistic.endswith("to generation 8")


def test_one_size_that_does_not_fall_in_one_seed_refutes_the_decline() -> None:
    falling = make_runs(num_train=128, memorization__generalization_score=lambda g, seed: 300 * 0.8**g)
    rising = make_runs(
        num_train=512, memorization__generalization_score=lambda g, seed: 300 * (1.01 if seed == 2 else 0.9) ** g
    )
    finding = only(exponential_decline(falling + rising))
    assert finding.verdict == "does not hold"
    assert (finding.measures[0].num_met, finding.measures[0].by_seed[2]) == (2, pytest.approx(math.log(1.01)))


def test_a_decline_in_jumps_is_not_exponential() -> None:
    scores = (100, 1, 50, 2, 80, 1, 60, 1)
    finding = only(
        exponential_decline(make_runs(memorization__generalization_score=lambda g, seed: float(scores[g - 1])))
    )
    assert finding.measures[0].num_met == 3 and finding.measures[1].num_met == 0
    assert finding.verdict == "does not hold"


def test_two_seeds_are_too_few() -> None:
    finding = only(
        exponential_decline(make_runs(seeds=(0, 1), memorization__generalization_score=lambda g, seed: 0.8**g))
    )
    assert (finding.verdict, finding.reason) == ("not tested at this size", "2 seeds of the 3 that are needed")
    assert finding.measures[0].mean == pytest.approx(math.log(0.8))


def test_two_generations_are_too_few_for_a_line() -> None:
    finding = only(
        exponential_decline(make_runs(num_generations=2, memorization__generalization_score=lambda g, seed: 0.8**g))
    )
    assert finding.reason == "2 generations; 3 at least are needed"


def test_a_seed_without_one_of_the_sizes_does_not_count() -> None:
    small = make_runs(num_train=128, memorization__generalization_score=lambda g, seed: 0.8**g)
    large = make_runs(num_train=512, seeds=(0, 1), memorization__generalization_score=lambda g, seed: 0.9**g)
    finding = only(exponential_decline(small + large))
    assert set(finding.measures[0].by_seed) == {0, 1}
    assert finding.verdict == "not tested at this size"


def test_a_seed_still_running_holds_back_none_of_three_that_are_done() -> None:
    done = make_runs(memorization__generalization_score=lambda g, seed: 0.8**g)
    running = make_runs(seeds=(3,), num_generations=1, memorization__generalization_score=lambda g, seed: 0.8**g)
    finding = only(exponential_decline(done + running))
    assert finding.verdict == "holds" and set(finding.measures[0].by_seed) == {0, 1, 2}


def test_the_papers_values_stand_beside_its_own_data_and_space_only() -> None:
    def papers(data: str, space: str) -> list[str]:
        curve = {"memorization__generalization_score": lambda g, seed: 0.8**g}
        finding = only(exponential_decline(make_runs(data=data, space=space, **curve)))
        return [measure.paper for measure in finding.measures]

    assert papers("cifar10", "pixels") == ["-0.092", "0.54"]
    assert papers("cifar10", "dinov2") == papers("digits", "pixels") == ["", ""]


@pytest.mark.parametrize(("slope", "verdict"), [(-2.0, "holds"), (0.5, "does not hold")])
def test_the_slope_of_the_entropy_is_in_nats_per_generation(slope: float, verdict: str) -> None:
    steep = make_runs(num_train=128, entropy__train_set=lambda g, seed: 300 - 5.0 * g)
    flat = make_runs(num_train=512, entropy__train_set=lambda g, seed: 400 + slope * g)
    finding = only(entropy_decline(steep + flat))
    assert finding.verdict == verdict
    assert finding.measures[0].mean == pytest.approx(slope)


def collapsing(size: int, noise: float, trace_follows: bool) -> list[Run]:
    """Return runs whose entropy is linear in ln GS but for noise, and whose trace is so too, or alternates."""
    return make_runs(
        num_train=size,
        memorization__generalization_score=lambda g, seed: math.exp(size / 100 - 0.2 * g),
        entropy__train_set=lambda g, seed: 50 * (size / 100 - 0.2 * g) + noise * (-1) ** g,
        diversity__covariance_trace_train_set=lambda g, seed: (size / 100 - 0.2 * g) if trace_follows else (-1.0) ** g,
    )


def test_an_entropy_linear_in_the_log_score_correlates_at_one() -> None:
    runs = [run for size in SIZES for run in collapsing(size, 0.0, trace_follows=False)]
    finding = only(correlation(runs))
    assert finding.verdict == "holds"
    assert measure(finding, "entropy and").mean == pytest.approx(1.0)
    trace = measure(finding, "|Pearson r| of covariance trace")
    assert trace.criterion is None and 0 < trace.mean < 0.2
    assert measure(finding, "the latter").mean == pytest.approx(trace.mean)


def test_a_trace_that_correlates_as_well_refutes_the_claim() -> None:
    runs = [run for size in SIZES for run in collapsing(size, 0.0, trace_follows=True)]
    assert only(correlation(runs)).verdict == "does not hold"


def test_an_entropy_of_noise_refutes_the_claim() -> None:
    runs = [run for size in SIZES for run in collapsing(size, 1e5, trace_follows=False)]
    finding = only(correlation(runs))
    assert measure(finding, "entropy and").num_met == 0 and finding.verdict == "does not hold"


def test_a_correlation_across_sizes_needs_two_of_them() -> None:
    finding = only(correlation(collapsing(128, 0.0, trace_follows=False)))
    assert finding.verdict == "not tested at this size" and "data.num_train" in finding.reason


def closing_in(size: int, distance: float, trace: float) -> list[Run]:
    """Return runs in which both fall by these factors from generation 1 to 8."""
    return make_runs(
        num_train=size,
        data="cifar10",
        diversity__nearest_distance_train_set=lambda g, seed: 1000 * distance ** (-(g - 1) / 7),
        diversity__covariance_trace_train_set=lambda g, seed: 1000 * trace ** (-(g - 1) / 7),
    )


@pytest.mark.parametrize(
    ("distance", "trace", "verdict"),
    [(10.0, 1.5, "holds"), (10.0, 2.5, "does not hold"), (1.2, 1.5, "does not hold")],
)
def test_factors_of_first_over_last_generation_decide(distance: float, trace: float, verdict: str) -> None:
    small, papers = closing_in(128, 1.0, 9.0), closing_in(16_384, distance, trace)
    finding = only(neighbours_close_in([*small, *papers, *closing_in(32_768, 1.0, 9.0)]))
    assert finding.where == "cifar10, pixels, N = 16384, replace"
    assert [measure.mean for measure in finding.measures] == pytest.approx([distance, trace, distance / trace])
    assert finding.measures[0].paper == "about 10"
    assert finding.verdict == verdict


def test_without_the_papers_size_the_largest_is_taken_and_its_values_left_out() -> None:
    finding = only(neighbours_close_in([*closing_in(128, 1.0, 9.0), *closing_in(256, 10.0, 1.5)]))
    assert "N = 256" in finding.where and finding.verdict == "holds"
    assert [measure.paper for measure in finding.measures] == ["", "", ""]


def test_a_metric_that_was_not_recorded_is_named() -> None:
    finding = only(neighbours_close_in(make_runs(entropy__train_set=lambda g, seed: 1.0)))
    assert finding.verdict == "not tested at this size"
    assert finding.reason == "diversity/covariance_trace_train_set is not recorded"


def test_other_paradigms_and_strategies_are_not_the_plain_loop() -> None:
    curve = {"memorization__generalization_score": lambda g, seed: 0.8**g}
    assert exponential_decline(make_runs("accumulate", **curve) + make_runs("replace", "greedy", **curve)) == []


def test_copies_only_leave_nothing_to_fit() -> None:
    runs = make_runs(memorization__generalization_score=lambda g, seed: 0.0 if g == 8 else 0.5**g)
    finding = only(exponential_decline(runs))
    assert finding.verdict == "not tested at this size" and "undefined in 3 seeds" in finding.reason
