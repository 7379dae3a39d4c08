"""Files of weights: which they are, by their content."""

import hashlib
from functools import lru_cache
from pathlib import Path


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's model files by name: settings (json) and weights."""
    files = [path] if path.is_file() else _model_files(path)
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        contents = _file_hash(file, state.st_size, state.st_mtime_ns)
        if path.is_file():
            return contents
        digest.update(f"{file.name}\0{contents}\n".encode())
    return digest.hexdigest()


def _model_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".bin"))


@lru_cache(maxsize=64)  # size and time of change tell whether it must be read again
def _file_hash(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
