"""Whether a place answers: said once each time that changes, and tried again after growing pauses."""

import logging
import re
import time
from collections.abc import Callable

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
"""Seconds."""

log = logging.getLogger(__name__)


class Outage:
    """The state of one place.

    Args:
        place: what does not answer, as the subject of a sentence.
        consequence: a sentence: what that means for the person who reads it.
        clock: seconds, for tests.
    """

    def __init__(self, place: str, consequence: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._consequence = consequence
        self._clock = clock
        self._pause = 0.0
        self._next_try = 0.0
        self.reason: str | None = None
        """Why it does not answer; none if it does, as far as is known."""

    @property
    def may_try(self) -> bool:
        """Whether the pause since the last failure is over."""
        return self._clock() >= self._next_try

    def failed(self, reason: str) -> None:
        """Note a failure."""
        if self.reason is None:
            log.warning("%s does not answer (%s). %s", self._place, reason, self._consequence)
        self.reason = reason
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._next_try = self._clock() + self._pause

    def succeeded(self) -> None:
        """Note that it answered."""
        if self.reason is not None:
            log.warning("%s answers again.", self._place)
        self.reason, self._pause, self._next_try = None, 0.0, 0.0


def reason_of(error: Exception, limit: int = 200) -> str:
    """Return an error in one line, without its wrapping and without passwords.

    >>> reason_of(ValueError("no route to http://user:secret@host/\\nmore"))
    'no route to http://***@host/'
    """
    text = (str(error) or type(error).__name__).strip().splitlines()[0]
    caused_by = re.search(r"(?:Failed to establish a new connection: |Caused by )(.*)", text)
    return without_password(caused_by.group(1) if caused_by else text)[:limit].rstrip()


def without_password(uri: str) -> str:
    """Return a text with the user parts of its URIs hidden.

    >>> without_password("postgresql://me:secret@db:5432/mlflow")
    'postgresql://***@db:5432/mlflow'
    """
    return re.sub(r"://[^/@\s]+@", "://***@", uri)
