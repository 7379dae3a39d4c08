"""Which stages the experiments of a storage refer to: by their plans, by their records, and by what those were made of.

The plan goes one generation further than what is recorded, whatever the last run asked for. So everything that any run
of a trial can have made is in it, a model half trained when that run was killed included.
"""

import json
import re
from typing import Any

from raycollapse.cleaning.stored import Stored
from raycollapse.config import build
from raycollapse.errors import RequestError, describe
from raycollapse.plan import stages_of
from raycollapse.stages.sampling import HalvingStage
from raycollapse.store import Store
from raycollapse.store.at_work import FOLDER, AtWork, at_work
from raycollapse.tracking.records import GenerationRecord, TrialRecords, trial_keys

Name = tuple[str, str]
"""Kind and key of a stage."""

KEY = re.compile(r"[0-9a-f]{64}")


class References:
    """What is referred to, as far as has been seen: nothing that was once seen is forgotten.

    Args:
        store: the storage.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._planned: dict[tuple[str, int], frozenset[Name]] = {}
        self.kept: set[Name] = set()
        """Stages that an experiment, or a run at work, refers to."""
        self.in_hand: set[Name] = set()
        """Those of them that belong to trials which a run is working on now."""
        self.trials: set[tuple[str, str]] = set()
        """Experiment and key of each recorded trial."""
        self.runs: dict[str, AtWork] = {}
        """Runs at work, or dead without having said so, by path."""

    def look(self, known: list[Stored]) -> None:
        """Add what is referred to now.

        Runs at work are looked for first: one that has ended since has left its configurations with the experiments.

        Args:
            known: the stages that may be referred to.

        Raises:
            RequestError: for some trial it cannot be told.
        """
        runs = at_work(self._store)
        for run in filter(lambda run: run.is_alive, runs):
            for config in run.trials:
                self.in_hand |= self._plan(config, 0, run.path)
        self.runs = {run.path: run for run in runs}
        self.kept |= self.in_hand
        for experiment in self._store.files.children("experiments"):
            for key in trial_keys(self._store, experiment):
                self._look_at(TrialRecords(self._store, experiment, key), known)

    def _look_at(self, trial: TrialRecords, known: list[Stored]) -> None:
        if not self._store.files.children(trial.path):
            return  # an object store may go on naming a folder that is empty
        try:
            config, records = trial.read_config(), self._records(trial)
        except RequestError as error:
            raise _untold(self._store, trial.path, str(error)) from None
        if config is None:
            raise _untold(self._store, trial.path, "its config.json is missing")
        self.trials.add((trial.experiment, trial.trial_key))
        last = max((record.generation for record in records), default=0)
        planned = self._plan(config, last + 1, trial.path)
        recorded = _recorded(records) - planned
        self.kept |= planned | recorded
        self._keep_inputs(recorded, known)

    def _records(self, trial: TrialRecords) -> list[GenerationRecord]:
        """Return all the records; a report leaves out a line that breaks off, but what it referred to is not known."""
        try:
            lines = self._store.files.read(f"{trial.path}/records.jsonl").splitlines()
        except FileNotFoundError:
            lines = []
        records = trial.read()
        if len(records) < len(lines):
            raise RequestError(f"its records.jsonl breaks off in line {len(lines)}")
        return records

    def _plan(self, config: dict[str, Any], num_generations: int, path: str) -> frozenset[Name]:
        """Return the stages of a configuration, for as many generations as it says, or for these if they are more."""
        halved = self._store.keys(HalvingStage.kind)  # a run at work may add to these, and what it makes then follows
        asked = json.dumps([config, halved], sort_keys=True), num_generations
        if asked not in self._planned:
            try:
                trial = build(config)
                num = max(trial.num_generations, num_generations)
                self._planned[asked] = frozenset(
                    stages_of(trial.model_copy(update={"num_generations": num}), self._store)
                )
            except Exception as error:  # a plugin's own code runs, and may raise anything
                raise _untold(self._store, path, describe(error)) from error
        return self._planned[asked]

    def _keep_inputs(self, recorded: set[Name], known: list[Stored]) -> None:
        """Keep what recorded stages that are not in today's plan were made of.

        Such are metrics that a later run left out, whose features are kept too, and stages of an earlier code version.
        """
        by_key = {stage.key: stage for stage in known}
        spaces: list[Any] = []
        waiting = [by_key[key] for _, key in recorded if key in by_key]
        while waiting:
            stage = waiting.pop()
            text = (stage.manifest(self._store) or b"").decode(errors="replace")
            if stage.kind == "measure":
                spaces.append(_identity(text).get("extractor"))
            inputs = [by_key[key] for key in dict.fromkeys(KEY.findall(text)) if key in by_key]
            waiting += [one for one in inputs if (one.kind, one.key) not in self.kept]
            self.kept |= {(one.kind, one.key) for one in inputs}
        if spaces:
            self._keep_features(spaces, known)

    def _keep_features(self, spaces: list[Any], known: list[Stored]) -> None:
        kept_keys = {key for _, key in self.kept}
        for stage in known:
            if stage.kind == "features" and (stage.kind, stage.key) not in self.kept:
                identity = _identity((stage.manifest(self._store) or b"").decode(errors="replace"))
                if identity.get("extractor") in spaces and identity.get("input", [""])[0] in kept_keys:
                    self.kept.add((stage.kind, stage.key))


def _recorded(records: list[GenerationRecord]) -> set[Name]:
    named = [stage for record in records for stage in [*record.stages.values(), *record.artifacts.values()]]
    return {(kind, key) for kind, _, key in (stage.partition("/") for stage in named)}


def _identity(manifest: str) -> dict[str, Any]:
    """Return the identity in a manifest; nothing if it is not readable."""
    try:
        found = json.loads(manifest)["identity"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _untold(store: Store, path: str, reason: str) -> RequestError:
    is_at_work = path.startswith(f"{FOLDER}/")
    way_out = "wait for the end of that run" if is_at_work else "remove that folder if its results are not needed"
    return RequestError(
        f"Which stages {store.uri}/{path} refers to cannot be told: {reason}\nSo nothing is removed. Put right what is "
        f"said there (data that have moved, a module that is not in this folder), or {way_out}; then clean again."
    )
