"""Records without training, and MLflow databases without migrating each anew."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raycollapse.config import build
from raycollapse.store import Store
from raycollapse.tracking import TrialRecords

RAW: dict[str, Any] = {
    "name": "q",
    "data": {"name": "digits", "num_train": 64},
    "paradigm": "replace",
    "selection": "uniform",
    "num_generations": 3,
    "denoiser": "mlp",
    "training": {"num_steps": 100, "warmup_steps": 5},
    "features": "pixels",
    "metrics": ["frechet"],
}

MakeTrial = Callable[..., TrialRecords]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A storage in a folder whose name needs care in a URI."""
    return Store(str(tmp_path / "my results 100%"))


@pytest.fixture
def make_trial(store: Store) -> MakeTrial:
    """Return a function that starts a trial of experiment `q`; fields given override the configuration's."""

    def make(**fields: Any) -> TrialRecords:
        experiment = build({**RAW, "storage": store.uri, **fields})
        trial = TrialRecords(store, experiment.name, experiment.trial_key())
        trial.write_config(experiment.resolved())
        return trial

    return make


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; making one takes seconds."""
    from raycollapse.tracking.mlflow import Mlflow, quiet

    path = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    with quiet():
        Mlflow(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(store: Store, migrated_database: Path) -> str:
    """The URI of the storage's own MLflow database, empty."""
    assert store.local_root is not None
    shutil.copy(migrated_database, store.local_root / "mlflow.db")
    return f"sqlite:///{store.local_root}/mlflow.db"


@pytest.fixture
def free_port() -> int:
    """A port on loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
