"""The store's contract, on a disk and behind a URI alike: a stage is there whole, as it was written, or not at all."""

import json
import logging
import pickle
import threading
from pathlib import Path

import pytest

from raycollapse.errors import DamagedStageError, RequestError
from raycollapse.schema import Json
from raycollapse.store import Manifest, Store, content_key

IDENTITY: dict[str, Json] = {"kind": "thing", "number": 3}
KEY = content_key(IDENTITY)
PATH = f"stages/thing/{KEY}"


def fill(folder: Path) -> dict[str, Json]:
    """Write two files, one in a subfolder."""
    (folder / "numbers.txt").write_text("1 2 3")
    (folder / "more").mkdir()
    (folder / "more" / "letters.txt").write_text("a b c")
    return {"num": 3, "unit": None}


def commit(store: Store) -> Manifest:
    return store.commit("thing", KEY, IDENTITY, fill)


def damage(store: Store, manifest: Manifest, name: str, content: bytes) -> None:
    """Put other bytes in the place of a stage's file, behind the store's back."""
    store.files.write(f"{PATH}/{manifest.attempt}/{name}", content)


def names_set_aside(store: Store) -> list[str]:
    return [name for name in store.files.children("stages/thing") if ".damaged-" in name]


def test_what_is_committed_is_found_with_its_files_and_facts(store: Store) -> None:
    committed = commit(store)
    found = store.find("thing", KEY)
    assert found == committed
    assert (found.kind, found.key, found.identity) == ("thing", KEY, IDENTITY)
    assert found.facts == {"num": 3, "unit": None}
    assert found.files.keys() == {"numbers.txt", "more/letters.txt"}
    folder = store.folder("thing", KEY)
    assert (folder / "numbers.txt").read_text() == "1 2 3"
    assert (folder / "more" / "letters.txt").read_text() == "a b c"


def test_another_store_on_the_same_address_finds_it(store: Store) -> None:
    committed = commit(store)
    assert Store(store.uri).find("thing", KEY) == committed


def test_a_stage_that_nobody_made_is_not_found(store: Store) -> None:
    assert store.find("thing", KEY) is None
    with pytest.raises(DamagedStageError, match="missing"):
        store.folder("thing", KEY)


def test_a_stage_without_a_manifest_does_not_exist(store: Store) -> None:
    manifest = commit(store)
    store.files.remove(f"{PATH}/manifest.json")
    assert store.files.size(f"{PATH}/{manifest.attempt}/numbers.txt") == 5
    assert store.find("thing", KEY) is None
    assert commit(store).attempt != manifest.attempt


def test_a_second_commit_of_the_same_stage_is_dropped_and_the_first_stays(store: Store) -> None:
    first, second = commit(store), commit(store)
    assert second == first
    assert store.files.children(PATH) == sorted([first.attempt, "manifest.json"])


