"""Optuna's journal in the storage of the experiment: one small file for each entry, wherever the storage lies.

Optuna's own file has to be appended to, which object storage cannot do, and locked, which a killed process leaves
locked. A new file needs neither: in a folder the first to create it wins. A bucket cannot tell who was first; there
each entry is read again after it was written, which leaves a moment open, so only one command at a time should work on
a search in a bucket. Joined in their order, the files are Optuna's own format.
"""

import json
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from raycollapse.errors import RequestError
from raycollapse.store import Store


class StoredJournal(BaseJournalBackend):
    """The journal in a folder of a storage."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._entries: list[dict[str, Any]] = []
        """Those read so far: files never change."""

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on."""
        names = self._store.files.children(self._folder)
        for number in range(len(self._entries), len(names)):
            self._entries.append(self._read(number))
        return self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries; where another process adds one at the same time, ours comes after it."""
        number = len(self._entries)
        for entry in logs:
            content = (json.dumps(entry) + "\n").encode()
            while not self._is_ours(self._path(number), content):
                number += 1
            number += 1

    def _is_ours(self, path: str, content: bytes) -> bool:
        return self._store.files.create(path, content) and self._store.files.read(path) == content

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.jsonl"

    def _read(self, number: int) -> dict[str, Any]:
        path = self._path(number)
        try:
            entry = json.loads(self._store.files.read(path))
        except (FileNotFoundError, ValueError) as error:
            raise RequestError(
                f"{self._store.uri}/{path} of the search's study is missing or damaged ({error}). Remove the folder "
                f"{self._folder}: the search begins anew, and the trials that are finished are not run again where it "
                "comes to them."
            ) from None
        if not isinstance(entry, dict):
            raise RequestError(f"{self._store.uri}/{path} is no entry of a study. Remove the folder {self._folder}.")
        return entry
