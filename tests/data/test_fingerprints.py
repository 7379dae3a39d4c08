"""What identifies data on disk: its content, and not where it lies."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycollapse.data import Files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "more").mkdir(parents=True)
    for value, name in enumerate(["a.png", "b.png", "more/c.png"]):
        Image.fromarray(np.full((4, 4), value, np.uint8)).save(tmp_path / "images" / name)
    return tmp_path / "images"


def _fingerprint(path: Path) -> str:
    return Files(path=path, num_train=1).fingerprint()


def test_a_copy_elsewhere_is_the_same_data(folder: Path, tmp_path: Path) -> None:
    before = Files(path=folder, num_train=1)
    shutil.copytree(folder, tmp_path / "copy")
    copy = Files(path=tmp_path / "copy", num_train=1)
    assert copy.fingerprint() == before.fingerprint()
    assert copy.identity() == before.identity()
    assert "path" not in copy.identity()


def test_a_renamed_archive_is_the_same_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 4, 4), np.uint8))
    shutil.copy(tmp_path / "a.npz", tmp_path / "b.npz")
    assert _fingerprint(tmp_path / "a.npz") == _fingerprint(tmp_path / "b.npz")


def test_one_byte_more_or_another_changes_it(folder: Path) -> None:
    before = _fingerprint(folder)
    contents = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(contents + b"\0")
    longer = _fingerprint(folder)
    (folder / "a.png").write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))
    altered = _fingerprint(folder)
    (folder / "a.png").write_bytes(contents)
    assert len({before, longer, altered}) == 3
    assert _fingerprint(folder) == before


def test_a_change_of_time_alone_changes_nothing(folder: Path) -> None:
    before = _fingerprint(folder)
    os.utime(folder / "a.png", (0, 0))
    assert _fingerprint(folder) == before


def test_names_and_so_the_order_count(folder: Path) -> None:
    before = _fingerprint(folder)
    (folder / "a.png").rename(folder / "z.png")
    assert _fingerprint(folder) != before


def test_files_that_are_not_read_do_not_count(folder: Path) -> None:
    before = _fingerprint(folder)
    (folder / "README.md").write_text("notes")
    (folder / ".hidden.png").write_text("hidden")
    assert _fingerprint(folder) == before


def test_moving_bytes_from_one_file_to_the_next_is_seen(tmp_path: Path) -> None:
    prints = set()
    for first, second in [(b"ab", b"c"), (b"a", b"bc"), (b"", b"abc")]:
        (tmp_path / "1.png").write_bytes(first)
        (tmp_path / "2.png").write_bytes(second)
        prints.add(_fingerprint(tmp_path))
    assert len(prints) == 3


def test_unchanged_files_are_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _fingerprint(folder)
    monkeypatch.setattr("hashlib.file_digest", None)  # hashing again would fail
    assert _fingerprint(folder) == before


def test_resizing_enters_the_identity_and_not_the_fingerprint(folder: Path) -> None:
    as_is, small = Files(path=folder, num_train=1), Files(path=folder, num_train=1, image_size=2)
    assert as_is.fingerprint() == small.fingerprint()
    assert as_is.identity() != small.identity()
