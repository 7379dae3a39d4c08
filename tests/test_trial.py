"""A trial in this process, real in every part: what it records, what it makes again, and what it repairs."""

import logging
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tiny import manifests, results, run, tiny

from raycollapse.backend import LocalBackend
from raycollapse.errors import DamagedStageError
from raycollapse.expansion import expand
from raycollapse.runner import run_here
from raycollapse.stages.imagesets import TrainSet
from raycollapse.stages.selecting import SelectStage
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords
from raycollapse.trial import Trial

PLUGIN = """
import numpy as np
from raycollapse.features.base import FeatureExtractor
from raycollapse.selection.base import SelectionStrategy

class Duplicates(SelectionStrategy):
    def select(self, pool, num_select, rng):
        return np.zeros(num_select, dtype=np.int64)

class TooFew(SelectionStrategy):
    def select(self, pool, num_select, rng):
        return np.arange(num_select - 1)

class Outside(SelectionStrategy):
    def select(self, pool, num_select, rng):
        return np.arange(num_select) + len(pool) - 1

class Floats(SelectionStrategy):
    def select(self, pool, num_select, rng):
        return np.linspace(0, 1, num_select)

class Raises(SelectionStrategy):
    def select(self, pool, num_select, rng):
        return {}["not there"]

class Newest(SelectionStrategy):
    def select(self, pool, num_select, rng):
        return np.arange(len(pool) - num_select, len(pool))

class Halves(FeatureExtractor):
    @property
    def space(self):
        return "halves"

    def extract(self, images, device="cpu"):
        return images.reshape(len(images), -1)[:, ::2].astype(np.float32)

class Every(FeatureExtractor):
    step: int

    @property
    def space(self):
        return f"every_{self.step}"

    def extract(self, images, device="cpu"):
        return images.reshape(len(images), -1)[:, :: self.step].astype(np.float32)

class Spoilt(Halves):
    def extract(self, images, device="cpu"):
        return np.full((len(images), 3), np.nan, dtype=np.float32)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"own_{abs(hash(tmp_path)):x}"
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    yield name
    sys.modules.pop(name, None)


def attempts(folder: Path) -> dict[tuple[str, str], str]:
    return {key: manifest.attempt for key, manifest in manifests(folder).items()}


def new_kinds(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> set[str]:
    """Return the kinds of stages that were made since, having checked that none was made anew."""
    assert before.items() <= after.items()
    return {kind for kind, _ in after.keys() - before.keys()}


# What is recorded


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"paradigm": "accumulate"},
        {"selection": "uniform"},
        {"selection": {"name": "threshold_decay", "decay": 0.9}, "paradigm": "accumulate"},
        {"selection": "keep_all"},
        {"selection": "keep_all", "paradigm": "accumulate"},
        {"data": {"name": "digits", "num_train": 33, "num_held_out": 7}},
        {"denoiser": {"name": "unet", "channels": [16, 16], "layers_per_block": 1}},
        {"data": {"name": "gaussians", "num_train": 40, "num_points": 200}, "features": "identity"},
        {"sampling": {"scheduler": "ddpm", "num_steps": 2, "shard_size": 64, "batch_size": 7}},
        {"training": {"num_epochs": 2, "warmup_steps": 1, "batch_size": 16, "ema": 0.9, "precision": "bf16"}},
    ],
    ids=lambda changes: ", ".join(f"{k}={v}" for k, v in changes.items())[:60] or "as it is",
)  # fmt: skip
def test_every_generation_records_finite_metrics(changes: dict[str, Any], tmp_path: Path) -> None:
    records = run(tiny(tmp_path, **changes))
    assert [record.generation for record in records] == [1, 2]
    names = [set(record.metrics) for record in records]
    assert names[0] == names[1] >= {
        "selection/real_share", "entropy/train_set", "entropy/synthetic", "memorization/generalization_score",
        "quality/fd", "quality/fd_floor", "diversity/covariance_trace_synthetic", "cost/train_seconds",
    }  # fmt: skip
    assert all(math.isfinite(value) for record in records for value in record.metrics.values())


def test_a_record_names_its_stages_and_pictures(tmp_path: Path) -> None:
    records = run(tiny(tmp_path))
    made = {f"{kind}/{key}" for kind, key in manifests(tmp_path)}
    for record in records:
        assert {"train", "sample-00000", "measure-entropy", "picture"} <= record.stages.keys()
        assert set(record.stages.values()) <= made
        assert record.artifacts.keys() == {"samples.png", "nearest_neighbours.png"}
        assert set(record.artifacts.values()) <= made


def test_generation_1_trains_on_real_images_only(tmp_path: Path) -> None:
    shares = [record.metrics["selection/real_share"] for record in run(tiny(tmp_path, num_generations=3))]
    assert shares == [1.0, 0.0, 0.0]
    shares = [record.metrics["selection/real_share"] for record in run(tiny(tmp_path, paradigm="accumulate"))]
    assert shares[0] == 1.0 and 0.0 < shares[1] < 1.0


def test_the_even_draw_takes_its_share_of_each_source(tmp_path: Path) -> None:
    run(tiny(tmp_path, selection="uniform", paradigm="accumulate", num_generations=3))
    facts = [manifest.facts for manifest in manifests(tmp_path).values() if manifest.kind == "select"]
    counts = sorted((fact["num_per_generation"] for fact in facts), key=len)
    assert counts == [{"0": 20, "1": 20}, {"0": 13, "1": 13, "2": 14}]


def test_keeping_all_trains_on_the_whole_pool(tmp_path: Path) -> None:
    run(tiny(tmp_path, selection="keep_all", paradigm="accumulate", num_generations=3))
    sizes = sorted(int(str(m.facts["num"])) for m in manifests(tmp_path).values() if m.kind == "select")
    assert sizes == [80, 120]
    run(tiny(tmp_path / "replace", selection="keep_all"))
    (replace,) = [m for m in manifests(tmp_path / "replace").values() if m.kind == "select"]
    assert replace.facts["num_per_generation"] == {"1": 80}


def test_metrics_compare_equal_numbers_whatever_the_strategy(tmp_path: Path) -> None:
    for selection in ("uniform", "keep_all"):
        run(tiny(tmp_path, selection=selection))
    measured = [manifest.facts for manifest in manifests(tmp_path).values() if manifest.kind == "measure"]
    assert {(facts["num_real"], facts["num_synthetic"]) for facts in measured} == {(40, 40)}
    assert {facts["num_held_out"] for facts in measured} == {24}


def test_a_metric_in_another_space_sees_train_sets_picked_from_anywhere(plugin: str, tmp_path: Path) -> None:
    metrics = ["spread", {"name": "spread", "features": f"{plugin}:Halves"}]
    changes = {"metrics": metrics, "selection": f"{plugin}:Newest", "num_generations": 3}
    records = run(tiny(tmp_path / "here", **changes))
    assert len(records) == 3
    for record in records:
        own, other = (record.metrics[f"diversity/covariance_trace_train_set{end}"] for end in ("", "_halves"))
        assert 0 < other < own


def test_a_metric_in_two_spaces_of_one_extractor_is_recorded_in_both(plugin: str, tmp_path: Path) -> None:
    spaces = [{"name": f"{plugin}:Every", "step": step} for step in (2, 3)]
    metrics = [{"name": "entropy", "features": space} for space in spaces]
    (record,) = run(tiny(tmp_path, metrics=metrics, num_generations=1))
    roles = {role: stage for role, stage in record.stages.items() if role.startswith("measure-")}
    assert roles.keys() == {"measure-entropy-every_2", "measure-entropy-every_3"}
    assert len(set(roles.values())) == 2
    assert {"entropy/train_set_every_2", "entropy/train_set_every_3"} <= record.metrics.keys()


# Running again


def test_the_same_again_makes_nothing(tmp_path: Path) -> None:
    first = run(tiny(tmp_path))
    before = attempts(tmp_path)
    assert run(tiny(tmp_path)) == first  # timestamps and costs included
    assert attempts(tmp_path) == before


def test_a_further_generation_makes_only_what_is_new(tmp_path: Path) -> None:
    first = run(tiny(tmp_path))
    before = attempts(tmp_path)
    longer = run(tiny(tmp_path, num_generations=3))
    assert results(longer)[:2] == results(first)
    assert [record.timestamp for record in longer[:2]] == [record.timestamp for record in first]
    assert new_kinds(before, attempts(tmp_path)) == {"sample", "features", "select", "train", "measure", "picture"}
    alone = run(tiny(tmp_path / "alone", num_generations=3))
    assert results(longer) == results(alone)


def test_a_further_metric_makes_only_itself(tmp_path: Path) -> None:
    first = run(tiny(tmp_path, metrics=["entropy"]))
    before = attempts(tmp_path)
    more = run(tiny(tmp_path, metrics=["entropy", "frechet"]))
    assert new_kinds(before, attempts(tmp_path)) == {"measure"}
    assert all(early.items() <= late.items() for early, late in zip(results(first), results(more), strict=True))
    assert all("quality/fd" in result for result in results(more))


def test_a_further_seed_shares_nothing(tmp_path: Path) -> None:
    first = run(tiny(tmp_path))
    other = run(tiny(tmp_path, seed=1))
    assert results(first) != results(other)
    assert results(run(tiny(tmp_path))) == results(first)


def test_a_larger_train_set_begins_with_the_same_samples_shard_by_shard(tmp_path: Path) -> None:
    """Of one snapshot: the first N of 2N samples are the N samples."""
    few, many = tiny(tmp_path, num_generations=1), tiny(tmp_path, num_generations=2)
    run(few)
    shards = {key for kind, key in manifests(tmp_path) if kind == "sample"}
    run(many)
    longer = {key: m for (kind, key), m in manifests(tmp_path).items() if kind == "sample"}
    assert shards < longer.keys()
    of_generation_1 = sorted(m.identity["seed"][2] for m in longer.values() if m.identity["seed"][1] == 1)  # type: ignore[index]
    assert of_generation_1 == [0, 1, 2, 3, 4]  # 80 candidates in shards of 16, of which 40 need the first three


def test_results_are_bitwise_those_of_another_run_elsewhere(tmp_path: Path) -> None:
    one, other = (run(tiny(tmp_path / name, paradigm="accumulate")) for name in ("one", "other"))
    assert results(one) == results(other)
    hashes = [
        {key: {name: entry.sha256 for name, entry in made.files.items()} for key, made in manifests(folder).items()}
        for folder in (tmp_path / "one", tmp_path / "other")
    ]
    assert hashes[0] == hashes[1]


# Damage


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def damage(folder: Path, kind: str, how: str) -> Path:
    """Damage the largest file of one stage of a kind; return its path."""
    files = [file for file in folder.glob(f"stages/{kind}/*/*/**/*") if file.is_file()]
    file = max(files, key=lambda file: (file.stat().st_size, str(file)))
    if how == "flipped":
        flip(file)
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
    return file


LONGER: dict[str, Any] = {
    "paradigm": {"name": "accumulate", "oversample": 2}, "num_generations": 3, "metrics": ["entropy", "frechet"],
}  # fmt: skip
"""Reads every kind of stage that a run of two generations and one metric leaves: candidates, snapshots, picks."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return results(run(tiny(tmp_path_factory.mktemp("undisturbed"), **LONGER)))


