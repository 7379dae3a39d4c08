"""Training: what it learns, what it refuses, what it leaves behind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from raycollapse.diffusion import MlpDenoiser, UNetDenoiser
from raycollapse.diffusion.checkpoints import NoCheckpoints
from raycollapse.diffusion.snapshot import Trained, save_snapshot
from raycollapse.diffusion.trainer import loss_curve, train
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError, StageError

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
MLP = MlpDenoiser(width=16, num_blocks=1)
SHORT = {"num_steps": 4, "warmup_steps": 0, "batch_size": 8, "learning_rate": 1e-3}


def trained(images: np.ndarray = IMAGES, seed: int = 0, initial: Path | None = None, **fields: object) -> Trained:
    training = Training.model_validate(SHORT | fields)
    return train(images, MLP, training, seed, NoCheckpoints(), "cpu", initial=initial)


def same_weights(one: Trained, other: Trained) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_the_seed_decides_the_weights() -> None:
    assert same_weights(trained(seed=1), trained(seed=1))
    assert not same_weights(trained(seed=1), trained(seed=2))


STILL = {"init": "previous", "learning_rate": 1e-40}
"""A fine-tuning whose steps are too small to change any weight."""


@pytest.mark.parametrize("ema", [None, 0.5])
def test_fine_tuning_starts_from_the_weights_that_were_sampled_from(ema: float | None, tmp_path: Path) -> None:
    before = trained(seed=1, ema=ema)
    save_snapshot(before, tmp_path)
    assert same_weights(trained(seed=2, initial=tmp_path, ema=ema, **STILL), before)
    assert not same_weights(trained(seed=2, initial=tmp_path, init="previous"), before)


def test_fine_tuning_learns_at_once_what_training_from_scratch_has_to_learn_first(tmp_path: Path) -> None:
    long = {"num_steps": 200, "learning_rate": 1e-2}
    save_snapshot(trained(seed=1, **long), tmp_path)
    losses = {
        init: trained(seed=2, init=init, initial=tmp_path if init == "previous" else None).losses[0][1]
        for init in ("scratch", "previous")
    }
    assert losses["previous"] < 0.8 * losses["scratch"]


@pytest.mark.parametrize("init", ["scratch", "previous"])
def test_a_start_and_a_snapshot_that_do_not_go_together_are_refused(init: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"training.init is {init}, but"):
        trained(init=init, initial=tmp_path if init == "scratch" else None)


def test_the_generators_of_the_process_are_left_as_they_were() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    trained()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_process_trains_in_one_precision_after_another() -> None:
    facts = [trained(precision=precision).facts["precision"] for precision in ("bf16", "no", "bf16")]
    assert facts == ["bf16", "no", "bf16"]
    assert not same_weights(trained(precision="bf16"), trained(precision="no"))


def test_the_facts_say_what_was_done() -> None:
    facts = trained(num_steps=7, precision="bf16").facts
    assert {name: facts[name] for name in ("num_steps", "batch_size", "world_size", "precision", "device")} == {
        "num_steps": 7,
        "batch_size": 8,
        "world_size": 1,
        "precision": "bf16",
        "device": "cpu",
    }


def test_epochs_become_steps() -> None:
    assert trained(num_steps=None, num_epochs=2).facts["num_steps"] == 5  # 2 x 20 images in batches of 8


def test_the_average_is_what_is_sampled_from_and_leaves_the_training_alone() -> None:
    plain, averaged = trained(num_steps=20), trained(num_steps=20, ema=0.9)
    assert plain.losses == averaged.losses
    assert not same_weights(plain, averaged)


def test_the_average_is_its_recursion() -> None:
    """diffusers' EMAModel: w1 after one step, then decay min(0.99, 2 / 11), as it warms up."""
    first, second, averaged = trained(num_steps=1), trained(num_steps=2), trained(num_steps=2, ema=0.99)
    for name, value in averaged.weights.items():
        expected = 2 / 11 * first.weights[name].double() + 9 / 11 * second.weights[name].double()
        assert torch.allclose(value.double(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("num_train", [1, 3])
def test_fewer_images_than_a_batch_are_enough(num_train: int) -> None:
    assert trained(IMAGES[:num_train], batch_size=16).facts["num_steps"] == 4


def test_a_loss_that_is_not_finite_is_reported_with_its_first_step_and_learning_rate() -> None:
    with pytest.raises(StageError, match=r"loss is (nan|inf) at step \d+, where the learning rate is [\d.]+e\+"):
        trained(num_steps=60, learning_rate=1e30)


def test_the_first_loss_that_is_not_finite_is_the_one_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of its own makes the loss of step 3 infinite; it is looked at only at the end."""
    original = Training.learning_rate_at
    monkeypatch.setattr(Training, "learning_rate_at", lambda s, step, n: 1e38 if step == 2 else original(s, step, n))
    with pytest.raises(StageError, match=r"at step 3, where the learning rate is 0\.000"):
        trained(num_steps=10)


def test_weights_spoilt_by_the_very_last_step_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "learning_rate_at", lambda s, step, n: float("inf") if step == 3 else 1e-3)
    with pytest.raises(StageError, match="not finite after the last step"):
        trained()


def test_fp16_on_a_cpu_is_refused_before_anything_starts() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(RequestError, match="fp16"):
        trained(precision="fp16")
    assert AcceleratorState._shared_state == {}


def test_nan_in_vectors_is_refused() -> None:
    with pytest.raises(RequestError, match="NaN or infinity, first in vector 2"):
        trained(np.array([[0.0], [1.0], [np.nan]], np.float32))


def test_sides_that_the_unet_cannot_take_are_refused() -> None:
    training = Training.model_validate(SHORT)
    with pytest.raises(RequestError, match="8 x 8"):
        train(IMAGES, UNetDenoiser(width="unet32"), training, 0, NoCheckpoints(), "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError, match="sees no GPU"):
        train(IMAGES, MLP, Training.model_validate(SHORT), 0, NoCheckpoints(), "cuda")


def test_an_environment_that_overrules_the_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "meta")
    with pytest.raises(RequestError, match="asked for cpu with precision no"):
        trained()


@pytest.mark.parametrize("num_steps", [1, 49, 50, 99, 100, 1234])
def test_the_loss_curve_has_about_50_points_and_keeps_the_mean(num_steps: int) -> None:
    losses = np.random.default_rng(0).random(num_steps).tolist()
    curve = loss_curve(losses)
    ends = [0, *(step for step, _ in curve)]
    lengths = np.diff(ends)
    assert ends[-1] == num_steps
    assert len(curve) <= 100
    assert len(curve) >= min(50, num_steps)
    assert np.dot(lengths, [loss for _, loss in curve]) / num_steps == pytest.approx(np.mean(losses), rel=1e-12)
