"""A sweep: which fields vary, and over what."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from pydantic import field_validator

from raycollapse.errors import RequestError
from raycollapse.overrides import parse_assignment
from raycollapse.schema import Config


class Sweep(Config):
    """A grid: one trial for each combination of the values of its fields."""

    grid: dict[str, list[Any]]
    """Dotted path of a field -> the values it takes."""

    @field_validator("grid")
    @classmethod
    def _grid_has_points(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if not grid:
            raise ValueError("the grid is empty; name at least one field and its values, or leave out `sweep`")
        for path, values in grid.items():
            if not values:
                raise ValueError(f"the grid lists no value for {path}; give at least one")
            if path.partition(".")[0] in ("sweep", "name", "storage", "tracking", "num_generations", "metrics"):
                raise ValueError(f"{path} cannot vary between trials of one sweep")
        return grid

    def check_assignments(self, assignments: Sequence[str]) -> None:
        """Raise RequestError if an `a.b=c` assignment sets a field that every trial sets anew: it would do nothing.

        A mapping may still give a member fields that the grid's values leave open.
        """
        for path, value in map(parse_assignment, assignments):
            if path in self.grid and not isinstance(value, dict):
                only = f"sweep.grid={{{path}: [{json.dumps(value, default=str)}]}}"
                raise RequestError(
                    f"{path} is set to {value!r}, but sweep.grid gives it {len(self.grid[path])} value(s) of its own, "
                    f"which replace it. Set '{only}' for this value alone."
                )

    def points(self) -> list[dict[str, Any]]:
        """Return every combination, the last field varying fastest."""
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]

    def num_points(self) -> int:
        """Return the number of trials."""
        return len(self.points())
