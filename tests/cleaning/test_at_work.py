"""Cleaning beside runs: what a run at work may use is left, whether it was there first or starts meanwhile."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny import manifests, tiny

from raycollapse.cleaning import clean
from raycollapse.errors import RequestError
from raycollapse.runner import run_here
from raycollapse.store import Store
from raycollapse.store.at_work import EXPIRY_SECONDS, announced, at_work
from raycollapse.store.files import LocalFiles

from .conftest import Clean, Run


def forget(folder: Path) -> None:
    """Give up every experiment: all its stages are unreferred to."""
    shutil.rmtree(folder / "experiments")


def beat_ago(folder: Path, seconds: float) -> None:
    (beat,) = (folder / "working").glob("*/beat.json")
    beat.write_text(json.dumps({"time": time.time() - seconds}))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_says_that_it_is_at_work_from_before_its_first_stage_until_its_end(folder: Path, do: Run) -> None:
    seen: list[tuple[int, int]] = []
    look_up = Store.find

    def noting(self: Store, kind: str, key: str) -> Any:
        seen.append((len(at_work(self)), sum(len(run.trials) for run in at_work(self))))
        return look_up(self, kind, key)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "find", noting)
        do(sweep={"grid": {"selection": ["uniform", "greedy"]}})
    assert set(seen) == {(1, 2)}
    assert at_work(Store(str(folder))) == []


def test_a_run_that_is_refused_is_not_at_work_any_more(folder: Path) -> None:
    refused = tiny(folder, data={"name": "digits", "num_train": 5000})
    with pytest.raises(RequestError):
        run_here(refused, Console(quiet=True))
    assert at_work(Store(str(folder))) == []


def test_what_a_run_at_work_refers_to_is_left_and_so_are_its_attempts(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    forget(folder)
    attempt = next((folder / "stages" / "train").iterdir()) / "attempt"
    attempt.mkdir()
    (attempt / "weights").write_bytes(b"half")
    with announced(Store(str(folder)), [tiny(folder).resolved()]):
        before = everything(folder)
        assert "A run is at work there" in cleaned()
        assert everything(folder) == before
    cleaned()
    assert not manifests(folder) and not attempt.exists()


def test_a_run_that_died_counts_as_dead_after_a_while(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    forget(folder)
    with ExitStack() as killed:
        killed.enter_context(announced(Store(str(folder)), [tiny(folder).resolved()]))
        beat_ago(folder, EXPIRY_SECONDS - 60)
        assert "There is nothing to remove" in cleaned()
        beat_ago(folder, EXPIRY_SECONDS + 60)
        assert "A run died there 11 minutes ago" in cleaned()
        assert not manifests(folder)
        assert not list((folder / "working").iterdir())


def test_a_run_that_was_taken_for_dead_announces_itself_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycollapse.store.at_work.BEAT_SECONDS", 0.02)
    store = Store(str(folder))
    with announced(store, [tiny(folder).resolved()]):
        (run,) = at_work(store)
        store.files.remove(run.path)
        for _ in range(500):
            if [len(run.trials) for run in at_work(store)] == [1]:
                break
            time.sleep(0.02)
        else:
            pytest.fail("it did not")
    assert at_work(store) == []


class Interrupted(LocalFiles):
    """Files with something that happens before the manifests of `num` stages have been taken away."""

    def __init__(self, root: Path, num: int, happens: Callable[[], object]) -> None:
        super().__init__(root)
        self.left, self.happens = num, happens

    def remove(self, path: str) -> None:
        if path.startswith("stages/") and path.endswith("manifest.json"):
            self.left -= 1
            if self.left == 0:
                self.happens()
        super().remove(path)


def clean_while(folder: Path, num: int, happens: Callable[[], object]) -> None:
    store = Store(str(folder))
    store.files = Interrupted(folder, num, happens)
    clean(store, Console(quiet=True), is_asked_for=True)


@pytest.mark.parametrize("num", [1, 10])
def test_a_run_that_starts_meanwhile_gets_back_what_it_needs(num: int, folder: Path, do: Run) -> None:
    do()
    do(name="other", selection="uniform")
    forget(folder)
    before = everything(folder / "stages")
    with ExitStack() as running:
        own = tiny(folder, num_generations=1)
        clean_while(
            folder, num, lambda: running.enter_context(announced(Store(str(folder)), [own.resolved()]))
        )  # fmt: skip
        after = everything(folder / "stages")
        assert after.items() < before.items()
        assert {kind for kind, _ in manifests(folder)} == {"real", "features", "train", "sample", "measure", "picture"}
    do(num_generations=1)
    assert everything(folder / "stages") == after  # all of it was there


@pytest.mark.parametrize("num", [1, 10, 30])
def test_a_whole_run_that_starts_and_ends_meanwhile_keeps_its_results(
    num: int, folder: Path, do: Run, cleaned: Clean
) -> None:
    do()
    forget(folder)
    clean_while(folder, num, do)
    for kind, key in manifests(folder):
        Store(str(folder)).folder(kind, key)  # verifies every hash
    before = everything(folder / "stages")
    do()
    assert everything(folder / "stages") == before
    assert not list((folder / "stages").rglob("*.damaged-*"))
    cleaned()  # an attempt that lost against what was put back
    do()
    assert len(manifests(folder)) == len(list((folder / "stages").rglob("manifest.json")))


def test_what_was_taken_away_is_put_back_if_something_goes_wrong(folder: Path, do: Run) -> None:
    do()
    forget(folder)
    before = everything(folder)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean_while(folder, 5, stop)
    assert everything(folder) == before


def test_runs_complete_while_the_storage_is_cleaned_again_and_again(folder: Path, do: Run) -> None:
    do(selection="uniform")
    stop = threading.Event()
    failures: list[BaseException] = []
    times: list[float] = []

    def keep_cleaning() -> None:
        while not stop.is_set():
            try:
                clean(Store(str(folder)), Console(quiet=True), is_asked_for=True)
                times.append(time.monotonic())
            except RequestError as error:  # the records were being given up
                assert "config.json is missing" in str(error)
            except Exception as error:  # noqa: BLE001 (told by the test, not by the thread)
                failures.append(error)

    cleaner = threading.Thread(target=keep_cleaning)
    cleaner.start()
    try:
        for index in range(3):
            (folder / "experiments").rename(folder / f"given up {index}")
            do(selection="uniform", num_generations=1)
    finally:
        stop.set()
        cleaner.join()
    assert not failures and len(times) > 3
    for kind, key in manifests(folder):
        Store(str(folder)).folder(kind, key)
