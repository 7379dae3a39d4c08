"""What every function accepts as a count or a number, checked once at the door."""

import operator
from numbers import Real
from typing import Any

from raycollapse.errors import RequestError


def as_integer(value: Any, name: str) -> int:
    """Return `value` as Python's integer: NumPy's, which faiss would not take, are integers too.

    >>> import numpy as np
    >>> as_integer(np.int32(3), "k")
    3
    """
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise RequestError(f"{name} is {value!r}; it must be an integer.")


def as_number(value: Any, name: str) -> float:
    """Return `value` as Python's number, which may be infinite or NaN."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise RequestError(f"{name} is {value!r}; it must be a number.")
    return float(value)
