"""What can go wrong, by who can put it right."""

import traceback


class RequestError(ValueError):
    """The request cannot be carried out as it stands: the message says what is wrong, what is allowed, what to do."""


class StageError(RuntimeError):
    """A stage ran and failed for a reason that running it again will not change (a non-finite loss, say)."""


class DamagedStageError(RuntimeError):
    """A stored file is truncated or altered; its stage has been set aside and has to be made anew."""


class FullDiskError(OSError):
    """There is no space where something is to be written: the message says where, and how to free some."""


class HalvedShardError(RuntimeError):
    """A shard does not fit into memory, as the message says: one with half the batch takes its place."""


def describe(error: Exception) -> str:
    """Return an error as text for a person: our own in their words, any other with where it was raised."""
    if isinstance(error, RequestError | StageError | DamagedStageError | FullDiskError):
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()
