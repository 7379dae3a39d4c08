"""A stage's key: what decides its result, and nothing else."""

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from raycollapse.diffusion.training import Training
from raycollapse.features import Identity, Pixels
from raycollapse.metrics import EntropyMetric
from raycollapse.plan import plan, stages_of
from raycollapse.selection import Greedy, ThresholdDecay
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import TrainSet
from raycollapse.stages.training import TrainStage
from raycollapse.store import content_key
from raycollapse.store.seal import canonical_json


def keys(**changes: Any) -> dict[str, set[str]]:
    """Return the keys of a trial's stages by kind; nothing is made."""
    found: dict[str, set[str]] = {}
    for kind, key in stages_of(tiny(Path("/nowhere"), **changes).on("cpu")):
        found.setdefault(kind, set()).add(key)
    return found


def one_of_each_kind(**changes: Any) -> dict[str, Stage]:
    stages = stages_of(tiny(Path("/nowhere"), paradigm="accumulate", **changes).on("cpu"))
    return {kind: stage for (kind, _), stage in stages.items()}


BASE = one_of_each_kind()


def training(**changes: Any) -> dict[str, Any]:
    return {"num_steps": 4, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-3, **changes}


def sampling(**changes: Any) -> dict[str, Any]:
    return {"scheduler": "ddim", "num_steps": 2, "shard_size": 16, "batch_size": 16, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"storage": "s3://bucket/elsewhere"},
        {"resources": {"device": "cpu", "num_actors": 4, "max_concurrent_trials": 1}},
        {"tracking": {"mlflow": True}},
        {"training": training(checkpoint_steps=1)},
        {"sampling": sampling(eta=0.0)},
    ],
)
def test_what_changes_no_result_changes_no_key(changes: dict[str, Any]) -> None:
    assert keys(**changes) == keys()


def test_more_generations_keep_every_key_and_add_to_them() -> None:
    few, many = keys(num_generations=2), keys(num_generations=4)
    assert all(few[kind] <= many[kind] for kind in few)


def test_another_metric_adds_measurements_and_nothing_else() -> None:
    few, many = keys(metrics=["entropy"]), keys(metrics=["entropy", "spread"])
    assert few["measure"] < many["measure"]
    assert {kind for kind in few if few[kind] != many[kind]} == {"measure"}


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"seed": 1}, {"real", "features", "train", "sample", "select", "measure", "picture"}),
        ({"data": {"name": "digits", "num_train": 40, "num_held_out": 23}}, {"real", "features", "train", "sample"}),
        ({"training": training(learning_rate=2e-3)}, {"train", "sample", "select"}),
        ({"training": training(ema=0.9)}, {"train", "sample", "select"}),
        ({"training": training(precision="bf16")}, {"train", "sample", "select"}),
        ({"denoiser": {"name": "mlp", "width": 18, "num_blocks": 1}}, {"train", "sample", "select"}),
        ({"resources": {"device": "cpu", "train_workers": 2}}, {"train", "sample", "select"}),
        ({"resources": {"device": "cpu", "threads": 2}}, {"features", "train", "sample", "select", "measure"}),
        ({"sampling": sampling(batch_size=8)}, {"sample", "select", "measure"}),
        ({"sampling": sampling(precision="bf16")}, {"sample", "select", "measure"}),
        ({"sampling": sampling(num_steps=4)}, {"sample", "select", "measure"}),
        ({"sampling": sampling(eta=1.0)}, {"sample", "select", "measure"}),
        ({"sampling": sampling(shard_size=8)}, {"real", "sample", "select", "measure"}),
    ],
)
def test_what_changes_results_changes_the_keys_from_there_on(changes: dict[str, Any], changed: set[str]) -> None:
    before, after = keys(), keys(**changes)
    assert {kind for kind in before if before[kind].isdisjoint(after[kind])} >= changed


def test_training_settings_leave_the_real_data_alone() -> None:
    before, after = keys(), keys(training=training(learning_rate=2e-3))
    assert before["real"] == after["real"]


def test_a_stage_made_on_another_device_is_another_stage() -> None:
    for kind in ("features", "train", "sample", "select", "measure"):
        stage: Any = BASE[kind]
        assert replace(stage, device="cuda").key != stage.key


def test_fine_tuning_starts_from_the_first_model_from_scratch_and_then_from_each_one_before() -> None:
    changes = {"num_generations": 3, "selection": "keep_all"}
    scratch, previous = (
        [stage for stage in stages_of(tiny(Path("/nowhere"), **changes, training=training(init=init))).values()
         if isinstance(stage, TrainStage)]
        for init in ("scratch", "previous")
    )  # fmt: skip
    assert previous[0].key == scratch[0].key
    assert [stage.initial for stage in scratch] == [None, None, None]
    assert [stage.initial for stage in previous] == [None, previous[0].key, previous[1].key]
    assert {stage.key for stage in previous[1:]}.isdisjoint({stage.key for stage in scratch})
    assert replace(previous[1], initial="another").key != previous[1].key
    # From the same images the start alone makes another model.
    assert replace(scratch[1], initial=scratch[0].key, training=previous[1].training).key == previous[1].key


