"""What is done to a run: one class each, with what puts it right again where a person or a provider would do that."""

import os
import random
import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from .scene import Scene
from .stored import stored_files


class Disturbance(ABC):
    """Something that goes wrong."""

    name: ClassVar[str]
    """In the plural, for the summary."""
    seconds: ClassVar[tuple[float, float]] = (0.0, 0.0)
    """The least and the most that it lasts, where it lasts."""

    @abstractmethod
    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        """Do it; return what was hit, or none if there was nothing to hit."""

    def put_right(self, scene: Scene) -> None:  # noqa: B027 (what is killed or damaged stays so)
        """End it."""


class KillWorker(Disturbance):
    """A process of a task or an actor dies."""

    name = "workers"

    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        workers = scene.cluster.workers()
        if not workers:
            return None
        pid, title = rng.choice(workers)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return title


class LoseNode(Disturbance):
    """The second node goes, as a spot node does; a fresh one comes later."""

    name = "nodes"
    seconds = (0.0, 6.0)

    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        if not scene.cluster.has_second_node:
            return None
        scene.cluster.lose_node()
        return "the raylet of the second node"

    def put_right(self, scene: Scene) -> None:
        scene.cluster.add_node()


class KillDriver(Disturbance):
    """The command itself dies."""

    name = "drivers"

    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        scene.driver.kill()
        return "raycollapse run"


class _Damage(Disturbance):
    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        files = stored_files(scene.storage)
        if not files:
            return None
        what = rng.choice(sorted(files))
        file = rng.choice(files[what])
        try:
            done = self._damage(file, rng)
        except FileNotFoundError:
            return None
        return None if done is None else f"{what} {file.relative_to(scene.storage)}, {done}"

    @abstractmethod
    def _damage(self, file: Path, rng: random.Random) -> str | None:
        """Damage a file; return how."""


class Truncate(_Damage):
    """A stored file loses its end."""

    name = "files truncated"

    def _damage(self, file: Path, rng: random.Random) -> str | None:
        size = file.stat().st_size
        if size == 0:
            return None
        left = rng.randrange(size)
        os.truncate(file, left)
        return f"{left} of {size} bytes left"


class FlipByte(_Damage):
    """A byte of a stored file turns into another one."""

    name = "bytes flipped"

    def _damage(self, file: Path, rng: random.Random) -> str | None:
        with file.open("r+b") as content:
            size = content.seek(0, os.SEEK_END)
            if size == 0:
                return None
            place, change = rng.randrange(size), rng.randrange(1, 256)
            content.seek(place)
            before = content.read(1)[0]
            content.seek(place)
            content.write(bytes([before ^ change]))
        return f"byte {place} of {size}"


class FillDisk(Disturbance):
    """The file system of the storage is full for a while."""

    name = "full disks"
    seconds = (1.0, 8.0)

    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        if scene.disk.is_full:
            return None
        leave = rng.choice([0, 4096, 40_000])
        scene.disk.fill(leave)
        return f"{leave} bytes left"

    def put_right(self, scene: Scene) -> None:
        scene.disk.empty()


class KillServer(Disturbance):
    """The MLflow server dies, and is started again later."""

    name = "MLflow servers"
    seconds = (1.0, 10.0)

    def strike(self, scene: Scene, rng: random.Random) -> str | None:
        if not scene.server.is_running:
            return None
        scene.server.kill()
        return "mlflow server"

    def put_right(self, scene: Scene) -> None:
        scene.server.start()


DISTURBANCES: tuple[Disturbance, ...] = (
    KillWorker(), LoseNode(), KillDriver(), Truncate(), FlipByte(), FillDisk(), KillServer(),
)  # fmt: skip
