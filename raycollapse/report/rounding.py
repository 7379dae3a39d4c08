"""Numbers as a person reads them."""

import math


def written(value: float) -> str:
    """Return about three significant digits, no exponent where a few zeros do.

    >>> [written(value) for value in (110_912.4, 358.74, 27.31, 0.5078, 1.0, 0.0, float("nan"), 2.5e-7)]
    ['110,912', '359', '27.3', '0.508', '1.00', '0', 'nan', '2.50e-07']
    """
    return _with_decimals(value, _decimals(value))


def written_with_spread(mean: float, spread: float) -> str:
    """Return a mean and how far values lie from it, to the same decimal place.

    >>> written_with_spread(361.2, 4.59), written_with_spread(0.5, 0.0)
    ('361 ± 5', '0.500')
    """
    decimals = _decimals(mean)
    text = _with_decimals(mean, decimals)
    return text if spread == 0 or not math.isfinite(spread) else f"{text} ± {_with_decimals(spread, decimals)}"


def _decimals(value: float) -> int | None:
    """Return how many decimals to show; none: write it with an exponent, or as it is."""
    size = abs(value)
    if not math.isfinite(value) or size < 1e-3:
        return None
    return max(0, 2 - math.floor(math.log10(size)))


def _with_decimals(value: float, decimals: int | None) -> str:
    if decimals is not None and math.isfinite(value):
        return f"{value:,.{decimals}f}"
    return f"{value:.2e}" if math.isfinite(value) and value != 0 else f"{value:g}"
