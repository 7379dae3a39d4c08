"""Memory that runs out: how that is recognised, and what is told where nothing can be done about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from raycollapse.errors import StageError

PHRASES = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""What torch says, beside raising its own class: of a GPU, of a CPU under Linux and Windows, in cuBLAS and cuDNN."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory, the machine's or a GPU's, could not be had."""
    is_torchs = isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in PHRASES)
    return isinstance(error, MemoryError) or is_torchs or type(error).__name__ == "OutOfMemoryError"


def first_line(error: BaseException) -> str:
    """Return what an error says, without the advice and the stack that torch adds."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def told_what_to_lower(what: str, advice: str) -> Iterator[None]:
    """Within the block, raise a StageError with advice in the place of an error that says memory has run out."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise StageError(f"{what} does not fit into memory ({first_line(error)}). {advice}") from error
