"""One model trained by several workers: Ray Train around the same Accelerate function that one worker runs."""

import tempfile
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context, report
from ray.train.collective import broadcast_from_rank_zero
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import WorkerGroupError

from raycollapse.distributed.patience import LostError
from raycollapse.distributed.workers import ERRORS, Outcome, collected_warnings, open_store
from raycollapse.stages.training import TrainStage


def train_on_workers(uri: str, stage: TrainStage) -> Outcome:
    """Train one model on the stage's number of workers and commit it; tell how it went.

    An error of the stage's own ends the group. Ray Train would try that again too, so trying again is left to others.

    Raises:
        LostError: a worker was lost, and the group with it; it goes on from the latest checkpoint in the store.
    """
    try:
        return _train_once(uri, stage)
    except WorkerGroupError as error:
        own = [failure for failure in error.worker_failures.values() if type(failure).__name__ in ERRORS]
        if own:
            return Outcome.of(own[0])
        raise LostError(f"a worker that trained {stage} died ({str(error).splitlines()[0]})") from error


def _train_once(uri: str, stage: TrainStage) -> Outcome:
    uses_gpu = stage.device == "cuda"
    scaling = ScalingConfig(
        num_workers=stage.num_workers,
        use_gpu=uses_gpu,
        resources_per_worker={"GPU": 1} if uses_gpu else {"CPU": stage.threads},
    )
    # Ray Train's own files are of no use to us: the store keeps checkpoints and snapshot.
    with tempfile.TemporaryDirectory(prefix="raycollapse-train-") as scratch:
        run = RunConfig(name="train", storage_path=scratch, failure_config=FailureConfig(max_failures=0))
        config = {"uri": uri, "stage": stage}
        trainer = TorchTrainer(_train_worker, train_loop_config=config, scaling_config=scaling, run_config=run)
        metrics = trainer.fit().metrics or {}
    return Outcome(warnings=metrics.get("warnings", []))


def _train_worker(config: dict[str, Any]) -> None:
    """Run on each worker: all train together, the first one commits the snapshot."""
    stage: TrainStage = config["stage"]
    store = open_store(config["uri"])
    is_first = get_context().get_world_rank() == 0
    with collected_warnings() as warnings:
        # Whether it is there already (made by another run meanwhile) is decided once: a worker that found it and went
        # home would leave the others waiting for it.
        if broadcast_from_rank_zero(is_first and store.find(stage.kind, stage.key) is not None):
            pass
        elif is_first:
            store.commit(stage.kind, stage.key, stage.full_identity, lambda folder: stage.write(store, folder))
            stage.clean_up(store)
        else:
            stage.train(store)
    report({"warnings": warnings})
