"""A sweep on a Ray cluster: Ray Tune runs the trials, each an orchestrator that holds no CPU and no GPU.

Tune's own state is thrown away: our store is the truth, and a fresh Tuner replays what is done in seconds.
"""

import logging
import os
import tempfile
import threading
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError, RayTaskError

from raycollapse.config import Experiment
from raycollapse.distributed.ray_backend import RayBackend
from raycollapse.distributed.resources import DRIVER_SHARE, Supply, num_concurrent
from raycollapse.distributed.workers import collected_warnings, open_store
from raycollapse.errors import describe
from raycollapse.progress import Display
from raycollapse.tracking.records import TrialRecords
from raycollapse.trial import Trial

MAX_TRIAL_FAILURES = 5
"""Of one orchestrator, each resumed from the store: losing a node is an ordinary event, an error of a stage is not."""

POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


class Board:
    """An actor that gathers what trials tell, until the driver reads it."""

    def __init__(self) -> None:
        self._news: list[tuple[str, int, str]] = []

    def post(self, trial_key: str, generation: int, verb: str) -> None:
        """Take note of a trial's progress, or of a warning (`verb` is then `warning: ...`)."""
        self._news.append((trial_key, generation, verb))

    def read(self) -> list[tuple[str, int, str]]:
        """Return the news since the last time."""
        news, self._news = self._news, []
        return news


def run_sweep(trials: list[Experiment], supply: Supply, display: Display) -> None:
    """Run trials to their end on the connected cluster. A failed one leaves its reason in its record."""
    # Tune reads metrics from the files of the loggers turned off below, and says at length that they are not there.
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    board: Any = ray.remote(Board).options(num_cpus=0).remote()
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C is ours: it says how to resume
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the display is ours
    trainable = tune.with_parameters(_run_trial, trials=trials, board=board, num_gpus=int(supply.total.gpus))
    with tempfile.TemporaryDirectory(prefix="raycollapse-tune-") as scratch, _reading(board, display):
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"driver": DRIVER_SHARE}),
            param_space={"index": tune.grid_search(list(range(len(trials))))},
            tune_config=tune.TuneConfig(max_concurrent_trials=num_concurrent(trials[0], supply, len(trials))),
            run_config=tune.RunConfig(
                name="sweep", storage_path=scratch, verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_TRIAL_FAILURES),
            ),
        )  # fmt: skip
        results: Any = tuner.fit()
        for result in results:
            if result.error is not None:
                trial = trials[result.config["index"]]
                _note_failure(trial, f"its orchestrator failed: {result.error}", display)


def _run_trial(config: dict[str, Any], trials: list[Experiment], board: Any, num_gpus: int) -> None:
    """Orchestrate one trial: run on the cluster by Tune."""
    experiment = trials[config["index"]]
    key, store = experiment.trial_key(), open_store(experiment.storage)
    records = TrialRecords(store, experiment.name, key)

    def tell(generation: int, verb: str) -> None:
        while warnings:
            board.post.remote(key, generation, f"warning: {warnings.pop(0)}")
        board.post.remote(key, generation, verb)
        if verb == "recorded":
            tune.report({"generation": generation})

    backend = RayBackend(store, experiment, num_gpus)
    with collected_warnings() as warnings:
        try:
            Trial(experiment, backend, tell).run()
            records.write_failure(None)
        except RayError as error:
            if not isinstance(error, RayTaskError):
                raise  # a lost worker or node: Tune starts the trial again, and the store resumes it
            _fail(records, board, describe(error))
        except Exception as error:  # noqa: BLE001 (a bug in a strategy of somebody's fails that trial, not the sweep)
            _fail(records, board, describe(error))
        finally:
            backend.close()


def _fail(records: TrialRecords, board: Any, reason: str) -> None:
    records.write_failure(reason)
    ray.get(board.post.remote(records.trial_key, 0, f"failed: {reason}"))


def _note_failure(trial: Experiment, reason: str, display: Display) -> None:
    TrialRecords(open_store(trial.storage), trial.name, trial.trial_key()).write_failure(reason)
    display.fail(trial.trial_key(), reason)


class _reading:
    """Reads the board in a thread while Tune holds the main one, and once more at the end."""

    def __init__(self, board: Any, display: Display) -> None:
        self._board, self._display = board, display
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_until_stopped, daemon=True, name="raycollapse-board")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read_until_stopped(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(POLL_SECONDS)
            try:
                news = ray.get(self._board.read.remote())
            except RayError as error:
                log.warning("The progress display has lost the cluster: %s", error)
                return
            for trial_key, generation, verb in news:
                self._show(trial_key, generation, verb)

    def _show(self, trial_key: str, generation: int, verb: str) -> None:
        kind, _, text = verb.partition(": ")
        if kind == "warning":
            log.warning("%s", text)
        elif kind == "failed":
            self._display.fail(trial_key, text)
        else:
            self._display.show(trial_key, generation, verb)
