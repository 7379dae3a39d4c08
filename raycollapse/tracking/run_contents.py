"""What a run in MLflow holds already, where the notes do not say: a process may end after logging, before noting it.

A record that has to be made anew in between (its line broke off, say) bears other times and costs: logged beside the
earlier ones, they would be second entries for one step.
"""

from collections.abc import Sequence

from raycollapse.tracking.loss_curves import LOSS
from raycollapse.tracking.mlflow_session import RunFile, Session
from raycollapse.tracking.projection import metric_points
from raycollapse.tracking.records import GenerationRecord


def learn(session: Session, file: RunFile, records: Sequence[GenerationRecord]) -> None:
    """Complete the notes of a run by asking for the metrics of which they may lack an entry."""
    for name in sorted(_doubtful(file, records) & file.run.metrics):
        entries = session.server.history(file.run.run_id, name)
        if name == LOSS:
            file.loss_steps = frozenset(entry.step for entry in entries)
            continue
        for entry in entries:
            file.values.setdefault(str(entry.step), {}).setdefault(name, repr(entry.value))
            file.times.setdefault(str(entry.step), entry.timestamp)


def _doubtful(file: RunFile, records: Sequence[GenerationRecord]) -> set[str]:
    """Return the metrics that some record has and the notes do not; all of a record whose time is not noted."""
    doubtful: set[str] = set()
    for record in records:
        generation = str(record.generation)
        noted = file.values.get(generation, {}) if generation in file.times else {}
        doubtful |= {LOSS, *(point.name for point in metric_points(record))} - noted.keys()
    return doubtful
