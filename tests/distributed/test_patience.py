"""Work that is lost with its process is begun again as long as there is progress, and given up where there is none."""

import logging
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayTaskError
from ray_runs import LONGER, hashes, run
from rich.console import Console
from tiny import tiny

from raycollapse.config import Experiment
from raycollapse.distributed import patience as module
from raycollapse.distributed.patience import LostError, Patience, told_as_lost
from raycollapse.distributed.ray_backend import RayBackend
from raycollapse.errors import StageError
from raycollapse.runner import run_here
from raycollapse.store import Store
from raycollapse.trial import Trial

LOSS = LostError("the process that made it died")


class Work:
    """Names of what is finished, and the pauses that were made."""

    def __init__(self) -> None:
        self.finished: set[str] = set()
        self.pauses: list[float] = []
        self.patience = Patience(lambda: self.finished, self.pauses.append)


def test_three_losses_without_progress_are_the_end() -> None:
    work = Work()
    work.patience.lost(LOSS)
    work.patience.lost(LOSS)
    with pytest.raises(StageError, match=r"it died\. That was the last of 3 times in a row with nothing finished"):
        work.patience.lost(LOSS)


def test_progress_is_what_was_not_there_before_and_makes_up_for_the_losses_so_far() -> None:
    work = Work()
    for step in range(20):
        work.patience.lost(LOSS)
        work.patience.lost(LOSS)
        work.finished = {f"checkpoint {step}"}  # the one before it is gone
    work.patience.lost(LOSS)
    work.finished = {"checkpoint 0"}  # set aside as damaged, and made again: nothing new
    work.patience.lost(LOSS)
    work.patience.lost(LOSS)
    with pytest.raises(StageError):
        work.patience.lost(LOSS)


def test_pauses_grow_to_a_minute_and_are_never_all_the_same() -> None:
    work = Work()
    for step in range(9):
        work.finished = {str(step)}
        work.patience.lost(LOSS)
    for pause, middle in zip(work.pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.5 * middle <= pause <= 1.5 * middle
    assert len(set(work.pauses)) == 9


@pytest.mark.usefixtures("local_ray")
def test_what_the_code_itself_raised_is_no_loss() -> None:
    with pytest.raises(RayTaskError), told_as_lost("it"):
        ray.get(ray.remote(lambda: {}["no such key"]).remote())


def mortal(folder: Path, file: Path, num_steps: int | None, **changes: object) -> Experiment:
    denoiser = {"name": "plugins:Mortal", "width": 16, "num_blocks": 1, "file": str(file), "num_steps": num_steps}
    return tiny(folder, denoiser=denoiser, **changes)


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_sampling_that_always_kills_its_process_is_given_up_after_a_few_tries(tmp_path: Path) -> None:
    file, resources = tmp_path / "deaths", {"device": "cpu", "num_actors": 2}
    file.touch()
    told = mortal(tmp_path / "storage", file, None, num_generations=1, resources=resources)
    (reason,) = run(told).failures.values()
    assert "That was the last of 3 times in a row with nothing finished in between." in reason
    assert "Traceback" not in reason
    assert 3 <= len(file.read_text()) <= 3 * 2 * 5  # each of five shards is tried twice by Ray, at most
    file.unlink()
    assert not run(told).failures


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_training_that_is_killed_again_and_again_and_gets_further_each_time_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.1)
    file, training = tmp_path / "deaths", LONGER | {"num_steps": 350}  # a checkpoint every 50
    file.touch()
    changes = {"num_generations": 1, "training": training}
    told = mortal(tmp_path / "storage", file, 60, **changes)
    backend = RayBackend(Store(told.storage), told, num_gpus=0)
    with caplog.at_level(logging.WARNING, "raycollapse"):
        Trial(told, backend).run()
    backend.close()
    assert len(file.read_text()) >= 6
    assert caplog.text.count("It is begun again in 0 s, from what is finished.") >= 6
    file.unlink()
    undisturbed = mortal(tmp_path / "undisturbed", file, 60, **changes)
    assert not run_here(undisturbed, Console(quiet=True)).failures

    # The plugin's file is a part of its configuration, and the same: so are all keys.
    assert hashes(tmp_path / "storage") == hashes(tmp_path / "undisturbed")
