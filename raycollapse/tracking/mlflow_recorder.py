"""Replaying records into MLflow: parent run = sweep, child run = trial, step = generation.

Points carry their recorded timestamps, of which MLflow keeps one entry however often they are logged; run ids lie
beside the records. So a process may end between any two calls, and the next one brings over what is missing, once.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from raycollapse.store import Store
from raycollapse.tracking.base import Recorder
from raycollapse.tracking.mlflow import Mlflow, is_refusal, quiet
from raycollapse.tracking.mlflow_places import artifact_location, tracking_uri
from raycollapse.tracking.mlflow_session import Session, attach
from raycollapse.tracking.outage import Outage, reason_of, without_password
from raycollapse.tracking.projection import milliseconds
from raycollapse.tracking.records import TrialRecords
from raycollapse.tracking.trial_configs import labels
from raycollapse.tracking.trial_run import TrialRun

log = logging.getLogger(__name__)


class MlflowRecorder(Recorder):
    """Keeps one experiment of a storage replayed in MLflow.

    Args:
        store: where the records are.
        experiment: the experiment's name there.
        uri: an MLflow server or database; none: `mlflow.db` in the storage folder.
        mlflow_experiment: the name of the MLflow experiment; none: the experiment's.
        is_sweep: whether trials are children of a run that stands for the sweep.

    Raises:
        RequestError: the URI is not one that MLflow can write to.
    """

    def __init__(
        self,
        store: Store,
        experiment: str,
        uri: str | None = None,
        mlflow_experiment: str | None = None,
        is_sweep: bool = False,
    ) -> None:
        self._uri = tracking_uri(store, uri)
        self.uri: str = without_password(self._uri)
        self._store = store
        self._experiment = experiment
        self._mlflow_experiment = mlflow_experiment or experiment
        self._is_sweep = is_sweep
        self._place = f"MLflow at {self.uri}"
        later = f"lie in {store.uri} and are replayed at a later sync, or when the same command is run again."
        self._outage = Outage(self._place, f"The run goes on; its records {later}")
        self._file_outage = Outage(f"The artifact store of {self._place}", f"Metrics are recorded; the files {later}")
        self._session: Session | None = None
        self._runs: dict[str, TrialRun] = {}
        self._configs: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}
        self._pending: dict[str, None] = {}
        """Keys of the trials whose records may have grown, in the order they were handed over."""
        self._pending_files: dict[str, None] = {}
        self._refused: dict[str, str] = {}
        """Why MLflow does not take a trial, by key."""

    def sync(self, trials: Sequence[TrialRecords]) -> None:
        """Bring over what these trials have recorded; with no trials, see whether MLflow answers."""
        for trial in trials:
            self._runs.setdefault(trial.trial_key, TrialRun(trial))
            self._pending[trial.trial_key] = None
        if self._outage.may_try:
            self._attempt(lambda: self._replay(try_files=self._file_outage.may_try))

    def finish(self, trials: Sequence[TrialRecords]) -> None:
        """Bring over what is missing of these and all earlier trials, and how they ended; say what is left over."""
        for trial in trials:
            self._runs.setdefault(trial.trial_key, TrialRun(trial))
        self._pending = dict.fromkeys(self._runs)

        def replay_and_end() -> None:
            self._replay(try_files=True)
            self._end()

        self._attempt(replay_and_end)
        self._say_what_is_left()

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            with quiet():
                action()
        except Exception as error:  # noqa: BLE001 (whatever MLflow and the libraries below it raise, the run goes on)
            self._session = None
            self._outage.failed(reason_of(error))
        else:
            self._outage.succeeded()

    def _connect(self) -> Session:
        if self._session is None:
            server = Mlflow(self._uri)
            experiment_id = self._experiment_id(server)
            session = Session(server, self._store, self.uri, self._mlflow_experiment, experiment_id)
            self._session = replace(session, parent=self._sweep_run(session)) if self._is_sweep else session
        return self._session

    def _experiment_id(self, server: Mlflow) -> str:
        return server.experiment_id(self._mlflow_experiment, artifact_location(self._store, self._uri))

    def _sweep_run(self, session: Session) -> str:
        tags = {"raycollapse.experiment": self._experiment, "raycollapse.storage": self._store.uri}
        run = attach(session, f"experiments/{self._experiment}", self._experiment, tags).run
        if run.status != "RUNNING":
            session.server.resume(run.run_id)
        return run.run_id

    def _replay(self, try_files: bool) -> None:
        self._connect()
        self._read_configs()
        while self._pending:
            key = next(iter(self._pending))
            if key in self._configs:
                self._replay_one(key)
                self._pending_files[key] = None
            del self._pending[key]
        if try_files:
            self._upload()

    def _read_configs(self) -> None:
        """Read the configurations of trials that have started since, and name runs by what tells them apart."""
        for key in self._pending:
            if key not in self._configs and (config := self._runs[key].trial.read_config()) is not None:
                self._configs[key] = config
        if len(self._names) < len(self._configs):
            told = labels(self._configs)
            self._names = {key: f"{told[key]}, seed {config['seed']}" for key, config in self._configs.items()}

    def _replay_one(self, key: str) -> None:
        try:
            self._runs[key].replay(self._connect(), self._configs[key], self._names[key])
            self._refused.pop(key, None)
        except Exception as error:
            if not _concerns_the_trial(error):
                raise
            if key in self._refused:
                return
            self._refused[key] = reason_of(error)
            self._start_over()
            self._replay_one(key)
            if key in self._refused:
                trial = f"trial {key} ({self._names[key]})"
                log.warning("%s does not take %s: %s. The run goes on.", self._place, trial, self._refused[key])

    def _start_over(self) -> None:
        """Take nothing that MLflow had for granted any more: its runs may have been deleted, its database replaced."""
        self._session = None
        self._runs = {key: TrialRun(run.trial) for key, run in self._runs.items()}
        self._pending |= dict.fromkeys(self._runs)

    def _upload(self) -> None:
        try:
            for key in list(self._pending_files):
                if key not in self._refused:
                    self._runs[key].upload(self._connect())
                del self._pending_files[key]
        except Exception as error:  # noqa: BLE001 (see _attempt)
            self._experiment_id(self._connect().server)  # raises if it is MLflow itself that is away
            self._file_outage.failed(reason_of(error))
        else:
            self._file_outage.succeeded()

    def _end(self) -> None:
        session = self._connect()
        ended = [self._runs[key].end(session) for key in self._configs if key not in self._refused]
        if session.parent is not None:
            status = next((status for status in ("FAILED", "KILLED") if status in ended), "FINISHED")
            session.server.end(session.parent, status, milliseconds(time.time()))

    def _say_what_is_left(self) -> None:
        reason = self._outage.reason or self._file_outage.reason or next(iter(self._refused.values()), None)
        if reason is not None:
            log.warning(
                "%s has not got everything (%s). Nothing is lost: the records lie in %s. Run the same command again to "
                "replay them.",
                self._place, reason, self._store.uri,
            )  # fmt: skip


def _concerns_the_trial(error: Exception) -> bool:
    """Return whether others may go through: MLflow said no to this one, or its records are damaged."""
    return is_refusal(error) or isinstance(error, ValueError)
