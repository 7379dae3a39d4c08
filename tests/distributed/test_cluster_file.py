"""`cluster.yaml` held against Ray's own rules and ours, without a cloud; and what the preflight makes of it."""

import copy
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import ValidationError
from packaging.requirements import Requirement
from packaging.version import Version
from ray.autoscaler._private.util import prepare_config, validate_config
from tiny import TINY

from raycollapse.config import Experiment
from raycollapse.distributed import cluster as cluster_module
from raycollapse.distributed.cluster import connected, nodes_of
from raycollapse.distributed.resources import Bundle, Supply, capacity, preflight

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
    profiles = {str(node["node_config"].get("IamInstanceProfile")) for node in types.values()}
    assert len(profiles) == 1, "every node reaches the bucket"
    for name, node in types.items():
        is_head = name == head
        is_spot = node["node_config"].get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        assert is_spot != is_head, "the head is on demand, workers are spot"
        assert ("driver" in node["resources"]) == is_head, "trials live on the head, and nowhere else"
        assert ("GPU" in node["resources"]) != is_head, "GPUs are the workers'"
        assert is_head or node["min_workers"] == 0, "workers start from none"
        assert is_head or 0 < node["max_workers"] <= cluster["max_workers"], "the limits agree"
    assert types[head]["resources"]["driver"] == 1
    tags = set(re.findall(r"rayproject/ray:(\d+\.\d+\.\d+)-py311", str(cluster["docker"])))
    assert tags == {ray.__version__}, "head and workers run the Ray that is installed here"
    assert any("[gpu]" in command for command in cluster["setup_commands"])
    for commands in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"]):
        assert "RAY_AUTH_MODE=" in commands[-1], "authentication is stated"
    assert "--dashboard-host=127.0.0.1" in cluster["head_start_ray_commands"][-1], "jobs come by SSH only"


def test_ray_and_our_trials_accept_the_cluster_file(cluster: Cluster) -> None:
    check(cluster)


def test_the_image_has_a_ray_within_the_range_of_the_project(cluster: Cluster) -> None:
    wanted = [Requirement(text) for text in metadata.requires("raycollapse") or []]
    (range_,) = [requirement.specifier for requirement in wanted if requirement.name == "ray"]
    tag = re.search(r":([\d.]+)-", cluster["docker"]["image"])
    assert tag is not None and Version(tag.group(1)) in range_


def test_the_file_holds_no_secret_and_no_account_number() -> None:
    assert not re.search(r"\b\d{12}\b|AKIA|arn:aws|secret|password", FILE.read_text(), re.IGNORECASE)


def _set(*path: str, value: Any) -> Callable[[Cluster], None]:
    def change(cluster: Cluster) -> None:
        for key in path[:-1]:
            cluster = cluster[key]
        cluster[path[-1]] = value

    return change


HEAD, GPU = ("available_node_types", "head"), ("available_node_types", "gpu_worker")
MISTAKES: dict[str, Callable[[Cluster], None]] = {
    "a misspelt field": _set("max_wrokers", value=3),
    "a misspelt field of a node type": _set(*GPU, "max_worker", value=3),
    "a head type that is not there": _set("head_node_type", value="gpu"),
    "a limit that is no number": _set(*GPU, "max_workers", value="many"),
    "more of a type than workers in all": _set(*GPU, "max_workers", value=9),
    "half a GPU": _set(*GPU, "resources", value={"GPU": 0.5}),
    "half a driver": _set(*HEAD, "resources", value={"CPU": 4, "driver": 0.5}),
    "workers that never go": _set(*GPU, "min_workers", value=1),
    "trials on spot nodes": _set(*GPU, "resources", value={"GPU": 1, "driver": 1}),
    "a head without the driver resource": _set(*HEAD, "resources", value={"CPU": 4}),
    "GPUs on demand": _set(*GPU, "node_config", "InstanceMarketOptions", value={}),
    "a spot head": _set(*HEAD, "node_config", "InstanceMarketOptions", value={"MarketType": "spot"}),
    "workers without access to the bucket": _set(*GPU, "node_config", "IamInstanceProfile", value=None),
    "no provider": _set("provider", value={"region": "us-east-1"}),
    "another Ray": _set("docker", "image", value="rayproject/ray:2.40.0-py311-gpu"),
    "another Ray on the head": _set("docker", "head_image", value="rayproject/ray:2.40.0-py311-gpu"),
    "a dashboard open to all": _set("head_start_ray_commands", value=["ray start --head --dashboard-host=0.0.0.0"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_caught(cluster: Cluster, mistake: str) -> None:
    MISTAKES[mistake](cluster)
    with pytest.raises((AssertionError, KeyError, ValidationError, ValueError)):
        check(cluster)


def test_at_its_maximum_it_is_a_head_and_eight_gpu_nodes(cluster: Cluster) -> None:
    head, *workers = nodes_of(cluster)
    assert head == Bundle(cpus=4, driver=1)
    assert workers == [Bundle(cpus=8, gpus=1)] * 8


def test_the_number_of_workers_in_all_is_a_limit_and_gpu_nodes_count_first(cluster: Cluster) -> None:
    cluster["available_node_types"]["cpu_worker"] = {"resources": {"CPU": 16}, "max_workers": 8, "node_config": {}}
    cluster["max_workers"] = 10
    assert sorted(node.gpus for node in nodes_of(cluster)) == [0] * 3 + [1] * 8


def test_the_preflight_lets_one_trial_run_for_each_gpu_that_may_come(cluster: Cluster) -> None:
    supply = Supply(tuple(nodes_of(cluster)))
    experiment = Experiment.model_validate(TINY | {"resources": {"device": "cuda"}})
    assert preflight(experiment, supply, num_trials=100) == []
    assert capacity(experiment, supply) == 8


@pytest.mark.slow
def test_on_the_head_the_file_of_ray_up_tells_what_may_come(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ray_bootstrap_config.yaml"
    file.write_text(yaml.safe_dump(prepare_config(cluster)))
    monkeypatch.setattr(cluster_module, "AUTOSCALING_FILE", str(file))
    with connected("local") as supply:
        assert supply.total.gpus == 8
        assert Bundle(cpus=8, gpus=1) in supply.nodes
