"""Where a search may draw the values of a field from."""

import json
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from raycollapse.schema import Member

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

INSIDE = (math.sqrt(5) - 1) / 2
"""How far between its bounds a range is probed: no round number, so that a field of integers is found out."""
FEW = 16
"""A range of so many integers is probed whole."""


class Distribution(Member):
    """Values that one field may take."""

    @abstractmethod
    def probes(self) -> list[Any]:
        """Return values that tell whether the field takes what may be drawn: the bounds, or every choice."""

    @abstractmethod
    def for_optuna(self) -> "BaseDistribution":
        """Return what Optuna draws from."""

    def value(self, drawn: Any) -> Any:
        """Return the field's value for what Optuna drew."""
        return drawn


class Range(Distribution):
    """Values between two bounds, both included."""

    low: float
    """The least value."""
    high: float
    """The greatest value."""

    @model_validator(mode="after")
    def _bounds_are_the_right_way_round(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high is {self.high:g}; low must lie below high")
        return self


class Uniform(Range):
    """Any number between two bounds, each as likely as the other."""

    name: Literal["uniform"] = "uniform"

    def probes(self) -> list[Any]:
        return [self.low, self.low + INSIDE * (self.high - self.low), self.high]

    def for_optuna(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high)


class LogUniform(Range):
    """Any number between two bounds, its logarithm drawn evenly: where not the difference but the ratio counts."""

    name: Literal["loguniform"] = "loguniform"
    low: float = Field(gt=0)
    """The least value, greater than 0."""

    def probes(self) -> list[Any]:
        return [self.low, math.exp(math.log(self.low) + INSIDE * math.log(self.high / self.low)), self.high]

    def for_optuna(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=True)


class Integers(Range):
    """Any integer between two bounds."""

    name: Literal["int"] = "int"
    low: int
    """The least value."""
    high: int
    """The greatest value."""

    def probes(self) -> list[Any]:
        return list(range(self.low, self.high + 1)) if self.high - self.low < FEW else [self.low, self.high]

    def for_optuna(self) -> "BaseDistribution":
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high)


class Choice(Distribution):
    """One of some values: numbers, text, or whole members such as `{name: greedy}`."""

    name: Literal["choice"] = "choice"
    values: list[Any] = Field(min_length=1)
    """The values to choose from."""

    @field_validator("values")
    @classmethod
    def _values_are_distinct(cls, values: list[Any]) -> list[Any]:
        labels = [_label(value) for value in values]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"it lists {twice} twice; list each value once")
        return values

    def probes(self) -> list[Any]:
        return self.values

    def for_optuna(self) -> "BaseDistribution":
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([_label(value) for value in self.values])

    def value(self, drawn: Any) -> Any:
        return next(value for value in self.values if _label(value) == drawn)


def _label(value: Any) -> str:
    """Return the text that stands for a choice in Optuna's study, which keeps no mappings."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


AnyDistribution = Annotated[Uniform | LogUniform | Integers | Choice, Field(discriminator="name")]
