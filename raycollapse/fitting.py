"""Shards in the size that fits: those that do not fit into memory give way to those with half the batch."""

import logging
from collections.abc import Callable, Sequence

from raycollapse.backend import Backend, Unit
from raycollapse.errors import HalvedShardError, StageError
from raycollapse.stages.sampling import HalvingStage, SampleStage

log = logging.getLogger(__name__)


def run_fitting(
    backend: Backend, asked: Sequence[SampleStage], unit: Callable[[SampleStage], Unit]
) -> list[SampleStage]:
    """Make shards with all that belongs to them; return those that were made, in the order of those asked for.

    Args:
        backend: makes them.
        asked: a generation's shards as the configuration has them.
        unit: gives a shard with the stages that follow from it in the same process.
    """
    shards, shortage = [fitting(backend, shard) for shard in asked], ""
    while True:
        try:
            backend.run([unit(shard) for shard in shards])
            break
        except HalvedShardError as error:
            before, shortage = shards, str(error)
        shards = [fitting(backend, shard) for shard in asked]
        if shards == before:
            raise StageError(
                f"sampling does not fit into memory ({shortage}), and that shards were made with half the batch cannot "
                "be seen from here. The storage must be one place that every node reaches: s3://..., gs://... or a "
                "shared disk."
            )
    if shortage:
        _tell(asked, shards, shortage)
    return shards


def fitting(backend: Backend, shard: SampleStage) -> SampleStage:
    """Return the shard that stands for this one: itself, unless it was found not to fit into memory.

    Where it is there in spite of that, made by a command with more memory, it stands.
    """
    while backend.has(HalvingStage(shard)) and not backend.has(shard):
        shard = shard.halved()
    return shard


def _tell(asked: Sequence[SampleStage], made: Sequence[SampleStage], shortage: str) -> None:
    smaller = [shard for shard, first in zip(made, asked, strict=True) if shard != first]
    sizes = sorted({shard.sampling.batch_size for shard in smaller}, reverse=True)
    log.warning(
        "%d of %d shards of generation %d do not fit into memory %d images at a time (%s). They are made %s at a time, "
        "which makes them other shards: last bits differ. To make all alike, set sampling.batch_size to %d in an "
        "experiment of another name.",
        len(smaller), len(asked), asked[0].generation, asked[0].num_together, shortage,
        ", ".join(map(str, sizes)), sizes[-1],
    )  # fmt: skip
