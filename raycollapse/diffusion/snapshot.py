"""A trained denoiser as files: weights, and all that sampling from them needs.

model/          save_pretrained: config.json and safetensors (the EMA's weights where there is one)
snapshot.json   the denoiser's configuration, the noise schedule, the data's shape and standardisation, facts, classes
loss.json       the loss curve
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diffusers.models.modeling_utils import ModelMixin
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from raycollapse.diffusion import AnyDenoiser, Denoiser
from raycollapse.errors import RequestError
from raycollapse.schema import Json

FORMAT = 1
WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation, each (d,) float32, of the vectors a denoiser was trained on."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> "Standardisation":
        """Return the moments of (N, d) vectors; a coordinate that never varies keeps its scale."""
        std = vectors.std(axis=0, dtype=np.float64)
        mean = vectors.mean(axis=0, dtype=np.float64)
        scale = std.astype(np.float32)
        return cls(mean.astype(np.float32), np.where(scale > 0.0, scale, np.float32(1.0)))

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, d) with mean 0 and standard deviation 1."""
        return (vectors - self.mean) / self.std

    def invert(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, d) in the units of the data."""
        return vectors * self.std + self.mean


@dataclass(frozen=True)
class Trained:
    """The outcome of a training."""

    denoiser: Denoiser
    shape: tuple[int, ...]
    """(H, W, C) or (d,)."""
    weights: dict[str, Tensor]
    """What is sampled from, on the CPU: the EMA's where there is one."""
    noise_schedule: dict[str, Json]
    standardisation: Standardisation | None
    facts: dict[str, Json]
    """Steps, effective precision, world size, global batch, number of parameters, last loss."""
    losses: list[tuple[int, float]]
    """(step, mean loss since the last point): about 50 points."""
    class_counts: tuple[int, ...] | None = None
    """How many training images each class has, where the denoiser is class-conditional."""


@dataclass(frozen=True)
class Snapshot:
    """A trained denoiser, ready to sample from."""

    module: nn.Module
    shape: tuple[int, ...]
    noise_schedule: dict[str, Json]
    standardisation: Standardisation | None
    num_classes: int | None = None
    """Of a class-conditional denoiser; its null class has this number."""


def save_snapshot(trained: Trained, folder: Path) -> None:
    """Write the snapshot into a folder that exists; making it appear at once is the caller's part."""
    _save_model(trained, folder / "model")
    standardisation = trained.standardisation
    description = {
        "format": FORMAT,
        "denoiser": trained.denoiser.model_dump(mode="json"),
        "noise_schedule": trained.noise_schedule,
        "shape": list(trained.shape),
        "standardisation": standardisation and {name: v.tolist() for name, v in asdict(standardisation).items()},
        "facts": trained.facts,
        "class_counts": trained.class_counts and list(trained.class_counts),
    }
    (folder / "snapshot.json").write_text(json.dumps(description, indent=1))
    curve = [{"step": step, "loss": loss} for step, loss in trained.losses]
    (folder / "loss.json").write_text(json.dumps(curve, indent=1))


def _save_model(trained: Trained, folder: Path) -> None:
    module = trained.denoiser.build(trained.shape)
    module.load_state_dict(trained.weights)
    if isinstance(module, ModelMixin):
        module.save_pretrained(folder, safe_serialization=True)
    else:  # a denoiser of another package may be a plain torch module
        folder.mkdir()
        save_file(module.state_dict(), folder / WEIGHTS_FILE)


def load_snapshot(folder: Path) -> Snapshot:
    """Return the snapshot in a folder, on the CPU and in evaluation mode."""
    description = _description(folder)
    denoiser: Denoiser = TypeAdapter(AnyDenoiser).validate_python(description["denoiser"])
    shape = tuple(description["shape"])
    module = denoiser.build(shape)
    module.load_state_dict(load_file(folder / "model" / WEIGHTS_FILE))
    moments = description["standardisation"]
    return Snapshot(
        module=module.eval().requires_grad_(False),
        shape=shape,
        noise_schedule=description["noise_schedule"],
        standardisation=moments and Standardisation(*(np.array(moments[k], np.float32) for k in ("mean", "std"))),
        num_classes=denoiser.num_classes,
    )


def read_class_counts(folder: Path) -> list[int] | None:
    """Return how many images of each class the snapshot in a folder was trained on; none if it is unconditional."""
    counts: list[int] | None = _description(folder).get("class_counts")
    return counts


def _description(folder: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((folder / "snapshot.json").read_text())
    if (found := description.get("format")) != FORMAT:
        raise RequestError(f"{folder} is a snapshot of format {found}; this version reads {FORMAT}. Train it anew.")
    return description
