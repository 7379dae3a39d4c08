"""Shards that really do not fit into memory are made with half the batch, as other shards, here and on Ray."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins import memory_left
from ray_runs import hashes, metrics, run
from rich.console import Console
from tiny import TINY, manifests, tiny

from raycollapse.cleaning import clean
from raycollapse.config import Experiment
from raycollapse.errors import StageError
from raycollapse.memory import told_what_to_lower
from raycollapse.plan import stages_of
from raycollapse.runner import Result, run_here
from raycollapse.stages.sampling import HalvingStage, SampleStage
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords

HERE = Path(__file__).parent


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file: while it is there, memory is short."""
    monkeypatch.syspath_prepend(HERE)
    file = tmp_path / "short"
    file.touch()
    yield file


def hungry(folder: Path, short: Path, *, batch_size: int = 16, megabytes: int = 150, **changes: Any) -> Experiment:
    denoiser = {"name": "plugins:Hungry", "width": 16, "num_blocks": 1, "short": str(short), "megabytes": megabytes}
    sampling = {**TINY["sampling"], "batch_size": batch_size}
    return tiny(folder, denoiser=denoiser, sampling=sampling, **changes)


def locally(experiment: Experiment) -> Result:
    return run_here(experiment, Console(quiet=True))


def made(folder: Path, kind: str | None = None) -> set[tuple[str, str]]:
    return {name for name in manifests(folder) if kind in (None, name[0])}


def batch_sizes(folder: Path) -> dict[int, set[int]]:
    """Return the batches that each generation's shards were made with."""
    found: dict[int, set[int]] = {}
    for (kind, _), manifest in manifests(folder).items():
        if kind == "sample":
            identity: Any = manifest.identity
            found.setdefault(identity["seed"][1], set()).add(identity["sampling"]["batch_size"])
    return found


def test_shards_that_do_not_fit_are_those_of_an_experiment_that_asks_for_the_batch_that_does(
    tmp_path: Path, short: Path, caplog: pytest.LogCaptureFixture
) -> None:
    experiment = hungry(tmp_path / "halved", short)
    assert not locally(experiment).failures
    short.unlink()
    assert not locally(hungry(tmp_path / "asked", short, batch_size=4)).failures
    notes = made(tmp_path / "halved", "halving")
    assert len(notes) == 2 * len(made(tmp_path / "halved", "sample"))  # one for 16 at a time, one for 8
    files, asked = hashes(tmp_path / "halved"), hashes(tmp_path / "asked")
    assert {name: file for name, file in files.items() if not name.startswith("halving/")} == asked
    assert "5 of 5 shards of generation 1 do not fit into memory 16 images at a time ([enforce fail" in caplog.text
    assert "They are made 4 at a time" in caplog.text
    assert "set sampling.batch_size to 4 in an experiment of another name." in caplog.text
    protocol = TrialRecords(Store(experiment.storage), "tiny", experiment.trial_key()).read_protocol()
    assert protocol is not None and protocol["sampling"]["smaller_batch_sizes"] == [4]
    assert protocol["sampling"]["batch_size"] == 16


def test_a_run_resumed_with_more_memory_keeps_the_shards_it_has_and_makes_new_ones_whole(
    tmp_path: Path, short: Path
) -> None:
    folder = tmp_path / "storage"
    assert not locally(hungry(folder, short, num_generations=1)).failures
    first, files = metrics(folder), hashes(folder)
    short.unlink()
    result = locally(hungry(folder, short, num_generations=2))
    assert not result.failures
    assert files.items() <= hashes(folder).items()
    assert [records[0] for records in metrics(folder).values()] == [records[0] for records in first.values()]
    assert 4 in batch_sizes(folder)[1] and batch_sizes(folder)[2] == {16}
    assert result.compute.alone.seconds == pytest.approx(
        sum(manifest.seconds for manifest in manifests(folder).values()), rel=1e-6
    )


