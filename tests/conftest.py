"""What all tests share: one thread, so that results are bitwise and a busy machine stays fair; the real data."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no error: what a test checks is never how long it took.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before a test imports numpy or torch, which read it once
os.environ["RAY_AUTH_MODE"] = "disabled"  # a process has one mode: Ray keeps the first that it meets
os.environ["HF_HUB_OFFLINE"] = "1"  # likewise for the hub's libraries: no test may reach for a network


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Torch counts threads for itself; it is not imported here where a test does without."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets (CIFAR-10 and MNIST as .npz)."""
    if "RAYCOLLAPSE_DATA" not in os.environ:
        pytest.skip("RAYCOLLAPSE_DATA is not set: it names the folder of real data sets")
    return Path(os.environ["RAYCOLLAPSE_DATA"])
