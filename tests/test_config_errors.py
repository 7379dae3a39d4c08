"""What a person reads who made a mistake: the path, the value, what is allowed; never pydantic's own words."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from raycollapse.config import Tracking, build, load
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.experiment_file import read_raw
from raycollapse.features import AnyExtractor
from raycollapse.selection import AnyStrategy

EXPERIMENT: dict[str, Any] = yaml.safe_load("""
name: try
data: {name: digits, num_train: 64}
paradigm: replace
selection: uniform
num_generations: 2
denoiser: mlp
training: {num_steps: 10, warmup_steps: 2}
sampling: {scheduler: ddim, num_steps: 10}
features: pixels
metrics: [entropy, generalization]
""")


def names(family: Any) -> str:
    """Return the names of a family's members, as an error lists them."""
    return ", ".join(member.model_fields["name"].default for member in get_args(get_args(family)[0]))


def complaint(change: str) -> str:
    """Return what is said about the experiment with some fields, in YAML, put over it."""
    with pytest.raises(RequestError) as refused:
        expand(build({**EXPERIMENT, **yaml.safe_load(change)}, "try.yaml"))
    return str(refused.value)


def test_the_experiment_itself_is_accepted() -> None:
    assert build(EXPERIMENT).name == "try"


def test_an_unknown_strategy_is_told_with_the_choices_and_a_guess() -> None:
    assert complaint("selection: greddy") == (
        f"try.yaml: selection.name is 'greddy'; it must be one of: {names(AnyStrategy)}. Did you mean greedy?"
    )


