"""A file system of a few megabytes in memory, for the storage: one that can be filled without harm to the machine."""

import os
import subprocess
from pathlib import Path

SIZE_MB = 48


class Disk:
    """The folder that storages are made in.

    A mount of its own where that is permitted (as root on Linux), else a plain folder, which cannot be filled.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self._ballast = folder, folder / "ballast"
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "raycollapse-chaos", str(folder)]
        try:
            made = subprocess.run(command, capture_output=True, text=True)
            self.refusal = made.stderr.strip().partition("\n")[0] if made.returncode else None
        except OSError as error:
            self.refusal = str(error)
        """Why it is no file system of its own; none if it is one."""

    @property
    def is_full(self) -> bool:
        """Whether it has been filled, and not been emptied since."""
        return self._ballast.exists()

    def fill(self, leave: int) -> None:
        """Fill it, but for about so many bytes."""
        room = os.statvfs(self.folder)
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - leave))

    def empty(self) -> None:
        """Take away what has filled it."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Give it up, with all that it holds."""
        if self.refusal is None:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True, capture_output=True)
