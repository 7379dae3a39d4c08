"""The full state of a training, to and from files: our own safetensors and JSON, nothing pickled.

state.safetensors   model.*, optimizer.<parameter>.<moment>, ema.<parameter>, losses
state.json          step, the EMA's count, the gradient scaler (fp16), and which training this is
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from raycollapse.errors import RequestError
from raycollapse.schema import Json

TENSORS, DESCRIPTION = "state.safetensors", "state.json"


@dataclass
class TrainingState:
    """Everything that changes while training. Random states are no part of it: see `batches`."""

    module: nn.Module
    """The network itself."""
    model: nn.Module
    """The network as prepared by Accelerate: it synchronises workers and casts."""
    optimizer: Any
    """AdamW, as prepared by Accelerate."""
    accelerator: Accelerator
    ema: Any | None
    """diffusers' EMAModel, or none."""
    fingerprint: str
    """Which training this is: a checkpoint of another is refused."""
    step: int = 0
    """Optimizer steps done."""
    losses: list[float] = field(default_factory=list)
    """The loss of every step done, averaged over the workers."""

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the next step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def sampled_weights(self) -> dict[str, Tensor]:
        """Return the weights to sample from, on the CPU: the EMA's where there is one."""
        weights = {name: value.detach().cpu().clone() for name, value in self.module.state_dict().items()}
        if self.ema is not None:
            names = [name for name, _ in self.module.named_parameters()]
            weights |= {name: value.cpu().clone() for name, value in zip(names, self.ema.shadow_params, strict=True)}
        return weights

    def write(self, folder: Path) -> None:
        """Write the state into an empty folder."""
        save_file(self._tensors(), folder / TENSORS)
        scaler = self.accelerator.scaler
        description = {
            "step": self.step,
            "fingerprint": self.fingerprint,
            "ema_steps": None if self.ema is None else self.ema.optimization_step,
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1))

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": value for name, value in self.module.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        if self.ema is not None:
            tensors |= {f"ema.{index}": value for index, value in enumerate(self.ema.shadow_params)}
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def read(self, folder: Path) -> None:
        """Take over the state in a checkpoint's folder."""
        description = json.loads((folder / DESCRIPTION).read_text())
        if description["fingerprint"] != self.fingerprint:
            raise RequestError(
                f"the checkpoint in {folder} belongs to another training (other data, settings, seed or number of "
                "workers). Use another folder, or remove it."
            )
        tensors = load_file(folder / TENSORS)
        self.module.load_state_dict(_below("model.", tensors))
        self._read_optimizer(_below("optimizer.", tensors))
        self._read_ema(tensors, description)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(description["scaler"])
        self.losses = tensors["losses"].tolist()
        self.step = description["step"]

    def _read_optimizer(self, tensors: dict[str, Tensor]) -> None:
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _read_ema(self, tensors: dict[str, Tensor], description: dict[str, Json]) -> None:
        if self.ema is not None:
            self.ema.optimization_step = description["ema_steps"]
            for index, shadow in enumerate(self.ema.shadow_params):
                shadow.copy_(tensors[f"ema.{index}"])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
