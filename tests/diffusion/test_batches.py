"""What a training step sees: the order of the images, the noise, the forward process."""

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from raycollapse.diffusion.batches import TrainData, batch_indices, check_array, noise_and_timesteps
from raycollapse.diffusion.training import BetaSchedule, Training
from raycollapse.errors import RequestError

CPU = torch.device("cpu")


@given(num_train=st.integers(1, 20), batch_size=st.integers(1, 30), num_steps=st.integers(1, 12))
def test_every_image_is_seen_equally_often(num_train: int, batch_size: int, num_steps: int) -> None:
    seen = np.concatenate([batch_indices(0, step, batch_size, num_train) for step in range(num_steps)])
    counts = np.bincount(seen, minlength=num_train)
    assert len(seen) == num_steps * batch_size
    assert counts.max() - counts.min() <= 1


@given(num_train=st.integers(1, 20), batch_size=st.integers(1, 10))
def test_the_order_of_the_images_does_not_depend_on_the_batch_size(num_train: int, batch_size: int) -> None:
    one_by_one = np.concatenate([batch_indices(5, step, 1, num_train) for step in range(4 * batch_size)])
    in_batches = np.concatenate([batch_indices(5, step, batch_size, num_train) for step in range(4)])
    assert np.array_equal(one_by_one, in_batches)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [tuple(batch_indices(seed, epoch, 50, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_the_noise_of_a_step_depends_on_seed_and_step_alone() -> None:
    noise, t = noise_and_timesteps(1, 7, (4, 2), 1000)
    torch.rand(10)
    again, t_again = noise_and_timesteps(1, 7, (4, 2), 1000)
    assert torch.equal(noise, again)
    assert torch.equal(t, t_again)
    assert not torch.equal(noise, noise_and_timesteps(1, 8, (4, 2), 1000)[0])
    assert not torch.equal(noise, noise_and_timesteps(2, 7, (4, 2), 1000)[0])


def test_timesteps_are_uniform_over_all_of_them() -> None:
    t = torch.cat([noise_and_timesteps(0, step, (1000, 1), 10)[1] for step in range(10)])
    counts = torch.bincount(t, minlength=10).double()
    chi_squared = float(((counts - 1000) ** 2 / 1000).sum())
    assert chi_squared < 27.9  # 99.9 % quantile at 9 degrees of freedom


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_the_forward_process_is_its_closed_form(schedule: BetaSchedule) -> None:
    """Iterating q(x_t | x_(t-1)) of eq. 2 on mean and variance gives eq. 4, which is what training adds."""
    training = Training(num_steps=1000, beta_schedule=schedule, num_train_timesteps=50)
    scheduler = DDPMScheduler(**training.noise_schedule())
    x_0 = torch.tensor([[0.7]])
    mean, variance = 0.7, 0.0
    for t, beta in enumerate(scheduler.betas.double().tolist()):
        mean, variance = (1 - beta) ** 0.5 * mean, (1 - beta) * variance + beta
        signal = scheduler.add_noise(x_0, torch.zeros(1, 1), torch.tensor([t])).item()
        noise = scheduler.add_noise(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([t])).item()
        assert signal == pytest.approx(mean, abs=2e-6)
        assert noise**2 == pytest.approx(variance, abs=2e-6)


def test_the_linear_schedule_runs_from_beta_start_to_beta_end() -> None:
    betas = DDPMScheduler(**Training(num_steps=1000).noise_schedule()).betas
    assert (len(betas), betas[0].item(), betas[-1].item()) == (1000, pytest.approx(1e-4), pytest.approx(0.02))


def test_pixels_0_and_255_become_minus_one_and_one_channels_first() -> None:
    images = np.zeros((2, 3, 4, 2), np.uint8)
    images[1, 2, 3, 1] = 255
    data = TrainData.from_array(images, CPU)
    batch = data.gather(torch.tensor([1]))
    assert batch.shape == (1, 2, 3, 4)
    assert batch[0, 1, 2, 3] == 1.0
    assert batch.min() == -1.0
    assert data.values.dtype == torch.uint8


def test_vectors_are_standardised_and_a_constant_coordinate_stays_finite() -> None:
    vectors = np.random.default_rng(0).normal(5.0, 3.0, (500, 3)).astype(np.float32)
    vectors[:, 2] = 0.1
    values = TrainData.from_array(vectors, CPU).values.double()
    assert values.mean(0).abs().max() < 1e-5
    assert values.std(0, correction=0)[:2].tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert values[:, 2].abs().max() < 1e-6


def test_read_only_arrays_are_taken_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    images = np.zeros((2, 4, 4, 1), np.uint8)
    images.flags.writeable = False
    TrainData.from_array(images, CPU)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 4, 4, 1), np.float32), "it must be uint8 images"),
        (np.zeros((2, 4, 4), np.uint8), "it must be uint8 images"),
        (np.zeros((2, 3), np.float64), "float32 vectors"),
        (np.zeros((0, 4, 4, 1), np.uint8), "is empty"),
        (np.array([[0.0], [np.nan]], np.float32), "NaN or infinity, first in vector 1"),
    ],
)
def test_a_train_set_of_the_wrong_kind_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        check_array(array)
