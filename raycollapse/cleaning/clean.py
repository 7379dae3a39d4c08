"""`raycollapse clean`: what no experiment refers to is shown, and removed where that is asked for.

A run may start at any moment, so nothing is locked, and the order makes it safe. (1) What is stored is listed. (2) The
manifests of what is to go are taken away: from here on nobody finds those stages. (3) References are looked for once
more. Whoever found one of these stages before (2) had announced itself before that, and is seen now: the manifest is
put back, nothing is lost. (4) The files that were listed go. Whoever comes later makes the stage anew, in a folder of
its own, which was not listed.
"""

import shlex
from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from raycollapse.cleaning.doomed import ATTEMPTS, SET_ASIDE, Doomed, Survey, named_attempt, survey
from raycollapse.cleaning.references import References
from raycollapse.cleaning.stored import MANIFEST, Stored, stored
from raycollapse.errors import RequestError
from raycollapse.store import Store
from raycollapse.store.at_work import EXPIRY_SECONDS


@dataclass(frozen=True)
class Cleaned:
    """What came of it."""

    removed: list[Doomed]
    num_kept: int
    """How many of those listed were needed after all, by a run that has started since."""


def clean(store: Store, console: Console, is_asked_for: bool) -> None:
    """Say what no experiment in a storage refers to, and remove it if that is asked for.

    Raises:
        RequestError: for some experiment it cannot be told what it refers to, or the storage cannot be written.
    """
    known, references = stored(store), References(store)
    references.look(known)
    found = survey(store, known, references)
    _tell_found(console, store, found, references)
    if not found.doomed:
        return
    if not is_asked_for:
        command = f"raycollapse clean {shlex.quote(store.uri)} --yes"
        _say(console, f"Nothing was removed. To remove what is listed: {command}")
        return
    try:
        cleaned = remove(store, known, references, found.doomed)
    except OSError as error:
        raise RequestError(
            f"{store.uri} cannot be cleaned ({error}). Take care that you may write there, then clean again."
        ) from error
    _tell_cleaned(console, cleaned)


def remove(store: Store, known: list[Stored], references: References, doomed: list[Doomed]) -> Cleaned:
    """Remove what is to go, unless it turns out to be needed after all."""
    held: dict[str, bytes] = {}
    removed: list[Doomed] = []
    try:
        going = [one for one in doomed if _take_manifest(store, one, held)]
        references.look(known)
        for one in going:
            if not one.is_needed(references):
                held.pop(one.stage.path, None)
                _remove_files(store, one)
                removed.append(one)
    finally:  # also of what was to go if something went wrong: nothing is left half removed
        for path, manifest in held.items():
            store.files.create(f"{path}/{MANIFEST}", manifest)
    for run in references.runs.values():
        if not run.is_alive:
            store.files.remove(run.path)
    return Cleaned(removed, len(doomed) - len(removed))


def _take_manifest(store: Store, one: Doomed, held: dict[str, bytes]) -> bool:
    """Take the manifest away that is to go; return false if another one is there than was seen."""
    if one.what == SET_ASIDE:
        return True
    raw = one.stage.manifest(store)
    if one.manifest is None:  # no manifest goes: it is checked again in the end which attempt is in use by then
        return True
    if raw != one.manifest:
        return False
    held[one.stage.path] = raw
    store.files.remove(f"{one.stage.path}/{MANIFEST}")
    return True


def _remove_files(store: Store, one: Doomed) -> None:
    """Remove what was listed, but not what a manifest names that has come since."""
    raw = None if one.what == SET_ASIDE else one.stage.manifest(store)
    in_use = None if raw is None else named_attempt(raw)
    going = [name for name in one.names if name != in_use]
    for name in going:
        store.files.remove(f"{one.stage.path}/{name}")
    if stuck := set(going) & set(store.files.children(one.stage.path)):
        raise PermissionError(f"{one.stage.path}/{min(stuck)} cannot be removed")
    store.files.prune(one.stage.path)
    store.files.prune(one.stage.path.rpartition("/")[0])


def _tell_found(console: Console, store: Store, found: Survey, references: References) -> None:
    trials, experiments = len(references.trials), len({experiment for experiment, _ in references.trials})
    _say(
        console,
        f"{store.uri}: {len(found.kept):,} stages ({decimal(found.kept_size)}) are referred to by {trials:,} trial(s) "
        f"of {experiments:,} experiment(s).",
    )
    for run in references.runs.values():
        _say(console, _told(run.is_alive, run.seconds))
    if found.unknown:
        kinds = Counter(stage.shown_kind for stage in found.unknown)
        listed = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
        _say(console, f"Left as they are, since another version of raycollapse laid them out: {listed}.")
    if found.doomed:
        console.print(_table(found.doomed))
    else:
        _say(console, "There is nothing to remove.")


def _told(is_alive: bool, seconds: float) -> str:
    if is_alive:
        return (
            f"A run is at work there, last seen {max(0, round(seconds))} s ago: what its trials refer to is left. One "
            f"that was killed counts as dead {EXPIRY_SECONDS / 60:.0f} minutes after it was last seen."
        )
    return f"A run died there {round(seconds / 60):,} minutes ago: its unfinished attempts count as abandoned."


def _table(doomed: list[Doomed]) -> Table:
    table = Table(title="No experiment refers to", title_justify="left")
    table.add_column("stage")
    table.add_column("number", justify="right")
    table.add_column("size", justify="right")
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for one in doomed:
        number[one.what] += len(one.names) if one.what == ATTEMPTS else 1
        size[one.what] += one.size
    for what in sorted(number, key=lambda what: (what in (ATTEMPTS, SET_ASIDE), what)):
        table.add_row(what, f"{number[what]:,}", decimal(size[what]))
    table.add_row("in all", f"{number.total():,}", decimal(size.total()), style="bold")
    return table


def _tell_cleaned(console: Console, cleaned: Cleaned) -> None:
    _say(console, f"Removed: {decimal(sum(one.size for one in cleaned.removed))}.")
    if cleaned.num_kept:
        _say(
            console,
            f"Kept after all, since a run has come to use them meanwhile: {cleaned.num_kept:,} of those listed.",
        )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
