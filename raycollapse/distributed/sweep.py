"""A sweep on a Ray cluster: Ray Tune runs the trials, each an orchestrator that holds no CPU and no GPU.

Tune's own state is thrown away: our store is the truth, and a fresh Tuner replays what is done in seconds.
"""

import contextlib
import json
import logging
import os
import tempfile
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError, RayTaskError
from ray.tune.search import Searcher

from raycollapse.config import Experiment, build
from raycollapse.distributed.board import ANSWER_SECONDS, News, Reading, new_board
from raycollapse.distributed.ray_backend import RayBackend
from raycollapse.distributed.resources import DRIVER_SHARE
from raycollapse.distributed.workers import collected_warnings, open_store
from raycollapse.early_stopping import StoppedEarly, stopping
from raycollapse.errors import FullDiskError, describe
from raycollapse.progress import Display
from raycollapse.scheduling import Scheduler
from raycollapse.store.seal import canonical_json
from raycollapse.tracking.records import TrialRecords
from raycollapse.trial import Trial
from raycollapse.trial_source import TrialSource

FULL_DISK = "full_disk"
"""The key under which a trial reports that it found the disk full."""

MAX_TRIAL_FAILURES = 5
"""Of one orchestrator, each resumed from the store: losing a node is an ordinary event, an error of a stage is not."""

SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: it says how to resume
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the display is ours
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a plugin may read files beside it
}


def run_sweep(
    source: TrialSource, scheduler: Scheduler | None, max_concurrent: int, num_gpus: int, display: Display
) -> None:
    """Run trials to their end on the connected cluster. A failed one leaves its reason in its record.

    Where a trial finds the disk full no other is begun. Those that are at work go on until they find it full too.

    Args:
        source: the trials.
        scheduler: stops trials early; none: all run to their last generation.
        max_concurrent: how many run at a time.
        num_gpus: what the cluster has.
        display: shows how far they are.

    Raises:
        FullDiskError: a trial could not be finished for want of space.
        Exception: whatever the source raises at the end of a trial; trials that are at work are finished first.
    """
    os.environ.update(SETTINGS)
    # Tune reads metrics from files that the loggers turned off above would write, and says at length that they are not
    # there. That a trial failed we say ourselves.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    board, handing_out = new_board(), HandingOut(source)
    trainable = tune.with_parameters(_run_trial, scheduler=scheduler, board=board, num_gpus=num_gpus)
    with tempfile.TemporaryDirectory(prefix="raycollapse-tune-") as scratch, Reading(board, display):
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"driver": DRIVER_SHARE}),
            tune_config=tune.TuneConfig(
                search_alg=handing_out,
                num_samples=-1,  # until there are no more
                max_concurrent_trials=max_concurrent,
                reuse_actors=True,  # one process after another costs seconds, and a trial leaves nothing behind
            ),
            run_config=tune.RunConfig(
                name="sweep", storage_path=scratch, verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_TRIAL_FAILURES),
            ),
        )  # fmt: skip
        results: Any = tuner.fit()
        errors = dict.fromkeys(str(result.error) for result in results if result.error is not None)
    if handing_out.full_disk is not None:
        raise FullDiskError(handing_out.full_disk)
    if handing_out.error is not None:
        raise handing_out.error
    if errors:
        _note_lost(source, "its orchestrator failed: " + "\n".join(errors), display)


class HandingOut(Searcher):
    """Gives Tune its trials one by one, from wherever they come, until one of them has found the disk full."""

    def __init__(self, source: TrialSource) -> None:
        super().__init__()
        self._source = source
        self.full_disk: str | None = None
        """What that one said."""
        self.error: Exception | None = None
        """What went wrong in taking note of a trial's end. Raised there, Tune would begin that trial again."""
        self._running: dict[str, Experiment] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's configuration: what this command asked for, whatever others have recorded of it."""
        is_over = self.full_disk is not None or self.error is not None
        trial = None if is_over else self._source.next_trial()
        if trial is None:
            return Searcher.FINISHED
        self._running[trial_id] = trial
        return {"trial": canonical_json(trial.resolved()).decode()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take note of the end of a trial."""
        self.full_disk = self.full_disk or (result or {}).get(FULL_DISK)
        trial = self._running.pop(trial_id, None)
        try:
            if trial is not None:
                self._source.settle(trial)
        except Exception as problem:  # noqa: BLE001 (raised by `run_sweep`)
            self.error = self.error or problem

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing: Tune's state is thrown away."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, for the same reason: a source may hold what cannot be pickled."""
        return {}


def _run_trial(config: dict[str, Any], scheduler: Scheduler | None, board: Any, num_gpus: int) -> None:
    """Orchestrate one trial: run on the cluster by Tune."""
    experiment = build(json.loads(config["trial"]), "the trial")
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
        reason, is_full = describe(error), isinstance(error, FullDiskError)
        try:
            records.write_failure(reason)
        except FullDiskError as full:
            reason, is_full = describe(full), True
        if is_full:
            tune.report({FULL_DISK: reason})
        else:
            board.post.remote(News("failure", key, 0, reason))

    backend = RayBackend(store, experiment, num_gpus)
    with collected_warnings() as warnings:
        try:
            Trial(experiment, backend, stopping(tell, scheduler, records, experiment.num_generations)).run()
            records.write_failure(None)
        except StoppedEarly as stop:
            records.write_failure(None)
            board.post.remote(News("stop", key, 0, str(stop)))
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


def _note_lost(source: TrialSource, reason: str, display: Display) -> None:
    """Note as failed the trials that neither ended nor said why: Tune does not always know which they are."""
    for trial in source.handed_out:
        records = TrialRecords(open_store(trial.storage), trial.name, trial.trial_key())
        is_over = len(records.read()) >= trial.num_generations or records.read_stop() is not None
        if not is_over and records.read_failure() is None:
            records.write_failure(reason)
            display.fail(trial.trial_key(), reason)