@pytest.mark.parametrize("how", ["flipped", "truncated", "deleted"])
@pytest.mark.parametrize("kind", ["real", "features", "train", "sample", "select", "measure", "picture"])
def test_a_damaged_file_of_any_stage_is_repaired_with_the_same_metrics(
    kind: str, how: str, undisturbed: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tiny(tmp_path, **{**LONGER, "num_generations": 2, "metrics": ["entropy"]}))
    before = attempts(tmp_path)
    file = damage(tmp_path, kind, how)
    assert results(run(tiny(tmp_path, **LONGER))) == undisturbed
    if kind == "picture" and how == "flipped":
        return  # pictures are read by people only
    assert "is set aside" in caplog.text
    after = attempts(tmp_path)
    anew = {key for key in before if after[key] != before[key]}
    assert [(kind, file.relative_to(tmp_path).parts[2])] == list(anew)


def test_a_flipped_byte_in_each_of_several_stages_is_repaired_in_one_run(
    undisturbed: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tiny(tmp_path, **{**LONGER, "num_generations": 2, "metrics": ["entropy"]}))
    for kind in ("real", "features", "train", "sample", "select"):
        damage(tmp_path, kind, "flipped")
    assert results(run(tiny(tmp_path, **LONGER))) == undisturbed
    assert caplog.text.count("is set aside") == 5


