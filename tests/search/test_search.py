"""A search, on real tiny trials: what it suggests, how it goes on after a stop, what it finds."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny import manifests, tiny

from raycollapse.cleaning import clean
from raycollapse.config import Experiment, build
from raycollapse.errors import RequestError
from raycollapse.plan import stages_of
from raycollapse.progress import PlainDisplay
from raycollapse.report import write_report
from raycollapse.report.search import Found, found_by_search
from raycollapse.report.search_figure import _place, draw_search
from raycollapse.runner import Result, run_here
from raycollapse.store import Store
from raycollapse.store.at_work import at_work
from raycollapse.tracking.records import TrialRecords, trial_keys

SPACE = {
    "selection.decay": {"name": "uniform", "low": 0.3, "high": 0.99},
    "selection.schedule": {"name": "choice", "values": ["geometric", "linear"]},
}


def searched(folder: Path, num_trials: int = 4, changes: dict[str, Any] | None = None, **own: Any) -> Experiment:
    search = {
        "space": SPACE, "objectives": {"quality/fd": "minimise"}, "num_trials": num_trials, "num_random": 2, **own,
    }  # fmt: skip
    return tiny(folder, **{"selection": "threshold_decay", "sweep": {"search": search}, **(changes or {})})


def run(experiment: Experiment) -> Result:
    return run_here(experiment, Console(quiet=True))


def found(folder: Path) -> list[Found]:
    result = found_by_search(Store(str(folder)), "tiny")
    assert result is not None
    return result[1]


def keys(folder: Path) -> set[str]:
    return set(trial_keys(Store(str(folder)), "tiny"))


def test_each_suggestion_is_a_trial_with_records_and_they_share_the_model_of_generation_1(tmp_path: Path) -> None:
    assert not run(searched(tmp_path)).failures
    trials = found(tmp_path)
    assert len(trials) == 4 and [trial.is_best for trial in trials].count(True) >= 1
    assert all(0.3 <= trial.values[0] <= 0.99 and trial.values[1] in ("geometric", "linear") for trial in trials)
    assert [trial.objectives for trial in trials] == sorted(trial.objectives for trial in trials)
    assert sum(kind == "train" for kind, _ in manifests(tmp_path)) <= 5


def test_a_search_that_was_stopped_and_run_again_is_the_search_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(searched(tmp_path / "whole"))

    def stop(display: PlainDisplay, trial_key: str, generation: int, verb: str) -> None:
        if display.labels[trial_key].startswith("trial 2") and (generation, verb) == (2, "train"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PlainDisplay, "show", stop)
        run(searched(tmp_path / "stopped"))
    assert len(found(tmp_path / "stopped")) == 2 and len(keys(tmp_path / "stopped")) == 3
    run(searched(tmp_path / "stopped"))
    assert found(tmp_path / "stopped") == found(tmp_path / "whole")
    assert manifests(tmp_path / "stopped").keys() == manifests(tmp_path / "whole").keys()


def test_more_trials_and_more_generations_extend_a_search(tmp_path: Path) -> None:
    run(searched(tmp_path, 2))
    first = keys(tmp_path)
    run(searched(tmp_path, 3))
    assert first < keys(tmp_path) and len(keys(tmp_path)) == 3
    run(searched(tmp_path, 3, {"num_generations": 3}))
    assert len(keys(tmp_path)) == 3 == len(found(tmp_path))
    store = Store(str(tmp_path))
    assert all(len(TrialRecords(store, "tiny", key).read()) == 3 for key in keys(tmp_path))


def test_another_space_under_the_same_name_is_refused_with_the_difference(tmp_path: Path) -> None:
    run(searched(tmp_path, 1))
    with pytest.raises(RequestError, match=r"objectives.quality/fd was 'minimise', now it is 'maximise'"):
        run(searched(tmp_path, 1, objectives={"quality/fd": "maximise"}))


def test_several_objectives_give_a_trade_off_in_the_report(tmp_path: Path) -> None:
    run(searched(tmp_path, 3, objectives={"quality/fd": "minimise", "entropy/train_set": "maximise"}))
    best = [trial for trial in found(tmp_path) if trial.is_best]
    assert best
    for one in found(tmp_path):
        fd, entropy = one.objectives
        beaten = any(
            b.objectives != one.objectives and b.objectives[0] <= fd and b.objectives[1] >= entropy for b in best
        )
        assert one.is_best != beaten
    report = write_report(Store(str(tmp_path)), ["tiny"], tmp_path / "report")
    assert list(report.searches) == ["tiny"]
    assert "| selection.decay |" in (tmp_path / "report" / "search.md").read_text()
    picture = (tmp_path / "report" / "search-tiny.png").read_bytes()
    write_report(Store(str(tmp_path)), ["tiny"], tmp_path / "report")
    assert picture.startswith(b"\x89PNG") and (tmp_path / "report" / "search-tiny.png").read_bytes() == picture


def test_each_trial_is_announced_before_its_first_stage_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: dict[str, int] = {}
    look_up = Store.find

    def noting(self: Store, kind: str, key: str) -> Any:
        (run,) = at_work(self)
        announced.setdefault(kind + key, len(run.trials))
        if kind == "select":
            planned = [stages_of(build(trial)) for trial in run.trials]
            assert any((kind, key) in stages for stages in planned)
        return look_up(self, kind, key)

    monkeypatch.setattr(Store, "find", noting)
    run(searched(tmp_path))
    assert len(set(announced.values())) > 1  # they are announced as they come
    monkeypatch.undo()
    assert at_work(Store(str(tmp_path))) == []


def test_the_compute_of_a_search_is_that_of_the_trials_handed_out(tmp_path: Path) -> None:
    spent = run(searched(tmp_path)).compute
    seconds = sum(manifest.seconds for manifest in manifests(tmp_path).values())
    assert spent.made.seconds == pytest.approx(seconds)
    assert spent.shared.seconds > 0
    again = run(searched(tmp_path)).compute
    assert again.made.seconds == 0.0 and again.reused.seconds == pytest.approx(seconds)


def test_cleaning_leaves_what_a_search_refers_to(tmp_path: Path) -> None:
    run(searched(tmp_path))
    before = manifests(tmp_path)
    clean(Store(str(tmp_path)), Console(quiet=True), is_asked_for=True)
    assert manifests(tmp_path).keys() == before.keys()
    assert run(searched(tmp_path)).compute.made.seconds == 0.0


def test_a_choice_that_comes_again_is_not_run_again(tmp_path: Path) -> None:
    space = {"selection": {"name": "choice", "values": ["uniform", {"name": "greedy"}]}}
    assert not run(searched(tmp_path, 6, space=space)).failures
    assert len(keys(tmp_path)) == 2
    result = found_by_search(Store(str(tmp_path)), "tiny")
    assert result is not None
    assert sorted(_place(result, 0, one.values[0]) for one in result.found) == [0.0, 1.0]
    draw_search(result, tmp_path / "search.png")


def test_a_suggestion_that_the_configuration_refuses_counts_as_failed_and_the_search_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    space = {
        "training.num_steps": {"name": "choice", "values": [10, 3]},
        "training.warmup_steps": {"name": "choice", "values": [1, 5]},
    }
    assert not run(searched(tmp_path, 8, space=space)).failures
    assert 1 <= len(keys(tmp_path)) <= 3
    assert "It counts as failed; the search goes on." in caplog.text


def test_a_trial_that_fails_is_tried_again_with_the_same_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raycollapse.selection.threshold_decay import ThresholdDecay

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ThresholdDecay, "select", fail)
        assert len(run(searched(tmp_path, 2)).failures) == 2
    before = keys(tmp_path)
    assert not run(searched(tmp_path, 2)).failures
    assert keys(tmp_path) == before and len(found(tmp_path)) == 2


def test_no_trial_starts_after_max_hours(tmp_path: Path) -> None:
    assert not run(searched(tmp_path, 1000, max_hours=1e-9)).has_records


def test_a_damaged_study_is_told_with_what_to_do(tmp_path: Path) -> None:
    run(searched(tmp_path, 1))
    entry = sorted((tmp_path / "experiments/tiny/search.study").iterdir())[1]
    entry.write_text("{")
    with pytest.raises(RequestError, match=r"00000001.jsonl of the search's study is missing or damaged .*Remove"):
        run(searched(tmp_path, 2))


def test_the_study_is_one_that_optuna_itself_reads(tmp_path: Path) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    run(searched(tmp_path, 2))
    joined = tmp_path / "study.log"
    joined.write_text("".join(p.read_text() for p in sorted((tmp_path / "experiments/tiny/search.study").iterdir())))
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(joined)))
    (name,) = optuna.get_all_study_names(storage)
    values = sorted(trial.value for trial in optuna.load_study(study_name=name, storage=storage).trials)
    assert values == [trial.objectives[0] for trial in found(tmp_path)]
    assert all(math.isfinite(value) for value in values)


def test_two_processes_that_write_the_study_at_once_lose_nothing(tmp_path: Path) -> None:
    from raycollapse.search.journal import StoredJournal

    journal = StoredJournal(Store(str(tmp_path)), "experiments/x/search.study")
    other = StoredJournal(Store(str(tmp_path)), "experiments/x/search.study")
    journal.append_logs([{"a": 1}])
    other.append_logs([{"b": 2}, {"c": 3}])  # another process that has not seen the first
    assert list(journal.read_logs(1)) == [{"b": 2}, {"c": 3}]
    assert json.dumps(list(other.read_logs(0))) == '[{"a": 1}, {"b": 2}, {"c": 3}]'
