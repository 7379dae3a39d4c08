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


def reason_of(error: BaseException, limit: int = 200) -> str:
    """Return an error in one line, as the system said it, without passwords.

    >>> reason_of(ValueError("no route to http://user:secret@host/"))
    'no route to http://***@host/'
    """
    cause = _system_error(error) or error
    text = (str(cause) or type(cause).__name__).strip().splitlines()[0]
    return without_password(text)[:limit].rstrip()


def _system_error(error: BaseException | None) -> BaseException | None:
    """Return the deepest error of the system that led to this one; libraries wrap it in layers of their own."""
    if error is None:
        return None
    deeper = _system_error(error.__cause__ or error.__context__)
    is_system = isinstance(error, TimeoutError) or (isinstance(error, OSError) and error.strerror is not None)
    return deeper or (error if is_system else None)


def without_password(uri: str) -> str:
    """Return a text with the user parts of its URIs hidden.

    >>> without_password("postgresql://me:secret@db:5432/mlflow")
    'postgresql://***@db:5432/mlflow'
    """
    return re.sub(r"://[^/@\s]+@", "://***@", uri)
