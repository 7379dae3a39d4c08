"""Whole loops under each paradigm, real in every part: what their models train on, and what is shared."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from safetensors.numpy import load_file
from tiny import manifests, results, run, tiny

from raycollapse.config import Experiment
from raycollapse.data.shards import read_shard
from raycollapse.errors import RequestError, StageError
from raycollapse.expansion import expand
from raycollapse.features import Pixels
from raycollapse.metrics.entropy import kozachenko_leonenko
from raycollapse.metrics.generalization import generalization_score
from raycollapse.plan import plan, stages_of
from raycollapse.runner import run_here
from raycollapse.selection import KeepAll
from raycollapse.stages.base import make
from raycollapse.stages.real import RealStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.selecting import SelectStage
from raycollapse.store import Store


def counts(folder: Path) -> list[dict[str, int]]:
    """Return, for each train set that was selected, how many images it has of each generation; in loop order."""
    made = [manifest for manifest in manifests(folder).values() if manifest.kind == "select"]
    made.sort(key=lambda manifest: manifest.identity["seed"][1])  # type: ignore[index, return-value]
    return [manifest.facts["num_per_generation"] for manifest in made]  # type: ignore[misc]


def real_shares(experiment: Experiment) -> list[float]:
    return [record.metrics["selection/real_share"] for record in run(experiment)]


def train_sets(experiment: Experiment) -> list[NDArray[np.uint8]]:
    """Return the images of each train set that was selected, in loop order, as they lie in the storage."""
    store = Store(experiment.storage)
    selects = [stage for stage in stages_of(experiment).values() if isinstance(stage, SelectStage)]
    return [stage.train_set().load(store).images for stage in selects]  # type: ignore[misc]


def samples(experiment: Experiment, generation: int) -> NDArray[np.uint8]:
    """Return what one generation's model made, whole shards."""
    store = Store(experiment.storage)
    stages = [stage for stage in stages_of(experiment).values() if isinstance(stage, SampleStage)]
    shards = [read_shard(stage.shard().path(store)) for stage in stages if stage.generation == generation]
    return np.concatenate([shard.images for shard in shards])  # type: ignore[return-value]


def rows(images: NDArray[np.uint8]) -> set[bytes]:
    return {image.tobytes() for image in images}


def quiet(experiment: Experiment) -> None:
    assert not run_here(experiment, Console(quiet=True)).failures


# Window


def test_the_real_data_fall_out_of_a_window_unless_they_are_kept(tmp_path: Path) -> None:
    own: dict[str, Any] = {"selection": "uniform", "num_generations": 4}
    falling = tiny(tmp_path / "falling", paradigm={"name": "window", "num_newest": 2}, **own)
    assert real_shares(falling) == [1.0, 0.5, 0.0, 0.0]
    assert counts(tmp_path / "falling") == [{"0": 20, "1": 20}, {"1": 20, "2": 20}, {"2": 20, "3": 20}]
    kept = tiny(tmp_path / "kept", paradigm={"name": "window", "num_newest": 1, "keep_real": True}, **own)
    assert real_shares(kept) == [1.0, 0.5, 0.5, 0.5]
    assert counts(tmp_path / "kept") == [{"0": 20, "1": 20}, {"0": 20, "2": 20}, {"0": 20, "3": 20}]


def test_a_window_shares_every_stage_with_accumulate_until_a_generation_falls_out() -> None:
    where, changes = Path("/nowhere"), {"num_generations": 4}
    window = stages_of(tiny(where, paradigm={"name": "window", "num_newest": 3}, **changes))
    accumulate = stages_of(tiny(where, paradigm="accumulate", **changes))
    parted = {(kind, stage.full_identity["seed"][1]) for (kind, key), stage in window.items()  # type: ignore[index]
              if kind in ("select", "train") and (kind, key) not in accumulate}  # fmt: skip
    assert parted == {("select", 3), ("train", 4)}


# A fixed share of real images

FRESH = {"name": "fresh", "real_share": 0.25}


def fresh(folder: Path, num_fresh: int = 30, **changes: Any) -> Experiment:
    data = {"name": "digits", "num_train": 40, "num_held_out": 24, "num_fresh": num_fresh}
    return tiny(folder, **{"paradigm": FRESH, "data": data, "num_generations": 3, **changes})


