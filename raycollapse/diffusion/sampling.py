"""How a trained denoiser is sampled from: the settings."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from raycollapse.diffusion.base import Device, Precision, check_precision
from raycollapse.errors import RequestError
from raycollapse.schema import Config, Json


class Sampling(Config):
    """The reverse process. The defaults are those of Shi et al. 2025: DDPM, as many steps as in training."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"guidance_scale"})

    scheduler: Literal["ddpm", "ddim", "dpmsolver++"] = "ddpm"
    """`ddpm` (Ho et al. 2020), `ddim` (Song et al. 2021), or `dpmsolver++` (Lu et al. 2022, second order)."""

    num_steps: int = Field(default=1000, ge=1)
    """Evaluations of the denoiser for each image; for ddpm and ddim a divisor of the timesteps of training."""

    eta: float | None = Field(default=None, ge=0.0, le=1.0)
    """For ddim only: 0 (the default) is deterministic, 1 as noisy as ddpm."""

    guidance_scale: float = Field(default=1.0, gt=0.0)
    """w of classifier-free guidance: noise = uncond + w (cond - uncond), so 1 is plain class-conditional sampling and
    larger values exaggerate the class; 1 + w in the notation of Ho and Salimans 2022. Other than 1 it doubles the cost.
    """

    precision: Precision = "no"
    """Precision of the denoiser: `no` (float32), `bf16`, or `fp16` (GPUs only)."""

    shard_size: int = Field(default=256, ge=1)
    """Images in a shard, which is sampled whole, from its own seed, by one worker."""

    batch_size: int = Field(default=256, ge=1)
    """Images that pass through the denoiser together. Another value changes the last bits of the samples."""

    @model_validator(mode="after")
    def _check_fields(self) -> "Sampling":
        if self.eta is not None and self.scheduler != "ddim":
            raise RequestError(
                f"eta is {self.eta}, but the scheduler is {self.scheduler}; only ddim has an eta. "
                "Leave it out, or set scheduler to ddim."
            )
        return self

    def identity(self) -> dict[str, Json]:
        """Return what decides the samples; an eta left out is the eta 0."""
        return {**super().identity(), "eta": self.eta or 0.0}

    def check_request(self, num_train_timesteps: int, device: Device) -> None:
        """Raise RequestError if these settings cannot be carried out on this noise schedule and device."""
        check_precision("sampling.precision", self.precision, device)
        timesteps = f"the {num_train_timesteps} timesteps of training"
        # With as many steps as timesteps, dpmsolver++ would visit one of them twice, a step of length zero.
        most = num_train_timesteps - 1 if self.scheduler == "dpmsolver++" else num_train_timesteps
        if self.num_steps > most:
            raise RequestError(
                f"sampling.num_steps is {self.num_steps}; with {self.scheduler} and {timesteps} it can be at most "
                f"{most}. Use that, or fewer: dpmsolver++ needs 20 to 50, ddim about 100."
            )
        # diffusers spaces these by num_train_timesteps // num_steps from zero up: with a remainder the noisiest
        # timesteps would be left out, and the samples would be wrong without a word.
        if self.scheduler != "dpmsolver++" and num_train_timesteps % self.num_steps:
            divisors = [n for n in range(1, num_train_timesteps + 1) if num_train_timesteps % n == 0]
            below = max(n for n in divisors if n < self.num_steps)
            above = min(n for n in divisors if n > self.num_steps)
            raise RequestError(
                f"sampling.num_steps is {self.num_steps}; with {self.scheduler} it must divide {timesteps}. "
                f"Use {below} or {above}, or the scheduler dpmsolver++."
            )
