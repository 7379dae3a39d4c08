"""How a denoiser is trained: the settings, and what follows from them by arithmetic alone."""

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from raycollapse.diffusion.base import Device, Precision, check_precision
from raycollapse.errors import RequestError
from raycollapse.schema import Config, Json

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]


class Training(Config):
    """Epsilon prediction with AdamW. The defaults are those of Shi et al. 2025 (arXiv 2509.16499)."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"init", "label_dropout"})

    init: Literal["scratch", "previous"] = "scratch"
    """Where each generation's model starts: from random weights as in the paper (`scratch`), or from the weights that
    the previous generation's samples came from (`previous`: fine-tuning; those of the EMA where there is one). The
    first generation's always starts from random weights. Optimizer, warm-up, learning rate and EMA start anew in every
    generation, and vectors are standardised anew."""

    num_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps. Give exactly one of `num_steps` and `num_epochs`."""

    num_epochs: int | None = Field(default=None, ge=1)
    """Passes over the train set; the paper's is 501."""

    batch_size: int = Field(default=128, ge=1)
    """Images in one optimizer step, over all workers together."""

    learning_rate: float = Field(default=1e-4, gt=0.0)
    """Peak learning rate, reached after the warm-up."""

    warmup_steps: int = Field(default=500, ge=0)
    """Steps of linear warm-up before the cosine decay to zero; fewer than the steps in all."""

    betas: tuple[float, float] = (0.95, 0.999)
    """AdamW's decay rates of the first and second moment."""

    weight_decay: float = Field(default=1e-6, ge=0.0)
    """AdamW's decoupled weight decay."""

    epsilon: float = Field(default=1e-8, gt=0.0)
    """AdamW's term that keeps the denominator from zero."""

    max_grad_norm: float = Field(default=1.0, gt=0.0)
    """Gradients are scaled down to this Euclidean norm where they exceed it."""

    precision: Precision = "no"
    """Mixed precision: `no` (float32), `bf16`, or `fp16` (GPUs only)."""

    ema: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Decay of an exponential moving average of the weights, which is then what is sampled from; none by default."""

    label_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability that a class-conditional network is not told an image's class in a step: it then learns the
    unconditional noise as well, which guidance needs. Ho and Salimans 2022 use 0.1 to 0.2."""

    num_train_timesteps: int = Field(default=1000, ge=2)
    """Steps T of the forward process."""

    beta_schedule: BetaSchedule = "linear"
    """How the variances of the forward process run from `beta_start` to `beta_end`."""

    beta_start: float = Field(default=1e-4, gt=0.0, lt=1.0)
    """Variance of the first forward step; without effect under `squaredcos_cap_v2`, and refused there."""

    beta_end: float = Field(default=0.02, gt=0.0, lt=1.0)
    """Variance of the last forward step; without effect under `squaredcos_cap_v2`, and refused there."""

    checkpoint_steps: int = Field(default=1000, ge=1)
    """Steps between checkpoints. Does not change the result, and is no part of a stage's identity."""

    def identity(self) -> dict[str, Json]:
        """Return what decides the result: everything but the checkpoint interval."""
        return {name: value for name, value in super().identity().items() if name != "checkpoint_steps"}

    def from_scratch(self) -> "Training":
        """Return these settings for a model that has none before it."""
        return self.model_copy(update={"init": "scratch"})

    @model_validator(mode="after")
    def _check_fields(self) -> "Training":
        if (self.num_steps is None) == (self.num_epochs is None):
            given = "neither is given" if self.num_steps is None else "both are given"
            raise RequestError(f"exactly one of num_steps and num_epochs is needed; {given}. Keep one.")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise RequestError(f"betas is {list(self.betas)}; both must lie in [0, 1). The paper's are [0.95, 0.999].")
        # By value, not by whether they were written: a resolved configuration writes its defaults, and must load.
        fields, ends = type(self).model_fields, ("beta_start", "beta_end")
        changed = any(getattr(self, name) != fields[name].default for name in ends)
        if self.beta_schedule == "squaredcos_cap_v2" and changed:
            raise RequestError("beta_start and beta_end have no effect under squaredcos_cap_v2. Leave them out.")
        if self.beta_start > self.beta_end:
            raise RequestError(f"beta_start {self.beta_start} is above beta_end {self.beta_end}. Swap them.")
        if self.num_steps is not None:
            self._check_warmup(self.num_steps)
        return self

    def _check_warmup(self, num_steps: int) -> None:
        if self.warmup_steps >= num_steps:
            raise RequestError(
                f"warmup_steps is {self.warmup_steps}, but there are only {num_steps} steps in all; it must be "
                f"smaller. Set warmup_steps to {num_steps // 10}, a tenth, or train for longer."
            )

    def steps_for(self, num_train: int) -> int:
        """Return the number of optimizer steps on `num_train` images; raise RequestError if the warm-up exceeds it."""
        if self.num_steps is not None:
            return self.num_steps
        assert self.num_epochs is not None
        num_steps = math.ceil(self.num_epochs * num_train / self.batch_size)
        self._check_warmup(num_steps)
        return num_steps

    def check_request(self, num_train: int, device: Device, world_size: int = 1) -> None:
        """Raise RequestError if these settings cannot be carried out on this train set, device and workers."""
        check_precision("training.precision", self.precision, device)
        self.steps_for(num_train)
        if self.batch_size % world_size:
            raise RequestError(
                f"training.batch_size is {self.batch_size}, over all workers; it must be divisible by their number, "
                f"{world_size}. Use {math.ceil(self.batch_size / world_size) * world_size}, or other workers."
            )

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """Return the learning rate of a step: linear warm-up from zero, then half a cosine to zero.

        >>> training = Training(num_steps=20, warmup_steps=10, learning_rate=1.0)
        >>> [round(training.learning_rate_at(step, 20), 3) for step in (0, 5, 10, 15, 20)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if step < self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        progress = (step - self.warmup_steps) / (num_steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))

    def noise_schedule(self) -> dict[str, Json]:
        """Return the forward process, in the words of diffusers' schedulers."""
        return {
            "num_train_timesteps": self.num_train_timesteps,
            "beta_schedule": self.beta_schedule,
            "beta_start": self.beta_start,
            "beta_end": self.beta_end,
            "prediction_type": "epsilon",
        }
