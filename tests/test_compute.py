"""What a run spends and saves: its parts add up to the seconds that the manifests hold."""

from pathlib import Path

import pytest
from rich.console import Console
from tiny import manifests, tiny

from raycollapse.compute import Spent, cost
from raycollapse.config import Experiment
from raycollapse.expansion import expand
from raycollapse.plan import plan
from raycollapse.runner import run_here
from raycollapse.stages.training import TrainStage

GRID = {"grid": {"selection": ["uniform", "greedy"]}}


def seconds(folder: Path) -> float:
    return sum(manifest.seconds for manifest in manifests(folder).values())


def test_what_trials_share_is_saved_once_for_each_trial_after_the_first(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, sweep=GRID)
    spent = run_here(experiment, Console(quiet=True)).compute
    found = plan([trial.on("cpu") for trial in expand(experiment)])
    in_common = [manifest.seconds for name, manifest in manifests(tmp_path).items() if found.num_users[name] == 2]
    assert len(in_common) > 5
    assert spent.shared.seconds == pytest.approx(sum(in_common))
    assert spent.made.seconds == pytest.approx(seconds(tmp_path))
    assert spent.reused == Spent()
    assert spent.alone.seconds == pytest.approx(seconds(tmp_path) + sum(in_common))
    assert spent.alone.gpu_seconds == 0.0

    again = run_here(experiment, Console(quiet=True)).compute
    assert again.made == Spent()
    assert again.reused.seconds == pytest.approx(seconds(tmp_path))
    assert again.shared.seconds == pytest.approx(spent.shared.seconds)


def test_a_longer_run_reuses_what_the_shorter_one_made(tmp_path: Path) -> None:
    run_here(tiny(tmp_path), Console(quiet=True))
    before = seconds(tmp_path)
    longer = run_here(tiny(tmp_path, num_generations=3), Console(quiet=True)).compute
    assert longer.reused.seconds == pytest.approx(before)
    assert longer.made.seconds == pytest.approx(seconds(tmp_path) - before)
    assert longer.shared == Spent()


def test_stages_that_a_failed_trial_never_made_are_not_counted(tmp_path: Path) -> None:
    training = {**tiny(tmp_path).training.model_dump(), "learning_rate": 1e30}
    result = run_here(tiny(tmp_path, training=training), Console(quiet=True))
    assert result.failures
    assert result.compute.alone.seconds == pytest.approx(seconds(tmp_path))


def test_a_gpu_counts_for_as_long_as_it_is_held_and_once_for_each_worker(tmp_path: Path) -> None:
    def on_gpu(experiment: Experiment) -> Experiment:
        resources = experiment.resources.model_copy(update={"device": "cuda", "train_workers": 2})
        return experiment.model_copy(update={"resources": resources})

    found = plan([on_gpu(tiny(tmp_path, num_generations=1))])
    spent = sum((cost(stage, 1.0) for stage in found.shared.values()), Spent())
    num = found.num_shared
    assert isinstance(next(stage for stage in found.shared.values() if stage.kind == "train"), TrainStage)
    assert spent.seconds == num.total()
    assert spent.gpu_seconds == 2 * num["train"] + num["sample"] + num["features"]
    assert str(Spent(90, 30)) == "90 s (30 s of GPUs)"
