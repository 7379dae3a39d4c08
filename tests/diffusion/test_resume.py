"""A training that is stopped and resumed is bitwise the uninterrupted one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from raycollapse.diffusion import Denoiser, MlpDenoiser, UNetDenoiser
from raycollapse.diffusion.checkpoints import FolderCheckpoints, NoCheckpoints
from raycollapse.diffusion.snapshot import Trained, save_snapshot
from raycollapse.diffusion.trainer import train
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError

LABELS = np.arange(20) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
MLP = MlpDenoiser(width=16, num_blocks=1, dropout=0.2)
UNET = UNetDenoiser(
    channels=(8, 16), attention_levels=(2,), layers_per_block=1, norm_num_groups=4, dropout=0.2
)  # dropout: its random numbers must resume too


class StopError(Exception):
    """The machine goes away."""


@dataclass(frozen=True)
class StopsAfterSaving(FolderCheckpoints):
    """Commits a checkpoint, then the machine goes away."""

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        super().save(step, write)
        raise StopError


def settings(**fields: object) -> Training:
    return Training.model_validate(
        {"num_steps": 11, "warmup_steps": 3, "batch_size": 8, "learning_rate": 1e-2, "checkpoint_steps": 4} | fields
    )


def interrupted(
    images: np.ndarray, denoiser: Denoiser, training: Training, folder: Path, labels: np.ndarray | None = None
) -> Trained:
    """Train, stopping after every checkpoint."""
    while True:
        try:
            return train(images, denoiser, training, 3, StopsAfterSaving(folder), "cpu", labels)
        except StopError:
            torch.rand(7)  # the resumed process has another random state
            np.random.default_rng().random()


CONDITIONAL = [denoiser.model_copy(update={"num_classes": 3}) for denoiser in (MLP, UNET)]


def assert_bitwise_equal(one: Trained, other: Trained) -> None:
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    assert one.losses == other.losses
    assert one.facts == other.facts


def snapshot(folder: Path, seed: int) -> Path:
    """Leave a trained model in a folder."""
    folder.mkdir()
    save_snapshot(train(IMAGES, MLP, settings(), seed, NoCheckpoints(), "cpu"), folder)
    return folder


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("denoiser", [MLP, UNET], ids=["mlp", "unet"])
def test_a_resumed_training_is_bitwise_the_uninterrupted_one(
    denoiser: Denoiser, ema: float | None, tmp_path: Path
) -> None:
    training = settings(ema=ema)
    whole = train(IMAGES, denoiser, training, 3, NoCheckpoints(), "cpu")
    assert_bitwise_equal(interrupted(IMAGES, denoiser, training, tmp_path), whole)


@pytest.mark.parametrize("denoiser", CONDITIONAL, ids=["mlp", "unet"])
def test_a_resumed_training_withholds_the_same_labels(denoiser: Denoiser, tmp_path: Path) -> None:
    training = settings(ema=0.9, label_dropout=0.4)
    whole = train(IMAGES, denoiser, training, 3, NoCheckpoints(), "cpu", LABELS)
    assert_bitwise_equal(interrupted(IMAGES, denoiser, training, tmp_path, LABELS), whole)
    assert whole.class_counts == (7, 7, 6)
    told = train(IMAGES, denoiser, settings(ema=0.9), 3, NoCheckpoints(), "cpu", LABELS)
    assert told.losses != whole.losses


def test_a_checkpoint_of_a_training_on_other_labels_is_refused(tmp_path: Path) -> None:
    train(IMAGES, CONDITIONAL[0], settings(), 3, FolderCheckpoints(tmp_path), "cpu", LABELS)
    with pytest.raises(RequestError, match="belongs to another training"):
        train(IMAGES, CONDITIONAL[0], settings(), 3, FolderCheckpoints(tmp_path), "cpu", LABELS[::-1].copy())


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_vectors_resume_bitwise_in_either_precision(precision: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    training = settings(precision=precision)
    whole = train(vectors, MLP, training, 3, NoCheckpoints(), "cpu")
    assert_bitwise_equal(interrupted(vectors, MLP, training, tmp_path), whole)


def test_the_checkpoint_interval_does_not_change_the_result(tmp_path: Path) -> None:
    one, other = (
        train(IMAGES, MLP, settings(checkpoint_steps=steps), 3, FolderCheckpoints(tmp_path / str(steps)), "cpu")
        for steps in (1, 100)
    )
    assert_bitwise_equal(one, other)


def test_a_damaged_checkpoint_costs_time_but_not_the_result(tmp_path: Path) -> None:
    whole = train(IMAGES, MLP, settings(), 3, NoCheckpoints(), "cpu")
    with pytest.raises(StopError):
        train(IMAGES, MLP, settings(), 3, StopsAfterSaving(tmp_path), "cpu")
    state = tmp_path / "step-000000004" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    assert_bitwise_equal(train(IMAGES, MLP, settings(), 3, FolderCheckpoints(tmp_path), "cpu"), whole)
    assert (tmp_path / "damaged-step-000000004").is_dir()


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_resumed_fine_tuning_is_bitwise_the_uninterrupted_one(ema: float | None, tmp_path: Path) -> None:
    start, training = snapshot(tmp_path / "start", 1), settings(ema=ema, init="previous")
    whole = train(IMAGES, MLP, training, 3, NoCheckpoints(), "cpu", initial=start)
    with pytest.raises(StopError):
        train(IMAGES, MLP, training, 3, StopsAfterSaving(tmp_path / "run"), "cpu", initial=start)
    assert_bitwise_equal(
        train(IMAGES, MLP, training, 3, FolderCheckpoints(tmp_path / "run"), "cpu", initial=start), whole
    )


def test_a_checkpoint_of_a_fine_tuning_from_another_snapshot_is_refused(tmp_path: Path) -> None:
    one, other = (snapshot(tmp_path / f"{seed}", seed) for seed in (1, 2))
    training, checkpoints = settings(init="previous"), FolderCheckpoints(tmp_path / "run")
    train(IMAGES, MLP, training, 3, checkpoints, "cpu", initial=one)
    with pytest.raises(RequestError, match="belongs to another training"):
        train(IMAGES, MLP, training, 3, checkpoints, "cpu", initial=other)


@pytest.mark.parametrize("change", ["seed", "learning rate", "images", "denoiser"])
def test_a_checkpoint_of_another_training_is_refused(change: str, tmp_path: Path) -> None:
    train(IMAGES, MLP, settings(), 3, FolderCheckpoints(tmp_path), "cpu")
    images = IMAGES[::-1].copy() if change == "images" else IMAGES
    denoiser = MlpDenoiser(width=16, num_blocks=1) if change == "denoiser" else MLP
    training = settings(learning_rate=1e-3) if change == "learning rate" else settings()
    with pytest.raises(RequestError, match="belongs to another training"):
        train(images, denoiser, training, 4 if change == "seed" else 3, FolderCheckpoints(tmp_path), "cpu")


def test_a_checkpoint_is_safetensors_and_json_and_nothing_else(tmp_path: Path) -> None:
    train(IMAGES, MLP, settings(ema=0.9), 3, FolderCheckpoints(tmp_path), "cpu")
    files = {path.name for path in (tmp_path / "step-000000008").iterdir()}
    assert files == {"manifest.json", "state.json", "state.safetensors"}
