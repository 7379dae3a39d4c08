"""What can be disturbed."""

from dataclasses import dataclass
from pathlib import Path

from .cluster import TwoNodes
from .disk import Disk
from .driver import Driver
from .server import Server


@dataclass
class Scene:
    """All that a run needs, and the run."""

    cluster: TwoNodes
    server: Server
    disk: Disk
    storage: Path
    """The storage of the round in hand."""
    driver: Driver
