"""A search that is killed, time and again, comes to what one that was left alone came to."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna import Study
from rich.console import Console
from tiny import TINY, manifests, tiny

from raycollapse.progress import PlainDisplay
from raycollapse.report.search import Found, found_by_search
from raycollapse.runner import run_here
from raycollapse.store import Store
from raycollapse.tracking.records import trial_keys

COMMAND = [sys.executable, "-c", "from raycollapse.cli import main; main()", "run"]
SEARCH: dict[str, Any] = {
    "space": {"selection.decay": {"name": "uniform", "low": 0.3, "high": 0.99}},
    "objectives": {"quality/fd": "minimise", "entropy/train_set": "maximise"},
    "num_trials": 5, "num_random": 2,
}  # fmt: skip
NUM_KILLS = 3


def found(storage: Path) -> list[Found]:
    result = found_by_search(Store(str(storage)), "tiny")
    assert result is not None
    return result.found


@pytest.mark.slow
def test_a_search_killed_at_random_moments_goes_on_to_the_same_suggestions_and_values(tmp_path: Path) -> None:
    file, killed = tmp_path / "search.yaml", tmp_path / "killed"
    content = {**TINY, "selection": "threshold_decay", "sweep": {"search": SEARCH}}
    file.write_text(yaml.safe_dump(content))  # which sorts the objectives: their order makes no other search
    run_here(tiny(tmp_path / "whole", selection="threshold_decay", sweep={"search": SEARCH}), Console(quiet=True))

    rng, command = random.Random(0), [*COMMAND, str(file), "--local", "--storage", str(killed)]
    for number in range(1, NUM_KILLS + 1):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bar, deadline = number * len(manifests(tmp_path / "whole")) // (NUM_KILLS + 1), time.monotonic() + 120
        while len(manifests(killed)) < bar and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(rng.uniform(0.0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, "it was not over yet"
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    values = {own.trial_key: (own.values, set(own.objectives), own.is_best) for own in found(killed)}
    assert values == {
        own.trial_key: (own.values, set(own.objectives), own.is_best) for own in found(tmp_path / "whole")
    }
    assert len(values) == SEARCH["num_trials"]
    assert manifests(killed).keys() == manifests(tmp_path / "whole").keys()


def test_a_damaged_study_is_told_and_can_be_begun_anew_without_running_a_trial_again(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, selection="threshold_decay", sweep={"search": SEARCH})
    run_here(experiment, Console(quiet=True))
    before, made = found(tmp_path), manifests(tmp_path)
    study = tmp_path / "experiments" / "tiny" / "search.study"
    entry = sorted(study.iterdir())[3]
    entry.write_text(json.dumps([1]))
    with pytest.raises(Exception, match=r"is no entry of a study. Remove the folder experiments/tiny/search.study"):
        run_here(experiment, Console(quiet=True))
    for path in study.iterdir():
        path.unlink()
    assert run_here(experiment, Console(quiet=True)).compute.made.seconds == 0.0
    assert found(tmp_path) == before and manifests(tmp_path).keys() == made.keys()


def test_damaged_records_of_a_suggested_trial_are_put_right_by_the_next_run(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, selection="threshold_decay", sweep={"search": SEARCH})
    run_here(experiment, Console(quiet=True))
    before = found(tmp_path)
    records = sorted(tmp_path.glob("experiments/tiny/*/records.jsonl"))[2]
    records.write_bytes(b"{}\n" + records.read_bytes())
    run_here(experiment, Console(quiet=True))
    assert found(tmp_path) == before


def test_an_extension_that_was_stopped_shows_only_trials_that_came_as_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(tiny(tmp_path, selection="threshold_decay", sweep={"search": SEARCH}), Console(quiet=True))
    longer = tiny(tmp_path, selection="threshold_decay", num_generations=3, sweep={"search": SEARCH})

    def stop(display: PlainDisplay, trial_key: str, generation: int, verb: str) -> None:
        if display.labels[trial_key].startswith("trial 2") and (generation, verb) == (3, "train"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PlainDisplay, "show", stop)
        run_here(longer, Console(quiet=True))
    assert len(found(tmp_path)) == 2
    run_here(longer, Console(quiet=True))
    assert len(found(tmp_path)) == SEARCH["num_trials"]


def test_a_study_that_was_half_copied_when_a_run_was_killed_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(tiny(tmp_path, selection="threshold_decay", sweep={"search": SEARCH}), Console(quiet=True))
    keys = set(trial_keys(Store(str(tmp_path)), "tiny"))
    longer = tiny(tmp_path, selection="threshold_decay", num_generations=3, sweep={"search": SEARCH})
    add, added = Study.add_trial, [0]

    def killed_after_two(study: Study, trial: Any) -> None:
        if added[0] == 2:
            raise KeyboardInterrupt
        added[0] += 1
        add(study, trial)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Study, "add_trial", killed_after_two)
        run_here(longer, Console(quiet=True))
    run_here(longer, Console(quiet=True))
    assert set(trial_keys(Store(str(tmp_path)), "tiny")) == keys
