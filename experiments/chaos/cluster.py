"""A Ray cluster of two nodes on this machine, of which one may be lost and come again."""

import os
import secrets

import psutil

AGENTS = ("DashboardAgent", "RuntimeEnvAgent")
"""Parts of a raylet, which dies with them: they count as the node, not as workers."""

HEALTH = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500}
"""A lost node is missed after seconds; Ray's own defaults take a quarter of a minute."""


class TwoNodes:
    """The cluster: a head, which holds the trials' orchestrators, and a second node, with one CPU each.

    It ends with this process, and so does all that Ray has started for it.
    """

    def __init__(self) -> None:
        if "RAY_AUTH_MODE" not in os.environ:  # before Ray is imported: only children of this process may use it
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1, "resources": {"driver": 1}, "include_dashboard": False, "_system_config": HEALTH,
            },
        )  # fmt: skip
        self.add_node()

    @property
    def address(self) -> str:
        """Where drivers connect."""
        return str(self._cluster.address)

    @property
    def has_second_node(self) -> bool:
        """Whether the second node is there."""
        return bool(self._cluster.worker_nodes)

    def add_node(self) -> None:
        """Start the second node."""
        self._cluster.add_node(num_cpus=1)

    def lose_node(self) -> None:
        """Kill the raylet of the second node, unannounced."""
        (node,) = self._cluster.worker_nodes
        self._cluster.remove_node(node, allow_graceful=False)

    def workers(self) -> list[tuple[int, str]]:
        """Return the process id and the title of every worker that has something to do: a task or an actor."""
        found = []
        for child in psutil.Process().children(recursive=True):
            try:
                title = " ".join(child.cmdline())
            except psutil.Error:  # it has ended
                continue
            name = title.removeprefix("ray::").split("(")[0].strip()
            if title.startswith("ray::") and name not in ("IDLE", *AGENTS):
                found.append((child.pid, name))
        return sorted(found)

    def shutdown(self) -> None:
        """End it."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]
