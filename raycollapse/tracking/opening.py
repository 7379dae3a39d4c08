"""Which recorder an experiment asks for."""

from raycollapse.config import Experiment
from raycollapse.store import Store
from raycollapse.tracking.base import NoRecorder, Recorder


def open_recorder(experiment: Experiment, store: Store) -> Recorder:
    """Return the recorder that `tracking` names. It connects at its first sync.

    Raises:
        RequestError: `tracking` names a place that cannot be recorded in, now or later.
    """
    if not experiment.tracking.mlflow:
        return NoRecorder()
    from raycollapse.tracking.mlflow_places import check_file, tracking_uri
    from raycollapse.tracking.mlflow_recorder import MlflowRecorder

    tracking = experiment.tracking
    check_file(tracking_uri(store, tracking.mlflow_uri))
    return MlflowRecorder(
        store,
        experiment.name,
        uri=tracking.mlflow_uri,
        mlflow_experiment=tracking.mlflow_experiment,
        is_sweep=experiment.sweep is not None,
    )
