"""Classifier-free guidance: against a closed form, and what sampling by class refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raycollapse.diffusion import Denoiser, MlpDenoiser, UNetDenoiser
from raycollapse.diffusion.checkpoints import NoCheckpoints
from raycollapse.diffusion.guidance import guided, predicted_noise
from raycollapse.diffusion.sampler import sample
from raycollapse.diffusion.sampling import Sampling
from raycollapse.diffusion.snapshot import Snapshot, Standardisation, Trained, load_snapshot, save_snapshot
from raycollapse.diffusion.trainer import train
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError

TRAINING = Training(num_steps=3, warmup_steps=0, batch_size=4, learning_rate=1e-2, label_dropout=0.5)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
MLP = MlpDenoiser(width=16, num_blocks=1, num_classes=3)
UNET = UNetDenoiser(channels=(8, 16), layers_per_block=1, norm_num_groups=4, num_classes=3)
MEANS, STD = (-1.0, 0.5, 0.25), 0.5
"""Of two classes, and, last, of what is not told a class."""


class ClassOracle(Denoiser):
    """Knows the noise in data from N(MEANS[class], STD^2) exactly."""

    num_classes: int | None = 2

    def build(self, shape: tuple[int, ...]) -> torch.nn.Module:
        return OracleModule()

    def check_shape(self, shape: tuple[int, ...]) -> None:
        pass


class OracleModule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("alpha_bar", torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0))

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, class_labels: torch.Tensor, return_dict: bool = False
    ) -> tuple[torch.Tensor]:
        alpha_bar, mean = self.alpha_bar[t][:, None], torch.tensor(MEANS)[class_labels][:, None]
        noise = (1 - alpha_bar).sqrt() * (x - alpha_bar.sqrt() * mean) / (alpha_bar * STD**2 + 1 - alpha_bar)
        return (noise.float(),)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_guidance_between_equal_gaussians_samples_the_one_on_the_line_through_their_means(
    scheduler: str, scale: float, tmp_path: Path
) -> None:
    """The noise is affine in the mean, so the guided noise is that of the mean m_0 + w (m_c - m_0), same variance."""
    units = Standardisation(np.zeros(2, np.float32), np.ones(2, np.float32))
    oracle = ClassOracle(name=f"{__name__}:ClassOracle")
    weights = oracle.build((2,)).state_dict()
    save_snapshot(Trained(oracle, (2,), weights, TRAINING.noise_schedule(), units, {}, []), tmp_path)
    num, num_steps = 4096, {"ddim": 500, "dpmsolver++": 50}[scheduler]
    sampling = Sampling(scheduler=scheduler, num_steps=num_steps, batch_size=num, guidance_scale=scale)
    for label in (0, 1):
        samples = sample(tmp_path, sampling, num, 0, "cpu", np.full(num, label)).astype(np.float64)
        mean = MEANS[2] + scale * (MEANS[label] - MEANS[2])
        # Four standard errors, and two per cent for the finite number of steps.
        assert (np.abs(samples.mean(0) - mean) < 4 * STD / num**0.5 + 0.02 * abs(mean)).all()
        assert (np.abs(samples.std(0) / STD - 1) < 4 / (2 * num) ** 0.5 + 0.02).all()


def snapshot_of(denoiser: Denoiser, folder: Path) -> Snapshot:
    save_snapshot(train(IMAGES, denoiser, TRAINING, 0, NoCheckpoints(), "cpu", LABELS), folder)
    return load_snapshot(folder)


@pytest.mark.parametrize("denoiser", [MLP, UNET], ids=["mlp", "unet"])
def test_guided_noise_is_made_of_two_single_passes(denoiser: Denoiser, tmp_path: Path) -> None:
    snapshot = snapshot_of(denoiser, tmp_path)
    x, t, labels = torch.randn(4, 1, 8, 8), torch.tensor([3, 100, 500, 999]), torch.tensor([0, 1, 2, 0])

    def noise(told: torch.Tensor) -> torch.Tensor:
        return snapshot.module(x, t, class_labels=told, return_dict=False)[0]  # type: ignore[no-any-return]

    conditional, unconditional = noise(labels), noise(torch.full((4,), 3))
    assert not torch.allclose(conditional, unconditional, atol=1e-3)
    assert torch.equal(predicted_noise(snapshot, x, t, labels, 1.0), conditional)
    for scale in (0.25, 2.0):
        expected = unconditional + scale * (conditional - unconditional)
        assert torch.allclose(predicted_noise(snapshot, x, t, labels, scale), expected, atol=1e-5)


def test_guidance_at_zero_one_and_two_is_unconditional_conditional_and_as_far_beyond() -> None:
    unconditional, conditional = torch.tensor([1.0, -1.0]), torch.tensor([1.5, 0.0])
    assert torch.equal(guided(unconditional, conditional, 0.0), unconditional)
    assert torch.equal(guided(unconditional, conditional, 1.0), conditional)
    assert torch.equal(guided(unconditional, conditional, 2.0), torch.tensor([2.0, 1.0]))


def test_each_sample_has_its_own_class_whatever_the_sub_batch(tmp_path: Path) -> None:
    snapshot_of(MLP, tmp_path)

    def samples(labels: list[int], batch_size: int) -> np.ndarray:
        sampling = Sampling(scheduler="ddim", num_steps=5, batch_size=batch_size, guidance_scale=2.0)
        return sample(tmp_path, sampling, 5, 1, "cpu", np.array(labels)).astype(int)

    whole = samples([0, 1, 2, 1, 0], batch_size=5)
    assert np.abs(samples([0, 1, 2, 1, 0], batch_size=2) - whole).max() <= 1  # the rounding to pixels
    differences = np.abs(samples([0, 1, 2, 2, 0], batch_size=5) - whole).reshape(5, -1).max(axis=1)
    assert (differences > 1).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("denoiser", "labels", "scale", "words"),
    [
        (MLP, None, 1.0, "the data have no labels"),
        (MLP, [0, 1], 1.0, "there are 2 labels for 3 samples"),
        (MLP, [0, 1, 3], 1.0, "have the label 3; labels must lie between 0 and 2"),
        (MlpDenoiser(width=16), [0, 1, 2], 1.0, "labels are given, but the snapshot is not class-conditional"),
        (MlpDenoiser(width=16), None, 2.0, "guidance_scale is 2, but the snapshot is not class-conditional"),
    ],
)
def test_labels_and_guidance_that_do_not_suit_the_snapshot_are_refused(
    denoiser: Denoiser, labels: list[int] | None, scale: float, words: str, tmp_path: Path
) -> None:
    snapshot_of(denoiser, tmp_path)
    told = None if labels is None else np.array(labels)
    with pytest.raises(RequestError) as error:
        sample(tmp_path, Sampling(num_steps=10, guidance_scale=scale), 3, 0, "cpu", told)
    assert words in str(error.value)
