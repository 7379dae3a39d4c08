"""A sweep: which fields vary, and over what: a grid, or a search."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import field_validator, model_validator

from raycollapse.errors import RequestError
from raycollapse.overrides import parse_assignment
from raycollapse.scheduling import AnyScheduler
from raycollapse.schema import Config
from raycollapse.search import Search
from raycollapse.search.settings import check_recorded

if TYPE_CHECKING:
    from raycollapse.metrics import Metric

POPULATION_BASED = {"pbt", "pb2", "population_based_training"}


class Sweep(Config):
    """One trial for each combination of a grid's values, or for each suggestion of a search."""

    grid: dict[str, list[Any]] | None = None
    """Dotted path of a field -> the values it takes."""
    search: Search | None = None
    """Fields whose values Optuna suggests, trial after trial."""
    scheduler: AnyScheduler | None = None
    """Stops trials early that fall behind the others at the same generation: `asha` or `median`; none: all go on."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_population(cls, raw: Any) -> Any:
        """Refuse population-based training with its reason, wherever it is asked for."""
        own = raw if isinstance(raw, dict) else {}
        inner = [one.get("name") if isinstance(one, dict) else one for one in (own.get("scheduler"), own.get("search"))]
        if {str(one).lower() for one in [*own, *inner]} & POPULATION_BASED:
            raise ValueError(
                "population-based training (PBT, PB2) is refused: it changes settings while a model trains and copies "
                "the weights of better trials, but here each generation's model is made anew, so there is nothing to "
                "copy. Use `search`"
            )
        return raw

    @field_validator("grid")
    @classmethod
    def _grid_has_points(cls, grid: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        if grid is None:
            return None
        if not grid:
            raise ValueError("the grid is empty; name at least one field and its values, or leave out `sweep`")
        for path, values in grid.items():
            if not values:
                raise ValueError(f"the grid lists no value for {path}; give at least one")
        _check_may_vary(grid)
        return grid

    @field_validator("search")
    @classmethod
    def _fields_may_vary(cls, search: Search | None) -> Search | None:
        _check_may_vary(search.space if search else ())
        return search

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Sweep":
        if self.grid is not None and self.search is not None:
            raise ValueError(
                "it has a grid and a search; a search would have to start over at each point of the grid. Keep one: to "
                "search over a field of the grid too, list its values in the space as {name: choice, values: [...]}"
            )
        if self.grid is None and self.search is None:
            raise ValueError("it has neither a grid nor a search; give one of them, or leave out `sweep`")
        return self

    @property
    def paths(self) -> list[str]:
        """The fields that vary."""
        return list(self.search.space if self.search else self.grid or ())

    def check_request(self, metrics: "Sequence[Metric]", num_generations: int) -> None:
        """Raise RequestError if the sweep goes by a metric that is not recorded, or could never stop a trial."""
        if self.search is not None:
            check_recorded(self.search.objectives, metrics, "sweep.search.objectives")
        if self.scheduler is not None:
            check_recorded([self.scheduler.metric], metrics, "sweep.scheduler.metric")
            self.scheduler.check_request(num_generations)

    def check_assignments(self, assignments: Sequence[str]) -> None:
        """Raise RequestError if an `a.b=c` assignment sets a field that every trial sets anew: it would do nothing.

        A mapping may still give a member fields that the sweep's values leave open.
        """
        for path, value in map(parse_assignment, assignments):
            if path not in self.paths or isinstance(value, dict):
                continue
            written = json.dumps(value, default=str)
            if self.grid is not None:
                what = f"sweep.grid gives it {len(self.grid[path])} value(s) of its own, which replace it"
                only = f"sweep.grid={{{path}: [{written}]}}"
            else:
                what = "sweep.search draws values of its own, which replace it"
                only = f"sweep.search.space={{{path}: {{name: choice, values: [{written}]}}}}"
            raise RequestError(f"{path} is set to {value!r}, but {what}. Set '{only}' for this value alone.")

    def points(self) -> list[dict[str, Any]]:
        """Return every combination of the grid, the last field varying fastest."""
        grid = self.grid or {}
        return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _check_may_vary(paths: Iterable[str]) -> None:
    for path in paths:
        if path.partition(".")[0] in ("sweep", "name", "storage", "tracking", "num_generations", "metrics"):
            raise ValueError(f"{path} cannot vary between trials of one sweep")
