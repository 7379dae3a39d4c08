"""The reverse process: from noise to images, one shard at a time."""

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from numpy.typing import NDArray
from torch import Tensor

from raycollapse.diffusion.base import Device
from raycollapse.diffusion.devices import require_device, to_device
from raycollapse.diffusion.guidance import check_told, predicted_noise
from raycollapse.diffusion.sampling import Sampling
from raycollapse.diffusion.snapshot import Snapshot, load_snapshot
from raycollapse.errors import StageError


def sample(
    snapshot_folder: Path, sampling: Sampling, num: int, seed: int, device: Device,
    labels: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8] | NDArray[np.float32]:  # fmt: skip
    """Return one shard: images uint8 (num, H, W, C), or vectors float32 (num, d) in the units of the data.

    The noise is one stream from the shard's seed, through sub-batches of a fixed size in order, so the shard depends
    on nothing but these arguments: not on other shards, nor on who samples it. It is drawn on the CPU, so it is the
    same on every GPU model. A class-conditional snapshot needs labels, (num,): which class each sample is to be of.
    """
    require_device(device)
    snapshot = _loaded(snapshot_folder.resolve(), _written_at(snapshot_folder), device)
    sampling.check_request(cast(int, snapshot.noise_schedule["num_train_timesteps"]), device)
    check_told(snapshot.num_classes, sampling.guidance_scale, labels, num)
    generator = torch.Generator().manual_seed(seed)
    sizes = [min(sampling.batch_size, num - start) for start in range(0, num, sampling.batch_size)]
    told = [None] * len(sizes) if labels is None else torch.split(torch.from_numpy(labels.copy()), sizes)
    batches = [
        _sample_batch(snapshot, sampling, size, part, generator, torch.device(device))
        for size, part in zip(sizes, told, strict=True)
    ]
    samples = torch.cat(batches).cpu()  # (num, C, H, W) or (num, d)
    bad = int((~samples.isfinite()).flatten(1).any(dim=1).sum())
    if bad:
        raise StageError(
            f"{bad} of {num} samples are not finite: the denoiser diverged. Train it with a lower learning rate or "
            "for longer, or sample with precision no."
        )
    return _to_array(samples, snapshot)


@lru_cache(maxsize=2)
def _loaded(folder: Path, written_at: int, device: Device) -> Snapshot:
    """Keep the last snapshots in memory: one worker samples many shards of the same."""
    snapshot = load_snapshot(folder)
    snapshot.module.to(device)
    return snapshot


def _written_at(folder: Path) -> int:
    return (folder / "snapshot.json").stat().st_mtime_ns


@torch.inference_mode()
def _sample_batch(
    snapshot: Snapshot, sampling: Sampling, size: int, labels: Tensor | None, generator: torch.Generator,
    device: torch.device,
) -> Tensor:  # fmt: skip
    """Return (size, C, H, W) in [-1, 1], or (size, d): x_T ~ N(0, I), then x_(t-1) from x_t and epsilon_theta."""
    *sides, num_channels = snapshot.shape
    scheduler = make_scheduler(sampling, snapshot.noise_schedule, clip=bool(sides))
    scheduler.set_timesteps(sampling.num_steps)
    extra: dict[str, Any] = {"generator": generator}
    if sampling.scheduler == "ddim":
        # With x_0 clipped, the noise must be derived from it anew; otherwise the two disagree and variance is lost.
        extra |= {"eta": sampling.eta or 0.0, "use_clipped_model_output": True}
    labels = None if labels is None else to_device(labels, device)
    x = to_device(torch.randn((size, num_channels, *sides), generator=generator), device)
    for t in scheduler.timesteps:
        timesteps = torch.full((size,), int(t), dtype=torch.int64, device=device)
        with _autocast(sampling, device):
            noise = predicted_noise(snapshot, x, timesteps, labels, sampling.guidance_scale)
        x = scheduler.step(noise.float(), t, x, return_dict=False, **extra)[0]
    return x


def make_scheduler(sampling: Sampling, noise_schedule: dict[str, Any], clip: bool) -> Any:
    """Return diffusers' scheduler on the snapshot's own noise schedule; `clip` bounds x_0 to [-1, 1] at each step."""
    if sampling.scheduler == "ddpm":
        return DDPMScheduler(**noise_schedule, clip_sample=clip)
    if sampling.scheduler == "ddim":
        return DDIMScheduler(**noise_schedule, clip_sample=clip)
    # This one has no clip_sample; dynamic thresholding with a ceiling of 1 is the same clipping.
    return DPMSolverMultistepScheduler(
        **noise_schedule, algorithm_type="dpmsolver++", thresholding=clip, sample_max_value=1.0
    )


def _autocast(sampling: Sampling, device: torch.device) -> torch.autocast:
    dtype = torch.float16 if sampling.precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=sampling.precision != "no")


def _to_array(samples: Tensor, snapshot: Snapshot) -> NDArray[np.uint8] | NDArray[np.float32]:
    if snapshot.standardisation is not None:
        return snapshot.standardisation.invert(samples.numpy())
    pixels = ((samples + 1.0) * 127.5).round().clamp(0.0, 255.0).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())  # (num, H, W, C)
