"""C9 to C13 on runs whose last generations are known."""

from collections.abc import Mapping
from typing import Any

import pytest

from raycollapse.report.claims.runs import Run
from raycollapse.report.claims.settings import fresh_data_help, guidance_costs_diversity, other_spaces_agree
from raycollapse.report.claims.variations import decay_matters_little, twice_as_many

from .synthetic import make_runs, measure, only, towards


def decays(last: Mapping[float, float], uniform: float = 100, metric: str = "quality__fd", **more: Any) -> list[Run]:
    """Return the plain loop, and the filter at several decays, whose distances end at these values."""
    runs = make_runs("accumulate", "uniform", **{metric: towards(uniform)}, **more)
    for decay, value in last.items():
        settings = {"selection.decay": decay, "selection.threshold": "auto"}
        runs += make_runs("accumulate", "threshold_decay", settings=settings, **{metric: towards(value)}, **more)
    return runs


@pytest.mark.parametrize(
    ("last", "verdict"),
    [((53, 54, 55.5), "holds"), ((40, 54, 70), "does not hold"), ((90, 101, 110), "does not hold")],
)
def test_the_range_over_decays_is_told_in_units_of_what_selecting_makes_out(
    last: tuple[float, ...], verdict: str
) -> None:
    finding = only(decay_matters_little(decays(dict(zip((0.8, 0.9, 0.98), last, strict=True)))))
    expected = (max(last) - min(last)) / abs(100 - sum(last) / 3)
    assert finding.measures[0].mean == pytest.approx(expected)
    assert finding.where == "digits, pixels, N = 512, accumulate, decays 0.8, 0.9, 0.98"
    assert finding.verdict == verdict


def test_two_decays_are_too_few() -> None:
    finding = only(decay_matters_little(decays({0.8: 50, 0.9: 50})))
    assert finding.reason == "2 decays; 3 at least are needed"


def test_a_decay_with_another_threshold_is_another_family() -> None:
    runs = decays({0.8: 53, 0.9: 54, 0.98: 55})
    other = {"selection.decay": 0.5, "selection.threshold": 60.0}
    runs += make_runs("accumulate", "threshold_decay", settings=other, quality__fd=towards(999))
    assert "decays 0.8, 0.9, 0.98" in only(decay_matters_little(runs)).where


def test_the_papers_range_over_decays_is_for_its_data_paradigm_and_space() -> None:
    runs = decays({0.8: 53, 0.9: 54, 0.98: 55}, metric="quality__fd_inception_torchvision", data="cifar10")
    assert only(decay_matters_little(runs)).measures[0].paper.startswith("0.076")
    assert only(decay_matters_little(decays({0.8: 53, 0.9: 54, 0.98: 55}))).measures[0].paper == ""


def order(uniform: float, keep_all: float, greedy: float | None, data: str = "digits") -> list[Run]:
    """Return runs whose FIDs end at these values."""
    values = {"uniform": uniform, "keep_all": keep_all, **({} if greedy is None else {"greedy": greedy})}
    metric = "quality__fd_inception_torchvision"
    return [
        run for name, last in values.items() for run in make_runs("replace", name, data=data, **{metric: towards(last)})
    ]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((155.8, 134, 97.1), "holds"),
        ((130, 134, 97.1), "does not hold"),
        ((155.8, 134, 140), "does not hold"),
    ],
)
def test_twice_as_many_lies_between_all_and_the_selected(values: tuple[float, ...], verdict: str) -> None:
    finding = only(twice_as_many(order(*values)))
    assert [m.mean for m in finding.measures] == pytest.approx([values[1] / values[0], values[2] / values[1]])
    assert finding.verdict == verdict


def test_twice_as_many_without_a_selector_is_half_the_claim() -> None:
    finding = only(twice_as_many(order(155.8, 134, None)))
    assert (finding.verdict, finding.reason) == ("not tested at this size", "no runs of greedy or threshold_decay")


def test_the_papers_values_for_twice_as_many() -> None:
    papers = [m.paper for m in only(twice_as_many(order(155.8, 134, 97.1, "cifar10"))).measures]
    assert papers == ["0.860 (134 / 155.8, generation 6)", "0.725 (97.1 / 134, generation 6)"]


def spaces(fid: Mapping[str, float], dino: Mapping[str, float], first: float = 100.0) -> list[Run]:
    """Return runs with two distances that end at these values."""
    return [
        run
        for name in fid
        for run in make_runs(
            "replace", name, space="dinov2", quality__fid=towards(fid[name]), quality__fd_floor=towards(1.0),
            quality__fd=towards(dino[name], first=first), quality__fd_floor_inception=towards(1.0),
        )
    ]  # fmt: skip