def test_a_disk_that_damages_everything_is_given_up_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class BadDisk(LocalBackend):
        """Damages what it has written."""

        def run(self, units: Any) -> None:
            super().run(units)
            for unit in units:
                for stage in unit:
                    if stage.kind == "real":
                        for file in (Path(self.store.uri) / "stages/real" / stage.key).glob("*/*"):
                            flip(file)

    caplog.set_level(logging.CRITICAL)
    trial = Trial(tiny(tmp_path), BadDisk(Store(str(tmp_path))))
    with pytest.raises(DamagedStageError, match=r"More than 20 stages in .* were damaged\. Check the disk"):
        trial.run()


# Strategies of one's own


def failing_sweep(plugin: str, wrong: str, folder: Path) -> tuple[Any, Path]:
    storage = folder / "storage"
    grid = {"selection": ["uniform", f"{plugin}:{wrong}", "greedy"]}
    return run_here(tiny(storage, sweep={"grid": grid}), Console(quiet=True)), storage


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("Duplicates", r":Duplicates must return distinct positions from 0 to 79\."),
        ("Outside", r":Outside must return distinct positions from 0 to 79\."),
        ("TooFew", r":TooFew returned 39 positions; 40 are needed\."),
        ("Floats", r":Floats must return a vector of integers, not float64 \(40,\)\."),
        ("Raises", r"Traceback[\s\S]*own_\w+\.py[\s\S]*KeyError: 'not there'"),
    ],
)
def test_a_strategy_that_is_wrong_fails_its_own_trial_and_no_other(
    wrong: str, reason: str, plugin: str, tmp_path: Path
) -> None:
    result, storage = failing_sweep(plugin, wrong, tmp_path)
    assert list(result.failures) == [f"replace, {plugin}:{wrong}"]
    (text,) = result.failures.values()
    assert re.search(reason, text)
    store = Store(str(storage))
    for trial in expand(result.experiment):
        records = TrialRecords(store, "tiny", trial.trial_key())
        is_wrong = ":" in trial.selection.name
        assert len(records.read()) == (1 if is_wrong else 2)
        assert (records.read_failure() is not None) == is_wrong
    assert not [folder for folder in storage.glob("stages/select/*/*") if folder.is_dir() and not any(folder.iterdir())]


