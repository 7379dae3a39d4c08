"""The experiment file: loading, extending, overriding, expanding; and what a trial's key depends on."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import raycollapse.diffusion
from raycollapse.config import Experiment, build, load
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.schema import Config, Member
from raycollapse.selection import Greedy, ThresholdDecay, Uniform

BASE = """
name: try
data: {name: digits, num_train: 64}
paradigm: replace
selection: {name: threshold_decay, decay: 0.9}
num_generations: 2
denoiser: {name: mlp, width: 16}
training: {num_steps: 10, warmup_steps: 2, learning_rate: 2e-3}
sampling: {scheduler: ddim, num_steps: 10}
features: pixels
metrics: [entropy, {name: generalization, features: pixels}]
"""

PLUGIN = """
import numpy as np
from raycollapse.selection.base import SelectionStrategy

class FirstOnes(SelectionStrategy):
    '''Take the first ones, from an offset on.'''

    offset: int = 0
    '''Where to begin.'''

    def select(self, pool, num_select, rng):
        return np.arange(self.offset, self.offset + num_select)

class Unfinished(SelectionStrategy):
    pass
"""


def experiment(**changes: Any) -> Experiment:
    return build({**yaml.safe_load(BASE), **changes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# Loading


def test_a_file_is_loaded_with_defaults_filled_in(file: Path) -> None:
    loaded = load(file)
    assert loaded.selection == ThresholdDecay(decay=0.9)
    assert loaded.training.learning_rate == 0.002  # 2e-3 is text for YAML 1.1
    assert loaded.paradigm.oversample == 2
    assert loaded.seed == 0


def test_assignments_are_applied_in_order(file: Path) -> None:
    assert load(file, ["seed=4", "selection.decay=9.5e-1", "selection=greedy"]).selection == Greedy()
    told = load(file, ["selection=greedy", "selection.name=threshold_decay", "selection.decay=9.5e-1"])
    assert told.selection == ThresholdDecay(decay=0.95)


def test_two_values_for_one_field_are_refused_and_one_value_twice_is_not(file: Path) -> None:
    with pytest.raises(RequestError, match=r"training\.num_steps is set twice, to 20 and to 30\. Set it once\."):
        load(file, ["training.num_steps=20", "seed=4", "training.num_steps =30"])
    assert load(file, ["training.num_steps=20", "training.num_steps=2e1"]).training.num_steps == 20


def test_an_assignment_takes_numbers_mappings_lists_null_and_bare_names(file: Path) -> None:
    assert load(file, ["training.learning_rate=1e-3"]).training.learning_rate == 0.001
    assert load(file, ["training.num_steps=1e3"]).training.num_steps == 1000
    assert load(file, ["selection=greedy"]).selection == Greedy()
    assert load(file, ["selection.name=uniform"]).selection == Uniform()
    assert load(file, ["selection={name: greedy, metric: cosine}"]).selection == Greedy(metric="cosine")
    assert [metric.name for metric in load(file, ["metrics=[frechet, spread]"]).metrics] == ["frechet", "spread"]
    assert load(file, ["training.num_steps=null", "training.num_epochs=5"]).training.num_epochs == 5
    assert load(file, ["data.num_held_out=7"]).data.num_held_out == 7


def test_an_assignment_is_validated_like_the_file(file: Path) -> None:
    with pytest.raises(RequestError, match=r"base\.yaml: selection\.decay is 1\.2; it must lie strictly"):
        load(file, ["selection.decay=1.2"])
    with pytest.raises(RequestError, match=r"trainig is not a field\. Did you mean training"):
        load(file, ["trainig.num_steps=5"])


def test_the_storage_path_is_absolute_at_once(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(file).storage == str(tmp_path / "results")
    assert load(file, ["storage=elsewhere"]).storage == str(tmp_path / "elsewhere")
    assert load(file, ["storage=s3://bucket/x"]).storage == "s3://bucket/x"


def test_an_assignment_to_a_field_that_the_grid_varies_is_refused_with_what_to_set(file: Path) -> None:
    grid = "sweep={grid: {selection: [uniform, greedy], training.num_steps: [10, 20]}}"
    for assignment, instead in (
        ("selection=greedy", """Set 'sweep.grid={selection: ["greedy"]}'"""),
        ("training.num_steps=20", "Set 'sweep.grid={training.num_steps: [20]}'"),
    ):
        with pytest.raises(RequestError, match=r"but sweep\.grid gives it 2 value\(s\) of its own") as refused:
            load(file, [grid, assignment])
        assert instead in str(refused.value)
        path, _, _ = assignment.partition("=")
        remedy = re.search(r"Set '(.*)' for", str(refused.value))
        assert remedy is not None
        loaded = load(file, [grid, remedy[1]])
        assert loaded.sweep is not None and len(loaded.sweep.grid[path]) == 1 and len(loaded.sweep.points()) == 2


def test_an_assignment_may_fill_in_what_the_grids_values_leave_open(file: Path) -> None:
    grid = "sweep={grid: {selection: [uniform, {name: threshold_decay}]}}"
    loaded = load(file, [grid, "selection={name: threshold_decay, decay: 0.7}"])
    assert [trial.selection for trial in expand(loaded)] == [Uniform(), ThresholdDecay(decay=0.7)]


# Extending


def test_extends_puts_a_file_on_top_of_another_relative_to_itself(file: Path, tmp_path: Path) -> None:
    child = written(tmp_path, "deeper/child.yaml", "extends: ../base.yaml\nname: child\ntraining: {num_steps: 99}")
    loaded = load(child)
    assert (loaded.name, loaded.training.num_steps, loaded.training.warmup_steps) == ("child", 99, 2)


def test_extends_chains(file: Path, tmp_path: Path) -> None:
    written(tmp_path, "middle.yaml", "extends: base.yaml\nseed: 5\nselection: {threshold: 7}")
    top = written(tmp_path, "top.yaml", "extends: middle.yaml\nselection: {decay: 0.8}")
    assert load(top).selection == ThresholdDecay(threshold=7, decay=0.8)
    assert load(top).seed == 5


def test_another_name_in_a_child_replaces_the_member(file: Path, tmp_path: Path) -> None:
    child = written(tmp_path, "child.yaml", "extends: base.yaml\nselection: {name: greedy}\nparadigm: accumulate")
    assert load(child).selection == Greedy()
    assert load(child).paradigm.oversample == 1  # the default of accumulate, not what replace had


def test_a_child_sets_fields_of_a_member_that_its_parent_names_bare(file: Path, tmp_path: Path) -> None:
    child = written(tmp_path, "child.yaml", "extends: base.yaml\nparadigm: {oversample: 3}")
    assert (load(child).paradigm.name, load(child).paradigm.oversample) == ("replace", 3)


@pytest.mark.parametrize("first", ["b.yaml", "sub/../b.yaml", "./b.yaml"])
def test_a_cycle_of_extends_is_refused(first: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path, "a.yaml", f"extends: {first}")
    written(tmp_path, "b.yaml", "extends: sub/../a.yaml")
    with pytest.raises(RequestError, match=r"a\.yaml extends itself, through a\.yaml -> b\.yaml -> a\.yaml"):
        load(tmp_path / "a.yaml")


# Plugins


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"own_{abs(hash(tmp_path)):x}"
    written(tmp_path, f"{name}.py", PLUGIN)
    yield name
    sys.modules.pop(name, None)


def test_a_strategy_of_ones_own_is_named_by_its_import_path(plugin: str) -> None:
    own = experiment(selection={"name": f"{plugin}:FirstOnes", "offset": 3})
    assert own.selection.name == f"{plugin}:FirstOnes"
    assert own.selection.offset == 3  # type: ignore[union-attr]
    assert build(own.resolved()) == own


def test_its_fields_enter_the_trials_key(plugin: str) -> None:
    keys = {experiment(selection={"name": f"{plugin}:FirstOnes", "offset": n}).trial_key() for n in (0, 1, 1)}
    assert len(keys) == 2


def test_a_mistake_in_its_fields_is_told_with_the_path(plugin: str) -> None:
    with pytest.raises(RequestError, match=r"selection\.offset is 'x'; it must be an integer"):
        experiment(selection={"name": f"{plugin}:FirstOnes", "offset": "x"})
    with pytest.raises(RequestError, match=r"selection\.ofset is not a field"):
        experiment(selection={"name": f"{plugin}:FirstOnes", "ofset": 1})


@pytest.mark.parametrize("mapping", [True, False])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere:Star", "it cannot be imported (ModuleNotFoundError: No module named 'nowhere'); it must read"),
        ("{plugin}:Missing", "it cannot be imported (AttributeError: module '{plugin}' has no attribute 'Missing')"),
        (":Star", "it cannot be imported (ValueError: Empty module name)"),
        ("json:dumps", "it is not a subclass of raycollapse.selection.base.SelectionStrategy."),
        ("{plugin}:Unfinished", "it lacks what its base asks for: select."),
        ("broken_{plugin}:Star", "it cannot be imported (SyntaxError: "),
        ("failing_{plugin}:Star", "it cannot be imported (ZeroDivisionError: division by zero)"),
    ],
)
def test_an_import_path_that_leads_nowhere_is_told_without_a_traceback(
    path: str, said: str, mapping: bool, plugin: str, tmp_path: Path
) -> None:
    written(tmp_path, f"broken_{plugin}.py", "class Star(:\n")
    written(tmp_path, f"failing_{plugin}.py", "1 / 0\n")
    path = path.format(plugin=plugin)
    with pytest.raises(RequestError) as refused:
        experiment(selection={"name": path} if mapping else path)
    assert f"selection.name is '{path}'; {said.format(plugin=plugin)}" in str(refused.value)


# Resolved configurations


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"selection": "greedy", "paradigm": "accumulate", "seed": 3},
        {"sweep": {"grid": {"seed": [0, 1], "selection": ["uniform", {"name": "threshold_decay", "decay": 0.5}]}}},
        {"training": {"num_epochs": 3, "warmup_steps": 0, "ema": 0.99, "precision": "bf16"}},
        {"denoiser": {"name": "unet", "channels": [16, 32], "attention_levels": [2]}},
        {"data": {"name": "gaussians", "num_train": 8}, "features": "identity", "metrics": []},
        {"selection": {"name": "threshold_decay", "threshold": 60}},
        {"tracking": {"mlflow_uri": "http://127.0.0.1:5000"}, "resources": {"device": "cpu", "threads": 2}},
    ],
)
def test_a_resolved_experiment_loads_again_to_an_equal_one_with_the_same_key(changes: dict[str, Any]) -> None:
    own = experiment(**changes)
    through_yaml = build(yaml.safe_load(yaml.safe_dump(own.resolved())))
    assert through_yaml == own
    assert through_yaml.trial_key() == own.trial_key()
    assert through_yaml.resolved() == own.resolved()


def test_every_beta_schedule_survives_being_resolved() -> None:
    for schedule in ("linear", "scaled_linear", "squaredcos_cap_v2"):
        training = {"num_steps": 10, "warmup_steps": 2, "beta_schedule": schedule}
        assert len(expand(experiment(training=training))) == 1


# Expanding


def test_without_a_sweep_there_is_one_trial() -> None:
    own = experiment()
    assert expand(own) == [own]


def test_a_grid_gives_a_trial_for_each_combination_the_last_field_fastest() -> None:
    trials = expand(experiment(sweep={"grid": {"seed": [0, 1], "selection": ["uniform", "greedy"]}}))
    assert [(trial.seed, trial.selection.name) for trial in trials] == [
        (0, "uniform"), (0, "greedy"), (1, "uniform"), (1, "greedy"),
    ]  # fmt: skip
    assert all(trial.sweep is None for trial in trials)
    assert len({trial.trial_key() for trial in trials}) == 4


def test_sweeping_over_names_gives_each_member_its_own_defaults() -> None:
    trials = expand(experiment(sweep={"grid": {"paradigm.name": ["replace", "accumulate"]}}))
    assert [trial.paradigm.oversample for trial in trials] == [2, 1]
    trials = expand(experiment(sweep={"grid": {"selection.name": ["threshold_decay", "greedy"]}}))
    assert [trial.selection for trial in trials] == [ThresholdDecay(decay=0.9), Greedy()]


def test_a_point_of_a_grid_is_the_experiment_with_that_value_set() -> None:
    (trial,) = expand(experiment(sweep={"grid": {"selection.decay": [0.5]}}))
    assert trial.trial_key() == experiment(selection={"name": "threshold_decay", "decay": 0.5}).trial_key()
    (trial,) = expand(experiment(sweep={"grid": {"training.learning_rate": ["1e-3"]}}))
    assert trial.training.learning_rate == 0.001


# Keys


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"num_generations": 9},
        {"metrics": []},
        {"storage": "s3://bucket/elsewhere"},
        {"tracking": {"mlflow": False}},
        {"resources": {"num_actors": 4, "max_concurrent_trials": 2}},
        {"training": {"num_steps": 10, "warmup_steps": 2, "learning_rate": 0.002, "checkpoint_steps": 3}},
        {"training": {"num_steps": 10.0, "warmup_steps": 2, "learning_rate": "2e-3"}},
        {"data": {"name": "digits", "num_train": 64, "num_held_out": 64}},
        {"sampling": {"scheduler": "ddim", "num_steps": 10, "eta": 0}},
        {"selection": {"name": "threshold_decay", "decay": 0.9, "threshold": "auto"}},
        {"sweep": {"grid": {"seed": [0]}}},
    ],
)
def test_what_does_not_change_results_does_not_change_a_trials_key(changes: dict[str, Any]) -> None:
    assert experiment(**changes).trial_key() == experiment().trial_key()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"paradigm": "accumulate"},
        {"selection": {"name": "threshold_decay", "decay": 0.91}},
        {"data": {"name": "digits", "num_train": 63}},
        {"denoiser": {"name": "mlp", "width": 18}},
        {"training": {"num_steps": 10, "warmup_steps": 2, "learning_rate": 0.001}},
        {"training": {"num_steps": 10, "warmup_steps": 2, "learning_rate": 0.002, "ema": 0.9}},
        {"training": {"num_steps": 10, "warmup_steps": 2, "learning_rate": 0.002, "precision": "bf16"}},
        {"sampling": {"scheduler": "ddim", "num_steps": 10, "batch_size": 255}},
        {"sampling": {"scheduler": "ddim", "num_steps": 10, "shard_size": 255}},
        {"sampling": {"scheduler": "ddim", "num_steps": 10, "precision": "bf16"}},
        {"resources": {"threads": 2}},
        {"resources": {"train_workers": 2}},
        {"resources": {"device": "cpu"}},
    ],
)
def test_what_changes_results_changes_a_trials_key(changes: dict[str, Any]) -> None:
    assert experiment(**changes).trial_key() != experiment().trial_key()


def test_loading_a_configuration_imports_no_library_that_takes_long() -> None:
    slow = {"torch", "ray", "mlflow", "scipy", "sklearn", "pandas", "matplotlib", "diffusers", "faiss"}
    code = f"import sys, raycollapse.config; print(*{slow} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_a_trials_key_is_the_same_in_every_process_and_under_every_hash_seed(file: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from raycollapse.config import load; "
        "print(load(Path(sys.argv[1])).trial_key())"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", script, str(file)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert keys == {load(file).trial_key()}


# Documentation


def _all_configs(base: type[Config]) -> Iterator[type[Config]]:
    for subclass in base.__subclasses__():
        if subclass.__module__.startswith("raycollapse."):
            yield subclass
        yield from _all_configs(subclass)


def test_every_field_of_every_configuration_has_a_docstring() -> None:
    assert raycollapse.diffusion  # every family is imported by the experiment
    classes = set(_all_configs(Config))
    assert len(classes) > 20
    bare = [
        f"{owner.__qualname__}.{name}"
        for owner in classes
        for name, field in owner.model_fields.items()
        if not field.description and not (issubclass(owner, Member) and name == "name")
    ]
    assert bare == []


def test_every_configuration_has_a_docstring() -> None:
    assert [
        owner.__qualname__ for owner in _all_configs(Config) if "__doc__" not in vars(owner) or not owner.__doc__
    ] == []
