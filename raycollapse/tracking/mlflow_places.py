"""Where MLflow keeps things for a storage."""

import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.tracking.mlflow import is_database


def tracking_uri(store: Store, uri: str | None) -> str:
    """Return where to record: what the user named, made absolute, or a database in the storage folder."""
    if uri is None:
        if store.local_root is None:
            raise RequestError(
                f"The storage {store.uri} is no folder, so it cannot hold MLflow's database. Name a server with "
                "tracking.mlflow_uri, or set tracking.mlflow to false."
            )
        return f"sqlite:///{store.local_root.absolute() / 'mlflow.db'}"
    if not _can_be_written(uri):
        raise RequestError(
            f"tracking.mlflow_uri is {uri!r}; MLflow records in a server, such as http://host:5000, or in a database, "
            "such as postgresql://host/name or sqlite:////absolute/path/mlflow.db. Leave it out to have mlflow.db in "
            "the storage folder."
        )
    prefix, slashes, path = uri.partition(":///")
    if prefix.partition("+")[0] == "sqlite" and slashes and path and not path.startswith(("/", ":")):
        return f"{prefix}:///{Path(path).absolute()}"
    return uri


def _can_be_written(uri: str) -> bool:
    """Return whether MLflow, or a plugin of it, takes this kind of URI; folders are for reading only these days."""
    scheme = uri.partition(":")[0]
    plugins = {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}
    known = {"databricks", *plugins} - {"file"}
    if scheme in ("http", "https"):
        return _has_a_host(uri)
    return is_database(uri) or (scheme in known and (":" in uri or scheme == "databricks"))


def _has_a_host(uri: str) -> bool:
    try:
        return bool(urlsplit(uri).hostname) and urlsplit(uri).port != 0
    except ValueError:  # a port that is no number, an open bracket
        return False


def check_file(uri: str) -> None:
    """Raise RequestError if a database is a file that cannot be written. A server may come back; a wrong path stays so.

    What is in the file is not looked at, and the file is not made.
    """
    prefix, _, rest = uri.partition(":///")
    path = rest.partition("?")[0]
    if prefix.partition("+")[0] != "sqlite" or not path.startswith("/"):
        return
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent):  # the database's journal lies beside it
            if file.exists():
                file.open("r+b").close()
    except OSError as error:
        raise RequestError(
            f"MLflow's database {file} cannot be written ({error.strerror}). Name another place with "
            "tracking.mlflow_uri, such as sqlite:////absolute/path/mlflow.db or http://host:5000, or do without MLflow "
            "(tracking.mlflow: false)."
        ) from error


def artifact_location(store: Store, uri: str) -> str | None:
    """Return where files go: beside the stages if MLflow is only a database; a server has a place of its own."""
    if not is_database(uri):
        return None
    if store.local_root is None:
        return f"{store.uri.rstrip('/')}/mlflow-artifacts"
    return (store.local_root.absolute() / "mlflow-artifacts").as_uri()
