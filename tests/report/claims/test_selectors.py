"""C5 to C8 on runs whose last generations are known."""

import pytest

from raycollapse.report.claims.runs import Run
from raycollapse.report.claims.selectors import (
    lower_distance,
    more_entropy_and_novelty,
    not_always,
    real_images_kept,
)

from .synthetic import make_runs, measure, only, towards

FID = "quality__fd_inception_torchvision"


def panel(
    values: dict[str, float], paradigm: str = "replace", spread: float = 0.0, data: str = "digits", metric: str = FID
) -> list[Run]:
    """Return runs of some strategies whose metric ends at these values, ± the spread over seeds."""
    return [
        run
        for strategy, last in values.items()
        for run in make_runs(paradigm, strategy, data=data, **{metric: towards(last, spread)})
    ]


def entropies(uniform: float, greedy: float, tdf: float, score: float = 2.0) -> list[Run]:
    """Return runs with these entropies at last, and selectors whose score is `score` times that of `uniform`."""
    return [
        run
        for name, entropy in (("uniform", uniform), ("greedy", greedy), ("threshold_decay", tdf))
        for run in make_runs(
            "replace", name, entropy__train_set=towards(entropy),
            memorization__generalization_score=towards(50 if name == "uniform" else 50 * score),
        )
    ]  # fmt: skip


def test_selectors_above_the_plain_loop_hold_by_their_differences_and_quotients() -> None:
    finding = only(more_entropy_and_novelty(entropies(80, 95, 90)))
    assert finding.verdict == "holds"
    assert measure(finding, "entropy/train_set: greedy - uniform, generation 8").mean == pytest.approx(15)
    assert measure(finding, "entropy/train_set: threshold_decay - uniform").mean == pytest.approx(10)
    assert measure(finding, "generalization_score: greedy / uniform").mean == pytest.approx(2)


@pytest.mark.parametrize(
    "runs", [entropies(80, 79, 90), entropies(80, 90, 79), entropies(80, 80, 90), entropies(80, 95, 90, score=0.9)]
)
def test_one_selector_or_one_metric_not_above_refutes_it(runs: list[Run]) -> None:
    assert only(more_entropy_and_novelty(runs)).verdict == "does not hold"


def test_paradigms_are_judged_apart() -> None:
    runs = [*panel({"uniform": 200, "greedy": 150, "threshold_decay": 160})]
    runs += panel({"uniform": 150, "greedy": 160, "threshold_decay": 100}, "accumulate")
    assert [(f.where, f.verdict) for f in lower_distance(runs)] == [
        ("digits, pixels, N = 512, replace", "holds"), ("digits, pixels, N = 512, accumulate", "does not hold"),
    ]  # fmt: skip


def test_a_selector_that_was_not_run_leaves_the_claim_untested_but_shows_the_other() -> None:
    finding = only(lower_distance(panel({"uniform": 200, "greedy": 150})))
    assert (finding.verdict, finding.reason) == ("not tested at this size", "no runs of threshold_decay")
    assert measure(finding, "greedy / uniform").mean == pytest.approx(0.75)


def test_pairs_are_of_the_same_seed() -> None:
    uniform = make_runs("replace", "uniform", **{FID: lambda g, seed: 100.0 * (seed + 1)})
    selected = [
        run
        for name in ("greedy", "threshold_decay")
        for run in make_runs("replace", name, seeds=(1, 2, 3), **{FID: lambda g, seed: 90.0 * (seed + 1)})
    ]
    finding = only(lower_distance(uniform + selected))
    assert dict(measure(finding, "greedy").by_seed) == pytest.approx({1: 0.9, 2: 0.9})
    assert finding.reason == "2 seeds of the 3 that are needed"


def test_without_a_fid_the_distance_in_the_selections_space_is_judged() -> None:
    runs = panel({"uniform": 200, "greedy": 150, "threshold_decay": 150}, metric="quality__fd", data="cifar10")
    finding = only(lower_distance(runs))
    assert all(m.statistic.startswith("quality/fd: ") and m.paper == "" for m in finding.measures)


def test_the_papers_fids_stand_beside_those_of_its_network_on_its_data() -> None:
    finding = only(lower_distance(panel({"uniform": 200, "greedy": 150, "threshold_decay": 150}, data="cifar10")))
    assert measure(finding, "greedy").paper == "0.600 (113.3 / 188.8, generation 8)"
    assert measure(finding, "threshold_decay").paper == "0.593 (112 / 188.8, generation 8)"
    other = panel({"uniform": 200, "greedy": 150, "threshold_decay": 150}, data="cifar10", metric="quality__fid")
    assert [m.paper for m in only(lower_distance(other)).measures] == ["", ""]


