"""The store: every finished stage at `<storage>/stages/<kind>/<key>/`, found by what made it.

The files of an attempt lie in a folder of its own beside `manifest.json`, which names that attempt and appears last and
whole. So two processes that make the same stage at once cannot harm each other, on a disk or on an object store: the
first manifest wins, and whichever wins names files that nobody else writes.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raycollapse.errors import DamagedStageError, FullDiskError, RequestError
from raycollapse.schema import Json
from raycollapse.store.files import open_files
from raycollapse.store.manifest import Manifest, current_hardware, current_versions, describe_files, hash_file
from raycollapse.store.seal import sealed, unsealed

SCHEMA = 1
"""Raised when the layout of a storage changes."""

log = logging.getLogger(__name__)


class Store:
    """Stages and experiment records in one storage.

    Args:
        uri: a path, or a URI such as `s3://bucket/prefix` (anything that pyarrow.fs opens).
        create: make the storage if it is not there; if false, nothing is written, and it may be read-only.

    Raises:
        RequestError: the storage cannot be written, or another version of this package laid it out, or it is not there.
        FullDiskError: there is no space left for it.
    """

    def __init__(self, uri: str, create: bool = True) -> None:
        self.uri = uri if "://" in uri else str(Path(uri).expanduser().absolute())
        try:
            self.files = open_files(self.uri)
            if create:
                self.files.create("raycollapse.json", json.dumps({"schema": SCHEMA}).encode())
            mark = json.loads(self.files.read("raycollapse.json"))
        except FullDiskError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:  # the last: a kind of URI that pyarrow lacks
            if isinstance(error, FileNotFoundError) and not create:
                raise RequestError(
                    f"There is no storage {self.uri}: no experiment has run there. Name the one that a run wrote to "
                    "(its --storage DIR)."
                ) from None
            raise RequestError(
                f"The storage {self.uri} cannot be {'written' if create else 'read'} ({error}). Give a folder of "
                "yours, or a URI such as s3://bucket/folder, with --storage DIR."
            ) from error
        schema = mark.get("schema") if isinstance(mark, dict) else None
        if schema != SCHEMA:
            raise RequestError(
                f"The storage {self.uri} has schema {schema}; this version reads {SCHEMA}. "
                "Use another --storage, or the version of raycollapse that wrote it."
            )
        self._verified: set[str] = set()
        self._warned: set[str] = set()

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.uri,)

    @property
    def local_root(self) -> Path | None:
        """The folder of a storage on disk; none for a remote one."""
        return getattr(self.files, "root", None)

    # Stages

    def find(self, kind: str, key: str) -> Manifest | None:
        """Return a stage's manifest if the stage is there, its files' sizes included; set it aside if damaged."""
        path = _stage_path(kind, key)
        try:
            manifest = Manifest.model_validate_json(self.files.read(f"{path}/manifest.json"))
        except FileNotFoundError:
            return None
        except ValidationError:
            self._set_aside(path, None, "its manifest is not readable, or was altered")
            return None
        for name, entry in manifest.files.items():
            size = self.files.size(f"{path}/{manifest.attempt}/{name}")
            if size != entry.size:
                found = "is missing" if size is None else f"has {size} bytes instead of {entry.size}"
                self._set_aside(path, manifest.attempt, f"{name} {found}")
                return None
        self._warn_of_other_versions(manifest)
        return manifest

    def folder(self, kind: str, key: str) -> Path:
        """Return a local folder with a finished stage's files; their hashes are verified the first time in a process.

        Raises:
            DamagedStageError: the stage is not there, or not as it was written; it has been set aside.
        """
        path = _stage_path(kind, key)
        manifest = self.find(kind, key)
        if manifest is None:
            raise DamagedStageError(f"{path} is missing or was damaged; it has to be made anew.")
        try:
            return self._verified_folder(path, manifest)
        except FileNotFoundError as error:  # another process has set it aside, or removed it, since it was found
            raise DamagedStageError(f"{path} is gone; it has to be made anew.") from error

    def _verified_folder(self, path: str, manifest: Manifest) -> Path:
        attempt = f"{path}/{manifest.attempt}"
        folder = self.files.fetch(attempt, list(manifest.files))
        if attempt not in self._verified:
            for name, entry in manifest.files.items():
                if hash_file(folder / name) != entry.sha256:
                    self._set_aside(path, manifest.attempt, f"{name} was altered: its hash differs")
                    raise DamagedStageError(f"{path}/{name} was altered; the stage has to be made anew.")
            self._verified.add(attempt)
        return folder

    def commit(
        self, kind: str, key: str, identity: dict[str, Json], write: Callable[[Path], dict[str, Json]]
    ) -> Manifest:
        """Make a stage: `write` fills a folder and returns facts; the manifest follows. The first commit wins."""
        path, attempt, start = _stage_path(kind, key), uuid.uuid4().hex[:12], time.monotonic()
        try:
            with self.files.writing(f"{path}/{attempt}") as folder:
                facts = write(folder)
                files = describe_files(folder)
        except BaseException:
            self.files.remove(f"{path}/{attempt}")
            raise
        manifest = Manifest(
            kind=kind, key=key, identity=identity, attempt=attempt, files=files, facts=facts,
            versions=current_versions(), hardware=current_hardware(),
            seconds=time.monotonic() - start, timestamp=time.time(),
        )  # fmt: skip
        try:
            is_first = self.files.create(f"{path}/manifest.json", manifest.sealed_json(indent=1).encode())
        except FullDiskError:
            self.files.remove(f"{path}/{attempt}")
            raise
        if not is_first:
            self.files.remove(f"{path}/{attempt}")
            winner = self.find(kind, key)
            if winner is None:
                raise DamagedStageError(f"{path} was damaged while it was made; it has to be made anew.")
            return winner
        return manifest

    def keys(self, kind: str) -> list[str]:
        """Return the sorted keys of a kind's stages, finished or not; those set aside are left out."""
        return [name for name in self.files.children(f"stages/{kind}") if ".damaged-" not in name]

    def remove(self, kind: str, key: str = "") -> None:
        """Remove a stage, or all of a kind. The manifest goes first, so that no half-removed stage is ever found."""
        for name in [key] if key else self.keys(kind):
            self.files.remove(f"{_stage_path(kind, name)}/manifest.json")
        self.files.remove(_stage_path(kind, key).rstrip("/"))

    def _set_aside(self, path: str, attempt: str | None, reason: str) -> None:
        """Move a manifest out of the way, then the files it names; what others are writing beside them stays."""
        aside = f"{path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        log.warning("%s is damaged: %s. It is set aside as %s and made anew.", path, reason, aside)
        try:
            self.files.move(f"{path}/manifest.json", f"{aside}/manifest.json")
            if attempt is not None:
                self.files.move(f"{path}/{attempt}", f"{aside}/{attempt}")
        except FileNotFoundError:
            log.info("%s, or a part of it, is gone already.", path)

    def _warn_of_other_versions(self, manifest: Manifest) -> None:
        for name in ("torch", "diffusers"):
            then, now = manifest.versions[name], current_versions()[name]
            if then != now and name not in self._warned:
                self._warned.add(name)
                log.warning("Stages made with %s %s are reused under %s: last bits may differ.", name, then, now)

    # Experiment records

    def read_json(self, path: str) -> Any:
        """Return a JSON document by relative path; none if there is none.

        Raises:
            RequestError: it is not JSON, or not as it was written.
        """
        try:
            found = json.loads(self.files.read(path))
            return unsealed(found) if isinstance(found, dict) else found
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RequestError(
                f"{self.uri}/{path} is damaged ({error}). Remove that file, then run the experiment again: finished "
                "stages are kept, and the file is written anew."
            ) from None

    def write_json(self, path: str, value: Any) -> None:
        """Put a JSON document in place whole; a mapping with its seal."""
        self.files.write(path, json.dumps(sealed(value) if isinstance(value, dict) else value, indent=1).encode())


def _stage_path(kind: str, key: str) -> str:
    return f"stages/{kind}/{key}"
