"""`cluster.yaml` held against Ray's own rules and ours, without a cloud."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

FILE = Path(__file__).parents[2] / "cluster.yaml"
Cluster = dict[str, Any]


@pytest.fixture
def cluster() -> Cluster:
    loaded: Cluster = yaml.safe_load(FILE.read_text())
    return loaded


def check(cluster: Cluster) -> None:
    """Raise unless Ray accepts the cluster and it keeps what our trials rely on."""
    validate_config(prepare_config(copy.deepcopy(cluster)))
    types, head = cluster["available_node_types"], cluster["head_node_type"]
    for name, node in types.items():
        assert all(isinstance(amount, int) for amount in node["resources"].values()), f"{name}: whole resources only"
        is_spot = node["node_config"].get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        assert ("driver" in node["resources"]) == (name == head), "drivers live on the head, and nowhere else"
        assert is_spot != (name == head), "the head is on demand, workers are spot"
        assert name == head or node["min_workers"] == 0, "workers start from none"
    started = " ".join(cluster["head_start_ray_commands"])
    assert '"driver": 1' in started and "--resources" in started


def test_ray_accepts_the_cluster_file(cluster: Cluster) -> None:
    check(cluster)


def test_the_image_has_the_ray_that_is_installed(cluster: Cluster) -> None:
    tag = re.search(r":(\d+\.\d+\.\d+)-", cluster["docker"]["image"])
    assert tag is not None and tag.group(1) == ray.__version__


def _set(*path: str, value: Any) -> Callable[[Cluster], None]:
    def change(cluster: Cluster) -> None:
        for key in path[:-1]:
            cluster = cluster[key]
        cluster[path[-1]] = value

    return change


GPU = ("available_node_types", "gpu_worker")


@pytest.mark.parametrize(
    "change",
    [
        _set("max_wrokers", value=3),
        _set("head_node_type", value="gpu"),
        _set(*GPU, "max_workers", value="many"),
        _set(*GPU, "min_workers", value=1),
        _set(*GPU, "resources", value={"GPU": 0.5}),
        _set(*GPU, "resources", value={"GPU": 1, "driver": 1}),
        _set(*GPU, "node_config", "InstanceMarketOptions", value={}),
        _set("available_node_types", "head", "resources", value={"CPU": 8}),
        _set("provider", value={"region": "us-east-1"}),
    ],
)
def test_a_mistake_in_the_file_is_caught(cluster: Cluster, change: Callable[[Cluster], None]) -> None:
    change(cluster)
    with pytest.raises(Exception):  # noqa: B017 (Ray raises several kinds)
        check(cluster)
