"""Stopping trials early: a scheduler's rule, asked as generations are recorded, and its verdict, kept with the records.

A verdict holds in later runs for as long as the rule stays the same: a sweep that is resumed stops the trials that it
had stopped. Without the rule, or with another one, those trials go on where they were.
"""

import logging
import math
from collections.abc import Callable

from raycollapse.errors import RequestError
from raycollapse.scheduling import Curve, Scheduler
from raycollapse.tracking.records import Stop, TrialRecords, trial_keys

log = logging.getLogger(__name__)


class StoppedEarly(Exception):
    """A trial is not worth its next generation. No error: what it has recorded is complete."""


def stopping(
    tell: Callable[[int, str], None], scheduler: Scheduler | None, records: TrialRecords, num_generations: int
) -> Callable[[int, str], None]:
    """Return what a trial tells its progress, which raises StoppedEarly where the rule stops it.

    Args:
        tell: told the progress first.
        scheduler: the rule; none: nothing is stopped.
        records: of the trial. It is compared with all other trials of the experiment, of earlier runs too.
        num_generations: at the last one, nothing is left to stop.
    """

    def told(generation: int, verb: str) -> None:
        tell(generation, verb)
        if verb == "recorded" and scheduler is not None and generation < num_generations:
            stop = _verdict(scheduler, records, generation)
            if stop is not None and generation >= stop.generation:
                records.write_stop(stop)
                raise StoppedEarly(stop.reason)

    return told


def forget_other_rules(scheduler: Scheduler | None, records: TrialRecords, num_generations: int) -> None:
    """Remove from a trial's records a verdict of another rule, or one at what is its last generation now."""
    kept = records.read_stop()
    if kept is None:
        return
    if scheduler is None or kept.rule != scheduler.identity() or kept.generation >= num_generations:
        records.write_stop(None)


def _verdict(scheduler: Scheduler, records: TrialRecords, generation: int) -> Stop | None:
    kept = records.read_stop()
    if kept is not None and kept.rule == scheduler.identity():
        return kept
    own = _curve(scheduler, records)
    if max(own, default=0) != generation:  # an earlier run, or this one before a repair, has decided to go on
        return None
    store, experiment = records.store, records.experiment
    others = [TrialRecords(store, experiment, key) for key in trial_keys(store, experiment) if key != records.trial_key]
    reason = scheduler.reason_to_stop(own, [_curve_of_other(scheduler, other) for other in others])
    return None if reason is None else Stop(generation=generation, reason=reason, rule=scheduler.identity())


def _curve(scheduler: Scheduler, records: TrialRecords) -> Curve:
    """Return the metric by generation; a generation without it has a NaN, which is not worth going on from."""
    return {record.generation: record.metrics.get(scheduler.metric, math.nan) for record in records.read()}


def _curve_of_other(scheduler: Scheduler, records: TrialRecords) -> Curve:
    """Return another trial's curve; nothing while its records are damaged, which is its own affair."""
    try:
        return _curve(scheduler, records)
    except RequestError as error:
        log.warning("%s Other trials are not compared with it.", error)
        return {}