def test_a_decay_of_1_2_is_told_with_its_range() -> None:
    said = complaint("selection: {name: threshold_decay, decay: 1.2}")
    assert said.startswith("try.yaml: selection.decay is 1.2; it must lie strictly between 0 and 1. ")
    assert " Leave it out for its default, 0.95. (alpha, " in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("trainin: {num_steps: 5}", "trainin is not a field. Did you mean training?"),
        ("training: {num_steps: 5, batch_sise: 8}", "training.batch_sise is not a field. Did you mean batch_size?"),
        ("selection: {name: threshold_decay, dekay: 5}", "selection.dekay is not a field. Did you mean decay?"),
        ("selection: {name: uniform, decay: 0.9}", "selection.decay is not a field. Its fields are: name."),
        ("metrics: [{name: spread, size: 2}]", "metrics[0].size is not a field. Its fields are: features, name."),
        ("sweep: {grid: {seed: [1]}, gridd: 3}", "sweep.gridd is not a field. Did you mean grid?"),
    ],
)  # fmt: skip
def test_a_misspelt_field_is_told_with_a_suggestion(change: str, expected: str) -> None:
    assert complaint(change) == f"try.yaml: {expected}"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training: {num_steps: ten}", "training.num_steps is 'ten'; it must be an integer."),
        ("training: {num_steps: 10.5}", "training.num_steps is 10.5; it must be an integer."),
        ("training: {num_steps: 10, learning_rate: -1}", "training.learning_rate is -1; it must be greater than 0."),
        ("training: {num_steps: 9, learning_rate: .nan}", "training.learning_rate is nan; it must be a finite number."),
        ("training: {num_steps: 10, batch_size: 0}", "training.batch_size is 0; it must be at least 1."),
        ("training: {num_steps: 9, precision: fp8}", "training.precision is 'fp8'; it must be 'no', 'bf16' or 'fp16'."),
        ("training: 5", "training is 5; it must be a mapping of fields."),
        ("training: {num_steps: 10, betas: 0.9}", "training.betas is 0.9; it must be a list."),
        ("training: {num_steps: 10, betas: [0.9]}", "training.betas[1] is missing."),
        ("training: {num_steps: 9, betas: [1, 2, 3]}", "training.betas is [1, 2, 3]; it must have at most 2 value(s)."),
        ("training: {num_steps: 10, betas: [0.9, high]}", "training.betas[1] is 'high'; it must be a number."),
        ("denoiser: {name: mlp, width: 9}", "denoiser.width is 9; it must be a multiple of 2."),
        ("denoiser: {name: mlp, dropout: 1.5}", "denoiser.dropout is 1.5; it must be less than 1."),
        ("denoiser: {name: unet, channels: []}", "denoiser.channels is []; it must have at least 1 value(s)."),
        ("sampling: {scheduler: ddim, eta: 2}", "sampling.eta is 2; it must lie between 0 and 1."),
        ("tracking: {mlflow: maybe}", "tracking.mlflow is 'maybe'; it must be true or false."),
        ("storage: 5", "storage is 5; it must be text."),
        ("num_generations: 1000000000", "num_generations is 1000000000; it must be at most 1000."),
        ("seed: null", "seed is null; it must be an integer."),
        ("data: {name: digits}", "data.num_train is missing."),
        ("metrics: entropy", "metrics is 'entropy'; it must be a list."),
        ("sweep: {grid: {seed: 3}}", "sweep.grid.seed is 3; it must be a list."),
        ("sweep: {grid: [seed]}", "sweep.grid is ['seed']; it must be a mapping."),
        ("1: 2", "1 is not a field; fields are text."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_is_allowed(change: str, expected: str) -> None:
    assert complaint(change).startswith(f"try.yaml: {expected}")
    assert "\n" not in complaint(change)


def test_a_mistake_inside_a_list_is_told_with_its_position() -> None:
    assert complaint("metrics: [entropy, {name: entropy, k: 0, features: pixels}]").startswith(
        "try.yaml: metrics[1].k is 0; it must be at least 1."
    )
    assert complaint("metrics: [entropy, frechett]").startswith("try.yaml: metrics[1].name is 'frechett'; it must be")
    assert complaint("metrics: [{name: entropy, features: pixel}]") == (
        f"try.yaml: metrics[0].features.name is 'pixel'; it must be one of: {names(AnyExtractor)}. Did you mean pixels?"
    )


def test_a_value_that_fits_no_branch_of_a_union_is_one_mistake() -> None:
    said = complaint("selection: {name: threshold_decay, threshold: -1}")
    assert said.startswith("try.yaml: selection.threshold is -1; it must be greater than 0 or be 'auto'.")
    assert "\n" not in said
    said = complaint("selection: {name: threshold_decay, threshold: automatic}")
    assert said.startswith("try.yaml: selection.threshold is 'automatic'; it must be a number or be 'auto'.")


@pytest.mark.parametrize("value", ["5", "null", "[greedy]", "3.5"])
def test_a_member_that_is_neither_a_name_nor_a_mapping_is_told_with_the_choices(value: str) -> None:
    said = complaint(f"selection: {value}")
    assert f"selection is {value.replace('greedy', repr('greedy'))}; it must name one of: {names(AnyStrategy)}." in said


def test_a_member_without_a_name_is_told_with_the_choices() -> None:
    assert complaint("selection: {decay: 0.9}") == (
        f"try.yaml: selection has no name; it must name one of: {names(AnyStrategy)}."
    )


@pytest.mark.parametrize(
    ("given", "said"), [("num_steps: 10, num_epochs: 5", "both are given"), ("batch_size: 8", "neither is given")]
)
def test_exactly_one_of_num_steps_and_num_epochs_is_needed(given: str, said: str) -> None:
    assert complaint(f"training: {{warmup_steps: 2, {given}}}") == (
        f"try.yaml: training: exactly one of num_steps and num_epochs is needed; {said}. Keep one."
    )


def test_fields_that_contradict_each_other_are_told_with_the_section_they_are_in() -> None:
    assert complaint("sampling: {scheduler: ddpm, eta: 0.5}").startswith("try.yaml: sampling: eta is 0.5, but")
    assert complaint("training: {num_steps: 10, warmup_steps: 20}").startswith("try.yaml: training: warmup_steps is 20")
    assert complaint("sweep: {grid: {}}").startswith("try.yaml: sweep.grid: the grid is empty")
    assert complaint("sweep: {grid: {seed: []}}").startswith("try.yaml: sweep.grid: the grid lists no value for seed")


def test_every_mistake_is_told_on_a_line_of_its_own() -> None:
    lines = complaint("{seed: -1, selection: gredy, training: {num_steps: 0, batch_size: x}}").splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "try.yaml: seed is -1",
        "try.yaml: selection.name is 'gredy'",
        "try.yaml: training.num_steps is 0",
        "try.yaml: training.batch_size is 'x'",
    ]


def test_a_missing_section_is_told_with_what_it_is_for() -> None:
    with pytest.raises(RequestError, match=r"^try\.yaml: training is missing\. \(How each generation's model is trai"):
        build({name: value for name, value in EXPERIMENT.items() if name != "training"}, "try.yaml")


def test_a_denoiser_that_does_not_fit_the_images_is_told_before_anything_starts() -> None:
    said = complaint("denoiser: {name: unet, channels: [32, 32, 64, 64, 64]}")
    assert said.startswith("try.yaml: the images are 8 x 8; a UNet of 5 levels needs sides divisible by 16")


