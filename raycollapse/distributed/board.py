"""The board: where trials post what they do, and the thread in the driver that reads it to a person.

The actor's process imports this module, so it imports little.
"""

import logging
import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

if TYPE_CHECKING:
    from raycollapse.progress import Display

POLL_SECONDS = 0.5
ANSWER_SECONDS = 10.0
"""How long the board may take to answer before it is asked again: no thread waits for ever on a lost cluster."""

log = logging.getLogger(__name__)


class News(NamedTuple):
    """What a trial has to tell."""

    kind: Literal["progress", "warning", "stop", "failure"]
    trial_key: str
    generation: int
    text: str
    """What is being done in the generation, the warning, or why the trial was stopped early or failed."""


class Board:
    """Gathers news until the driver reads it."""

    def __init__(self) -> None:
        self._news: list[News] = []

    def post(self, *news: News) -> None:
        """Take note."""
        self._news += news

    def read(self) -> list[News]:
        """Return the news since the last time."""
        news, self._news = self._news, []
        return news


def new_board() -> Any:
    """Start a board beside this process, whose node lives as long as the run does: a spot node may not."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Board).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()


class Reading:
    """Reads a board to a display during a block, and once more at its end, while Tune holds the main thread."""

    def __init__(self, board: Any, display: "Display") -> None:
        self._board, self._display = board, display
        self._told: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_until_stopped, daemon=True, name="raycollapse-board")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(2 * ANSWER_SECONDS)

    def _read_until_stopped(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(POLL_SECONDS)
            try:
                news = ray.get(self._board.read.remote(), timeout=ANSWER_SECONDS)
            except GetTimeoutError:
                continue
            except RayError as error:
                log.warning("The progress of trials cannot be shown any more (%s); they go on.", error)
                return
            for one in news:
                self._show(one)

    def _show(self, news: News) -> None:
        if news.kind == "progress":
            self._display.show(news.trial_key, news.generation, news.text)
        elif news.kind == "stop":
            self._display.stop(news.trial_key, news.text)
        elif news.kind == "failure":
            self._display.fail(news.trial_key, news.text)
        elif news.text not in self._told:  # trials that share a storage find the same to warn of
            self._told.add(news.text)
            log.warning("%s", news.text)
