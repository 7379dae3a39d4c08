"""A loop that starts from given images in the place of generation 1's samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tiny import TINY, manifests, results, run, tiny

from raycollapse.config import Experiment
from raycollapse.data.shards import read_shard
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.metrics.generalization import generalization_score
from raycollapse.plan import plan
from raycollapse.runner import run_here
from raycollapse.stages.training import TrainStage

GIVEN = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A file of 100 different images, labelled."""
    file = tmp_path / "given.npz"
    np.savez(file, images=GIVEN, labels=np.arange(100) % 10)
    return file


def starting(images: Path, **changes: Any) -> Experiment:
    return tiny(images.parent / "storage", start={"images": str(images)}, **changes)


def quiet(experiment: Experiment) -> None:
    assert not run_here(experiment, Console(quiet=True)).failures


def drawn(experiment: Experiment) -> np.ndarray:
    """Return the images that took the place of generation 1's samples."""
    files = sorted(Path(experiment.storage).glob("stages/given/*/*/given-*.parquet"))
    return np.concatenate([read_shard(file).images for file in files])


def test_the_given_images_are_generation_1_and_the_first_model_is_generation_2s(images: Path) -> None:
    own = starting(images, paradigm="accumulate", selection="uniform", num_generations=3)
    records = run(own)
    stages = [(m.kind, m.identity["seed"][1]) for m in manifests(Path(own.storage)).values() if m.kind == "train"]  # type: ignore[index]
    assert sorted(stages) == [("train", 2), ("train", 3)]
    assert [record.generation for record in records] == [1, 2, 3]
    selects = [m.facts for m in manifests(Path(own.storage)).values() if m.kind == "select"]
    counts = sorted((facts["num_per_generation"] for facts in selects), key=len)
    assert counts == [{"0": 20, "1": 20}, {"0": 13, "1": 13, "2": 14}]


def test_they_are_drawn_without_replacement_as_many_as_would_be_sampled(images: Path) -> None:
    own = starting(images)
    run(own)
    rows = {image.tobytes() for image in drawn(own)}
    assert len(rows) == 80  # replace offers 2N
    assert rows < {image.tobytes() for image in GIVEN}


def test_generation_1_is_measured_against_the_real_train_set_and_has_no_real_share(images: Path) -> None:
    own = starting(images)
    first, second = results(run(own))
    assert "selection/real_share" not in first and second["selection/real_share"] == 0.0
    real, given = own.data.split(own.seed)[0].images, drawn(own)[:40]
    flat = [array.reshape(40, -1).astype(np.float32) for array in (given, real)]
    assert first["memorization/generalization_score"] == generalization_score(*flat)


def test_where_they_lie_does_not_matter_but_what_they_are_does(images: Path) -> None:
    key = starting(images).trial_key()
    moved = images.rename(images.parent / "moved.npz")
    assert starting(moved).trial_key() == key
    np.savez(images, images=GIVEN[::-1])
    assert starting(images).trial_key() != key != tiny(images.parent / "storage").trial_key()


def test_a_second_generation_extends_a_run_of_the_given_images_alone(images: Path) -> None:
    quiet(starting(images, num_generations=1))
    storage = images.parent / "storage"
    before = {key: manifest.attempt for key, manifest in manifests(storage).items()}
    assert not {kind for kind, _ in before} & {"train", "sample"}
    quiet(starting(images, num_generations=2))
    assert before.items() <= {key: manifest.attempt for key, manifest in manifests(storage).items()}.items()


@pytest.mark.parametrize(
    "changes", [{}, {"paradigm": "augment"}, {"training": {**TINY["training"], "init": "previous"}}]
)
def test_what_is_planned_is_exactly_what_is_made(changes: dict[str, Any], images: Path) -> None:
    own = starting(images, num_generations=3, **changes)
    planned = plan([trial.on("cpu") for trial in expand(own)])
    quiet(own)
    assert planned.shared.keys() == manifests(Path(own.storage)).keys()
    assert planned.num_shared["train"] == 2 and planned.num_shared["given"] == 1
    first = next(stage for stage in planned.shared.values() if isinstance(stage, TrainStage))
    assert (first.generation, first.initial) == (2, None)  # there is no model before it


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (GIVEN[:79], r"start\.images holds 79 images; 80 are needed"),
        (GIVEN[:, :4, :4], r"start\.images have shape \(4, 4, 1\), the real ones \(8, 8, 1\)"),
    ],
)
def test_images_that_do_not_do_are_refused_before_anything_is_trained(
    given: np.ndarray, reason: str, images: Path
) -> None:
    np.savez(images, images=given)
    with pytest.raises(RequestError, match=reason):
        run_here(starting(images), Console(quiet=True))
    assert not {kind for kind, _ in manifests(images.parent / "storage")} & {"train", "sample", "select"}


def test_images_of_another_size_may_be_resized(images: Path) -> None:
    np.savez(images, images=np.repeat(np.repeat(GIVEN, 2, axis=1), 2, axis=2))
    own = tiny(images.parent / "storage", start={"images": str(images), "image_size": 8})
    quiet(own)
    assert drawn(own).shape == (80, 8, 8, 1)


def test_class_conditional_models_go_on_with_the_labels_of_the_given_images(images: Path) -> None:
    own = starting(images, denoiser={"name": "mlp", "width": 16, "num_blocks": 1, "num_classes": 10})
    quiet(own)
    files = sorted(Path(own.storage).glob("stages/given/*/*/given-*.parquet"))
    label_of = {image.tobytes(): number % 10 for number, image in enumerate(GIVEN)}
    for loaded in map(read_shard, files):
        assert loaded.labels is not None
        assert loaded.labels.tolist() == [label_of[image.tobytes()] for image in loaded.images]


def test_class_conditional_models_refuse_given_images_without_labels(images: Path) -> None:
    np.savez(images, images=GIVEN)
    own = starting(images, denoiser={"name": "mlp", "width": 16, "num_blocks": 1, "num_classes": 10})
    with pytest.raises(RequestError, match="no labels"):
        run_here(own, Console(quiet=True))
    assert not list(Path(own.storage).glob("stages/train"))