def test_where_not_even_one_image_fits_the_trial_says_what_to_lower_and_a_larger_machine_starts_afresh(
    tmp_path: Path, short: Path
) -> None:
    folder = tmp_path / "storage"
    experiment = hungry(folder, short, megabytes=1200)
    (reason,) = locally(experiment).failures.values()
    assert reason.startswith("sampling one image at a time does not fit into memory") and "Traceback" not in reason
    assert "Lower sampling.shard_size" in reason
    assert not made(folder, "sample") | made(folder, "halving")
    short.unlink()
    assert not locally(experiment).failures
    assert made(folder) == stages_of(experiment).keys()


def test_cleaning_leaves_halved_shards_alone_and_takes_them_with_their_experiment(tmp_path: Path, short: Path) -> None:
    folder = tmp_path / "storage"
    experiment = hungry(folder, short)
    assert not locally(experiment).failures
    before = made(folder)
    # As after a kill between sampling and the record: only the plan refers to the shards.
    (record,) = folder.glob("experiments/*/*/records.jsonl")
    whole = record.read_text()
    for text in (whole, ""):
        record.write_text(text)
        clean(Store(str(folder)), Console(quiet=True), is_asked_for=True)
        assert made(folder) == before
    for path in sorted(folder.glob("experiments/**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    clean(Store(str(folder)), Console(quiet=True), is_asked_for=True)
    assert not made(folder)


def test_memory_that_runs_out_elsewhere_says_what_to_lower(tmp_path: Path, short: Path) -> None:
    (reason,) = locally(tiny(tmp_path / "storage", features="plugins:HungryFeatures")).failures.values()
    assert "does not fit into memory (Unable to allocate" in reason
    assert "Lower features.batch_size" in reason and "Traceback" not in reason
    import torch

    with (
        memory_left(10_000_000),
        pytest.raises(StageError, match=r"^it does not fit into memory .*allocate memory.* Lower this\.$"),
        told_what_to_lower("it", "Lower this."),
    ):
        torch.empty(1_000_000_000)
    with pytest.raises(RuntimeError, match=r"^another$"), told_what_to_lower("it", "Lower this."):
        raise RuntimeError("another")


def test_a_note_is_of_one_shard_and_the_same_for_everybody(tmp_path: Path) -> None:
    shards = [stage for stage in stages_of(tiny(tmp_path)).values() if isinstance(stage, SampleStage)]
    assert len({HalvingStage(shard).key for shard in shards}) == len(shards)
    assert [shard.halved().sampling.batch_size for shard in shards] == [8] * len(shards)
    large = tiny(tmp_path, sampling={**TINY["sampling"], "batch_size": 1024})  # of which a shard has 16
    (shard, *_) = (stage for stage in stages_of(large).values() if isinstance(stage, SampleStage))
    assert shard.halved() == shards[0].halved()


@pytest.mark.usefixtures("local_ray")
@pytest.mark.slow
def test_on_ray_trials_share_halved_shards_and_each_generation_is_told_once(
    tmp_path: Path, short: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grid = {"sweep": {"grid": {"selection": ["uniform", "greedy"]}}}
    assert not run(hungry(tmp_path / "ray", short, **grid)).failures
    assert caplog.text.count("5 of 5 shards of generation 1 do not fit into memory 16 images at a time") == 1
    assert not locally(hungry(tmp_path / "local", short, **grid)).failures
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")
    assert metrics(tmp_path / "ray") == metrics(tmp_path / "local")


@pytest.mark.usefixtures("local_ray")
def test_on_ray_too_a_shard_that_never_fits_fails_its_trial_in_words(tmp_path: Path, short: Path) -> None:
    (reason,) = run(hungry(tmp_path / "storage", short, megabytes=1200)).failures.values()
    assert reason.startswith("sampling one image at a time does not fit into memory")
    assert not made(tmp_path / "storage", "halving")
