"""The files of a report, and its table."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from raycollapse.errors import RequestError
from raycollapse.report import collect, write_report
from raycollapse.report.tables import markdown, summarize
from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord, TrialRecords

MakeExperiment = Callable[..., list[TrialRecords]]


def test_the_csv_holds_every_recorded_value_to_the_last_bit(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    trials = make_experiment(seeds=(0, 1), replaced={"diversity/third": 1 / 3})
    report = write_report(store, ["q"], tmp_path / "new" / "folder")
    frame = pd.read_csv(report.csv, float_precision="round_trip").set_index(["trial_key", "generation"])
    for trial in trials:
        for record in trial.read():
            for name, value in record.metrics.items():
                assert frame.loc[(trial.trial_key, record.generation), name] == value
    assert report.figure.read_bytes().startswith(b"\x89PNG")
    assert report.markdown.read_text().count("\n| ") == 7


def test_a_report_written_twice_is_the_same(store: Store, make_experiment: MakeExperiment, tmp_path: Path) -> None:
    make_experiment()
    first, second = (write_report(store, ["q"], tmp_path / name) for name in ("a", "b"))
    assert first.csv.read_bytes() == second.csv.read_bytes()
    assert first.markdown.read_bytes() == second.markdown.read_bytes()
    assert first.figure.read_bytes() == second.figure.read_bytes()


def test_the_table_tells_first_and_last_generation(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment()
    summary = summarize(collect(store, ["q"]))
    assert summary.heading == [
        "paradigm, strategy", "generalization score", "entropy of train set", "Fréchet distance", "real share at last",
    ]  # fmt: skip
    assert summary.rows[0] == ["replace, uniform", "359 → 183", "327 → 301", "27,600 → 110,900", "0"]
    assert summary.rows[-1][-1] == "0.490"
    assert summary.caption == "generation 1 → 4"


def test_over_seeds_the_table_tells_the_mean_and_half_the_range(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")], seeds=(0, 2))
    (row,) = summarize(collect(store, ["q"])).rows
    assert row[1] == "363 ± 4 → 185 ± 2"
    assert summarize(collect(store, ["q"])).caption == "generation 1 → 4; mean of 2 seeds ± half their range"


def test_trials_of_unequal_length_and_number_say_so(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")], seeds=(0, 1))
    (trial,) = make_experiment(points=[("replace", "greedy")])
    trial.add(GenerationRecord(generation=5, metrics={"selection/real_share": 0.0}, stages={}))
    summary = summarize(collect(store, ["q"]))
    assert summary.heading[1:3] == ["seeds", "generations"]
    assert [row[1:3] for row in summary.rows] == [["2", "1 → 4"], ["1", "1 → 5"]]
    assert summary.rows[1][3] == "359 → –"


def test_a_metric_nobody_asked_for_has_no_column(store: Store, make_experiment: MakeExperiment, tmp_path: Path) -> None:
    make_experiment(without=("quality/fd", "quality/fd_floor"))
    report = write_report(store, ["q"], tmp_path / "out")
    assert "Fréchet" not in report.markdown.read_text()
    assert "quality/fd" not in report.values


def test_without_any_of_the_three_metrics_the_real_share_is_shown(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    without = ("memorization/generalization_score", "entropy/train_set", "quality/fd", "quality/fd_floor")
    make_experiment(without=without)
    report = write_report(store, ["q"], tmp_path / "out")
    assert report.figure.exists()
    assert summarize(report.values).heading == ["paradigm, strategy", "real share at last"]


def test_a_nan_at_the_end_is_told_as_missing_and_an_infinity_as_such(
    store: Store, make_experiment: MakeExperiment
) -> None:
    (trial,) = make_experiment(points=[("replace", "uniform")], num_generations=1)
    metrics = {"memorization/generalization_score": math.nan, "quality/fd": math.inf}
    trial.add(GenerationRecord(generation=2, metrics=metrics, stages={}))
    (row,) = summarize(collect(store, ["q"])).rows
    assert row[1:] == ["359 → –", "327 → –", "27,600 → inf", "–"]


def test_a_nan_of_one_seed_is_not_averaged_away(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")], seeds=(0, 1))
    frame = collect(store, ["q"])
    frame.loc[frame.index[-1], "quality/fd"] = math.nan
    (row,) = summarize(frame).rows
    assert row[3] == "27,738 ± 138 → nan"


def test_the_terminal_table_fits_eighty_columns(store: Store, make_experiment: MakeExperiment, tmp_path: Path) -> None:
    make_experiment()
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    console.print(write_report(store, ["q"], tmp_path / "report").table)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_a_bar_in_a_name_does_not_break_the_markdown(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")])
    frame = collect(store, ["q"]).assign(label="a|b")
    assert "| a\\|b |" in markdown(frame)


def test_an_output_that_cannot_be_written_is_refused(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    make_experiment(points=[("replace", "uniform")])
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="--output"):
        write_report(store, ["q"], tmp_path / "file" / "report")


def test_records_without_a_protocol_are_reported_with_null(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    make_experiment(points=[("replace", "uniform")])
    write_report(store, ["q"], tmp_path)
    (trial,) = json.loads((tmp_path / "protocol.json").read_text())
    assert trial["protocol"] is None
