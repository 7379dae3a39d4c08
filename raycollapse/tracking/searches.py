"""What the storage keeps of a search beside its trials: what was searched, and for what."""

from raycollapse.config import Experiment
from raycollapse.schema import Json
from raycollapse.search import Search
from raycollapse.store import Store


def write_search(store: Store, experiment: Experiment) -> None:
    """Keep the definition of an experiment's search, for the next run and for the report."""
    assert experiment.sweep is not None and experiment.sweep.search is not None
    kept: dict[str, Json] = experiment.sweep.search.model_dump(mode="json")
    store.write_json(_path(experiment.name), kept)


def read_search(store: Store, experiment: str) -> Search | None:
    """Return the search that an experiment ran last; none if it ran none."""
    kept = store.read_json(_path(experiment))
    return None if kept is None else Search.model_validate(kept)


def _path(experiment: str) -> str:
    return f"experiments/{experiment}/search.json"