@pytest.mark.parametrize("selection", ["greedy", "uniform", {"name": "distributed_greedy", "num_shards": 3}])
def test_the_same_real_images_are_in_every_augmented_train_set(selection: Any, tmp_path: Path) -> None:
    own = tiny(tmp_path, paradigm={"name": "augment", "real_share": 0.25}, selection=selection, num_generations=3)
    assert real_shares(own) == [1.0, 0.25, 0.25]
    assert counts(tmp_path) == [{"0": 10, "1": 30}, {"0": 10, "2": 30}]
    real = own.data.split(own.seed)[0].images
    first, second = train_sets(own)
    np.testing.assert_array_equal(first[:10], real[:10])
    np.testing.assert_array_equal(second[:10], real[:10])
    assert len(first) == len(second) == 40
    assert rows(first[10:]).isdisjoint(rows(real) | rows(second[10:]))


def test_the_real_images_of_each_generation_are_new_under_fresh(tmp_path: Path) -> None:
    own = fresh(tmp_path)
    assert real_shares(own) == [1.0, 0.25, 0.25]
    assert counts(tmp_path) == [{"0": 10, "1": 30}, {"0": 10, "2": 30}]
    train, held_out = own.data.split(own.seed)
    first, second = (images[:10] for images in train_sets(own))
    for generation, new in enumerate((first, second), start=1):
        np.testing.assert_array_equal(new, own.data.fresh(own.seed, generation, 10).images)
    groups = [rows(images) for images in (train.images, held_out.images, first, second)]
    assert sum(map(len, groups)) == 40 + 24 + 10 + 10 == len(set().union(*groups))


@pytest.mark.parametrize("name", ["augment", "fresh"])
def test_metrics_compare_n_images_and_train_sets_hold_n_whatever_the_share(name: str, tmp_path: Path) -> None:
    run(fresh(tmp_path, num_fresh=48, paradigm={"name": name, "real_share": 0.6}))
    measured = [manifest.facts for manifest in manifests(tmp_path).values() if manifest.kind == "measure"]
    assert {facts[f"num_{one}"] for facts in measured for one in ("real", "train_set", "synthetic")} == {40}


PLANS: list[dict[str, Any]] = [
    {"paradigm": {"name": "window", "num_newest": 1, "keep_real": True}},
    {"paradigm": "augment", "selection": "uniform"},
    {"paradigm": FRESH, "selection": {"name": "distributed_greedy", "num_shards": 2}},
    {"selection": "covariance_matching", "sweep": {"grid": {"paradigm": ["augment", FRESH, "replace"]}}},
]


@pytest.mark.parametrize("changes", PLANS)
def test_what_is_planned_is_exactly_what_is_made(changes: dict[str, Any], tmp_path: Path) -> None:
    own = fresh(tmp_path, **changes)
    planned = plan([trial.on("cpu") for trial in expand(own)])
    quiet(own)
    assert {key: stage.full_identity for key, stage in planned.shared.items()} == {
        key: manifest.identity for key, manifest in manifests(tmp_path).items()
    }


def test_new_images_are_loaded_once_for_each_generation_and_for_all_strategies() -> None:
    found = plan(expand(fresh(Path("/nowhere"), sweep={"grid": {"selection": ["greedy", "uniform"]}})))
    assert (found.num_in_all["fresh"], found.num_shared["fresh"]) == (4, 2)
    assert found.num_shared["real"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_generations": 5}, r"num_fresh is 30, but 10 new real images in each generation up to 4 are 40"),
        ({"paradigm": "fresh"}, r"num_fresh is 30, but 20 new real images in each generation up to 2 are 40"),
        ({"num_fresh": 0}, r"num_fresh is 0"),
        ({"num_fresh": 1734}, r"num_train \+ data\.num_held_out \+ data\.num_fresh is 1,798 but digits has 1,797"),
        ({"selection": "keep_all"}, r"keep_all trains on the whole pool"),
        ({"paradigm": {"name": "augment", "real_share": 0.99}}, r"real_share is 0\.99, which is 40 of 40 images"),
    ],
)
def test_what_cannot_be_had_in_every_generation_is_refused_before_anything_is_trained(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=reason):
        run_here(fresh(tmp_path, **changes), Console(quiet=True))
    assert not {kind for kind, _ in manifests(tmp_path)} & {"train", "fresh"}


def test_a_reserve_larger_than_the_data_is_refused_where_the_real_data_are_there_already(tmp_path: Path) -> None:
    quiet(fresh(tmp_path, num_fresh=20))
    with pytest.raises(RequestError, match=r"data\.num_fresh is 1,864 but digits has 1,797"):
        run_here(fresh(tmp_path, num_fresh=1800, num_generations=4), Console(quiet=True))


