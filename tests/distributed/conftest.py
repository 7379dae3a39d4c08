"""One small real Ray for each module of this folder that asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray of this process's own, with more logical CPUs than real ones, so that pools of four actors fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", str(HERE))  # workers import `plugins` too
        patch.syspath_prepend(HERE)
        ray.init(
            "local", num_cpus=4, resources={"driver": 1}, include_dashboard=False, log_to_driver=False,
            namespace="raycollapse",
        )  # fmt: skip
        yield
        ray.shutdown()