def test_a_space_that_does_not_fit_the_data_is_told_before_anything_starts() -> None:
    assert complaint("features: identity") == (
        "try.yaml: features.name is identity, but the data are images of shape (8, 8, 1). Use pixels."
    )
    assert "Use identity" in complaint("data: {name: gaussians, num_train: 8}")


def test_a_metric_listed_twice_is_refused() -> None:
    assert complaint("metrics: [entropy, {name: entropy, k: 2}]") == (
        "try.yaml: metrics lists entropy twice in the same space; name each once."
    )


CLIP = {"name": "huggingface", "model": "openai/clip-vit-base-patch32", "revision": "main"}
DINOV2 = {"name": "huggingface"}
WRITTEN_OUT = {**DINOV2, "revision": "ed25f3a31f01632728cabb09d1542f84ab7b0056"}
PATCHES = {**DINOV2, "pooling": "mean", "batch_size": 9}


def test_a_metric_in_two_spaces_of_one_extractor_is_no_repetition() -> None:
    metrics = ["frechet", *({"name": "frechet", "features": features} for features in (CLIP, DINOV2))]
    assert [space.space for space in build({**EXPERIMENT, "metrics": metrics}).spaces()] == [
        "pixels", "clip_vit_base_patch32", "dinov2",
    ]  # fmt: skip


@pytest.mark.parametrize("second", [DINOV2, WRITTEN_OUT])
def test_a_metric_listed_twice_in_a_space_of_its_own_is_refused(second: dict[str, str]) -> None:
    metrics = [{"name": "entropy", "features": DINOV2}, {"name": "entropy", "k": 2, "features": second}]
    said = complaint(yaml.safe_dump({"metrics": metrics}))
    assert said == "try.yaml: metrics lists entropy twice in the space dinov2; name each once."


@pytest.mark.parametrize(
    "first", [{"features": DINOV2, "metrics": []}, {"metrics": [{"name": "frechet", "features": DINOV2}]}]
)
def test_two_spaces_of_one_name_and_other_settings_are_refused_with_the_difference(first: dict[str, Any]) -> None:
    def changed(features: dict[str, Any]) -> dict[str, Any]:
        return {**first, "metrics": [*first["metrics"], {"name": "entropy", "features": features}]}

    assert complaint(yaml.safe_dump(changed(PATCHES))) == (
        "try.yaml: two feature extractors call their space dinov2, but pooling is 'cls' and 'mean', batch_size is 64 "
        "and 9; give one of them another space_name, or use the same settings in both."
    )
    assert build({**EXPERIMENT, **changed({**PATCHES, "space_name": "patches"})})
    assert build({**EXPERIMENT, **changed(WRITTEN_OUT)})


@pytest.mark.parametrize("name", ["a b", "", "../up", ".hidden", "a/b", "ä"])
def test_a_name_must_do_for_a_folder(name: str) -> None:
    assert complaint(f"name: {name!r}").startswith(f"try.yaml: name is {name!r}; it must be made of letters, digits")


@pytest.mark.parametrize("field", ["storage", "name", "metrics", "num_generations", "tracking.mlflow", "sweep"])
def test_what_trials_of_one_sweep_share_cannot_vary(field: str) -> None:
    assert complaint(f"sweep: {{grid: {{{field}: [a, b]}}}}") == (
        f"try.yaml: sweep.grid: {field} cannot vary between trials of one sweep."
    )


def test_a_mistake_at_one_point_of_a_grid_is_told_with_the_point() -> None:
    said = complaint("sweep: {grid: {seed: [0, 1], selection: [uniform, {name: threshold_decay, decay: 1.2}]}}")
    assert said.startswith(
        "sweep.grid {'seed': 0, 'selection': {'name': 'threshold_decay', 'decay': 1.2}}: "
        "selection.decay is 1.2; it must lie strictly between 0 and 1."
    )
    said = complaint("sweep: {grid: {trainnig.num_steps: [5]}}")
    assert said.endswith("trainnig is not a field. Did you mean training?")
    assert "seed is 0, which has no fields" in complaint("sweep: {grid: {seed.x: [1]}}")


@pytest.mark.parametrize(
    "grid", ["seed: [1, 1]", "resources.num_actors: [1, 2]", "selection: [greedy, {name: greedy}]"]
)
def test_two_points_of_a_grid_that_would_be_the_same_trial_are_told(grid: str) -> None:
    assert "lists the same trial more than once" in complaint(f"sweep: {{grid: {{{grid}}}}}")


