"""MLflow, as much of it as recording needs. The one module that imports it, and not before it is used."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raycollapse.tracking.projection import Point

DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
DATABASES = ("sqlite", *DEFAULT_PORTS)

CONNECT_SECONDS = 5
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS),
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Set where the user has not: MLflow's own would wait minutes for a server, print, and report to its makers."""

NOISY_LOGGERS = ("mlflow", "alembic", "urllib3.connectionpool", "sqlalchemy", "psycopg")


@dataclass(frozen=True)
class Run:
    """An MLflow run as it was when it was found."""

    run_id: str
    name: str
    status: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: frozenset[str]
    """Names of the metrics that have any entry."""


class Mlflow:
    """A server or a database. Every method may raise whatever MLflow raises when it cannot be reached."""

    def __init__(self, uri: str) -> None:
        from mlflow import MlflowClient

        if is_database(uri):
            _check_database(uri)
        self._client: Any = MlflowClient(uri)

    def experiment_id(self, name: str, artifact_location: str | None) -> str:
        """Return the id of an experiment, made if it is not there."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name, artifact_location=artifact_location))
        if found.lifecycle_stage != "active":
            raise RuntimeError(
                f"its experiment {name} was deleted; restore it, or set tracking.mlflow_experiment to another name"
            )
        return str(found.experiment_id)

    def get_run(self, experiment_id: str, run_id: str) -> Run | None:
        """Return a run of an experiment by its id; none if it is not there, or deleted."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        is_ours = found.info.experiment_id == experiment_id and found.info.lifecycle_stage == "active"
        return _run(found) if is_ours else None

    def find_run(self, experiment_id: str, tags: Mapping[str, str]) -> Run | None:
        """Return the first run of an experiment that has these tags."""
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self._client.search_runs(
            [experiment_id], filter_string=query, max_results=1, order_by=["attributes.start_time ASC"]
        )
        return _run(found[0]) if found else None

    def create_run(self, experiment_id: str, name: str, start: int, tags: Mapping[str, str]) -> Run:
        """Make a run; its tags come with it, so that it can be found from its first moment."""
        return _run(self._client.create_run(experiment_id, start_time=start, tags=dict(tags), run_name=name))

    def log(self, run_id: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Log points, parameters and tags; the client cuts them into batches of the size that servers take."""
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            run_id,
            metrics=[Metric(point.name, point.value, point.timestamp, point.step) for point in points],
            params=[Param(name, value) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def history(self, run_id: str, name: str) -> list[Point]:
        """Return a metric's entries, the first logged first."""
        found = self._client.get_metric_history(run_id, name)
        points = [Point(name, entry.value, entry.timestamp, entry.step) for entry in found]
        return sorted(points, key=lambda point: point.timestamp)

    def delete_tag(self, run_id: str, name: str) -> None:
        """Delete a tag that the run has."""
        self._client.delete_tag(run_id, name)

    def upload(self, run_id: str, file: Path, folder: str) -> None:
        """Put a file into a folder of the run's artifacts, over any earlier one of its name."""
        self._client.log_artifact(run_id, str(file), artifact_path=folder)

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        self._client.update_run(run_id, name=name)

    def resume(self, run_id: str) -> None:
        """Set a run that had ended running again."""
        self._client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str, end: int) -> None:
        """End a run, at a time in milliseconds since the epoch."""
        self._client.set_terminated(run_id, status=status, end_time=end)


def is_database(uri: str) -> bool:
    """Return whether MLflow would open this URI as a database of its own, without a server."""
    scheme, separator, _ = uri.partition("://")
    return separator != "" and scheme.partition("+")[0] in DATABASES


def is_refusal(error: Exception) -> bool:
    """Return whether MLflow answered, and said no to this very request."""
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else None
    return status is not None and 400 <= status < 500 and status not in (401, 403, 408, 429)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what MLflow and the libraries below it log about themselves off the terminal."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401 (its import sets the level of its logger, so it comes before ours)

    loggers = [logging.getLogger(name) for name in NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _run(found: Any) -> Run:
    info, data = found.info, found.data
    return Run(
        info.run_id, info.run_name or "", info.status, dict(data.params), dict(data.tags), frozenset(data.metrics)
    )


def _check_database(uri: str) -> None:
    """Raise if a database does not answer now: MLflow would try for two minutes before it did."""
    import sqlalchemy
    from mlflow.store.db.utils import create_sqlalchemy_engine

    url = sqlalchemy.engine.make_url(uri)
    if url.host:
        port = url.port or DEFAULT_PORTS[url.get_backend_name()]
        socket.create_connection((url.host, port), timeout=CONNECT_SECONDS).close()
    elif url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_sqlalchemy_engine(uri)  # type: ignore[no-untyped-call]
    try:
        engine.connect().close()
    finally:
        engine.dispose()