def test_two_spaces_that_order_all_runs_alike_agree() -> None:
    finding = only(other_spaces_agree(spaces({"uniform": 200, "greedy": 150}, {"uniform": 1801, "greedy": 1128})))
    (agreement,) = finding.measures
    assert agreement.statistic == "share of comparisons in which dinov2 and inception agree"
    assert (agreement.mean, finding.verdict) == (1.0, "holds")


def test_spaces_that_order_one_of_two_comparisons_otherwise_do_not_agree() -> None:
    finding = only(other_spaces_agree(spaces({"uniform": 200, "greedy": 150}, {"uniform": 1801, "greedy": 1900})))
    assert (finding.measures[0].mean, finding.verdict) == (0.5, "does not hold")


def test_a_distance_that_falls_over_generations_where_the_other_rises_does_not_agree() -> None:
    runs = spaces({"uniform": 200, "greedy": 150}, {"uniform": 1801, "greedy": 1128}, first=9000.0)
    assert only(other_spaces_agree(runs)).measures[0].mean == 0.5


def test_one_space_is_nothing_to_agree_with() -> None:
    runs = [
        run
        for name in ("uniform", "greedy")
        for run in make_runs("replace", name, quality__fd=towards(200), quality__fd_floor_num=towards(512))
    ]
    assert other_spaces_agree(runs) == []


def guided(plain: float, uniform: float, filtered: float | None) -> list[Run]:
    """Return runs whose recall ends at these values, without guidance and with."""
    points = [("uniform", 1.0, plain), ("uniform", 3.0, uniform)]
    points += [] if filtered is None else [("threshold_decay", 3.0, filtered)]
    return [
        run
        for name, scale, last in points
        for run in make_runs(
            "replace", name, settings={"sampling.guidance_scale": scale}, diversity__recall=towards(last)
        )
    ]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.6, 0.2, 0.4), "holds"), ((0.2, 0.3, 0.4), "does not hold"), ((0.6, 0.2, 0.1), "does not hold")],
)
def test_guidance_lowers_recall_and_the_filter_restores_it(values: tuple[float, ...], verdict: str) -> None:
    finding = only(guidance_costs_diversity(guided(*values)))
    lowered, restored = finding.measures
    assert lowered.statistic == "diversity/recall: uniform, w = 3 - uniform, w = 1, generation 8"
    assert (lowered.mean, restored.mean) == pytest.approx((values[1] - values[0], values[2] - values[1]))
    assert finding.verdict == verdict


def test_guidance_without_the_filter_or_a_measure_of_diversity_is_not_tested() -> None:
    assert only(guidance_costs_diversity(guided(0.6, 0.2, None))).reason.startswith("no runs of threshold_decay")
    blind = [
        run
        for scale in (1.0, 3.0)
        for name in ("uniform", "threshold_decay")
        for run in make_runs("replace", name, settings={"sampling.guidance_scale": scale})
    ]
    finding = only(guidance_costs_diversity(blind))
    assert finding.verdict == "not tested at this size" and "diversity/recall" in finding.reason


def test_one_guidance_scale_shows_nothing() -> None:
    assert guidance_costs_diversity(guided(0.6, 0.2, 0.4)[:3]) == []


def paradigms(distance: float, recall: float, seeds: tuple[int, ...] = (0, 1, 2)) -> list[Run]:
    """Return plain runs: `fresh` ends at these values, `replace` at 200 and 0.5, `augment` at 50 and 0.9."""
    return [
        run
        for name, fd, share in (("replace", 200, 0.5), ("augment", 50, 0.9), ("fresh", distance, recall))
        for run in make_runs(name, seeds=seeds, quality__fd=towards(fd), diversity__recall=towards(share))
    ]


@pytest.mark.parametrize(
    ("distance", "recall", "verdict"), [(100, 0.8, "holds"), (220, 0.8, "does not hold"), (100, 0.4, "does not hold")]
)
def test_fresh_data_lower_the_distance_and_raise_recall(distance: float, recall: float, verdict: str) -> None:
    finding = only(fresh_data_help(paradigms(distance, recall)))
    assert finding.verdict == verdict
    assert measure(finding, "quality/fd: fresh / replace").mean == pytest.approx(distance / 200)
    beside = measure(finding, "quality/fd: fresh / augment")
    assert (beside.mean, beside.criterion) == (pytest.approx(distance / 50), None)


def test_fresh_data_in_two_seeds_are_not_tested() -> None:
    assert only(fresh_data_help(paradigms(100, 0.8, seeds=(0, 1)))).verdict == "not tested at this size"