def test_a_strategy_put_right_completes_and_forgets_its_failure(plugin: str, tmp_path: Path) -> None:
    failing_sweep(plugin, "Raises", tmp_path)
    module = tmp_path / f"{plugin}.py"
    module.write_text(module.read_text().replace('{}["not there"]', "np.arange(num_select)"))
    sys.modules.pop(plugin)
    result, _ = failing_sweep(plugin, "Raises", tmp_path)
    assert result.failures == {}


def test_features_that_are_not_finite_fail_the_trial_with_the_name_of_the_extractor(
    plugin: str, tmp_path: Path
) -> None:
    result = run_here(tiny(tmp_path / "storage", features=f"{plugin}:Spoilt"), Console(quiet=True))
    (reason,) = result.failures.values()
    assert f"{plugin}:Spoilt gave non-finite features" in reason
    assert not result.has_records


def test_a_training_that_diverges_fails_the_trial_with_step_and_learning_rate(tmp_path: Path) -> None:
    training = {"num_steps": 60, "warmup_steps": 0, "batch_size": 16, "learning_rate": 1e30}
    result = run_here(tiny(tmp_path, training=training), Console(quiet=True))
    (reason,) = result.failures.values()
    assert "loss is" in reason and "at step" in reason and "learning rate" in reason


# References


def test_picks_are_positions_in_the_pool_and_train_sets_hold_those_images(tmp_path: Path) -> None:
    own = tiny(tmp_path, paradigm="accumulate", selection="uniform")
    store, seen = Store(str(tmp_path)), list[SelectStage]()

    class Watching(LocalBackend):
        def run(self, units: Any) -> None:
            super().run(units)
            seen.extend(stage for unit in units for stage in unit if isinstance(stage, SelectStage))

    Trial(own, Watching(store)).run()
    (select,) = seen
    train_set = select.train_set()
    assert train_set == TrainSet(select.sources, select.key)
    picks, images = train_set.picks(store), train_set.load(store).images
    everything = np.concatenate([source.load(store).images for source in select.sources])
    assert len(everything) == 80
    np.testing.assert_array_equal(images, everything[picks])
    points = train_set.points(store, own.features, "cpu", 1)
    np.testing.assert_array_equal(points.features, images.reshape(40, -1))
    assert (points.generations == np.where(picks < 40, 0, 1)).all()
