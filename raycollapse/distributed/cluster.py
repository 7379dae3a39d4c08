"""Connecting to a cluster, or starting one on this machine, and what it has."""

import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import yaml
from ray._private import services
from ray._private import worker as ray_worker
from ray._private.state import state
from ray._private.worker import get_dashboard_url
from ray.exceptions import RayError

from raycollapse.distributed.claims import NAMESPACE
from raycollapse.distributed.resources import Bundle, Supply
from raycollapse.errors import RequestError

AUTOSCALING_FILE = "~/ray_bootstrap_config.yaml"
"""Where `ray up` leaves the cluster file on the head."""

UNLIMITED = 1000
"""Nodes that a group without a limit counts as."""

CONNECT_SECONDS = 10.0

log = logging.getLogger(__name__)


@contextmanager
def connected(address: str | None) -> Iterator[Supply]:
    """Connect to the cluster at `address`, or start one here, for the length of the block; give what it has.

    Without an address, `RAY_ADDRESS` decides (`ray job submit` sets it); without that, one starts on this machine, also
    beside others that run here. A process that is connected already stays as it is (a notebook, a test).
    """
    if ray.is_initialized():
        yield supply()
        return
    place = address or os.environ.get("RAY_ADDRESS") or "local"
    if place.startswith("ray://"):
        raise RequestError(
            f"{place} is a Ray Client address: its driver lives there only as long as this process does. Submit the "
            "command with `ray job submit`, so that it runs on the head, and give it --address auto."
        )
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "namespace": NAMESPACE}
    try:
        if place == "local":
            _state_authentication()
            ray.init("local", resources={"driver": 1}, include_dashboard=False, **quiet)
        else:
            _check_answers(place)
            ray.init(place, **quiet)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        raise RequestError(_cannot_connect(place, error)) from error
    try:
        with _silent_raylets():
            yield supply()
    finally:
        ray.shutdown()


@contextmanager
def _silent_raylets() -> Iterator[None]:
    """Keep off the terminal what raylets report (a lost worker, with pages of their logs): a trial says what matters.

    Ray prints it whatever `log_to_driver` says, so its function to print with is replaced.
    """
    before = ray_worker.print_to_stdstream
    ray_worker.print_to_stdstream = lambda data, *_, **__: log.info("%s", "\n".join(data["lines"]))
    try:
        yield
    finally:
        ray_worker.print_to_stdstream = before


def _check_answers(place: str) -> None:
    """Raise unless something listens there: Ray itself would try for minutes, and print."""
    host, _, port = str(services.canonicalize_bootstrap_address(place)).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _state_authentication() -> None:
    """State how processes of a local cluster know each other; what the user has stated stays.

    Without a token every user of this machine, and often of its network, could run code in the cluster. Ray's own
    default says so on the terminal and writes a token into HOME, which may be read-only. So: a token of this process
    and its children alone, in their environment. A cluster that is there already keeps its ways.
    """
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        if not os.environ.get("RAY_AUTH_TOKEN") and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    ray._raylet.Config.initialize("")  # type: ignore[attr-defined] # read the mode anew: `import ray` has read it before


def _cannot_connect(place: str, error: Exception) -> str:
    if place == "local":
        return f"Ray does not start on this machine ({error}). --local runs without it, in one process."
    return f"No Ray cluster answers at {place!r} ({error}). Start one, or leave out --address to run here."


def supply() -> Supply:
    """Return the cluster's resources, at its autoscaling maximum where it has one."""
    alive = [_bundle(node["Resources"]) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    may_come = Counter(_autoscaling_nodes()) - Counter(alive)
    return Supply(
        nodes=(*alive, *may_come.elements()),
        has_dashboard=bool(get_dashboard_url()),  # type: ignore[no-untyped-call]
    )


def _autoscaling_nodes() -> list[Bundle]:
    """Return the nodes at the autoscaler's maximum: those it has told the cluster of, or those of `ray up`'s file."""
    told = state.get_cluster_config()
    if told is not None and told.node_group_configs:
        groups = [(_bundle(dict(group.resources)), group.max_count) for group in told.node_group_configs]
        return [bundle for bundle, count in groups for _ in range(count if count >= 0 else UNLIMITED)]
    file = Path(AUTOSCALING_FILE).expanduser()
    return nodes_of(yaml.safe_load(file.read_text())) if _is_head() and file.is_file() else []


def nodes_of(cluster: Mapping[str, Any]) -> list[Bundle]:
    """Return the nodes that a cluster file comes to at its maximum.

    Args:
        cluster: a `ray up` file. The number of workers in all is its `max_workers`; GPU nodes are counted first.
    """
    types, head = cluster["available_node_types"], cluster["head_node_type"]
    left = int(cluster.get("max_workers", 2))
    bundles = {name: _bundle(node.get("resources") or {}) for name, node in types.items()}
    nodes = [bundles[head]]
    for name in sorted(types, key=lambda name: -bundles[name].gpus):
        count = min(left, int(types[name].get("max_workers", 0 if name == head else left)))
        nodes += [bundles[name]] * count
        left -= count
    return nodes


def _is_head() -> bool:
    """Return whether this process runs on the head of the cluster that it is connected to."""
    context = ray.get_runtime_context()
    heads = [node for node in ray.nodes() if "node:__internal_head__" in node["Resources"]]  # type: ignore[no-untyped-call]
    return any(node["NodeID"] == context.get_node_id() for node in heads)


def _bundle(resources: Mapping[str, float]) -> Bundle:
    return Bundle(
        float(resources.get("CPU", 0.0)), float(resources.get("GPU", 0.0)), float(resources.get("driver", 0.0))
    )
