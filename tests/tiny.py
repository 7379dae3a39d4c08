"""The smallest experiment that is real in every part: it trains, samples, selects and measures within seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raycollapse.backend import LocalBackend
from raycollapse.config import Experiment, build
from raycollapse.store import Manifest, Store
from raycollapse.tracking.records import GenerationRecord, TrialRecords
from raycollapse.trial import Trial

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"name": "digits", "num_train": 40, "num_held_out": 24},
    "paradigm": "replace",
    "selection": "greedy",
    "num_generations": 2,
    "denoiser": {"name": "mlp", "width": 16, "num_blocks": 1},
    "training": {"num_steps": 4, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-3},
    "sampling": {"scheduler": "ddim", "num_steps": 2, "shard_size": 16, "batch_size": 16},
    "features": "pixels",
    "metrics": ["entropy", "generalization", "frechet", "spread"],
    "resources": {"device": "cpu"},
    "tracking": {"mlflow": False},
}


def tiny(folder: Path, **changes: Any) -> Experiment:
    """Return the experiment with other fields, its storage in a folder."""
    return build({**TINY, "storage": str(folder), **changes})


def run(experiment: Experiment) -> list[GenerationRecord]:
    """Run one trial in this process; return what it recorded."""
    store = Store(experiment.storage)  # a store of its own verifies everything it reads, as a new process would
    Trial(experiment, LocalBackend(store)).run()
    return TrialRecords(store, experiment.name, experiment.trial_key()).read()


def results(records: list[GenerationRecord]) -> list[Mapping[str, float]]:
    """Return the metrics of each generation, without what they cost."""
    return [
        {name: value for name, value in record.metrics.items() if not name.startswith("cost/")} for record in records
    ]


def manifests(folder: Path) -> dict[tuple[str, str], Manifest]:
    """Return the manifests of all finished stages, by kind and key."""
    files = [file for file in folder.glob("stages/*/*/manifest.json") if ".damaged-" not in str(file)]
    found = [Manifest.model_validate_json(file.read_text()) for file in files]
    return {(manifest.kind, manifest.key): manifest for manifest in found}
