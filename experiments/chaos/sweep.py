"""The sweep that is disturbed: small, and real in every part, with stages of every kind at any moment of it."""

from typing import Any

SWEEP: dict[str, Any] = {
    "name": "chaos",
    "data": {"name": "digits", "num_train": 64, "num_held_out": 32},
    "paradigm": "replace",
    "selection": "uniform",
    "num_generations": 3,
    "denoiser": {"name": "mlp", "width": 16, "num_blocks": 1},
    "training": {
        "num_steps": 400, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1.0e-3, "checkpoint_steps": 50,
    },
    "sampling": {"scheduler": "ddim", "num_steps": 50, "shard_size": 32, "batch_size": 32},
    "features": "pixels",
    "metrics": ["entropy", "generalization", "frechet", "spread"],
    "resources": {"device": "cpu"},
    "sweep": {"grid": {"selection": ["uniform", "greedy"]}},
}  # fmt: skip
