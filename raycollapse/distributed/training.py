"""One model trained by several workers: Ray Train around the same Accelerate function that one worker runs."""

import tempfile
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context, report
from ray.train.torch import TorchTrainer

from raycollapse.distributed.workers import ERRORS, Outcome, open_store
from raycollapse.stages.base import make
from raycollapse.stages.training import TrainStage

MAX_FAILURES = 10
"""Of the group of workers, each resumed from the latest checkpoint in the store."""


def train_on_workers(uri: str, stage: TrainStage) -> Outcome:
    """Train one model on the stage's number of workers and commit it; tell how it went."""
    uses_gpu = stage.device == "cuda"
    scaling = ScalingConfig(
        num_workers=stage.num_workers,
        use_gpu=uses_gpu,
        resources_per_worker={"GPU": 1} if uses_gpu else {"CPU": stage.threads},
    )
    # Ray Train's own files are of no use to us: the store keeps checkpoints and snapshot.
    with tempfile.TemporaryDirectory(prefix="raycollapse-train-") as scratch:
        run = RunConfig(name="train", storage_path=scratch, failure_config=FailureConfig(max_failures=MAX_FAILURES))
        trainer = TorchTrainer(
            _train_worker, train_loop_config={"uri": uri, "stage": stage}, scaling_config=scaling, run_config=run
        )
        result = trainer.fit()
    error = (result.metrics or {}).get("error")
    if error is None and open_store(uri).find(stage.kind, stage.key) is None:
        return Outcome("StageError", f"{stage} ended on its workers without a snapshot.")
    return Outcome(error, (result.metrics or {}).get("message", ""))


def _train_worker(config: dict[str, Any]) -> None:
    """Run on each worker: all train together, the first one commits the snapshot.

    An error of the stage's own ends the work and is reported; raising it would only have Ray Train try again.
    """
    stage: TrainStage = config["stage"]
    store = open_store(config["uri"])
    try:
        if get_context().get_world_rank() == 0:
            make(stage, store)
        else:
            stage.train(store)
    except tuple(ERRORS.values()) as error:
        report({"error": type(error).__name__, "message": str(error)})
