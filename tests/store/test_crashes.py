"""Several processes at one storage, some of them killed: nothing is found that is not whole."""

import logging
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from raycollapse.errors import DamagedStageError, RequestError
from raycollapse.store import Store
from raycollapse.store.manifest import hash_file

COMMIT = """
import sys, time
from pathlib import Path
from raycollapse.store import Store

def fill(folder):
    (folder / "first.txt").write_text("first")
    print("half", flush=True)
    if sys.argv[2] == "half":
        time.sleep(600)
    sys.stdin.readline()
    (folder / "second.txt").write_text(sys.argv[2])
    return {"writer": sys.argv[2]}

print(Store(sys.argv[1]).commit("thing", "key", {}, fill).facts["writer"], flush=True)
"""

COMMIT_MANY = """
import sys
from raycollapse.store import Store

def fill(folder):
    for name in range(3):
        (folder / f"{name}.bin").write_bytes(bytes(200_000))
    return {}

store = Store(sys.argv[1])
for number in range(10**6):
    store.commit("many", f"{number:06d}", {"number": number}, fill)
    print(number, flush=True)
"""


def start(script: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_process_killed_while_it_writes_leaves_nothing_that_is_found(tmp_path: Path) -> None:
    process = start(COMMIT, str(tmp_path), "half")
    assert read_line(process) == "half"
    process.kill()
    process.wait()
    store = Store(str(tmp_path))
    assert len(list((tmp_path / "stages" / "thing" / "key").rglob("first.txt"))) == 1
    assert store.find("thing", "key") is None

    def fill(folder: Path) -> dict[str, str]:
        (folder / "first.txt").write_text("whole")
        return {}

    store.commit("thing", "key", {}, fill)
    assert (store.folder("thing", "key") / "first.txt").read_text() == "whole"


@pytest.mark.parametrize("seed", range(3))
def test_a_process_killed_at_any_moment_leaves_only_whole_stages(seed: int, tmp_path: Path) -> None:
    process = start(COMMIT_MANY, str(tmp_path))
    for _ in range(3):
        assert read_line(process).isdigit()
    time.sleep(random.Random(seed).uniform(0, 0.1))
    process.kill()
    process.wait()
    store = Store(str(tmp_path))
    found = [manifest for key in store.keys("many") if (manifest := store.find("many", key)) is not None]
    assert len(found) >= 3
    assert len(store.keys("many")) - len(found) <= 1  # the one in hand
    for manifest in found:
        folder = store.folder("many", manifest.key)
        assert {name: hash_file(folder / name) for name in ("0.bin", "1.bin", "2.bin")} == {
            name: entry.sha256 for name, entry in manifest.files.items()
        }
    for key in store.keys("many"):
        store.commit("many", key, {}, lambda folder: {})
        assert store.find("many", key) is not None


def test_of_two_processes_that_make_the_same_stage_the_first_to_finish_wins(tmp_path: Path) -> None:
    first, second = start(COMMIT, str(tmp_path), "first"), start(COMMIT, str(tmp_path), "second")
    assert read_line(first) == read_line(second) == "half"  # both are at work
    assert first.communicate("go on\n")[0].strip() == "first"
    assert second.communicate("go on\n")[0].strip() == "first"  # its own was dropped
    store = Store(str(tmp_path))
    manifest = store.find("thing", "key")
    assert manifest is not None and manifest.facts == {"writer": "first"}
    assert store.files.children("stages/thing/key") == sorted([manifest.attempt, "manifest.json"])


def test_readers_beside_a_remover_see_a_whole_stage_or_say_it_is_damaged(tmp_path: Path) -> None:
    stop, outcomes = threading.Event(), set[str]()

    def fill(folder: Path) -> dict[str, str]:
        for name in range(5):
            (folder / f"{name}.txt").write_text(str(name))
        return {}

    def read() -> None:
        while not stop.is_set():
            try:
                Store(str(tmp_path)).folder("thing", "key")  # a fresh store verifies hashes
                outcomes.add("whole")
            except DamagedStageError:
                outcomes.add("damaged")

    readers = [threading.Thread(target=read) for _ in range(2)]
    writer = Store(str(tmp_path))
    writer.commit("thing", "key", {}, fill)
    logging.disable(logging.WARNING)
    try:
        for reader in readers:
            reader.start()
        for _ in range(30):
            writer.remove("thing", "key")
            try:
                writer.commit("thing", "key", {}, fill)
            except (DamagedStageError, FileNotFoundError):
                pytest.fail("a commit was disturbed by readers")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
        logging.disable(logging.NOTSET)
    assert outcomes == {"whole", "damaged"}


def test_a_file_in_the_place_of_the_storage_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RequestError, match=rf"The storage {path} cannot be written .*--storage DIR"):
            Store(str(path))


@pytest.mark.parametrize("content", ['{"schema": 2}', "{}"])
def test_a_storage_of_another_schema_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "raycollapse.json").write_text(content)
    with pytest.raises(RequestError, match=r"has schema (2|None); this version reads 1\. Use another --storage"):
        Store(str(tmp_path))


@pytest.mark.parametrize("content", ["", "[1]", "not json"])
def test_a_storage_whose_mark_is_damaged_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "raycollapse.json").write_text(content)
    with pytest.raises(RequestError, match=str(tmp_path)):
        Store(str(tmp_path))


@pytest.mark.parametrize("uri", ["nothing://there/below", "s3://", "hdfs://127.0.0.1:1/x"])
def test_a_uri_that_leads_nowhere_is_refused(uri: str) -> None:
    with pytest.raises(RequestError, match=r"The storage .* cannot be written"):
        Store(uri)


@pytest.mark.slow
def test_a_bucket_that_does_not_answer_is_refused() -> None:
    uri = "s3://key:secret@bucket/x?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(RequestError, match=r"The storage .* cannot be written"):
        Store(uri)


def test_a_path_is_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("results")
    assert store.uri == str(tmp_path / "results")
    assert store.local_root == tmp_path / "results"


def test_a_file_uri_is_a_folder(tmp_path: Path) -> None:
    assert Store(f"file://{tmp_path}/results").local_root == tmp_path / "results"