def test_a_trial_that_fine_tunes_is_another_trial_and_one_that_does_not_keeps_its_key() -> None:
    def trial_key(**changes: Any) -> str:
        return tiny(Path("/nowhere"), training=training(**changes)).trial_key()

    assert trial_key() == trial_key(init="scratch") != trial_key(init="previous")
    assert "init" not in Training(num_epochs=3).identity()


def test_strategies_do_not_enter_the_seeds_of_training_and_sampling() -> None:
    """Trials that part at a selection differ by what they are given, never by their random numbers."""
    greedy, decay = (
        stages_of(tiny(Path("/nowhere"), selection=name, num_generations=3)) for name in ("greedy", "threshold_decay")
    )
    for stages in (greedy, decay):
        seeds = {(s.kind, s.full_identity["seed"][1]) for s in stages.values() if s.kind in ("train", "sample")}  # type: ignore[index]
        assert seeds == {(kind, generation) for kind in ("train", "sample") for generation in (1, 2, 3)}
    shared = greedy.keys() & decay.keys()
    assert {kind for kind, _ in shared} == {"real", "features", "train", "sample", "measure", "picture"}
    assert sum(kind == "train" for kind, _ in shared) == 1


def test_trials_that_agree_up_to_a_generation_share_every_stage_up_to_it() -> None:
    trials = [tiny(Path("/nowhere"), selection=name, paradigm="accumulate") for name in ("uniform", "greedy")]
    found = plan(trials)
    assert found.num_in_all["train"] == 4 and found.num_shared["train"] == 3
    assert found.num_in_all["real"] == 2 and found.num_shared["real"] == 1


def test_the_first_n_of_2n_samples_are_the_same_shards() -> None:
    few, many = keys(num_generations=1)["sample"], keys(num_generations=2, selection="greedy")["sample"]
    assert len(few) == 3  # 40 images in shards of 16
    assert few < many


def test_every_field_of_a_stage_enters_its_key() -> None:
    """What a stage holds but does not hash is listed here, with the reason."""
    left_out = {("picture", "threads")}  # pictures are for the eye
    others: dict[str, Any] = {
        "seed": 77, "generation": 77, "index": 77, "device": "cuda", "threads": 7, "num_workers": 7, "num_select": 7,
        "shard_size": 7, "snapshot": "another", "strategy": ThresholdDecay(), "metric": EntropyMetric(k=5),
        "extractor": Identity(), "training": Training(num_epochs=3),
    }  # fmt: skip
    for kind, stage in BASE.items():
        for field in fields(stage):
            if field.name not in others:
                continue
            changed = replace(stage, **{field.name: others[field.name]})
            assert (changed.key != stage.key) == ((kind, field.name) not in left_out), (kind, field.name)


def test_a_raised_code_version_makes_another_key() -> None:
    class NewerGreedy(Greedy):
        code_version = 2

    stage: Any = BASE["select"]
    assert replace(stage, strategy=NewerGreedy()).key != replace(stage, strategy=Greedy()).key

    class NewerSelect(type(stage)):  # type: ignore[misc]
        code_version = 2

    values = {field.name: getattr(stage, field.name) for field in fields(stage)}
    assert NewerSelect(**values).key != stage.key


def test_numbers_written_in_different_ways_are_the_same_key() -> None:
    assert (
        keys(selection={"name": "threshold_decay", "threshold": 60})
        == keys(selection={"name": "threshold_decay", "threshold": 60.0})
        == keys(selection={"name": "threshold_decay", "threshold": "6e1"})
    )


def test_a_metric_in_the_selections_own_space_measures_the_same_under_another_name() -> None:
    assert EntropyMetric().identity() != EntropyMetric(features=Pixels()).identity()


def test_a_train_set_is_its_selection_or_its_sources() -> None:
    stage: Any = BASE["select"]
    assert TrainSet(stage.sources, "key").identity() == "key"
    assert TrainSet(stage.sources).identity() == [source.identity() for source in stage.sources]
    assert len(TrainSet(stage.sources[:1]).identity()) == 1  # type: ignore[arg-type]


def test_a_key_is_the_hash_of_canonical_json() -> None:
    assert content_key({"b": 1, "a": [1.5, None, "ä"]}) == content_key({"a": [1.5, None, "ä"], "b": 1})
    assert content_key({"a": 1}) != content_key({"a": 1.0}) != content_key({"a": "1"})
    assert canonical_json({"b": {"d": 1, "c": 2}, "a": True}) == b'{"a":true,"b":{"c":2,"d":1}}'
    with pytest.raises(ValueError, match="JSON"):
        content_key({"a": float("nan")})


def test_keys_are_the_same_in_every_process_and_under_every_hash_seed() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from tiny import tiny; "
        "from raycollapse.plan import stages_of; "
        "print(*[f'{kind}/{key}' for kind, key in stages_of(tiny(Path('/nowhere')))])"
    )
    tests = str(Path(__file__).parents[1])
    printed = {
        subprocess.run(
            [sys.executable, "-c", script, tests],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    (line,) = printed
    assert line.split() == [f"{kind}/{key}" for kind, key in stages_of(tiny(Path("/nowhere")))]
