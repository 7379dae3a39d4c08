"""What hangs a Ray cluster is refused beforehand: RAY.md's cases were measured on 2 CPUs and 1 logical GPU."""

import pytest

from raycollapse.config import Experiment
from raycollapse.distributed.resources import Bundle, Demand, Supply, capacity, num_concurrent, preflight, problems

HERE = Supply((Bundle(cpus=2, gpus=1, driver=1),))
DRIVER = Bundle(driver=0.01)
SLIVER, TENTH, CPU, GPU = Bundle(cpus=0.01), Bundle(cpus=0.1), Bundle(cpus=1), Bundle(gpus=1)


def demand(num_concurrent: int, trial: Bundle, sampler: Bundle, **fields: object) -> Demand:
    told = {"train_worker": Bundle(), "num_train_workers": 1, **fields}
    return Demand(num_concurrent, trial, sampler=sampler, **told)  # type: ignore[arg-type]


HANGS = {
    "1 trial holds a CPU, `range` feeds 1-CPU actors": demand(1, CPU, CPU, feeder=CPU),
    "2 trials hold 0.1 CPU, `range` feeds 1-CPU actors": demand(2, TENTH, CPU, feeder=CPU),
    "2 trials hold a CPU, `from_items` feeds 1-CPU actors": demand(2, CPU, CPU),
    "the trial holds the only GPU that sampling wants": demand(1, GPU, GPU),
    "a trial is larger than the machine": demand(1, Bundle(cpus=3), CPU),
    "more trials than the machine holds": demand(3, CPU, SLIVER),
    "more train workers than GPUs": demand(1, DRIVER, GPU, train_worker=GPU, num_train_workers=2),
    "a train worker larger than the machine": demand(1, DRIVER, CPU, train_worker=Bundle(cpus=3)),
    "trials hold what selecting wants": demand(2, CPU, SLIVER, task=CPU),
}
WORKS = {
    "2 trials hold 0.01 CPU, `from_items` feeds 0.25-CPU actors": demand(2, SLIVER, Bundle(cpus=0.25)),
    "2 trials take turns on one GPU, training, then sampling": demand(2, SLIVER, GPU, train_worker=GPU),
    "2 trials, nested train workers": demand(2, DRIVER, CPU, train_worker=CPU, num_train_workers=2),
    "2 trials hold a driver's share, 1-CPU stages": demand(2, DRIVER, CPU, train_worker=CPU, task=CPU),
    "100 trials share one driver resource": demand(100, DRIVER, CPU),
}


@pytest.mark.parametrize("case", HANGS)
def test_what_hangs_is_refused_with_what_to_change(case: str) -> None:
    found = problems(HANGS[case], HERE)
    assert found
    assert all("Lower resources." in reason for reason in found)


@pytest.mark.parametrize("case", WORKS)
def test_what_works_is_accepted(case: str) -> None:
    assert problems(WORKS[case], HERE) == []


def test_stopping_trials_with_several_train_workers_needs_the_dashboard() -> None:
    nested = demand(2, DRIVER, CPU, train_worker=CPU, num_train_workers=2, stops_early=True)
    assert problems(nested, HERE) == []
    assert "dashboard" in problems(nested, Supply(HERE.nodes, has_dashboard=False))[0]


def test_a_cluster_without_the_driver_resource_is_told_how_to_get_it() -> None:
    (reason,) = problems(demand(1, DRIVER, CPU), Supply((Bundle(cpus=64),)))
    assert "--resources='{\"driver\": 1}'" in reason


@pytest.mark.parametrize("stage", ["train_worker", "sampler", "task"])
def test_a_stage_larger_than_any_node_is_refused_though_the_sum_would_do(stage: str) -> None:
    many_small = Supply((Bundle(cpus=2, driver=1),) * 32)
    large = {"sampler": CPU, **{stage: Bundle(cpus=4)}}
    (reason,) = problems(demand(1, DRIVER, **large), many_small)
    assert "one node" in reason and "hold that 0 times" in reason


def test_train_workers_that_fit_the_sum_but_not_the_nodes_are_refused() -> None:
    nodes = Supply((Bundle(cpus=5, driver=1), Bundle(cpus=4)))
    workers = {"train_worker": Bundle(cpus=3), "num_train_workers": 3}
    (reason,) = problems(demand(1, DRIVER, CPU, **workers), nodes)
    assert "hold that 2 times" in reason
    assert problems(demand(1, DRIVER, CPU, **{**workers, "num_train_workers": 2}), nodes) == []


def experiment(**resources: object) -> Experiment:
    from tiny import TINY

    return Experiment.model_validate(TINY | {"resources": {"device": "cpu", **resources}})


def test_as_many_trials_run_as_the_cluster_can_keep_busy() -> None:
    assert capacity(experiment(), HERE) == 2
    assert capacity(experiment(threads=2), HERE) == 1
    assert capacity(experiment(train_workers=2), HERE) == 1
    assert capacity(experiment(device="cuda"), HERE) == 1
    assert num_concurrent([experiment()], HERE) == 1
    assert num_concurrent([experiment(max_concurrent_trials=1)] * 6, HERE) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_grid_runs_as_many_trials_at_a_time_as_its_most_demanding_one_allows(order: int) -> None:
    many, larger = Supply((Bundle(cpus=8, driver=1),)), [experiment(threads=4), experiment(train_workers=3)]
    assert num_concurrent([experiment()] * 9, many) == 8
    assert num_concurrent([experiment(), larger[0], experiment()][::order], many) == 2
    assert num_concurrent([experiment(), *larger, experiment(threads=2)][::order], many) == 2
    assert num_concurrent([experiment(), experiment(threads=8)][::order], many) == 1


def test_two_small_nodes_are_not_one_large_one() -> None:
    assert capacity(experiment(threads=2), Supply((Bundle(cpus=3, driver=1), Bundle(cpus=3)))) == 2


def test_no_more_trials_run_than_the_driver_resource_has_shares() -> None:
    assert capacity(experiment(), Supply((Bundle(cpus=1000, driver=1),))) == 100


def test_more_concurrency_than_the_cluster_can_keep_busy_is_refused() -> None:
    assert preflight(experiment(max_concurrent_trials=2), HERE, num_trials=6) == []
    assert "Lower it to 2" in preflight(experiment(max_concurrent_trials=3), HERE, num_trials=6)[0]


def test_cuda_without_a_gpu_is_refused_and_never_becomes_the_cpu() -> None:
    (reason,) = preflight(experiment(device="cuda"), Supply((Bundle(cpus=8, driver=1),)), num_trials=1)
    assert "no GPU" in reason


def test_stages_with_more_threads_than_any_node_has_cpus_are_refused() -> None:
    assert "Lower resources.threads" in preflight(experiment(threads=3), HERE, num_trials=1)[0]
