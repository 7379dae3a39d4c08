"""Checkpoints in a folder: all or nothing, verified, only the newest kept."""

from pathlib import Path

import pytest

from raycollapse.diffusion.checkpoints import FolderCheckpoints, NoCheckpoints


def write_text(text: str):
    return lambda folder: (folder / "state.txt").write_text(text)


def test_the_newest_checkpoint_is_found_and_older_ones_are_dropped(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path / "new")
    assert checkpoints.latest() is None
    checkpoints.save(9, write_text("nine"))
    checkpoints.save(10, write_text("ten"))
    step, folder = checkpoints.latest() or (0, Path())
    assert (step, (folder / "state.txt").read_text()) == (10, "ten")
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_write_that_fails_leaves_the_previous_checkpoint_and_no_litter(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(1, write_text("one"))

    def fail(folder: Path) -> None:
        (folder / "state.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(2, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(1, write_text("one"))
    checkpoints.save(1, write_text("uno"))
    assert (tmp_path / "step-000000001" / "state.txt").read_text() == "uno"


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing", "no manifest", "manifest not JSON"])
def test_a_damaged_checkpoint_is_set_aside(damage: str, tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(1, write_text("one"))
    state, manifest = (tmp_path / "step-000000001" / name for name in ("state.txt", "manifest.json"))
    match damage:
        case "altered":
            state.write_text("two")
        case "truncated":
            state.write_text("on")
        case "missing":
            state.unlink()
        case "no manifest":
            manifest.unlink()
        case _:
            manifest.write_text("[")
    assert checkpoints.latest() is None
    assert [path.name for path in tmp_path.iterdir()] == ["damaged-step-000000001"]


def test_no_checkpoints_keeps_nothing() -> None:
    NoCheckpoints().save(1, lambda folder: pytest.fail("must not be written"))
    assert NoCheckpoints().latest() is None
