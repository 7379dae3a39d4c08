"""`raycollapse run` in a process of its own: the driver of the sweep."""

import signal
import subprocess
import sys
from pathlib import Path

COMMAND = "from raycollapse.cli import main; main()"
LINE_AT_WORK = "stages to make"
"""What a run says once it knows its plan and hands it to the cluster."""


class Driver:
    """One run of the command, begun as this is made.

    Args:
        arguments: of `raycollapse run`.
        log: the file for what it prints.
    """

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.log = log
        with log.open("w") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "run", *arguments],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def exit_code(self) -> int | None:
        """The exit code; none while it runs."""
        return self._process.poll()

    @property
    def is_at_work(self) -> bool:
        """Whether its trials have been handed to the cluster."""
        return self.exit_code is None and LINE_AT_WORK in self.said

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, or none if it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
