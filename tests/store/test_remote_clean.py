"""Cleaning a storage behind a URI, after real runs in it."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from tiny import tiny

from raycollapse.cleaning import clean
from raycollapse.config import Experiment
from raycollapse.plan import stages_of
from raycollapse.runner import run_here
from raycollapse.store import Store
from raycollapse.store.at_work import announced

KINDS = ("real", "features", "train", "sample", "select", "measure", "picture")


def found(store: Store) -> set[tuple[str, str]]:
    return {(kind, key) for kind in KINDS for key in store.keys(kind) if store.find(kind, key) is not None}


def cleaned(uri: str) -> str:
    said = io.StringIO()
    clean(Store(uri, create=False), Console(file=said, width=160), is_asked_for=True)
    return said.getvalue()


@pytest.mark.parametrize("uri", ["s3"], indirect=True)
def test_behind_a_uri_the_same_goes_and_the_same_stays(uri: str, tmp_path: Path) -> None:
    def trial(name: str, selection: str) -> Experiment:
        own = tiny(tmp_path, name=name, selection=selection, metrics=["entropy"])
        return own.model_copy(update={"storage": uri})

    first, second = trial("first", "greedy"), trial("second", "uniform")
    for own in (first, second):
        assert not run_here(own, Console(quiet=True)).failures
    store = Store(uri)
    assert "There is nothing to remove." in cleaned(uri)
    store.files.remove("experiments/second")
    (model,) = [key for kind, key in stages_of(first).keys() & stages_of(second).keys() if kind == "train"]
    store.files.write(f"stages/train/{model}/lost/weights", b"half")

    with announced(store, [second.resolved()]):
        assert "abandoned attempts" not in cleaned(uri)
    assert found(store) == stages_of(first).keys() | stages_of(second).keys()

    assert "abandoned attempts │ 1 │ 4 bytes" in " ".join(cleaned(uri).split())
    assert found(store) == stages_of(first).keys()
    for kind, key in found(store):
        store.folder(kind, key)
    gone = stages_of(second).keys() - stages_of(first).keys()
    left = store.files.below("stages")
    assert not [path for path, size in left.items() if size and any(key in path for _, key in gone)]
    assert "There is nothing to remove." in cleaned(uri)
