"""Connecting to a cluster, or starting one on this machine, and what it has."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private.state import state
from ray._private.worker import get_dashboard_url

from raycollapse.distributed.claims import NAMESPACE
from raycollapse.distributed.resources import Bundle, Supply
from raycollapse.errors import RequestError


@contextmanager
def connected(address: str | None) -> Iterator[Supply]:
    """Connect to the cluster at `address`, or start one here, for the length of the block; give what it has.

    A process that is connected already stays as it is (a notebook, a test).
    """
    if ray.is_initialized():
        yield supply()
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "namespace": NAMESPACE}
    try:
        if address is None:
            ray.init(resources={"driver": 1}, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"No Ray cluster answers at {address!r} ({error}). Start one, or leave out --address to run here."
        ) from error
    try:
        yield supply()
    finally:
        ray.shutdown()


def supply() -> Supply:
    """Return the cluster's resources, at its autoscaling maximum where it has one."""
    alive: list[dict[str, Any]] = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    nodes = [_bundle(node["Resources"]) for node in alive]
    total = sum(nodes, Bundle())
    config = state.get_cluster_config()
    groups = [] if config is None else [_bundle(dict(group.resources)) for group in config.node_group_configs]
    most = _bundle({name: float(n) for name, n in (state.get_max_resources_from_cluster_config() or {}).items()})
    nodes += groups
    return Supply(
        total=Bundle(max(total.cpus, most.cpus), max(total.gpus, most.gpus), max(total.driver, most.driver)),
        largest_node=Bundle(
            max(node.cpus for node in nodes), max(node.gpus for node in nodes), max(node.driver for node in nodes)
        ),
        has_dashboard=bool(get_dashboard_url()),  # type: ignore[no-untyped-call]
    )


def _bundle(resources: dict[str, float]) -> Bundle:
    return Bundle(resources.get("CPU", 0.0), resources.get("GPU", 0.0), resources.get("driver", 0.0))
