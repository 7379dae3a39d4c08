"""The files of a storage that may be damaged, by what they are."""

import json
from collections import defaultdict
from pathlib import Path

NAMES = {"checkpoint": "checkpoint", "real": "images", "sample": "images", "train": "snapshot"}
"""What the files of a kind of stage are; of any other a result."""


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
        found[NAMES.get(kind, "result")] += _files_of(manifest)
    found["records"] = sorted(storage.glob("experiments/*/*/records.jsonl"))
    found["note"] = sorted(storage.glob("experiments/**/*.json"))
    return {what: files for what, files in sorted(found.items()) if files}


def _files_of(manifest: Path) -> list[Path]:
    try:
        content = json.loads(manifest.read_bytes())
        return [manifest.parent / content["attempt"] / name for name in content["files"]]
    except (OSError, ValueError, KeyError, TypeError):  # gone, or damaged already
        return []
