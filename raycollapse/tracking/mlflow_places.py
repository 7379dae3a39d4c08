"""Where MLflow keeps things for a storage."""

from importlib.metadata import entry_points
from pathlib import Path

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
    known = {"http", "https", "databricks", *plugins} - {"file"}
    return is_database(uri) or (scheme in known and (":" in uri or scheme == "databricks"))


def artifact_location(store: Store, uri: str) -> str | None:
    """Return where files go: beside the stages if MLflow is only a database; a server has a place of its own."""
    if not is_database(uri):
        return None
    if store.local_root is None:
        return f"{store.uri.rstrip('/')}/mlflow-artifacts"
    return (store.local_root.absolute() / "mlflow-artifacts").as_uri()
