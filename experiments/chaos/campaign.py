"""The loop: run, disturb, resume, again and again; and at the end of each round compare."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .cluster import TwoNodes
from .comparison import Outcome, differences, unread_damage
from .disk import Disk
from .disturbances import DISTURBANCES, Disturbance, FillDisk
from .driver import Driver
from .moments import wait_for_a_moment
from .scene import Scene
from .server import Server
from .sweep import SWEEP

LIMIT = 300.0
"""Seconds in which a run that nothing disturbs has to end."""
MAX_RESUMES = 6
"""Undisturbed runs that a round may need to be done: one, unless damage is found that no run has read."""
MAX_FAILURES = 60
"""Runs, one after the other, that may end in error because of what is broken before the next disturbance."""


@dataclass
class Tally:
    """What was done and what came of it."""

    struck: Counter[str] = field(default_factory=Counter)
    """Disturbances by name."""
    rounds: int = 0
    resumes: int = 0
    differences: list[str] = field(default_factory=list)
    tracebacks: list[Path] = field(default_factory=list)
    """Logs of runs that ended in a traceback, which no user should see."""


class Campaign:
    """Disturbs runs of the sweep.

    Args:
        work: a folder for everything.
        seed: what decides the disturbances and their moments.
        say: told what happens, line by line.
    """

    def __init__(self, work: Path, seed: int, say: Callable[[str], None]) -> None:
        self._work, self._say, self._rng = work, say, random.Random(seed)
        self.tally = Tally()
        work.mkdir(parents=True, exist_ok=True)
        self._file = work / "chaos.yaml"
        self._file.write_text(yaml.safe_dump(SWEEP))
        (work / "runs").mkdir()
        self._runs: list[Driver] = []
        self._broken: dict[Disturbance, float] = {}
        """What has to be put right, and when, in seconds of the monotonic clock."""
        self._server, self._disk = Server(work / "mlflow"), Disk(work / "disk")
        self._kinds = self._possible()
        self._turn: list[Disturbance] = []
        """The kinds that have yet to come in this turn."""
        self._cluster: TwoNodes | None = None

    def run(self, kills: int) -> Tally:
        """Disturb so many times, over as many rounds as that takes, and compare each of them."""
        self._server.start()
        self._server.wait_until_it_answers()
        undisturbed = self._undisturbed()
        self._cluster = TwoNodes()
        while self.tally.struck.total() < kills and not self.tally.differences:
            self._round(kills, undisturbed)
        return self.tally

    def close(self) -> None:
        """End whatever was started."""
        if self._runs and self._runs[-1].exit_code is None:
            self._runs[-1].kill()
        self._server.kill()
        if self._cluster is not None:
            self._cluster.shutdown()
        self._disk.remove()

    def _possible(self) -> list[Disturbance]:
        """Return the kinds of disturbance that there can be on this machine."""
        if self._disk.refusal is None:
            return list(DISTURBANCES)
        self._say(f"Skipped: {FillDisk.name}. A file system for them cannot be mounted ({self._disk.refusal}).")
        return [kind for kind in DISTURBANCES if not isinstance(kind, FillDisk)]

    def _undisturbed(self) -> Outcome:
        """Run the sweep without a cluster and without disturbance."""
        outcome = Outcome(self._work / "undisturbed", self._server.uri, "undisturbed")
        driver = self._driver(outcome, "--local")
        if driver.wait(LIMIT) != 0:
            raise RuntimeError(f"The undisturbed run did not end well:\n{driver.said}")
        self._say("undisturbed run: done")
        return outcome

    def _round(self, kills: int, undisturbed: Outcome) -> None:
        assert self._cluster is not None
        self.tally.rounds += 1
        name = f"round-{self.tally.rounds:03d}"
        outcome = Outcome(self._disk.folder / name, self._server.uri, name)
        driver = self._driver(outcome, "--address", self._cluster.address)
        scene = Scene(self._cluster, self._server, self._disk, outcome.storage, driver)
        failures = 0
        while self.tally.struck.total() < kills and scene.driver.exit_code != 0 and failures < MAX_FAILURES:
            if scene.driver.exit_code is not None:
                failures += 1
                self._resume(scene, outcome)
            wait_for_a_moment(scene.driver, outcome.storage, self._rng, lambda: self._put_right_what_is_due(scene))
            if scene.driver.exit_code is None:
                self._disturb(scene)
                failures = 0
        found = self._settle(scene, outcome) or differences(outcome, undisturbed)
        self.tally.differences += [f"{name}: {line}" for line in found]
        self._say(f"{name}: {f'{len(found)} differences' if found else 'equal to the undisturbed run'}")
        if found:
            shutil.copytree(outcome.storage, self._work / name, dirs_exist_ok=True)
        shutil.rmtree(outcome.storage)

    def _disturb(self, scene: Scene) -> None:
        """Do the next thing for which there is something to hit; each kind has its turn before any comes again."""
        self._turn = self._turn or self._rng.sample(self._kinds, len(self._kinds))
        for kind in self._turn:
            hit = kind.strike(scene, self._rng)
            if hit is not None:
                self._turn.remove(kind)
                self.tally.struck[kind.name] += 1
                self._broken[kind] = time.monotonic() + self._rng.uniform(*kind.seconds)
                self._say(f"{self.tally.struck.total()}. {kind.name}: {hit} (run {len(self._runs)})")
                return

    def _put_right_what_is_due(self, scene: Scene, is_due: bool = False) -> None:
        for kind, due in list(self._broken.items()):
            if is_due or time.monotonic() >= due:
                kind.put_right(scene)
                del self._broken[kind]

    def _settle(self, scene: Scene, outcome: Outcome) -> list[str]:
        """Let nothing disturb the run any more, and resume it until it is done; return why it does not come to that."""
        self._put_right_what_is_due(scene, is_due=True)
        self._server.wait_until_it_answers()
        if scene.driver.exit_code is None:
            scene.driver.wait(LIMIT)
        for _ in range(MAX_RESUMES):
            if scene.driver.exit_code is None:
                scene.driver.kill()
                return [f"a run that nothing disturbed any more did not end within {LIMIT:.0f} s: {scene.driver.log}"]
            self._resume(scene, outcome)
            if scene.driver.wait(LIMIT) == 0 and not unread_damage(outcome.storage):
                return []
        return [f"not done after {MAX_RESUMES} runs that nothing disturbed: {scene.driver.log}"]

    def _resume(self, scene: Scene, outcome: Outcome) -> None:
        if "Traceback" in scene.driver.said:
            self.tally.tracebacks.append(scene.driver.log)
        self.tally.resumes += 1
        scene.driver = self._driver(outcome, "--address", scene.cluster.address)

    def _driver(self, outcome: Outcome, *where: str) -> Driver:
        arguments = [
            str(self._file), "--storage", str(outcome.storage), "--set", f"tracking.mlflow_uri={outcome.mlflow}",
            "--set", f"tracking.mlflow_experiment={outcome.experiment}", *where,
        ]  # fmt: skip
        self._runs.append(Driver(arguments, self._work / "runs" / f"{len(self._runs) + 1:04d}.log"))
        return self._runs[-1]