def test_a_write_that_fails_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> dict[str, Json]:
        (folder / "half.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.commit("thing", KEY, IDENTITY, fail)
    assert store.find("thing", KEY) is None
    assert store.files.children(PATH) == []
    assert store.find("thing", commit(store).key) is not None


def test_threads_that_commit_the_same_stage_at_once_agree_on_one(store: Store) -> None:
    barrier, manifests = threading.Barrier(8), list[Manifest]()

    def work() -> None:
        def fill_together(folder: Path) -> dict[str, Json]:
            barrier.wait()
            return fill(folder)

        manifests.append(store.commit("thing", KEY, IDENTITY, fill_together))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(manifests) == 8
    winner = store.find("thing", KEY)
    assert winner is not None and winner in manifests
    assert (store.folder("thing", KEY) / "numbers.txt").read_text() == "1 2 3"
    if store.local_root is not None:  # an object store knows no first: there each attempt's files stay
        assert {manifest.attempt for manifest in manifests} == {winner.attempt}
        assert store.files.children(PATH) == sorted([winner.attempt, "manifest.json"])


@pytest.mark.parametrize("content", [b"", b"1 2", b"1 2 3 4"], ids=["emptied", "truncated", "longer"])
def test_a_file_of_another_size_is_found_at_look_up_and_the_stage_made_anew(
    store: Store, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = commit(store)
    damage(store, manifest, "numbers.txt", content)
    assert store.find("thing", KEY) is None
    assert f"numbers.txt has {len(content)} bytes instead of 5" in caplog.text
    assert "set aside" in caplog.text
    assert len(names_set_aside(store)) == 1
    anew = commit(store)
    assert (store.folder("thing", KEY) / "numbers.txt").read_text() == "1 2 3"
    assert anew.attempt != manifest.attempt


def test_a_missing_file_is_found_at_look_up(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    manifest = commit(store)
    store.files.remove(f"{PATH}/{manifest.attempt}/more/letters.txt")
    assert store.find("thing", KEY) is None
    assert "more/letters.txt is missing" in caplog.text


def test_an_altered_byte_is_found_at_the_first_read(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    damage(store, commit(store), "numbers.txt", b"1 2 4")
    assert store.find("thing", KEY) is not None  # a look-up compares sizes only
    with pytest.raises(DamagedStageError, match=r"numbers\.txt was altered; the stage has to be made anew"):
        store.folder("thing", KEY)
    assert "its hash differs" in caplog.text
    assert store.find("thing", KEY) is None
    commit(store)
    assert (store.folder("thing", KEY) / "numbers.txt").read_text() == "1 2 3"


def test_files_set_aside_are_kept_to_be_looked_at(store: Store) -> None:
    manifest = commit(store)
    damage(store, manifest, "numbers.txt", b"1 2")
    store.find("thing", KEY)
    (aside,) = names_set_aside(store)
    assert store.files.read(f"stages/thing/{aside}/{manifest.attempt}/numbers.txt") == b"1 2"
    assert store.files.read(f"stages/thing/{aside}/{manifest.attempt}/more/letters.txt") == b"a b c"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"kind": "thing"}', b"\xff\xfe\x00", b'{"kind": 1, "key":'])
def test_a_manifest_that_cannot_be_read_is_no_manifest(
    store: Store, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    commit(store)
    store.files.write(f"{PATH}/manifest.json", content)
    assert store.find("thing", KEY) is None
    assert "its manifest is not readable" in caplog.text
    assert store.find("thing", commit(store).key) is not None


@pytest.mark.parametrize(("written", "altered"), [(b'"num": 3', b'"num": 7'), (b'"num"', b'"nun"')])
def test_a_byte_of_a_manifest_that_has_turned_into_another_is_found(
    store: Store, written: bytes, altered: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    commit(store)
    content = store.files.read(f"{PATH}/manifest.json")
    assert content.count(written) == 1
    store.files.write(f"{PATH}/manifest.json", content.replace(written, altered))
    assert store.find("thing", KEY) is None
    assert "its manifest is not readable, or was altered" in caplog.text
    assert commit(store).facts["num"] == 3


def test_a_manifest_of_an_earlier_version_has_no_seal_and_is_read(store: Store) -> None:
    manifest = commit(store)
    store.files.write(f"{PATH}/manifest.json", manifest.model_dump_json().encode())
    assert store.find("thing", KEY) == manifest


def test_what_another_process_is_writing_survives_while_a_damaged_stage_is_set_aside(store: Store) -> None:
    damage(store, commit(store), "numbers.txt", b"")

    def fill_while_another_looks(folder: Path) -> dict[str, Json]:
        (folder / "numbers.txt").write_text("1 2")
        assert Store(store.uri).find("thing", KEY) is None
        (folder / "more.txt").write_text("4 5 6")
        return {}

    manifest = store.commit("thing", KEY, IDENTITY, fill_while_another_looks)
    assert store.find("thing", KEY) == manifest
    assert (store.folder("thing", KEY) / "more.txt").read_text() == "4 5 6"


def test_hashes_are_verified_anew_after_a_stage_was_made_anew(store: Store) -> None:
    damage(store, commit(store), "numbers.txt", b"1 2")
    assert store.find("thing", KEY) is None
    damage(store, commit(store), "numbers.txt", b"1 2 4")
    with pytest.raises(DamagedStageError):
        store.folder("thing", KEY)


def test_a_removed_stage_is_gone_and_another_one_stays(store: Store) -> None:
    commit(store)
    store.commit("thing", "other", {}, fill)
    store.remove("thing", KEY)
    assert store.find("thing", KEY) is None
    assert store.keys("thing") == ["other"]
    store.remove("thing", KEY)  # once more, to no effect


def test_a_whole_kind_is_removed_with_what_was_set_aside(store: Store) -> None:
    damage(store, commit(store), "numbers.txt", b"")
    store.find("thing", KEY)
    commit(store)
    store.commit("other", KEY, {}, fill)
    store.remove("thing")
    assert store.files.children("stages") == ["other"]
    assert store.keys("thing") == []


def test_stages_set_aside_are_not_listed(store: Store) -> None:
    damage(store, commit(store), "numbers.txt", b"")
    store.find("thing", KEY)
    commit(store)
    assert len(names_set_aside(store)) == 1
    assert store.keys("thing") == [KEY]


def test_a_pickled_store_works(store: Store) -> None:
    manifest = commit(store)
    copy: Store = pickle.loads(pickle.dumps(store))  # noqa: S301 (our own)
    assert copy.uri == store.uri
    assert copy.find("thing", KEY) == manifest


def test_stages_of_other_versions_are_reused_with_one_warning(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    manifest = commit(store)
    older = manifest.model_copy(update={"versions": {**manifest.versions, "torch": "2.0.1", "numpy": "1.0"}})
    store.files.write(f"{PATH}/manifest.json", older.model_dump_json().encode())
    fresh = Store(store.uri)
    for _ in range(2):
        assert fresh.find("thing", KEY) == older
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("Stages made with torch 2.0.1 are reused under ")


def test_json_documents_are_read_back_and_replaced_whole(store: Store) -> None:
    assert store.read_json("experiments/one/config.json") is None
    store.write_json("experiments/one/config.json", {"a": [1, None, "b"]})
    store.write_json("experiments/one/config.json", {"a": 2.5})
    assert store.read_json("experiments/one/config.json") == {"a": 2.5}


def test_a_json_document_with_numbers_for_keys_is_read_back_with_texts(store: Store) -> None:
    store.write_json("note.json", {"a": {2: 1.0, 10: -0.0}, "b": 1e-7})
    assert store.read_json("note.json") == {"a": {"2": 1.0, "10": 0.0}, "b": 1e-7}


def test_an_altered_json_document_is_refused_with_what_to_do(store: Store) -> None:
    store.write_json("experiments/one/config.json", {"a": 2.5})
    content = store.files.read("experiments/one/config.json")
    store.files.write("experiments/one/config.json", content.replace(b"2.5", b"2.6"))
    with pytest.raises(RequestError, match=r"config\.json is damaged \(it was altered.*Remove that file"):
        store.read_json("experiments/one/config.json")


def test_a_storage_opened_without_making_it_is_there_or_refused(uri: str) -> None:
    with pytest.raises(RequestError, match="There is no storage"):
        Store(uri, create=False)
    Store(uri).write_json("note.json", 1)
    assert Store(uri, create=False).read_json("note.json") == 1


def test_a_storage_says_which_schema_it_has(store: Store) -> None:
    assert json.loads(store.files.read("raycollapse.json")) == {"schema": 1}


def test_a_manifest_tells_where_and_how_the_stage_was_made(store: Store) -> None:
    manifest = commit(store)
    assert {"python", "torch", "diffusers", "numpy", "raycollapse"} <= manifest.versions.keys()
    assert {"host", "cpus", "processor"} <= manifest.hardware.keys()
    assert manifest.seconds >= 0 and manifest.timestamp > 1.7e9
