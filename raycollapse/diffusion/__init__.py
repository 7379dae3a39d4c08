"""Denoisers, their training with Accelerate, and sampling with diffusers' schedulers (Ho et al. 2020).

`training`, `sampling` and the denoisers hold configuration only and import neither torch nor diffusers; the work is
done by `trainer.train`, `sampler.sample` and `snapshot.save_snapshot`.
"""

from typing import Annotated

from pydantic import Field

from raycollapse.diffusion.base import Denoiser
from raycollapse.diffusion.mlp import MlpDenoiser
from raycollapse.diffusion.unet import UNetDenoiser
from raycollapse.schema import Family

AnyDenoiser = Annotated[MlpDenoiser | UNetDenoiser, Field(discriminator="name"), Family(Denoiser)]

__all__ = ["AnyDenoiser", "Denoiser", "MlpDenoiser", "UNetDenoiser"]
