"""Preflight: whether a cluster can run an experiment at all. Ray never says "infeasible", it waits for ever.

A trial only orchestrates, and holds a sliver of the `driver` resource for its whole life. Each stage takes what it
needs, finishes and gives it back. What trials hold is not there for stages, and Ray Data starts its actors before the
tasks that feed them: from these two facts every deadlock follows that is refused here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from raycollapse.config import Experiment

DRIVER_SHARE = 0.01
"""What each trial holds of the custom resource `driver`."""

TOLERANCE = 1e-4
"""Ray's own resolution of an amount."""


@dataclass(frozen=True)
class Bundle:
    """An amount of each resource."""

    cpus: float = 0.0
    gpus: float = 0.0
    driver: float = 0.0

    def __add__(self, other: "Bundle") -> "Bundle":
        return Bundle(self.cpus + other.cpus, self.gpus + other.gpus, self.driver + other.driver)

    def __mul__(self, factor: float) -> "Bundle":
        return Bundle(self.cpus * factor, self.gpus * factor, self.driver * factor)

    def __sub__(self, other: "Bundle") -> "Bundle":
        return self + other * -1

    def times_in(self, other: "Bundle") -> float:
        """Return how many times this fits into `other`; infinity if this is nothing."""
        pairs = ((self.cpus, other.cpus), (self.gpus, other.gpus), (self.driver, other.driver))
        return min((math.floor((there + TOLERANCE) / amount) for amount, there in pairs if amount), default=math.inf)

    def __str__(self) -> str:
        parts = {"CPU": self.cpus, "GPU": self.gpus, "driver": self.driver}
        return " + ".join(f"{amount:g} {name}" for name, amount in parts.items() if amount) or "nothing"


@dataclass(frozen=True)
class Supply:
    """What a cluster has at its autoscaling maximum."""

    nodes: tuple[Bundle, ...]
    """Each node: a task or an actor cannot span two."""
    has_dashboard: bool = True

    @property
    def total(self) -> Bundle:
        """The sum of the nodes."""
        return sum(self.nodes, Bundle())

    def slots(self, bundle: Bundle) -> float:
        """Return how many of these bundles the nodes hold at once, each bundle on one node."""
        return sum(bundle.times_in(node) for node in self.nodes)


@dataclass(frozen=True)
class Demand:
    """What an experiment asks of a cluster at its worst moment."""

    num_concurrent: int
    trial: Bundle
    """Held by each trial while it lives."""
    train_worker: Bundle
    num_train_workers: int
    sampler: Bundle
    """One actor (or task) that samples shards."""
    task: Bundle = Bundle()
    """One task that selects or measures."""
    feeder: Bundle = Bundle()
    """What Ray Data needs beside its first actor to feed it: nothing for rows made by the trial itself."""
    stops_early: bool = False
    """Whether a scheduler may stop trials in the middle of a stage."""


def problems(demand: Demand, supply: Supply) -> list[str]:
    """Return why the cluster cannot run this, a sentence each with what to do; empty if it can."""
    if supply.slots(demand.trial) < demand.num_concurrent:
        return [_too_many_trials(demand, supply)]
    free = supply.total - demand.trial * demand.num_concurrent
    stages = {
        "Training": (demand.train_worker, demand.num_train_workers),
        "Sampling": (demand.sampler, 1),
        "Selecting and measuring": (demand.task, 1),
    }
    found = [
        _does_not_fit(verb, bundle, num, free, supply)
        for verb, (bundle, num) in stages.items()
        if min(bundle.times_in(free), supply.slots(bundle)) < num
    ]
    pools = demand.sampler * demand.num_concurrent + demand.feeder
    if demand.feeder != Bundle() and not found and pools.times_in(free) < 1:
        found.append(
            f"{demand.num_concurrent} trials may start an actor each ({demand.sampler}) before the tasks that feed "
            f"them ({demand.feeder}), which then wait for ever: {pools} is needed, {free} is free. "
            "Lower resources.max_concurrent_trials."
        )
    if demand.stops_early and demand.num_train_workers > 1 and not supply.has_dashboard:
        found.append(
            "Stopping a trial with several train workers leaks their resources unless Ray's dashboard runs. "
            "Start Ray with the dashboard (pip install 'ray[default]'), or set resources.train_workers to 1."
        )
    return found


