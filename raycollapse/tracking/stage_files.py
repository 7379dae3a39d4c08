"""One file of a finished stage, without fetching the rest of it: a snapshot's loss curve, not its weights."""

import hashlib

from raycollapse.store import Store


def read_stage_file(store: Store, stage: str, name: str) -> bytes | None:
    """Return the content of a file of the stage `<kind>/<key>`; none if it is not there, or not as it was written."""
    kind, _, key = stage.partition("/")
    manifest = store.find(kind, key)
    if manifest is None or name not in manifest.files:
        return None
    try:
        content = store.files.read(f"stages/{kind}/{key}/{manifest.attempt}/{name}")
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).hexdigest() == manifest.files[name].sha256 else None
