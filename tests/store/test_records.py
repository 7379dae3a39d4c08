"""Records of a trial: JSON lines that survive replays, odd numbers, and each other, on a disk and behind a URI."""

import json
import logging
import math
import time

import pytest

from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.tracking.records import GenerationRecord, TrialRecords, trial_keys

STAGES = {"train": "train/abc"}


@pytest.fixture
def records(store: Store) -> TrialRecords:
    return TrialRecords(store, "try", "0123456789abcdef")


def record(generation: int, **metrics: float) -> GenerationRecord:
    return GenerationRecord(generation=generation, metrics=metrics, stages=STAGES)


def test_nothing_is_recorded_at_first(records: TrialRecords) -> None:
    assert records.read() == []
    assert records.read_config() is None
    assert records.read_failure() is None


def test_each_generation_is_a_line_of_json(records: TrialRecords) -> None:
    records.add(record(1, a=1.5))
    records.add(record(2, a=2.5))
    lines = records.store.files.read("experiments/try/0123456789abcdef/records.jsonl").decode().splitlines()
    assert [json.loads(line)["generation"] for line in lines] == [1, 2]
    assert [json.loads(line)["metrics"] for line in lines] == [{"a": 1.5}, {"a": 2.5}]


def test_what_is_read_back_is_what_was_recorded(records: TrialRecords) -> None:
    added = [records.add(record(generation, a=generation / 3)) for generation in (1, 2, 3)]
    assert records.read() == added
    assert all(abs(one.timestamp - time.time()) < 60 for one in added)


def test_generations_are_read_in_order_however_they_came(records: TrialRecords) -> None:
    for generation in (3, 1, 10, 2):
        records.add(record(generation))
    assert [one.generation for one in records.read()] == [1, 2, 3, 10]


def test_a_generation_recorded_again_keeps_its_timestamp_and_earlier_metrics(records: TrialRecords) -> None:
    first = records.add(GenerationRecord(generation=1, timestamp=1000.25, metrics={"a": 1.0, "b": 2.0}, stages=STAGES))
    again = records.add(GenerationRecord(generation=1, metrics={"b": 3.0, "c": 4.0}, stages={"measure": "measure/d"}))
    assert again.timestamp == first.timestamp == 1000.25
    assert again.metrics == {"a": 1.0, "b": 3.0, "c": 4.0}
    assert again.stages == {"train": "train/abc", "measure": "measure/d"}
    assert records.read() == [again]


def test_recording_the_same_again_leaves_the_same_bytes(records: TrialRecords) -> None:
    def content() -> bytes:
        return records.store.files.read("experiments/try/0123456789abcdef/records.jsonl")

    records.add(record(1, a=0.1 + 0.2, b=math.nan))
    before = content()
    records.add(record(1, a=0.1 + 0.2, b=math.nan))
    assert content() == before


