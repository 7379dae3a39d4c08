"""The disturbances that need no cluster do what they say."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tiny import run, tiny

from experiments.chaos.disk import Disk
from experiments.chaos.disturbances import FillDisk, FlipByte, Truncate
from experiments.chaos.stored import stored_files


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    run(tiny(folder))
    return folder


def contents(storage: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()}


def scene(**parts: Any) -> Any:
    return cast(Any, SimpleNamespace(**parts))


def test_files_of_every_kind_may_be_hit(storage: Path) -> None:
    files = stored_files(storage)
    assert files.keys() == {"images", "manifest", "note", "records", "result", "snapshot"}
    assert all(file.is_file() for kind in files.values() for file in kind)


@pytest.mark.parametrize("seed", range(8))
def test_one_byte_of_one_file_is_flipped(storage: Path, seed: int) -> None:
    before = contents(storage)
    hit = FlipByte().strike(scene(storage=storage), random.Random(seed))
    after = contents(storage)
    (changed,) = [path for path in before if before[path] != after[path]]
    assert hit is not None and str(changed.relative_to(storage)) in hit
    assert before.keys() == after.keys()
    assert sum(a != b for a, b in zip(before[changed], after[changed], strict=True)) == 1
    changed.write_bytes(before[changed])


@pytest.mark.parametrize("seed", range(8))
def test_one_file_loses_its_end(storage: Path, seed: int) -> None:
    before = contents(storage)
    assert Truncate().strike(scene(storage=storage), random.Random(seed)) is not None
    after = contents(storage)
    (changed,) = [path for path in before if before[path] != after[path]]
    assert len(after[changed]) < len(before[changed]) and before[changed].startswith(after[changed])
    changed.write_bytes(before[changed])


def test_nothing_is_hit_where_nothing_is_stored(tmp_path: Path) -> None:
    assert FlipByte().strike(scene(storage=tmp_path), random.Random(0)) is None
    assert Truncate().strike(scene(storage=tmp_path), random.Random(0)) is None


def test_a_full_disk_takes_no_more_until_it_is_emptied(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk")
    if disk.refusal is not None:
        pytest.skip(f"no file system can be mounted here: {disk.refusal}")
    try:
        assert FillDisk().strike(scene(disk=disk), random.Random(0)) is not None
        assert FillDisk().strike(scene(disk=disk), random.Random(0)) is None
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "file").write_bytes(b"x" * 100_000)
        FillDisk().put_right(scene(disk=disk))
        assert (disk.folder / "file").write_bytes(b"x" * 100_000) == 100_000
    finally:
        disk.remove()
