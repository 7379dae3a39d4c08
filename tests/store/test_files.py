"""Files on a local disk, from which another process may remove anything at any moment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raycollapse.store.files import LocalFiles


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    files = LocalFiles(tmp_path)
    files.write("stage/manifest.json", b"12345")
    return files


def removing_after(asked: Callable[..., Any], path: Path, files: LocalFiles) -> Callable[..., Any]:
    """Return a system call after whose first answer about `path` the whole stage is removed."""

    def ask(where: Any, *args: Any, **kwargs: Any) -> Any:
        answer = asked(where, *args, **kwargs)
        if isinstance(where, str | Path) and Path(where) == path:
            monkeypatch.undo()
            files.remove("stage")
        return answer

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(os, asked.__name__, ask)
    return ask


def test_the_size_of_a_file_a_folder_and_nothing(files: LocalFiles) -> None:
    assert files.size("stage/manifest.json") == 5
    assert files.size("stage") is None
    assert files.size("stage/nothing") is None
    assert files.size("stage/manifest.json/below") is None


def test_children_of_a_folder_a_file_and_nothing(files: LocalFiles) -> None:
    assert files.children("stage") == ["manifest.json"]
    assert files.children("stage/manifest.json") == []
    assert files.children("nothing") == []


def test_a_file_removed_while_its_size_is_asked_for_is_no_error(files: LocalFiles, tmp_path: Path) -> None:
    removing_after(os.stat, tmp_path / "stage/manifest.json", files)
    assert files.size("stage/manifest.json") == 5
    assert files.size("stage/manifest.json") is None


def test_a_folder_removed_while_it_is_listed_is_no_error(files: LocalFiles, tmp_path: Path) -> None:
    removing_after(os.stat, tmp_path / "stage", files)
    assert files.children("stage") in ([], ["manifest.json"])
    files.remove("stage")
    assert files.children("stage") == []
