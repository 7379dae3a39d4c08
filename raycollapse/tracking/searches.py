"""What the storage keeps of a search beside its trials: what was searched, and for what."""

from typing import NamedTuple

from raycollapse.config import Experiment
from raycollapse.schema import Json
from raycollapse.search import Search
from raycollapse.store import Store


class KeptSearch(NamedTuple):
    """A search as it was run last."""

    search: Search
    num_generations: int
    """After how many generations its trials are at their end; those of earlier runs may have gone less far, or more."""


def write_search(store: Store, experiment: Experiment) -> None:
    """Keep the definition of an experiment's search, for the next run and for the report."""
    assert experiment.search is not None
    kept: dict[str, Json] = experiment.search.model_dump(mode="json")
    store.write_json(_path(experiment.name), {"search": kept, "num_generations": experiment.num_generations})


def read_search(store: Store, experiment: str) -> KeptSearch | None:
    """Return the search that an experiment ran last; none if it ran none."""
    kept = store.read_json(_path(experiment))
    return None if kept is None else KeptSearch(Search.model_validate(kept["search"]), kept["num_generations"])


def _path(experiment: str) -> str:
    return f"experiments/{experiment}/search.json"
