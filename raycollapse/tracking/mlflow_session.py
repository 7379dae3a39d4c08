"""A connection to one MLflow experiment, and which run there belongs to which folder of records."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raycollapse.store import Store
from raycollapse.store.seal import sealed
from raycollapse.tracking.mlflow import Mlflow, Run


@dataclass(frozen=True)
class Session:
    """What replaying needs to know of the place it replays into."""

    server: Mlflow
    store: Store
    uri: str
    """As it may be shown and kept: without a password."""
    experiment: str
    experiment_id: str
    parent: str | None = None
    """The run id of the sweep, if it is one."""


@dataclass
class RunFile:
    """`mlflow.json` in a folder of records: the run that they are replayed into, and the files that it has."""

    run: Run
    files: dict[str, str] = field(default_factory=dict)
    """Path in the run -> `<kind>/<key>` of the stage that the file came from."""
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """Generation -> metric -> the value that was logged first: MLflow cannot replace it."""
    times: dict[str, int] = field(default_factory=dict)
    """Generation -> the time it was logged at, in milliseconds; at another one MLflow would keep a second entry."""
    loss_steps: frozenset[int] = frozenset()
    """Optimizer steps at which it has a loss that is not noted; known once it has been asked."""

    def save(self, session: Session, path: str) -> None:
        """Keep it in the folder `path` of the storage."""
        place = {"uri": session.uri, "experiment": session.experiment, "run_id": self.run.run_id}
        held = {"files": self.files, "values": self.values, "times": self.times}
        session.store.write_json(f"{path}/mlflow.json", {**place, **held})


def attach(session: Session, path: str, name: str, tags: Mapping[str, str], start: float | None = None) -> RunFile:
    """Return the run of the folder of records `path`: the one noted there, else the one with its id, else a new one.

    A process may end between making a run and noting it, and notes get lost: hence the search. The id is the folder's
    own and random, so that records made anew, after a deletion or by somebody else, go into a run of their own.
    """
    noted = _read(session.store, f"{path}/mlflow.json")
    if run_id := noted.get("run_id"):
        run = session.server.get_run(session.experiment_id, run_id)
        if run is not None:
            _keep_id(session.store, path, run)
            files, values, times = (dict(noted.get(held, {})) for held in ("files", "values", "times"))
            return RunFile(run, files, values, times)
    own = {"raycollapse.id": _own_id(session.store, path)}
    run = session.server.find_run(session.experiment_id, own)
    if run is None:
        begun = round(1000 * (time.time() if start is None else start))
        run = session.server.create_run(session.experiment_id, name, begun, {**tags, **own})
    file = RunFile(run)
    file.save(session, path)
    return file


def _keep_id(store: Store, path: str, run: Run) -> None:
    """Put right a damaged id of a folder of records whose run is known: the next one may have to search for it."""
    known, own = _read(store, f"{path}/id.json").get("id"), run.tags.get("raycollapse.id")
    if own is not None and own != known:
        store.write_json(f"{path}/id.json", {"id": own})


def _own_id(store: Store, path: str) -> str:
    """Return the random id of a folder of records, made at the first call, or if it cannot be read any more."""
    name, new = f"{path}/id.json", {"id": uuid.uuid4().hex}
    store.files.create(name, json.dumps(sealed(new)).encode())
    if "id" not in (known := _read(store, name)):
        store.write_json(name, new)
        known = new
    return str(known["id"])


def _read(store: Store, path: str) -> dict[str, Any]:
    """Return what is noted; nothing if it is not readable: then the search finds the run."""
    try:
        noted = store.read_json(path)
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}