@pytest.mark.parametrize("section", ["training", "sampling"])
def test_a_bare_no_is_a_precision_though_yaml_takes_it_for_false(tmp_path: Path, section: str) -> None:
    file = tmp_path / "try.yaml"
    file.write_text(yaml.safe_dump(EXPERIMENT))
    in_file = tmp_path / "own.yaml"
    in_file.write_text(f"extends: try.yaml\n{section}: {{precision: no}}\n")
    for told in (load(in_file), load(file, [f"{section}.precision=no"])):
        assert getattr(told, section).precision == "no"
        assert told.trial_key() == load(file).trial_key()
    for wrong, shown in (("yes", "true"), ("fp8", "'fp8'"), ("0", "0")):
        with pytest.raises(
            RequestError, match=rf"{section}\.precision is {shown}; it must be 'no', 'bf16' or 'fp16'\."
        ):
            load(file, [f"{section}.precision={wrong}"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read: No such file or directory. Give the path of an experiment's YAML file."),
        (b"", "holds null; an experiment is a mapping of fields."),
        (b"- a\n- b\n", "holds ['a', 'b']; an experiment is a mapping of fields."),
        (b"just text", "holds 'just text'; an experiment is a mapping of fields."),
        (b"a: [1, 2", "is not valid YAML"),
        (
            b"a: 1\nb: c: d\n",
            "is not valid YAML: line 2, column 5: mapping values are not allowed here. Mend that line",
        ),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "is not valid YAML"),
        (b"seed: 1\nname: a\nseed: 2\n", "try.yaml, line 3: seed is given twice, first in line 1. Keep one of them."),
        (b"a: {x: 1, 'x': 1}", "try.yaml, line 1: x is given twice. Keep one of them."),
        (b"- {a: 1}\n- b: 1\n  c: 2\n  b: 1\n", "line 4: b is given twice, first in line 2."),
        (b"a: 2026-13-01", "is not valid YAML: month must be in 1..12. Mend it, or put text in quotes."),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "is not valid YAML: it is nested too deeply."),
        (b"extends: 5", "extends is 5; it must be the path of one YAML file."),
        (b"extends: [a.yaml]", "extends is ['a.yaml']; it must be the path of one YAML file."),
        (b"extends: nowhere.yaml", "nowhere.yaml cannot be read"),
    ],
)
def test_a_file_that_is_no_experiment_is_told_by_its_name(content: bytes | None, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "try.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RequestError) as refused:
        load(file)
    assert expected in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_key_may_override_what_a_merge_brings_and_stand_in_several_mappings(tmp_path: Path) -> None:
    file = tmp_path / "try.yaml"
    file.write_text("one: &one {x: 1, y: 2}\ntwo: {<<: *one, x: 3}\nthree: {<<: *one}\nfour: *one\n")
    assert read_raw(file)["two"] == {"x": 3, "y": 2}


def test_a_file_that_is_extended_may_give_the_same_key(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("seed: 1\n")
    (tmp_path / "top.yaml").write_text("extends: base.yaml\nseed: 2\n")
    assert read_raw(tmp_path / "top.yaml") == {"seed": 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed: yes", "seed is true; it must be a number."),
        ("training: {num_steps: on}", "training: num_steps is true; it must be a number."),
        ("training: {num_steps: 10, learning_rate: false}", "training: learning_rate is false; it must be a number."),
        ("metrics: [{name: entropy, k: true}]", "metrics[0]: k is true; it must be a number."),
    ],
)
def test_true_is_not_taken_for_1(change: str, said: str) -> None:
    assert f"try.yaml: {said}" in complaint(change)


def test_a_field_that_is_true_or_false_takes_both() -> None:
    assert Tracking.model_validate({"mlflow": False}) == Tracking(mlflow=False)


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot be read: Is a directory"):
        load(tmp_path)


def test_many_mistakes_never_leave_pydantics_own_words() -> None:
    for change in (
        "{data: 5, paradigm: x, selection: [], denoiser: null, training: [], sampling: 3, features: {}, metrics: {}}",
        "{num_generations: 0, resources: {device: gpu, threads: 0, num_actors: no}, tracking: {mlflow_uri: 3}}",
        "{sweep: {grid: 3}}",
    ):
        said = complaint(change)
        for word in ("Input", "Tuple", "constrained", "literal[", "function-wrap", "validation", "tagged"):
            assert word not in said
