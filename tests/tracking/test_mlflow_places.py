"""Where MLflow is, and what asking for it costs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raycollapse.config import build
from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.tracking import TrialRecords
from raycollapse.tracking.base import NoRecorder
from raycollapse.tracking.mlflow_places import artifact_location, tracking_uri
from raycollapse.tracking.mlflow_recorder import MlflowRecorder
from raycollapse.tracking.opening import open_recorder

MakeTrial = Callable[..., TrialRecords]


class Bucket:
    """Stands for a storage behind a URI."""

    uri = "s3://bucket/prefix"
    local_root = None


def test_the_default_is_a_database_in_the_storage_folder(store: Store) -> None:
    assert tracking_uri(store, None) == f"sqlite:///{store.local_root}/mlflow.db"


def test_a_bucket_cannot_hold_the_database() -> None:
    with pytest.raises(RequestError, match=r"s3://bucket/prefix.*tracking\.mlflow_uri"):
        tracking_uri(Bucket(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "uri",
    ["http://host:5000", "https://host/mlflow", "postgresql+psycopg2://a:b@host/x", "databricks", "sqlite:////a/b.db"],
)
def test_a_server_or_a_database_is_taken_as_it_is(store: Store, uri: str) -> None:
    assert tracking_uri(store, uri) == uri


def test_a_relative_database_is_made_absolute(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(store, "sqlite:///own.db") == f"sqlite:///{tmp_path}/own.db"


@pytest.mark.parametrize(
    "uri", ["mlruns", "./own.db", "file:///mlruns", "ftp://host", "sqlite:own.db", "", "http://", "http://host:port"]
)
def test_what_mlflow_cannot_write_to_is_refused(store: Store, uri: str) -> None:
    with pytest.raises(RequestError, match=r"tracking\.mlflow_uri"):
        MlflowRecorder(store, "q", uri=uri)


def not_a_folder(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "mlflow.db"


def a_folder_in_its_place(folder: Path) -> Path:
    (folder / "mlflow.db").mkdir()
    return folder / "mlflow.db"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (not_a_folder, "Not a directory|File exists"),
        (a_folder_in_its_place, "Is a directory"),
        (lambda folder: Path("/proc/nowhere/mlflow.db"), "No such file"),
    ],
)
def test_a_database_file_that_cannot_be_written_is_refused_before_it_is_waited_for(
    store: Store, tmp_path: Path, make_trial: MakeTrial, place: Callable[[Path], Path], said: str
) -> None:
    path = place(tmp_path)
    config = make_trial(tracking={"mlflow_uri": f"sqlite:///{path}"}).read_config() or {}
    with pytest.raises(RequestError, match=rf"database {path} cannot be written \(({said}).*tracking\.mlflow_uri"):
        open_recorder(build(config), store)


@pytest.mark.parametrize("uri", ["sqlite:///{}/new/mlflow.db", "http://127.0.0.1:9", "sqlite://", "postgresql://h/x"])
def test_a_database_that_can_be_written_and_a_server_that_may_come_back_are_opened(
    store: Store, tmp_path: Path, make_trial: MakeTrial, uri: str
) -> None:
    config = make_trial(tracking={"mlflow_uri": uri.format(tmp_path)}).read_config() or {}
    assert isinstance(open_recorder(build(config), store), MlflowRecorder)
    assert not list(tmp_path.glob("new/*"))


def test_files_go_beside_the_stages_unless_a_server_has_a_place_for_them(store: Store) -> None:
    location = artifact_location(store, "sqlite:////a/b.db")
    assert location is not None and location.endswith("my%20results%20100%25/mlflow-artifacts")
    assert artifact_location(Bucket(), "postgresql://h/x") == "s3://bucket/prefix/mlflow-artifacts"  # type: ignore[arg-type]
    assert artifact_location(store, "http://host:5000") is None


def test_a_password_is_kept_out_of_what_is_shown(store: Store) -> None:
    assert MlflowRecorder(store, "q", uri="postgresql://me:secret@host/x").uri == "postgresql://***@host/x"


def test_an_experiment_chooses_its_recorder(store: Store, make_trial: MakeTrial) -> None:
    for asked, expected in ((True, MlflowRecorder), (False, NoRecorder)):
        config = make_trial(tracking={"mlflow": asked}).read_config() or {}
        assert isinstance(open_recorder(build(config), store), expected)


def test_importing_and_opening_imports_neither_mlflow_nor_matplotlib_nor_pandas() -> None:
    code = (
        "import sys, raycollapse.report, raycollapse.tracking.opening, raycollapse.tracking.mlflow_recorder\n"
        "found = {'mlflow', 'matplotlib', 'pandas', 'torch'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
