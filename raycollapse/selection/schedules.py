"""How the threshold of the Threshold Decay Filter falls from pass to pass."""

from typing import Literal, get_args

from raycollapse.errors import RequestError

Schedule = Literal["geometric", "linear", "acceptance"]

_QUICK, _CAREFUL = 4.0, 2.0  # powers of the decay after a pass that accepted nothing, or something, far from the goal
_LEAST = 0.1  # of these powers, at the goal


def next_threshold(
    schedule: Schedule, threshold: float, first: float, decay: float, num_accepted: int, missing: float
) -> float:
    """Return the threshold of the pass after one at `threshold`.

    `geometric` (arXiv 2509.16499, Alg. 2): threshold * decay.
    `linear`: threshold - (1 - decay) * first, and 0 once that is negative.
    `acceptance`: threshold * decay^p, with p = 4 max(missing, 0.1) after a pass that accepted nothing, and half that
    after one that did: long steps while nothing is accepted, short ones near the goal, where the last is decided.

    Args:
        schedule: one of the above.
        threshold: of the last pass.
        first: of the first pass.
        decay: strictly between 0 and 1.
        num_accepted: how many the last pass accepted.
        missing: the share of the points to be selected that is still missing, 0..1.

    >>> next_threshold("linear", 60.0, 60.0, 0.75, num_accepted=3, missing=0.5)
    45.0
    """
    if schedule == "geometric":
        return threshold * decay
    if schedule == "linear":
        return max(threshold - (1 - decay) * first, 0.0)
    power = (_CAREFUL if num_accepted else _QUICK) * max(missing, _LEAST)
    return float(threshold * decay**power)


def check_schedule(schedule: str) -> None:
    """Raise RequestError unless `schedule` names one."""
    if schedule not in get_args(Schedule):
        raise RequestError(f"schedule is {schedule!r}; it must be one of {', '.join(get_args(Schedule))}.")
