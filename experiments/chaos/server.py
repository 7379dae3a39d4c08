"""A real MLflow server on loopback, which may be killed and started again on the same database."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 180.0
"""How long a first start, which makes the database, may take on a busy machine."""


class Server:
    """`mlflow server`, with its database and its files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._port = folder, _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and not been killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it; it takes seconds until it answers."""
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port),
            "--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder.absolute()}/mlflow.db",
            "--artifacts-destination", str(self._folder.absolute() / "artifacts"),
        ]  # fmt: skip
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            )  # fmt: skip

    def wait_until_it_answers(self) -> None:
        """Return once it accepts connections; RuntimeError, with its log, if it does not come to that."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1.0).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError((self._folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        """End it, and the processes that it has started, as a power cut does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
