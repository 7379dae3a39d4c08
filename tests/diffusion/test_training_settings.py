"""What follows from the training's settings alone."""

import pytest
import torch
from diffusers.optimization import get_cosine_schedule_with_warmup
from pydantic import ValidationError

from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "exactly one of num_steps and num_epochs is needed; neither is given"),
        ({"num_steps": 1000, "num_epochs": 5}, "both are given"),
        ({"num_steps": 300}, "warmup_steps is 500, but there are only 300 steps in all"),
        ({"num_steps": 500}, "Set warmup_steps to 50"),
        ({"num_steps": 1000, "betas": [0.9, 1.0]}, "both must lie in [0, 1)"),
        ({"num_steps": 1000, "ema": 1.0}, "less than 1"),
        ({"num_steps": 1000, "beta_schedule": "squaredcos_cap_v2", "beta_end": 0.1}, "no effect"),
        ({"num_steps": 1000, "beta_start": 0.1}, "above beta_end"),
        ({"num_steps": 1000, "learning_rate": float("nan")}, "finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_what_to_do(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        Training.model_validate(fields)
    assert words in str(error.value)


def test_the_learning_rate_is_that_of_diffusers_cosine_schedule() -> None:
    training = Training(num_steps=30, warmup_steps=7, learning_rate=3e-4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    schedule = get_cosine_schedule_with_warmup(optimizer, 7, 30)
    for step in range(30):
        assert training.learning_rate_at(step, 30) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12, abs=1e-18)
        optimizer.step()
        schedule.step()


def test_without_warmup_the_first_step_has_the_full_learning_rate() -> None:
    assert Training(num_steps=1, warmup_steps=0, learning_rate=0.5).learning_rate_at(0, 1) == 0.5


def test_epochs_are_counted_in_whole_passes_over_the_images() -> None:
    training = Training(num_epochs=501, batch_size=128)
    assert training.steps_for(32_768) == 501 * 256
    assert training.steps_for(1000) == -(-501 * 1000 // 128)


def test_too_few_images_for_the_warmup_are_refused_once_their_number_is_known() -> None:
    with pytest.raises(RequestError, match="there are only 4 steps in all"):
        Training(num_epochs=4, batch_size=128).check_request(100, "cpu")


def test_the_checkpoint_interval_is_no_part_of_the_identity_and_all_that_has_an_effect_is() -> None:
    training = Training(num_steps=1000)
    assert training.identity() == Training(num_steps=1000, checkpoint_steps=7).identity()
    assert training.identity() != Training(num_steps=1000, ema=0.99).identity()
    assert training.identity() != Training(num_steps=1000, label_dropout=0.1).identity()
    assert set(type(training).model_fields) - set(training.identity()) == {"checkpoint_steps", "init", "label_dropout"}


def test_a_batch_that_the_workers_cannot_share_evenly_is_refused() -> None:
    with pytest.raises(RequestError, match=r"batch_size is 128.*divisible by their number, 3. Use 129"):
        Training(num_steps=1000).check_request(1000, "cpu", world_size=3)


def test_fp16_on_a_cpu_is_refused_and_on_a_gpu_it_is_not() -> None:
    training = Training(num_steps=1000, precision="fp16")
    training.check_request(1000, "cuda")
    with pytest.raises(RequestError, match=r"training.precision is fp16, but the device is a CPU. Use bf16"):
        training.check_request(1000, "cpu")
