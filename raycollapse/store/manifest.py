"""The manifest: what a finished stage consists of. It is written last, so a stage exists if and only if it verifies."""

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from raycollapse.schema import Json
from raycollapse.store.seal import Sealed


class FileEntry(BaseModel):
    """One file of a stage."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


class Manifest(Sealed):
    """What a finished stage is: its identity, its files, and where and how it was made."""

    kind: str
    key: str
    identity: dict[str, Json]
    attempt: str
    """The folder, beside the manifest, that holds the files."""
    files: dict[str, FileEntry]
    facts: dict[str, Json]
    """What the stage wants known without opening its files."""
    versions: dict[str, str]
    hardware: dict[str, Json]
    seconds: float
    timestamp: float
    """Seconds since the epoch at which the stage was finished."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """Return an entry for each file below a folder, by relative name."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(size=path.stat().st_size, sha256=hash_file(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@cache
def current_versions() -> dict[str, str]:
    """Return the versions of what decides a stage's last bits."""
    names = ("raycollapse", "torch", "diffusers", "numpy", "scikit-learn", "ray")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


@cache
def current_hardware() -> dict[str, Json]:
    """Return the machine that this process runs on."""
    return {"host": platform.node(), "machine": platform.machine(), "cpus": os.cpu_count(), "processor": _processor()}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
