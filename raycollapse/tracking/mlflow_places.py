"""Where MLflow keeps things for a storage."""

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
    if uri.startswith("file:") or not (":" in uri or uri in ("databricks", "databricks-uc", "uc")):
        raise RequestError(
            f"tracking.mlflow_uri is {uri!r}; MLflow writes to a server (http://host:5000) or a database "
            f"(sqlite:///{Path(uri.removeprefix('file:').lstrip('/') or '.').absolute() / 'mlflow.db'}, "
            "postgresql://host/name)."
        )
    prefix, slashes, path = uri.partition(":///")
    if prefix.partition("+")[0] == "sqlite" and slashes and path and not path.startswith(("/", ":")):
        return f"{prefix}:///{Path(path).absolute()}"
    return uri


def artifact_location(store: Store, uri: str) -> str | None:
    """Return where files go: beside the stages if MLflow is only a database; a server has a place of its own."""
    if not is_database(uri):
        return None
    if store.local_root is None:
        return f"{store.uri.rstrip('/')}/mlflow-artifacts"
    return (store.local_root.absolute() / "mlflow-artifacts").as_uri()
