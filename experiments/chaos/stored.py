"""The files of a storage that may be damaged, by what they are."""

import json
from collections import defaultdict
from pathlib import Path

ATTEMPT_KINDS = {"checkpoint": "checkpoint", "sample": "images", "real": "images", "train": "snapshot"}


def stored_files(storage: Path) -> dict[str, list[Path]]:
    """Return the files of finished stages and of trials' records: what a later run may read.

    Files that an attempt is still writing are left out: what happens to them before their hash is taken, nobody can
    tell from what was meant.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for manifest in sorted(storage.glob("stages/**/manifest.json")):
        if ".damaged-" in str(manifest):
            continue
        found["manifest"].append(manifest)
        kind = manifest.relative_to(storage / "stages").parts[0]
        found[ATTEMPT_KINDS.get(kind, "result")] += _files_of(manifest)
    found["records"] = sorted(storage.glob("experiments/*/*/records.jsonl"))
    found["notes"] = sorted(storage.glob("experiments/*/*/*.json"))
    return {what: files for what, files in sorted(found.items()) if files}


def _files_of(manifest: Path) -> list[Path]:
    try:
        content = json.loads(manifest.read_bytes())
        return [manifest.parent / content["attempt"] / name for name in content["files"]]
    except (OSError, ValueError, KeyError, TypeError):  # gone, or damaged already
        return []
