"""The same stages on a real Ray as in one process: same samples, same picks, same metrics."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import ray
from ray.exceptions import RayError
from ray_runs import LONGER, attempts, hashes, kill_below, metrics, run
from rich.console import Console
from safetensors.numpy import load_file
from tiny import TINY, manifests, tiny

from raycollapse.distributed.claims import BEAT_SECONDS, NAMESPACE, ClaimBook, Claims
from raycollapse.distributed.ray_backend import RayBackend
from raycollapse.errors import StageError
from raycollapse.runner import run_here
from raycollapse.store import Store
from raycollapse.trial import real_stage

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("local")
    assert not run_here(tiny(storage), Console(quiet=True)).failures
    return storage


@pytest.mark.parametrize(
    "num_actors", [None, 2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_any_number_of_actors_gives_the_files_of_one_process(
    num_actors: int | None, tmp_path: Path, in_one_process: Path
) -> None:
    result = run(tiny(tmp_path, resources={"device": "cpu", "num_actors": num_actors}))
    assert not result.failures
    assert hashes(tmp_path) == hashes(in_one_process)
    assert metrics(tmp_path) == metrics(in_one_process)


def test_a_loop_with_new_real_images_that_fine_tunes_gives_the_files_of_one_process(tmp_path: Path) -> None:
    changes = {
        "data": {"name": "digits", "num_train": 40, "num_held_out": 24, "num_fresh": 10},
        "paradigm": {"name": "fresh", "real_share": 0.25},
        "selection": {"name": "distributed_greedy", "num_shards": 2},
        "training": {**TINY["training"], "init": "previous"},
    }
    assert not run(tiny(tmp_path / "ray", **changes)).failures
    assert not run_here(tiny(tmp_path / "local", **changes), Console(quiet=True)).failures
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")
    assert metrics(tmp_path / "ray") == metrics(tmp_path / "local")


def test_labels_and_guidance_are_those_of_one_process(tmp_path: Path) -> None:
    changes = {
        "denoiser": {**TINY["denoiser"], "num_classes": 10},
        "training": {**TINY["training"], "label_dropout": 0.2},
        "sampling": {**TINY["sampling"], "guidance_scale": 2.0},
    }
    assert not run_here(tiny(tmp_path / "local", **changes), Console(quiet=True)).failures
    assert not run(tiny(tmp_path / "ray", **changes)).failures
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")


def test_trials_share_the_first_generation_and_make_nothing_twice(tmp_path: Path) -> None:
    assert not run(tiny(tmp_path, sweep={"grid": {"selection": ["uniform", "greedy"]}})).failures
    counts = {kind: len(attempts(tmp_path, kind)) for kind in ("real", "train", "select")}
    assert counts == {"real": 1, "train": 3, "select": 2}  # one model of generation 1 for both trials
    assert len(attempts(tmp_path, "sample")) == len(list(tmp_path.glob("stages/sample/*/manifest.json")))


def test_what_goes_wrong_in_a_stage_fails_its_trial_only_at_once_and_says_why(tmp_path: Path) -> None:
    grid = {"training.learning_rate": [1e-3, 1e30], "selection": ["plugins:Buggy", "uniform"]}
    failures = run(tiny(tmp_path, sweep={"grid": grid})).failures
    diverged = [why for why in failures.values() if "learning_rate" in why]
    (bug,) = (why for why in failures.values() if why not in diverged)
    assert len(diverged) == 2
    assert bug.endswith("KeyError: 'no such key'") and "plugins.py" in bug
    assert sorted(map(len, metrics(tmp_path).values())) == [0, 0, 1, 2]
    assert len(attempts(tmp_path, "train")) == 2  # what fails leaves nothing behind


def test_picks_that_are_none_fail_their_trial_and_what_a_worker_warns_of_reaches_the_driver_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = ["plugins:Repeating", {"name": "plugins:Talking"}, {"name": "plugins:Talking", "topic": "the same"}]
    (reason,) = run(tiny(tmp_path, sweep={"grid": {"selection": plugins}})).failures.values()
    assert "distinct positions" in reason
    assert caplog.text.count("the pool has 80 candidates\nand a second line") == 1


def alter(file: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def as_new_processes_see_it(storage: Path) -> Path:
    """Return the storage under another path: workers that are still there trust what they have verified before."""
    alias = storage.with_name(f"{storage.name}-again")
    alias.symlink_to(storage)
    return alias


@pytest.mark.slow
def test_a_shard_altered_between_two_runs_is_said_and_made_anew(
    tmp_path: Path, in_one_process: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tiny(tmp_path))
    alter(next(tmp_path.glob("stages/sample/*/*/images.parquet")))
    for kind in ("features", "measure", "picture", "select", "train"):
        Store(str(tmp_path)).remove(kind)
    assert not run(tiny(as_new_processes_see_it(tmp_path))).failures
    assert "altered" in caplog.text
    assert metrics(tmp_path) == metrics(in_one_process)


def meanwhile(condition: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    """Do something beside a run once a condition holds."""

    def wait_and_act() -> None:
        while not condition():
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_shard_truncated_in_the_middle_of_a_run_is_said_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"paradigm": "accumulate", "selection": "uniform", "num_generations": 3, "training": LONGER}
    run_here(tiny(tmp_path / "undisturbed", **changes), Console(quiet=True))
    storage = tmp_path / "storage"

    def truncate_the_first_generation() -> None:
        for file in storage.glob("stages/sample/*/*/images.parquet"):
            file.write_bytes(file.read_bytes()[:100])

    # While generation 2 is trained: that training has read its images, generation 3's will want them again.
    thread = meanwhile(
        lambda: len(list(storage.glob("stages/checkpoint/*/*/manifest.json"))) > 0 and any(attempts(storage, "select")),
        truncate_the_first_generation,
    )
    assert not run(tiny(storage, **changes)).failures
    thread.join()
    assert "has 100 bytes instead of" in caplog.text
    assert metrics(storage) == metrics(tmp_path / "undisturbed")


def test_a_storage_that_workers_see_elsewhere_is_said_instead_of_tried_for_ever(tmp_path: Path) -> None:
    there, here = Store(str(tmp_path / "there")), Store(str(tmp_path / "here"))
    here.uri = there.uri  # as a folder of this node's own, under a path that every node has
    experiment = tiny(tmp_path)
    backend = RayBackend(here, experiment, num_gpus=0)
    with pytest.raises(StageError, match="one place that every node reaches"):
        backend.run([(real_stage(experiment),)])
    backend.close()


@pytest.mark.slow
def test_several_workers_train_the_model_that_one_would(tmp_path: Path, in_one_process: Path) -> None:
    told = tiny(tmp_path, num_generations=1, resources={"device": "cpu", "train_workers": 2})
    assert not run(told).failures
    (together,) = [found for (kind, _), found in manifests(tmp_path).items() if kind == "train"]
    assert together.identity["world_size"] == together.facts["world_size"] == 2
    assert np.isfinite(together.facts["final_loss"])  # type: ignore[arg-type]
    alone = [found for (kind, _), found in manifests(in_one_process).items() if kind == "train"]
    assert together.key not in {found.key for found in alone}
    (first,) = [found for found in alone if found.identity["seed"] == together.identity["seed"]]
    # The global batch and its noise are the same, so workers that synchronise end where one does, but for rounding.
    weights, expected = (
        weights_of(folder, found.key) for folder, found in ((tmp_path, together), (in_one_process, first))
    )
    assert all(np.allclose(weights[name], expected[name], atol=1e-5) for name in expected)
    assert attempts(tmp_path, "checkpoint") == []


def weights_of(storage: Path, key: str) -> dict[str, np.ndarray]:
    (file,) = storage.glob(f"stages/train/{key}/*/model/*.safetensors")
    weights: dict[str, np.ndarray] = load_file(file)
    return weights


@pytest.mark.slow
def test_a_stage_error_among_several_workers_ends_the_trial_with_its_reason(tmp_path: Path) -> None:
    training = {"num_steps": 60, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e30}
    resources = {"device": "cpu", "train_workers": 2}
    result = run(tiny(tmp_path, num_generations=1, training=training, resources=resources))
    (reason,) = result.failures.values()
    assert "learning rate" in reason and "Traceback" not in reason


@pytest.mark.slow
def test_damaged_data_are_made_anew_for_several_workers_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = tiny(tmp_path, num_generations=1, resources={"device": "cpu", "train_workers": 2})
    run(told)
    before = metrics(tmp_path)
    alter(next(tmp_path.glob("stages/real/*/*/train-00000.parquet")))
    Store(str(tmp_path)).remove("train")
    assert not run(told.model_copy(update={"storage": str(as_new_processes_see_it(tmp_path))})).failures
    # The worker that comes second finds the shard set aside by the first.
    assert "altered" in caplog.text or "is missing or was damaged" in caplog.text
    assert metrics(tmp_path) == before


@pytest.mark.slow
def test_a_lost_train_worker_costs_the_steps_since_the_checkpoint(tmp_path: Path) -> None:
    resources = {"device": "cpu", "train_workers": 2}
    long = LONGER | {"num_steps": 1000}
    told = tiny(tmp_path, num_generations=1, training=long, resources=resources)
    killed = []
    thread = meanwhile(
        lambda: any(tmp_path.glob("stages/checkpoint/*/*/manifest.json")),
        lambda: killed.append(kill_below(os.getpid(), "ray::RayTrainWorker")),
    )
    assert not run(told).failures
    thread.join()
    assert killed == [True]
    other = tmp_path / "undisturbed"
    assert not run(told.model_copy(update={"storage": str(other)})).failures
    (key,) = Store(str(tmp_path)).keys("train")
    assert hashes(tmp_path)[f"train/{key}"] == hashes(other)[f"train/{key}"]


@pytest.mark.slow
def test_a_strategy_that_takes_its_process_with_it_is_given_up_on(tmp_path: Path) -> None:
    result = run(tiny(tmp_path, sweep={"grid": {"selection": ["plugins:Crashing", "uniform"]}}))
    (reason,) = result.failures.values()
    assert "the process that made select" in reason and "died" in reason
    assert "3 times in a row with nothing finished in between" in reason


class TestClaims:
    """Who makes what."""

    def test_a_stage_is_granted_to_one_and_to_the_next_once_it_is_released(self, tmp_path: Path) -> None:
        first, second = Claims(str(tmp_path)), Claims(str(tmp_path))
        assert first.take(["a", "b"]) == {"a", "b"}
        assert first.take(["a"]) == {"a"}
        assert second.take(["a", "c"]) == {"c"}
        first.release(["a"])
        second.release(["b"])  # which is not its own
        assert second.take(["a", "b"]) == {"a"}
        first.close()
        second.close()

    def test_another_storage_has_another_book(self, tmp_path: Path) -> None:
        first, second = Claims(str(tmp_path / "one")), Claims(str(tmp_path / "other"))
        assert first.take(["a"]) == second.take(["a"]) == {"a"}
        first.close()
        second.close()

    def test_claims_of_an_owner_that_no_longer_beats_expire(self, tmp_path: Path) -> None:
        dead, heir = Claims(str(tmp_path), expiry=0.5), Claims(str(tmp_path))
        dead.take(["a"])
        assert heir.take(["a"]) == set()
        dead.close()
        deadline = time.monotonic() + 30
        while heir.take(["a"]) != {"a"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        heir.close()

    def test_a_book_started_anew_learns_from_the_next_beat_who_holds_what(self) -> None:
        book = ClaimBook()
        book.beat("owner", ["a"])
        assert book.take("other", ["a", "b"]) == ["b"]

    def test_without_the_book_everything_is_granted_and_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        claims = Claims(str(tmp_path))
        claims.take(["a"])
        ray.kill(claims._book, no_restart=True)
        with pytest.raises(RayError):  # it dies a moment later
            for _ in range(200):
                ray.get(claims._book.take.remote("other", []), timeout=30)
                time.sleep(0.05)
        assert claims.take(["a", "b"]) == {"a", "b"}
        claims.release(["a", "b"])
        assert "perhaps twice" in caplog.text
        claims.close()

    @pytest.mark.slow
    def test_the_book_outlives_a_crash_of_its_process(self, tmp_path: Path) -> None:
        claims, other = Claims(str(tmp_path)), Claims(str(tmp_path))
        claims.take(["a"])
        ray.kill(claims._book, no_restart=False)
        time.sleep(2 * BEAT_SECONDS)
        assert other.take(["a", "b"]) == {"b"}
        claims.close()
        other.close()


@pytest.mark.slow
def test_the_book_dying_does_not_fail_a_trial(tmp_path: Path, in_one_process: Path) -> None:
    def kill() -> None:
        for found in ray.util.list_named_actors(all_namespaces=True):
            if found["name"].startswith("claims-"):
                ray.kill(ray.get_actor(found["name"], namespace=NAMESPACE), no_restart=True)

    thread = meanwhile(lambda: any(attempts(tmp_path, "train")), kill)
    assert not run(tiny(tmp_path)).failures
    thread.join()
    assert metrics(tmp_path) == metrics(in_one_process)
