"""A training stage's checkpoints in the store: what is resumed, what is repaired, what is left behind."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from raycollapse.plan import stages_of
from raycollapse.stages.base import Stage, make
from raycollapse.stages.training import StageCheckpoints, TrainStage
from raycollapse.store import Manifest, Store

TRAINING = {
    "num_steps": 10,
    "warmup_steps": 1,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "ema": 0.9,
    "checkpoint_steps": 3,
}


class AbortError(Exception):
    """The machine goes away."""


def stages(folder: Path, **changes: Any) -> list[Stage]:
    """Return the stages up to the first training, which comes last."""
    own = tiny(folder, num_generations=1, training={**TRAINING, **changes})
    found = [stage for stage in stages_of(own).values() if stage.kind in ("real", "train")]
    assert isinstance(found[-1], TrainStage)
    return found


def hashes(manifest: Manifest) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in manifest.files.items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    store = Store(str(folder))
    return [hashes(make(stage, store)) for stage in stages(folder)][-1]


def abort_after(step: int, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Store:
    """Train until the checkpoint of a step is committed, then stop dead."""
    store = Store(str(folder))
    *inputs, train = stages(folder)
    for stage in inputs:
        make(stage, store)
    save = StageCheckpoints.save

    def save_and_abort(self: StageCheckpoints, at: int, write: Callable[[Path], None]) -> None:
        save(self, at, write)
        if at == step:
            raise AbortError

    with monkeypatch.context() as patched:
        patched.setattr(StageCheckpoints, "save", save_and_abort)
        with pytest.raises(AbortError):
            make(train, store)
    assert store.find("train", train.key) is None
    return store


def train_again(store: Store) -> Manifest:
    return make(stages(Path(store.uri))[-1], store)


def kind_of_checkpoints(store: Store) -> str:
    return f"checkpoint/{stages(Path(store.uri))[-1].key}"


@pytest.mark.parametrize("step", [3, 6, 9])
def test_a_training_aborted_at_a_checkpoint_gives_the_same_bytes(
    step: int, uninterrupted: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = abort_after(step, monkeypatch, tmp_path)
    assert store.keys(kind_of_checkpoints(store)) == [f"{step:09d}"]  # the earlier ones are dropped
    assert hashes(train_again(store)) == uninterrupted


def test_a_resumed_training_takes_only_the_steps_that_are_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store, saved = abort_after(6, monkeypatch, tmp_path), list[int]()
    save = StageCheckpoints.save
    monkeypatch.setattr(StageCheckpoints, "save", lambda self, at, write: (saved.append(at), save(self, at, write)))
    train_again(store)
    assert saved == [9]


def test_no_checkpoint_is_left_after_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = abort_after(6, monkeypatch, tmp_path)
    train_again(store)
    assert store.files.children("stages/checkpoint") == []


@pytest.mark.parametrize("how", ["flipped", "truncated"])
def test_a_damaged_checkpoint_costs_time_and_a_warning_but_not_the_result(
    how: str, uninterrupted: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    store = abort_after(6, monkeypatch, tmp_path)
    (file,) = (tmp_path / "stages" / kind_of_checkpoints(store)).rglob("state.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-1] if how == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    assert hashes(train_again(Store(store.uri))) == uninterrupted
    assert "is set aside" in caplog.text
    assert store.files.children("stages/checkpoint") == []


def test_with_the_newest_damaged_an_earlier_one_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(str(tmp_path))
    checkpoints = StageCheckpoints(store, "stage")

    def write(text: str) -> Callable[[Path], None]:
        return lambda folder: (folder / "state.txt").write_text(text) and None

    checkpoints.save(3, write("three"))
    later = tmp_path / "stages" / "checkpoint" / "stage" / "000000003"
    kept = later.rename(tmp_path / "kept")
    checkpoints.save(6, write("six"))
    kept.rename(later)
    (newest,) = (tmp_path / "stages/checkpoint/stage/000000006").rglob("state.txt")
    newest.write_text("sex")
    step, folder = StageCheckpoints(Store(store.uri), "stage").latest() or (0, Path())
    assert (step, (folder / "state.txt").read_text()) == (3, "three")
    assert "Falling back to an earlier checkpoint" in caplog.text


def test_a_checkpoint_whose_writer_was_killed_is_passed_over_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = StageCheckpoints(Store(str(tmp_path)), "stage")
    checkpoints.save(3, lambda folder: None)
    (tmp_path / "stages/checkpoint/stage/000000006/attempt").mkdir(parents=True)
    assert (checkpoints.latest() or (0, None))[0] == 3
    assert caplog.text == ""


def test_without_any_checkpoint_training_starts_at_the_beginning(tmp_path: Path) -> None:
    assert StageCheckpoints(Store(str(tmp_path)), "stage").latest() is None


def test_a_training_that_another_process_finishes_first_goes_on_without_its_checkpoints(
    uninterrupted: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who is second loses its folder of checkpoints in the middle of writing one."""
    store = Store(str(tmp_path))
    *inputs, train = stages(tmp_path)
    for stage in inputs:
        make(stage, store)
    save = StageCheckpoints.save

    def save_too_late(self: StageCheckpoints, step: int, write: Callable[[Path], None]) -> None:
        def write_after_the_other_has_finished(folder: Path) -> None:
            with monkeypatch.context() as other_process:
                other_process.setattr(StageCheckpoints, "save", save)
                make(train, Store(store.uri))
            write(folder)

        save(self, step, write_after_the_other_has_finished)

    monkeypatch.setattr(StageCheckpoints, "save", save_too_late)
    assert hashes(make(train, store)) == uninterrupted
    assert store.files.children("stages/checkpoint") == []
    assert len([name for name in store.files.children(f"stages/train/{train.key}") if name != "manifest.json"]) == 1


def test_a_checkpoint_that_another_process_has_overtaken_is_given_up(tmp_path: Path) -> None:
    ours, theirs = (StageCheckpoints(Store(str(tmp_path)), "stage") for _ in range(2))

    def overtaken(folder: Path) -> None:
        theirs.save(6, lambda folder: None)  # drops what is earlier, the checkpoint in hand included
        (folder / "state.txt").write_text("three")

    ours.save(3, overtaken)
    assert (ours.latest() or (0, None))[0] == 6


def test_an_error_while_a_checkpoint_is_written_is_not_swallowed(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        StageCheckpoints(Store(str(tmp_path)), "stage").save(3, fail)


def test_a_training_killed_after_its_first_checkpoint_resumes_to_the_same_bytes(
    uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    script = textwrap.dedent("""
        import sys
        sys.path[:0] = sys.argv[1:3]
        from pathlib import Path
        from raycollapse.stages.base import make
        from raycollapse.stages.training import StageCheckpoints
        from raycollapse.store import Store
        from test_train_checkpoints import stages

        save = StageCheckpoints.save
        def save_and_wait(self, step, write):
            save(self, step, write)
            print(step, flush=True)
            sys.stdin.readline()
        StageCheckpoints.save = save_and_wait
        store = Store(sys.argv[3])
        for stage in stages(Path(sys.argv[3])):
            make(stage, store)
    """)
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(here), str(here.parent), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "3"
    process.kill()
    process.wait()
    store = Store(str(tmp_path))
    assert store.keys(kind_of_checkpoints(store)) == ["000000003"]
    assert hashes(train_again(store)) == uninterrupted
    assert store.files.children("stages/checkpoint") == []