def _does_not_fit(verb: str, bundle: Bundle, num: int, free: Bundle, supply: Supply) -> str:
    wanted = f"{num} times {bundle} at once, each on one node" if num > 1 else f"{bundle} on one node"
    advice = "resources.train_workers or resources.threads" if num > 1 else "resources.threads"
    return (
        f"{verb} needs {wanted}; the nodes hold that {supply.slots(bundle):g} times, and {free} is free in all beside "
        f"the trials. Lower {advice}, or use a larger cluster."
    )


def _too_many_trials(demand: Demand, supply: Supply) -> str:
    if demand.trial.driver and supply.total.driver < demand.trial.driver:
        return (
            "The cluster has no `driver` resource, which trials hold while they live. Start its head with "
            "--resources='{\"driver\": 1}' (cluster.yaml does)."
        )
    return (
        f"{demand.num_concurrent} concurrent trials hold {demand.trial} each; the cluster has {supply.total}. "
        "Lower resources.max_concurrent_trials."
    )


def stage_bundle(experiment: Experiment) -> Bundle:
    """Return what one training worker or one sampling actor takes."""
    if experiment.resources.device == "cuda":
        return Bundle(gpus=1)
    return Bundle(cpus=experiment.resources.threads)


def capacity(experiment: Experiment, supply: Supply) -> int:
    """Return how many trials the cluster can keep busy at once; at least 1."""
    trainings = supply.slots(stage_bundle(experiment)) / experiment.resources.train_workers
    return max(1, math.floor(min(trainings, supply.slots(Bundle(driver=DRIVER_SHARE)))))


def num_concurrent(trials: Sequence[Experiment], supply: Supply, num_trials: int | None = None) -> int:
    """Return how many of a sweep's trials run at a time: as many as would if all were like the most demanding one.

    Args:
        trials: the trials, or, of a search, trials all over its space.
        supply: what the cluster has.
        num_trials: how many there will be; none: these.
    """
    return min(_num_alike(trial, supply, num_trials or len(trials)) for trial in trials)


def _num_alike(experiment: Experiment, supply: Supply, num_trials: int) -> int:
    return min(num_trials, experiment.resources.max_concurrent_trials or capacity(experiment, supply))


def demand_of(experiment: Experiment, supply: Supply, num_trials: int) -> Demand:
    """Return what this experiment asks of a cluster."""
    bundle = stage_bundle(experiment)
    return Demand(
        num_concurrent=_num_alike(experiment, supply, num_trials),
        trial=Bundle(driver=DRIVER_SHARE),
        train_worker=bundle,
        num_train_workers=experiment.resources.train_workers,
        sampler=bundle,
        task=Bundle(cpus=experiment.resources.threads),
    )


def preflight(experiment: Experiment, supply: Supply, num_trials: int) -> list[str]:
    """Return why this experiment cannot run on this cluster; empty if it can."""
    found = []
    if experiment.resources.device == "cuda" and supply.total.gpus < 1:
        found.append("resources.device is cuda, but the cluster has no GPU. Set it to cpu, or use a cluster with GPUs.")
    limit, most = experiment.resources.max_concurrent_trials, capacity(experiment, supply)
    if limit is not None and limit > most:
        found.append(
            f"resources.max_concurrent_trials is {limit}, but the cluster can keep {most} busy. "
            f"Lower it to {most}, or leave it out."
        )
    return found or problems(demand_of(experiment, supply, num_trials), supply)


def refusals(trials: Sequence[Experiment], supply: Supply, num_trials: int | None = None) -> list[str]:
    """Return why some of a sweep's trials cannot run on this cluster, each reason once: a sweep may vary resources."""
    found = (reason for trial in trials for reason in preflight(trial, supply, num_trials or len(trials)))
    return list(dict.fromkeys(found))