def test_values_that_are_no_numbers_survive_in_strict_json(records: TrialRecords) -> None:
    records.add(record(1, nan=math.nan, up=math.inf, down=-math.inf, tiny=5e-324, huge=1.7e308, third=1 / 3))
    content = records.store.files.read("experiments/try/0123456789abcdef/records.jsonl").decode()
    json.loads(content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    metrics = records.read()[0].metrics
    assert math.isnan(metrics.pop("nan"))
    assert metrics == {"up": math.inf, "down": -math.inf, "tiny": 5e-324, "huge": 1.7e308, "third": 1 / 3}


PATH = "experiments/try/0123456789abcdef/records.jsonl"


@pytest.mark.parametrize("kept", [1, -2], ids=["one byte left", "two bytes gone"])
def test_a_last_line_that_breaks_off_is_left_out_told_once_and_made_anew(
    records: TrialRecords, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    first, second = records.add(record(1, a=1.5)), records.add(record(2, a=2.5))
    files = records.store.files
    line, rest = files.read(PATH).splitlines(keepends=True)
    files.write(PATH, line + rest[:kept])
    assert records.read() == records.read() == [first]
    (warning,) = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
    assert f"{PATH} breaks off in line 2" in warning and "again" in warning
    remade = records.add(record(2, a=2.5))
    assert remade.metrics == second.metrics
    assert records.read() == [first, remade]
    assert files.read(PATH).endswith(b"}\n")


def test_a_last_line_that_lacks_no_more_than_its_end_is_read(records: TrialRecords) -> None:
    added = [records.add(record(generation)) for generation in (1, 2)]
    records.store.files.write(PATH, records.store.files.read(PATH).removesuffix(b"\n"))
    assert records.read() == added


def damage(store: Store, number: int, line: bytes) -> list[bytes]:
    """Put other bytes in the place of a line; return all lines."""
    lines = store.files.read(PATH).splitlines()
    lines[number - 1] = line
    store.files.write(PATH, b"\n".join(lines) + b"\n")
    return lines


@pytest.mark.parametrize("garbage", [b"garbage", b'{"generation": 1}', b"\xff\xfe\x00", b"[1, 2]", b""])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_is_no_record_is_refused_with_its_place_and_what_to_do(
    store: Store, garbage: bytes, number: int
) -> None:
    records = TrialRecords(store, "try", "0123456789abcdef")
    for generation in (1, 2, 3):
        records.add(record(generation))
    lines = damage(store, number, garbage)
    with pytest.raises(RequestError, match=rf"{PATH} is damaged: line {number} is not.*Run the experiment again"):
        records.read()
    assert store.files.read(PATH).splitlines() == lines


def test_whoever_records_sets_damaged_lines_aside_and_keeps_the_others(
    records: TrialRecords, caplog: pytest.LogCaptureFixture
) -> None:
    first, _, third = (records.add(record(generation, a=1.0)) for generation in (1, 2, 3))
    damage(records.store, 2, b"garbage")
    damaged = records.store.files.read(PATH)
    fourth = records.add(record(4))
    assert records.read() == [first, third, fourth]
    (aside,) = [name for name in records.store.files.children(records.path) if "damaged" in name]
    assert records.store.files.read(f"{records.path}/{aside}") == damaged
    assert aside in caplog.text
    assert [one.generation for one in (records.add(record(2)), *records.read())] == [2, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("written", "altered"),
    [(b'"a": 1.5', b'"a": 1.6'), (b'"a": 1.5', b'"b": 1.5'), (b'"generation": 2', b'"generation": 7')],
    ids=["a value", "a name", "the generation"],
)
def test_a_byte_of_a_record_that_has_turned_into_another_is_found(
    records: TrialRecords, written: bytes, altered: bytes
) -> None:
    for generation in (1, 2):
        records.add(record(generation, a=1.5))
    line = records.store.files.read(PATH).splitlines()[1]
    assert written in line
    damage(records.store, 2, line.replace(written, altered))
    with pytest.raises(RequestError, match=r"line 2 is not a record of a generation .*it was altered"):
        records.read()


def test_a_record_of_an_earlier_version_has_no_seal_and_is_read(records: TrialRecords) -> None:
    added = records.add(record(1, a=1.5))
    damage(records.store, 1, added.model_dump_json().encode())
    assert records.read() == [added]


def test_a_failure_is_noted_and_forgotten(records: TrialRecords) -> None:
    records.write_failure('loss is nan\nat "step" 3: ä')
    assert records.read_failure() == 'loss is nan\nat "step" 3: ä'
    records.write_failure(None)
    assert records.read_failure() is None
    records.write_failure(None)


def test_a_configuration_is_kept(records: TrialRecords) -> None:
    records.write_config({"seed": 1, "nested": {"none": None}})
    assert records.read_config() == {"seed": 1, "nested": {"none": None}}


def test_trials_of_an_experiment_are_listed_and_files_beside_them_are_not(store: Store) -> None:
    for key in ("aaaa", "bbbb"):
        TrialRecords(store, "try", key).write_config({})
    store.write_json("experiments/try/sweep.json", {})
    assert trial_keys(store, "try") == ["aaaa", "bbbb"]
    assert trial_keys(store, "nothing") == []
