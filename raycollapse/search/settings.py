"""What a search is asked for: the fields and their ranges, the objectives, the budgets."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from raycollapse.errors import RequestError
from raycollapse.schema import Config, Json
from raycollapse.search.distributions import AnyDistribution

if TYPE_CHECKING:
    from raycollapse.metrics import Metric

ALWAYS_RECORDED = ("selection/real_share", "cost/train_seconds", "cost/sample_seconds", "cost/gpu_seconds")
"""What every generation records, whatever the metrics."""

Direction = Literal["minimise", "maximise"]


class Search(Config):
    """A search by Optuna's tree-structured Parzen estimator: a trial for each of its suggestions."""

    space: dict[str, AnyDistribution] = Field(min_length=1)
    """Dotted path of a field -> what its values are drawn from: `{name: uniform, low: 0.5, high: 0.99}`."""
    objectives: dict[str, Direction] = Field(min_length=1)
    """Recorded metric -> `minimise` or `maximise`: its value at the last generation. Several make a trade-off."""
    num_trials: int = Field(ge=1)
    """Trials in all, over all runs of this command; more than an earlier run had extend the search."""
    max_hours: float | None = Field(default=None, gt=0)
    """Hours after which a run starts no more trials, and ends those that it has started; none: no limit."""
    seed: int = Field(default=0, ge=0)
    """The root of what is drawn; the trials' own random numbers come from the experiment's seed."""
    num_random: int = Field(default=10, ge=1)
    """Trials drawn at random before the first that is suggested from what others came to."""

    @field_validator("space")
    @classmethod
    def _paths_do_not_overlap(cls, space: dict[str, AnyDistribution]) -> dict[str, AnyDistribution]:
        for path in space:
            inner = next((other for other in space if other.startswith(f"{path}.")), None)
            if inner is not None:
                raise ValueError(
                    f"{inner} lies within {path}, and both vary; list whole members as choices of {path}, or vary "
                    f"{inner} alone"
                )
        return space

    def probes(self) -> list[dict[str, Any]]:
        """Return points of the space that show whether its fields take what may be drawn: one after the other varies,
        the others being at their first value."""
        first = {path: own.probes()[0] for path, own in self.space.items()}
        others = [{**first, path: value} for path, own in self.space.items() for value in own.probes()[1:]]
        return [first, *others]

    def definition(self) -> dict[str, Json]:
        """Return what decides what is suggested: another value of it makes another search."""
        kept: dict[str, Json] = self.model_dump(mode="json", exclude={"num_trials", "max_hours"})
        return kept


def check_recorded(names: Iterable[str], metrics: "Sequence[Metric]", path: str) -> None:
    """Raise RequestError if something named at a path of the configuration is nothing that these metrics record.

    What a metric of another package records is not known beforehand, unless its class says so.
    """
    if not all(metric.value_names for metric in metrics):
        return
    recorded = [value + metric.suffix for metric in metrics for value in metric.value_names]
    for name in names:
        if name not in (*recorded, *ALWAYS_RECORDED):
            close = difflib.get_close_matches(name, [*recorded, *ALWAYS_RECORDED], n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            raise RequestError(
                f"{path} names {name}, which this experiment does not record.{meant} Its "
                f"metrics record: {', '.join(recorded) or 'nothing'}. Name one of these, or add a metric."
            )
