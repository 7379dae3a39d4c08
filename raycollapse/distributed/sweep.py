"""A sweep on a Ray cluster: Ray Tune runs the trials, each an orchestrator that holds no CPU and no GPU.

Tune's own state is thrown away: our store is the truth, and a fresh Tuner replays what is done in seconds.
"""

import contextlib
import logging
import os
import tempfile
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError, RayTaskError

from raycollapse.config import Experiment
from raycollapse.distributed.board import ANSWER_SECONDS, News, Reading, new_board
from raycollapse.distributed.ray_backend import RayBackend
from raycollapse.distributed.resources import DRIVER_SHARE, Supply, num_concurrent
from raycollapse.distributed.workers import collected_warnings, open_store
from raycollapse.errors import describe
from raycollapse.progress import Display
from raycollapse.tracking.records import TrialRecords
from raycollapse.trial import Trial

MAX_TRIAL_FAILURES = 5
"""Of one orchestrator, each resumed from the store: losing a node is an ordinary event, an error of a stage is not."""

SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: it says how to resume
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the display is ours
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a plugin may read files beside it
}


def run_sweep(trials: list[Experiment], supply: Supply, display: Display) -> None:
    """Run trials to their end on the connected cluster. A failed one leaves its reason in its record."""
    os.environ.update(SETTINGS)
    # Tune reads metrics from files that the loggers turned off above would write, and says at length that they are not
    # there. That a trial failed we say ourselves.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    board = new_board()
    trainable = tune.with_parameters(_run_trial, trials=trials, board=board, num_gpus=int(supply.total.gpus))
    with tempfile.TemporaryDirectory(prefix="raycollapse-tune-") as scratch, Reading(board, display):
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"driver": DRIVER_SHARE}),
            param_space={"index": tune.grid_search(list(range(len(trials))))},
            tune_config=tune.TuneConfig(
                max_concurrent_trials=num_concurrent(trials, supply),
                reuse_actors=True,  # one process after another costs seconds, and a trial leaves nothing behind
            ),
            run_config=tune.RunConfig(
                name="sweep", storage_path=scratch, verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_TRIAL_FAILURES),
            ),
        )  # fmt: skip
        results: Any = tuner.fit()
        errors = dict.fromkeys(str(result.error) for result in results if result.error is not None)
    if errors:
        _note_lost(trials, "its orchestrator failed: " + "\n".join(errors), display)


def _run_trial(config: dict[str, Any], trials: list[Experiment], board: Any, num_gpus: int) -> None:
    """Orchestrate one trial: run on the cluster by Tune."""
    experiment = trials[config["index"]]
    key, store = experiment.trial_key(), open_store(experiment.storage)
    records = TrialRecords(store, experiment.name, key)

    def tell(generation: int, verb: str) -> None:
        pass_on_warnings()
        board.post.remote(News("progress", key, generation, verb))
        if verb == "recorded":
            tune.report({"generation": generation})

    def pass_on_warnings() -> None:
        while warnings:
            board.post.remote(News("warning", key, 0, warnings.pop(0)))

    def fail(error: Exception) -> None:
        reason = describe(error)
        records.write_failure(reason)
        board.post.remote(News("failure", key, 0, reason))

    backend = RayBackend(store, experiment, num_gpus)
    with collected_warnings() as warnings:
        try:
            Trial(experiment, backend, tell).run()
            records.write_failure(None)
        except RayError as error:
            if not isinstance(error, RayTaskError):
                raise  # a lost worker or node: Tune starts the trial again, and the store resumes it
            fail(error)
        except Exception as error:  # noqa: BLE001 (a bug in a strategy of somebody's fails that trial, not the sweep)
            fail(error)
        finally:
            backend.close()
            pass_on_warnings()
            with contextlib.suppress(RayError):  # what was posted arrives before this process may end
                ray.get(board.post.remote(), timeout=ANSWER_SECONDS)


def _note_lost(trials: list[Experiment], reason: str, display: Display) -> None:
    """Note as failed the trials that neither ended nor said why: Tune does not always know which they are."""
    for trial in trials:
        records = TrialRecords(open_store(trial.storage), trial.name, trial.trial_key())
        if len(records.read()) < trial.num_generations and records.read_failure() is None:
            records.write_failure(reason)
            display.fail(trial.trial_key(), reason)