def test_only_the_first_generation_is_nothing_to_compare() -> None:
    runs = [
        run
        for name in ("uniform", "greedy", "threshold_decay")
        for run in make_runs("replace", name, num_generations=1, **{FID: towards(1)})
    ]
    finding = only(lower_distance(runs))
    assert finding.verdict == "not tested at this size" and "only generation 1" in finding.reason


def test_the_worst_selector_of_either_paradigm_decides_that_selection_does_not_always_help() -> None:
    runs = panel({"uniform": 100, "greedy": 110, "threshold_decay": 105}, data="ffhq")
    runs += panel({"uniform": 100, "greedy": 50, "threshold_decay": 60}, "accumulate", data="ffhq")
    finding = only(not_always(runs))
    assert finding.verdict == "holds"
    (worst,) = finding.measures
    assert "replace, greedy / uniform, generation 8" in worst.statistic
    assert (worst.mean, worst.paper) == (pytest.approx(1.1), "1.058 (99.8 / 94.3, generation 7)")
    assert [f.where for f in lower_distance(runs)] == ["ffhq, pixels, N = 512, accumulate"]


def test_where_selection_always_helps_there_is_no_exception() -> None:
    finding = only(not_always(panel({"uniform": 100, "greedy": 80, "threshold_decay": 99})))
    assert finding.verdict == "does not hold"
    assert finding.measures[0].mean == pytest.approx(0.99)


def test_an_exception_in_some_seeds_only_is_none() -> None:
    runs = panel({"uniform": 100}) + panel({"greedy": 100.5, "threshold_decay": 90}, spread=2.0)
    finding = only(not_always(runs))
    assert finding.measures[0].num_met == 2 and finding.verdict == "does not hold"


def test_another_measure_that_speaks_against_selection_is_told_beside() -> None:
    def precision(strategy: str, last: float) -> list[Run]:
        curves = {"quality__fd": towards(80 if strategy != "uniform" else 100), "quality__precision": towards(last)}
        return make_runs("replace", strategy, **curves)

    runs = [*precision("uniform", 0.9), *precision("greedy", 0.7), *precision("threshold_decay", 0.95)]
    finding = only(not_always(runs))
    _, harm = finding.measures
    assert (harm.criterion, harm.mean) == (None, pytest.approx(-0.2))
    assert harm.statistic == "quality/precision: replace, greedy - uniform, generation 8"


@pytest.mark.parametrize(("tdf", "verdict"), [(0.37, "holds"), (0.2, "does not hold")])
def test_the_real_share_is_told_in_even_draws(tdf: float, verdict: str) -> None:
    shares = {"uniform": 0.125, "greedy": 0.45, "threshold_decay": tdf}
    runs = panel(shares, "accumulate", metric="selection__real_share")
    finding = only(real_images_kept(runs + panel(shares, "replace", metric="selection__real_share")))
    assert finding.where.endswith("accumulate") and finding.verdict == verdict
    assert [m.mean for m in finding.measures] == pytest.approx([3.6, tdf / 0.125])


def test_the_papers_shares_are_those_in_dino_space() -> None:
    runs = [
        run
        for name in ("uniform", "greedy", "threshold_decay")
        for run in make_runs("accumulate", name, data="ffhq", space="dinov2", selection__real_share=towards(0.5))
    ]
    assert [m.paper for m in only(real_images_kept(runs)).measures] == [
        "5.12 (0.64 / 0.125, generation 8)", "3.28 (0.41 / 0.125, generation 8)",
    ]  # fmt: skip


def test_of_several_decays_the_papers_is_compared() -> None:
    runs = panel({"uniform": 100, "greedy": 50})
    for decay, last in ((0.8, 300), (0.95, 60), (0.98, 300)):
        settings = {"selection.decay": decay}
        runs += make_runs("replace", "threshold_decay", settings=settings, seeds=(0, 1, 2, 3), **{FID: towards(last)})
    assert measure(only(lower_distance(runs)), "threshold_decay").mean == pytest.approx(0.6)


def test_of_several_setups_the_one_with_most_runs_is_judged() -> None:
    runs = panel({"uniform": 100, "greedy": 50, "threshold_decay": 60})
    for name in ("uniform", "greedy"):
        runs += make_runs("replace", name, settings={"denoiser.num_classes": 10}, **{FID: towards(900)})
    assert only(lower_distance(runs)).verdict == "holds"
