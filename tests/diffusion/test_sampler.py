"""Sampling: against closed forms, shard by shard, and what it refuses."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from raycollapse.diffusion import Denoiser, MlpDenoiser, UNetDenoiser, sampler
from raycollapse.diffusion.checkpoints import NoCheckpoints
from raycollapse.diffusion.sampler import sample
from raycollapse.diffusion.sampling import Sampling
from raycollapse.diffusion.snapshot import Standardisation, Trained, save_snapshot
from raycollapse.diffusion.trainer import train
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError, StageError

TRAINING = Training(num_steps=3, warmup_steps=0, batch_size=4)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
FAST = Sampling(scheduler="ddim", num_steps=5, eta=1.0, batch_size=4)


class GaussianOracle(Denoiser):
    """Knows the noise in data from N(mean, std^2) exactly: E[epsilon | x_t] in closed form."""

    mean: float = 0.0
    std: float = 1.0

    def build(self, shape: tuple[int, ...]) -> torch.nn.Module:
        return OracleModule(self.mean, self.std)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        pass


class OracleModule(torch.nn.Module):
    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        self.register_buffer("alpha_bar", torch.cumprod(1 - betas, 0))

    def forward(self, x: torch.Tensor, t: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        alpha_bar = self.alpha_bar[t].reshape(-1, *[1] * (x.ndim - 1))
        variance = alpha_bar * self.std**2 + 1 - alpha_bar
        noise = (1 - alpha_bar).sqrt() * (x - alpha_bar.sqrt() * self.mean) / variance
        return (noise.float(),)


def oracle_snapshot(folder: Path, mean: float, std: float, shape: tuple[int, ...] = (2,)) -> Path:
    denoiser = GaussianOracle(name=f"{__name__}:GaussianOracle", mean=mean, std=std)
    weights = denoiser.build(shape).state_dict()
    units = Standardisation(np.array([10.0, -5.0], np.float32), np.array([2.0, 0.5], np.float32))
    standardisation = units if len(shape) == 1 else None
    save_snapshot(Trained(denoiser, shape, weights, TRAINING.noise_schedule(), standardisation, {}, []), folder)
    return folder


@pytest.fixture
def make_snapshot(tmp_path: Path) -> Callable[[Denoiser], Path]:
    def make(denoiser: Denoiser) -> Path:
        save_snapshot(train(IMAGES, denoiser, TRAINING, 0, NoCheckpoints(), "cpu"), tmp_path)
        return tmp_path

    return make


@pytest.fixture
def snapshot(make_snapshot: Callable[[Denoiser], Path]) -> Path:
    return make_snapshot(MlpDenoiser(width=16, num_blocks=1))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(scheduler="ddpm", num_steps=1000, batch_size=4096),
        Sampling(scheduler="ddim", num_steps=500, batch_size=4096),
        Sampling(scheduler="ddim", num_steps=1000, eta=1.0, batch_size=4096),
        Sampling(scheduler="dpmsolver++", num_steps=50, batch_size=4096),
    ],
    ids=["ddpm", "ddim", "ddim eta 1", "dpmsolver++"],
)
def test_with_the_exact_noise_every_scheduler_samples_the_gaussian(sampling: Sampling, tmp_path: Path) -> None:
    oracle_snapshot(tmp_path, mean=0.5, std=0.4)
    num = 4096
    samples = sample(tmp_path, sampling, num, 0, "cpu").astype(np.float64)
    mean, std = np.array([10.0, -5.0]) + 0.5 * np.array([2.0, 0.5]), 0.4 * np.array([2.0, 0.5])
    # Four standard errors, and two per cent of the spread for the finite number of steps.
    assert (np.abs(samples.mean(0) - mean) < std * (4 / num**0.5 + 0.02)).all()
    assert (np.abs(samples.std(0) / std - 1) < 4 / (2 * num) ** 0.5 + 0.02).all()
    assert abs(np.corrcoef(samples.T)[0, 1]) < 4 / num**0.5


def test_ddim_with_eta_one_is_ddpm(tmp_path: Path) -> None:
    """Song et al. 2021, section 4.1; with x_0 clipped it holds only if the noise is derived from it anew."""
    oracle_snapshot(tmp_path, mean=0.8, std=0.5, shape=(4, 4, 1))
    ddpm, ddim = (
        sample(tmp_path, Sampling(scheduler=scheduler, num_steps=50, eta=eta), 64, 1, "cpu").astype(int)
        for scheduler, eta in (("ddpm", None), ("ddim", 1.0))
    )
    assert np.abs(ddpm - ddim).max() <= 1  # the rounding to pixels
    assert (ddpm == ddim).mean() > 0.99


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpmsolver++"])
def test_images_are_clipped_at_white_rather_than_wrapped(scheduler: str, tmp_path: Path) -> None:
    oracle_snapshot(tmp_path, mean=3.0, std=0.1, shape=(4, 4, 1))
    samples = sample(tmp_path, Sampling(scheduler=scheduler, num_steps=20), 8, 0, "cpu")
    assert samples.dtype == np.uint8
    assert samples.shape == (8, 4, 4, 1)
    assert samples.min() >= 250


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpmsolver++"])
def test_vectors_are_not_clipped(scheduler: str, tmp_path: Path) -> None:
    oracle_snapshot(tmp_path, mean=3.0, std=0.1)
    samples = sample(tmp_path, Sampling(scheduler=scheduler, num_steps=20), 8, 0, "cpu")
    assert samples.dtype == np.float32
    assert samples[:, 0].mean() == pytest.approx(10.0 + 2.0 * 3.0, abs=0.5)


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpmsolver++"])
@pytest.mark.parametrize(
    "denoiser",
    [MlpDenoiser(width=16, num_blocks=1), UNetDenoiser(channels=(8, 16), layers_per_block=1, norm_num_groups=4)],
    ids=["mlp", "unet"],
)
def test_shards_sampled_in_any_order_are_the_same(
    scheduler: str, denoiser: Denoiser, make_snapshot: Callable[[Denoiser], Path]
) -> None:
    folder = make_snapshot(denoiser)
    sampling = Sampling(scheduler=scheduler, num_steps=5, batch_size=4)
    forwards = {seed: sample(folder, sampling, 6, seed, "cpu") for seed in (0, 1, 2)}
    torch.rand(3)
    backwards = {seed: sample(folder, sampling, 6, seed, "cpu") for seed in (2, 1, 0)}
    assert all(np.array_equal(forwards[seed], backwards[seed]) for seed in forwards)
    assert not np.array_equal(forwards[0], forwards[1])


def test_another_process_samples_the_same_shard(snapshot: Path, tmp_path: Path) -> None:
    here = sample(snapshot, FAST, 6, 7, "cpu")
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path; import numpy as np\n"
        "from raycollapse.diffusion.sampler import sample\n"
        "from raycollapse.diffusion.sampling import Sampling\n"
        "sampling = Sampling.model_validate_json(sys.argv[2])\n"
        "np.save(sys.argv[3], sample(Path(sys.argv[1]), sampling, 6, 7, 'cpu'))\n"
    )
    there = tmp_path / "there.npy"
    subprocess.run([sys.executable, "-c", code, str(snapshot), FAST.model_dump_json(), str(there)], check=True)
    assert np.array_equal(np.load(there, allow_pickle=False), here)


def test_the_sub_batches_share_one_stream_of_noise(snapshot: Path) -> None:
    """The first sub-batch does not know how many follow; the second is not a copy of it."""
    shard = sample(snapshot, FAST, 6, 0, "cpu")
    assert np.array_equal(sample(snapshot, FAST, 4, 0, "cpu"), shard[:4])
    assert not np.array_equal(shard[4:], shard[:2])


def test_the_snapshot_is_read_once_for_many_shards(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    original = sampler.load_snapshot
    monkeypatch.setattr(sampler, "load_snapshot", lambda folder: (reads.append(folder), original(folder))[1])
    for seed in range(3):
        sample(snapshot, FAST, 2, seed, "cpu")
    assert len(reads) == 1


def test_bf16_is_close_to_float32_but_not_the_same(snapshot: Path) -> None:
    full, half = (
        sample(snapshot, FAST.model_copy(update={"precision": precision}), 6, 0, "cpu").astype(int)
        for precision in ("no", "bf16")
    )
    assert not np.array_equal(full, half)
    assert np.abs(full - half).mean() < 2.0


def test_samples_that_are_not_finite_stop_the_stage(tmp_path: Path) -> None:
    outcome = train(IMAGES, MlpDenoiser(width=16, num_blocks=1), TRAINING, 0, NoCheckpoints(), "cpu")
    outcome.weights["exit.bias"][:] = float("nan")
    save_snapshot(outcome, tmp_path)
    with pytest.raises(StageError, match="3 of 3 samples are not finite"):
        sample(tmp_path, FAST, 3, 0, "cpu")


@pytest.mark.parametrize("scheduler", ["ddpm", "dpmsolver++"])
def test_an_eta_without_ddim_is_refused_rather_than_ignored(scheduler: str) -> None:
    with pytest.raises(ValidationError, match="only ddim has an eta"):
        Sampling(scheduler=scheduler, eta=0.0)


def test_an_eta_left_out_is_the_eta_zero() -> None:
    assert Sampling(scheduler="ddim").identity() == Sampling(scheduler="ddim", eta=0.0).identity()
    assert Sampling(scheduler="ddim").identity() != Sampling(scheduler="ddim", eta=1.0).identity()


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(scheduler="ddim", num_steps=300), "must divide the 1000 timesteps of training. Use 250 or 500"),
        (Sampling(scheduler="ddpm", num_steps=999), "Use 500 or 1000"),
        (Sampling(scheduler="ddpm", num_steps=1001), "at most 1000"),
        (Sampling(scheduler="dpmsolver++", num_steps=1000), "at most 999"),
        (Sampling(precision="fp16"), "sampling.precision is fp16, but the device is a CPU"),
    ],
)
def test_settings_that_the_snapshot_or_the_device_cannot_serve_are_refused(sampling: Sampling, words: str) -> None:
    with pytest.raises(RequestError) as error:
        sampling.check_request(1000, "cpu")
    assert words in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(snapshot: Path) -> None:
    with pytest.raises(RequestError, match="sees no GPU"):
        sample(snapshot, FAST, 2, 0, "cuda")
