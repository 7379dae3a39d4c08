"""Storages with results, made by real runs."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny import tiny

from raycollapse.cleaning import clean
from raycollapse.runner import run_here
from raycollapse.store import Store

Run = Callable[..., None]
Clean = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty storage."""
    return tmp_path / "storage"


@pytest.fixture
def do(folder: Path) -> Run:
    """Run the tiny experiment with some changes, as the command does."""

    def run(**changes: Any) -> None:
        assert not run_here(tiny(folder, **changes), Console(quiet=True)).failures

    return run


@pytest.fixture
def cleaned(folder: Path) -> Clean:
    """Clean the storage; return what was said."""

    def run(yes: bool = True) -> str:
        said = io.StringIO()
        clean(Store(str(folder), create=False), Console(file=said, width=160), yes)
        return said.getvalue()

    return run