def test_a_larger_reserve_and_more_generations_extend_a_run_and_change_nothing_of_it(tmp_path: Path) -> None:
    quiet(fresh(tmp_path, num_fresh=20))
    before = {key: manifest.attempt for key, manifest in manifests(tmp_path).items()}
    longer = fresh(tmp_path, num_fresh=30, num_generations=4)
    quiet(longer)
    after = {key: manifest.attempt for key, manifest in manifests(tmp_path).items()}
    assert before.items() <= after.items()
    assert real_shares(longer) == [1.0, 0.25, 0.25, 0.25]
    assert len(list((tmp_path / "experiments" / "tiny").iterdir())) == 1


def test_new_images_that_are_damaged_are_made_anew_and_give_the_same_metrics(tmp_path: Path) -> None:
    before = results(run(fresh(tmp_path)))
    for file in tmp_path.glob("stages/fresh/*/*/*.parquet"):
        file.write_bytes(file.read_bytes()[:-1])
    for stage in (*tmp_path.glob("stages/select/*"), *tmp_path.glob("stages/train/*")):
        shutil.rmtree(stage)
    assert results(run(fresh(tmp_path))) == before


def test_a_strategy_that_returns_more_than_asked_for_would_change_the_share_and_fails(tmp_path: Path) -> None:
    own = fresh(tmp_path, paradigm="augment", num_generations=1)
    run(own)
    (real,) = [stage for stage in stages_of(own).values() if isinstance(stage, RealStage)]
    whole = real.train()
    stage = SelectStage((whole,), KeepAll(), Pixels(), 30, 0, 1, "cpu", 1, kept=(real.held_out().first(10),))
    with pytest.raises(StageError, match="returned 40 positions; exactly 30 are needed beside the real images"):
        make(stage, Store(own.storage))


# Training: on more, or from the model before


def weights(folder: Path) -> list[dict[str, NDArray[np.float32]]]:
    """Return the weights of each generation's model, in loop order."""
    store, made = Store(str(folder)), [m for m in manifests(folder).values() if m.kind == "train"]
    made.sort(key=lambda manifest: manifest.identity["seed"][1])  # type: ignore[index, return-value]
    return [load_file(store.folder("train", one.key) / "model" / "diffusion_pytorch_model.safetensors") for one in made]


@pytest.mark.parametrize("init", ["scratch", "previous"])
def test_a_loop_that_fine_tunes_hands_its_weights_on_and_one_from_scratch_does_not(init: str, tmp_path: Path) -> None:
    """With steps too small to change any weight every model is the first one, or another seed's random weights."""
    training = {"num_steps": 3, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-40, "init": init}
    records = run(tiny(tmp_path, training=training, num_generations=3))
    first, *later = weights(tmp_path)
    assert len(records) == 3 and len(later) == 2
    for other in later:
        same = all(np.allclose(first[name], other[name], rtol=0, atol=1e-30) for name in first)
        assert same == (init == "previous")


def test_training_on_2n_sees_every_sample_and_is_measured_at_n(tmp_path: Path) -> None:
    training = {"num_epochs": 3, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-3}
    own = tiny(tmp_path, selection="keep_all", training=training)
    records = run(own)
    (train_set,) = train_sets(own)
    assert len(train_set) == 80 and counts(tmp_path) == [{"1": 80}]
    steps = {m.identity["seed"][1]: m.facts["num_steps"] for m in manifests(tmp_path).values() if m.kind == "train"}  # type: ignore[index]
    assert steps == {1: 8, 2: 15}  # 3 x 40 and 3 x 80 images in batches of 16
    values, features = records[1].metrics, train_set.reshape(80, -1).astype(np.float32)
    synthetic = samples(own, generation=2)[:40].reshape(40, -1).astype(np.float32)
    assert values["entropy/train_set"] == kozachenko_leonenko(features[:40]).value
    assert values["entropy/synthetic"] == kozachenko_leonenko(synthetic).value
    assert values["memorization/generalization_score"] == generalization_score(synthetic, features)


def test_training_on_2n_selecting_n_of_2n_and_training_on_n_share_the_first_model_and_its_first_samples() -> None:
    strategies = ["keep_all", "greedy", "uniform"]
    trials = expand(tiny(Path("/nowhere"), sweep={"grid": {"selection": strategies}}))
    sampled = [{key for kind, key in stages_of(trial) if kind == "sample"} for trial in trials]
    found = plan(trials)
    assert (found.num_in_all["train"], found.num_shared["train"]) == (6, 4)
    assert sampled[0] & sampled[1] > sampled[0] & sampled[2]  # of generation 1 the whole 2N, and the N they begin with
