"""A disk that is really full: the run stops in words, leaves nothing half written, and goes on once it can."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from ray_runs import hashes, metrics, run
from rich.console import Console
from safetensors.numpy import save_file
from tiny import TINY, tiny

from raycollapse.errors import FullDiskError
from raycollapse.report import write_report
from raycollapse.runner import run_here
from raycollapse.store import Manifest, Store
from raycollapse.tracking.records import TrialRecords, trial_keys

KILOBYTE = 1024
COMMAND = "from raycollapse.cli import main; main()"


class Disk:
    """A small file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kilobytes: int) -> None:
        self._mount(f"remount,size={kilobytes}k")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True, capture_output=True)

    def __enter__(self) -> "Disk":
        self.folder.mkdir()
        self._mount("size=64m")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        with Disk(tmp_path / "disk") as disk:
            yield disk
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system of its own cannot be mounted here: {error}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("undisturbed") / "storage"
    assert not run_here(tiny(storage), Console(quiet=True)).failures
    return storage


def kilobytes_of(storage: Path) -> int:
    """Return how much room a storage takes, in the blocks of a file system."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in storage.rglob("*") if path.is_file())


def made_at(storage: Path) -> dict[Path, int]:
    """Return when each manifest was written."""
    return {path: path.stat().st_mtime_ns for path in storage.glob("stages/*/*/manifest.json")}


def halves(storage: Path) -> list[Path]:
    """Return what no manifest names: files and folders that were begun and not finished."""
    named = {
        path.parent / Manifest.model_validate_json(path.read_text()).attempt
        for path in storage.glob("stages/**/manifest.json")
    }
    begun = [path for path in storage.glob("stages/*/*/*") if path.is_dir() and path not in named]
    return [*begun, *storage.rglob(".*")]


def test_what_libraries_say_of_a_full_disk_becomes_one_error_that_says_where_and_how_to_go_on(disk: Disk) -> None:
    disk.resize(200)
    store, values = Store(str(disk.folder)), np.zeros(100_000, dtype=np.float32)
    writers = {
        "file": lambda folder: (folder / "file").write_bytes(values.tobytes()),
        "array": lambda folder: np.save(folder / "array.npy", values),
        "weights": lambda folder: save_file({"values": values}, folder / "weights.safetensors"),
    }
    for name, write in writers.items():
        with pytest.raises(FullDiskError, match=rf"stages/kind/{name}/\w+ broke off after .* are free there") as caught:
            store.commit("kind", name, {}, lambda folder, write=write: {"size": write(folder)})  # type: ignore[misc]
        assert f"`raycollapse clean {disk.folder}` lists" in str(caught.value)
        assert "run the same command again: what is finished is kept" in str(caught.value)
    with pytest.raises(FullDiskError, match=r"records\.jsonl takes 400\.0 kB \(.*No space left on device\)"):
        store.files.write("records.jsonl", values.tobytes())
    with pytest.raises(FullDiskError):
        store.files.create("new", values.tobytes())
    assert not halves(disk.folder)
    assert store.commit("kind", "small", {}, lambda folder: {}).key == "small"


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(FileExistsError):
        store.files.write("raycollapse.json/below", b"")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_run_that_fills_its_disk_stops_and_goes_on_after_space_was_freed(
    share: float, disk: Disk, undisturbed: Path
) -> None:
    storage = disk.folder / "storage"
    disk.resize(int(share * kilobytes_of(undisturbed)))
    with pytest.raises(FullDiskError, match="The disk is full, or its quota"):
        run_here(tiny(storage), Console(quiet=True))
    assert not halves(storage)
    assert hashes(storage).items() <= hashes(undisturbed).items()
    disk.resize(64 * KILOBYTE)
    before = made_at(storage)
    assert not run_here(tiny(storage), Console(quiet=True)).failures
    assert hashes(storage) == hashes(undisturbed) and metrics(storage) == metrics(undisturbed)
    assert (
        before.items() <= {path: path.stat().st_mtime_ns for path in storage.glob("stages/*/*/manifest.json")}.items()
    )


def test_the_command_ends_with_1_and_says_what_to_free_and_that_the_same_command_resumes(
    disk: Disk, tmp_path: Path, undisturbed: Path
) -> None:
    file, storage = tmp_path / "tiny.yaml", disk.folder / "storage"
    grid = {"sweep": {"grid": {"selection": ["greedy", "uniform"]}}}
    file.write_text(yaml.safe_dump({**TINY, **grid}))
    command = [sys.executable, "-c", COMMAND, "run", str(file), "--storage", str(storage), "--local"]
    disk.resize(kilobytes_of(undisturbed) // 2)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 1, done.stderr
    assert "Stopped. The disk is full, or its quota:" in done.stderr and str(storage) in done.stderr
    assert f"`raycollapse clean {storage}` lists what no experiment in this storage needs." in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    disk.resize(64 * KILOBYTE)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 0, done.stderr + done.stdout
    assert hashes(undisturbed).items() <= hashes(storage).items()


def test_a_report_that_finds_no_room_says_so(disk: Disk, undisturbed: Path) -> None:
    output = disk.folder / "report"
    disk.resize(20)
    with pytest.raises(FullDiskError, match=rf"{output} broke off after .* Free space on that disk"):
        write_report(Store(str(undisturbed)), ["tiny"], output)


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("share", [pytest.param(0.4, marks=pytest.mark.slow), 0.95])
def test_on_ray_it_is_found_once_begins_no_other_trial_and_goes_on(share: float, disk: Disk, undisturbed: Path) -> None:
    storage, grid = disk.folder / "storage", {"sweep": {"grid": {"seed": [0, 1, 2, 3]}}}
    one_at_a_time = {"device": "cpu", "max_concurrent_trials": 1}
    disk.resize(int(share * kilobytes_of(undisturbed)))
    with pytest.raises(FullDiskError, match="The disk is full, or its quota"):
        run(tiny(storage, resources=one_at_a_time, **grid))
    assert not halves(storage)
    store = Store(str(storage))
    failed = [key for key in trial_keys(store, "tiny") if TrialRecords(store, "tiny", key).read_failure() is not None]
    assert len(failed) <= 1
    disk.resize(64 * KILOBYTE)
    assert not run(tiny(storage, resources=one_at_a_time, **grid)).failures
    assert hashes(undisturbed).items() <= hashes(storage).items()
