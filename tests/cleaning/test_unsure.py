"""Nothing is removed where it cannot be told what is referred to, and a folder that is no storage is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from raycollapse.errors import RequestError
from raycollapse.store import Store

from .conftest import Clean, Run


@pytest.fixture
def trial(folder: Path, do: Run) -> Path:
    """The folder of a recorded trial; beside its stages lie those of an experiment given up."""
    do(name="other", seed=1, num_generations=1)
    shutil.rmtree(folder / "experiments" / "other")
    do()
    (found,) = (folder / "experiments" / "tiny").iterdir()
    return found


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"name": "tiny"}', b"\xff"])
def test_a_configuration_that_is_missing_or_unreadable_stops_it(
    content: bytes | None, trial: Path, folder: Path, cleaned: Clean
) -> None:
    (trial / "config.json").unlink() if content is None else (trial / "config.json").write_bytes(content)
    _refused(folder, cleaned, trial)


def test_a_configuration_with_a_field_of_another_version_stops_it(trial: Path, folder: Path, cleaned: Clean) -> None:
    config = json.loads((trial / "config.json").read_text())
    (trial / "config.json").write_text(json.dumps({**config, "from_the_future": 1}))
    _refused(folder, cleaned, trial)


@pytest.mark.parametrize("at", ["middle", "end"])
def test_records_that_are_damaged_stop_it(at: str, trial: Path, folder: Path, cleaned: Clean) -> None:
    content = (trial / "records.jsonl").read_bytes()
    (trial / "records.jsonl").write_bytes(content[20:] if at == "middle" else content[:-20])
    _refused(folder, cleaned, trial)


def test_data_that_are_not_there_stop_it(folder: Path, do: Run, cleaned: Clean, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    do(data={"name": "files", "path": str(tmp_path / "images.npz"), "num_train": 40, "num_held_out": 24})
    (trial,) = (folder / "experiments" / "tiny").iterdir()
    (tmp_path / "images.npz").rename(tmp_path / "moved.npz")
    _refused(folder, cleaned, trial)


def _refused(folder: Path, cleaned: Clean, trial: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(RequestError, match=f"Which stages {trial} refers to cannot be told"):
        cleaned()
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_is_no_storage_is_refused(tmp_path: Path, folder: Path, cleaned: Clean) -> None:
    (folder / "stages" / "holiday" / "pictures").mkdir(parents=True)
    with pytest.raises(RequestError, match="There is no storage"):
        cleaned()
    assert [path.name for path in folder.iterdir()] == ["stages"]


def test_a_storage_that_another_version_laid_out_is_refused(folder: Path, do: Run, cleaned: Clean) -> None:
    Store(str(folder))
    (folder / "raycollapse.json").write_text('{"schema": 0}')
    with pytest.raises(RequestError, match="has schema 0"):
        cleaned()
