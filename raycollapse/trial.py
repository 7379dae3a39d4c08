"""A trial: one loop with one configuration. It turns the loop's verbs into stages and keeps the record."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from raycollapse.backend import Backend, Unit
from raycollapse.config import Experiment
from raycollapse.errors import DamagedStageError
from raycollapse.features import FeatureExtractor
from raycollapse.fitting import run_fitting
from raycollapse.loop import collapse
from raycollapse.protocol import ENVIRONMENT_OF, Made, protocol
from raycollapse.schema import Json
from raycollapse.selection import TwoRoundStrategy
from raycollapse.stages.base import Stage
from raycollapse.stages.features import FeaturesStage, Shard
from raycollapse.stages.given import GivenStage
from raycollapse.stages.imagesets import ImageSet, TrainSet
from raycollapse.stages.measuring import MeasureStage
from raycollapse.stages.picturing import PictureStage
from raycollapse.stages.real import FreshStage, RealStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.selecting import SelectStage
from raycollapse.stages.shortlisting import ShortlistStage, dealt
from raycollapse.stages.training import TrainStage
from raycollapse.tracking.records import GenerationRecord, TrialRecords

NO_SNAPSHOT = ""
"""In the place of a snapshot's key where no model was trained here."""

MAX_REPAIRS = 20
"""How many damaged stages one run of a trial makes anew before it gives up on the disk."""

log = logging.getLogger(__name__)


@dataclass
class Trial:
    """The loop's verbs for one configuration, carried out by a backend (see `loop.Verbs`)."""

    experiment: Experiment
    """One trial's configuration: no sweep, and a device that is decided."""
    backend: Backend
    on_progress: Callable[[int, str], None] = lambda generation, verb: None
    """Told the generation and what is being done in it, before it is done; `recorded` once a generation is complete."""
    _generation: int = 0
    _stages: dict[str, Stage] = field(default_factory=dict)
    """The stages of the generation in hand, by role."""
    _protocol: dict[str, Json] = field(default_factory=dict)

    def run(self) -> None:
        """Run the loop from the beginning; what is in the store already is only looked up.

        A stage found damaged has been set aside by then, so starting over makes it anew, and nothing else.
        """
        for _ in range(MAX_REPAIRS):
            try:
                return collapse(self, self.experiment.paradigm, self.experiment.num_generations)
            except DamagedStageError as error:
                log.warning("%s", error)
        raise DamagedStageError(
            f"More than {MAX_REPAIRS} stages in {self.experiment.storage} were damaged. Check the disk."
        )

    def real_data(self) -> tuple[ImageSet, ImageSet]:
        stage = real_stage(self.experiment)
        self.on_progress(0, "load")
        self.backend.run([(stage,)])
        real, held_out = stage.train(), stage.held_out()
        self.backend.run(
            [self._features(shard, self.experiment.spaces()) for s in (real, held_out) for shard in s.shards]
        )
        return real, held_out

    def train(self, train_set: TrainSet, generation: int, previous: str | None) -> str:
        own, resources = self.experiment, self.experiment.resources
        self._generation, self._stages = generation, {}
        if self._is_given(generation):
            return NO_SNAPSHOT
        self.on_progress(generation, "train")
        initial = previous if previous and own.training.init == "previous" else None
        training = own.training.from_scratch() if initial is None else own.training
        stage = TrainStage(
            train_set, own.denoiser, training, own.seed, generation,
            own.device, resources.threads, resources.train_workers, initial,
        )  # fmt: skip
        self.backend.run([(stage,)])
        self._stages = {"train": stage}
        return stage.key

    def sample(self, snapshot: str, generation: int, is_last: bool) -> ImageSet:
        if self._is_given(generation):
            return self._given()
        self.on_progress(generation, "sample")
        num = self.experiment.num_train if is_last else self.experiment.num_candidates
        num_shards = math.ceil(num / self.experiment.sampling.shard_size)
        asked = [self._sample_stage(snapshot, generation, index) for index in range(num_shards)]
        # In every space for all of them: a train set picks among all, and is measured too.
        spaces = self.experiment.spaces()
        stages = run_fitting(self.backend, asked, lambda stage: (stage, *self._features(stage.shard(), spaces)))
        self._stages |= {f"sample-{stage.index:05d}": stage for stage in stages}
        return ImageSet(tuple(stage.shard() for stage in stages), num, generation)

    def measure(
        self, real: ImageSet, held_out: ImageSet, train_set: TrainSet, synthetic: ImageSet
    ) -> Mapping[str, float]:
        own, resources = self.experiment, self.experiment.resources
        self.on_progress(self._generation, "measure")
        measured = synthetic.first(own.num_train)
        stages = [
            MeasureStage(
                metric, metric.features or own.features, real, held_out, train_set, measured,
                own.device, resources.threads,
            )
            for metric in own.metrics
        ]  # fmt: skip
        picture = PictureStage(own.features, train_set, measured, own.device, resources.threads)
        self.backend.run([(*stages, picture)])
        self._stages |= {stage.role: stage for stage in stages} | {"picture": picture}
        return self._values(train_set, stages)

    def record(self, generation: int, metrics: Mapping[str, float]) -> None:
        costs = self._costs()
        pictures = self.backend.manifest(self._stages["picture"])
        record = GenerationRecord(
            generation=generation,
            metrics={**metrics, **costs},
            stages={role: f"{stage.kind}/{stage.key}" for role, stage in self._stages.items()},
            artifacts={str(name): f"picture/{pictures.key}" for name in pictures.files},
        )
        records = TrialRecords(self.backend.store, self.experiment.name, self.experiment.trial_key())
        records.add(record)
        self._keep_protocol(records, generation)
        self.on_progress(generation, "recorded")

    def select(self, pool: tuple[ImageSet, ...], generation: int) -> TrainSet:
        self.on_progress(generation, "select")
        own, resources = self.experiment, self.experiment.resources
        shortlists = self._shortlists(pool, generation)
        self.backend.run([(shortlist,) for shortlist in shortlists])
        stage = SelectStage(
            pool, own.selection, own.features, own.num_select, own.seed, generation, own.device, resources.threads,
            shortlists, real_stage(own).train() if own.selection.needs_real else None, self._kept(generation),
        )  # fmt: skip
        self.backend.run([(stage,)])
        return stage.train_set()

    def _keep_protocol(self, records: TrialRecords, generation: int) -> None:
        """Write how this trial is done, and again if a later generation adds to it: another machine, say."""
        own, find = self.experiment, self.backend.manifest
        real = real_stage(own)
        features = {space.space: find(self._features(real.train().shards[0], [space])[0]) for space in own.spaces()}
        made = [find(stage) for stage in self._stages.values() if stage.kind in ENVIRONMENT_OF]
        earlier = self._protocol if generation > 1 else {}
        self._protocol = protocol(own, Made(find(real), features, made), earlier)
        if self._protocol != earlier:
            records.write_protocol(self._protocol)

    def _is_given(self, generation: int) -> bool:
        return generation == 1 and self.experiment.start is not None

    def _given(self) -> ImageSet:
        """Return the images that take the place of generation 1's samples."""
        stage = given_stage(self.experiment)
        self.on_progress(1, "load")
        self.backend.run([(stage,)])
        synthetic, spaces = stage.synthetic(), self.experiment.spaces()
        self.backend.run([self._features(shard, spaces) for shard in synthetic.shards])
        self._stages = {"given": stage}
        return synthetic

    def _kept(self, generation: int) -> tuple[ImageSet, ...]:
        """Return the real images that the paradigm puts into the next train set, whatever is selected."""
        own = self.experiment
        num = own.num_train - own.num_select
        if num == 0:
            return ()
        if not own.paradigm.needs_fresh:
            return (real_stage(own).train().first(num),)
        stage = fresh_stage(own, generation)
        self.backend.run([(stage,)])
        fresh = stage.images()
        self.backend.run([self._features(shard, own.spaces()) for shard in fresh.shards])
        return (fresh,)

    def _shortlists(self, pool: tuple[ImageSet, ...], generation: int) -> tuple[ShortlistStage, ...]:
        own, strategy = self.experiment, self.experiment.selection
        if not isinstance(strategy, TwoRoundStrategy):
            return ()
        num_pool = sum(map(len, pool))
        return tuple(
            ShortlistStage(
                parts, offsets, strategy, own.features, num_pool, own.num_select, own.seed, generation, index,
                own.device, own.resources.threads,
            )
            for index, (parts, offsets) in enumerate(dealt(pool, strategy.num_shards))
        )  # fmt: skip

    def _sample_stage(self, snapshot: str, generation: int, index: int) -> SampleStage:
        own, resources = self.experiment, self.experiment.resources
        return SampleStage(snapshot, own.sampling, own.seed, generation, index, own.device, resources.threads)

    def _features(self, shard: Shard, spaces: list[FeatureExtractor]) -> Unit:
        own = self.experiment
        return tuple(FeaturesStage(shard, space, own.device, own.resources.threads) for space in spaces)

    def _values(self, train_set: TrainSet, stages: list[MeasureStage]) -> dict[str, float]:
        is_known = not self._is_given(self._generation)
        metrics = {"selection/real_share": self._real_share(train_set)} if is_known else {}
        for stage in stages:
            metrics |= stage.load(self.backend.store)
        return metrics

    def _real_share(self, train_set: TrainSet) -> float:
        """Return the share of real images in this generation's own train set."""
        if train_set.selection is None:
            return 1.0
        manifest = self.backend.store.find("select", train_set.selection)
        if manifest is None:
            raise DamagedStageError(f"select/{train_set.selection} is missing; it has to be made anew.")
        return cast(float, manifest.facts["real_share"])

    def _costs(self) -> dict[str, float]:
        """Return what this generation's stages took when they were made, in this run or an earlier one."""
        seconds: dict[str, float] = {"train": 0.0, "sample": 0.0}
        for stage in self._stages.values():
            if stage.kind in seconds:
                seconds[stage.kind] += self.backend.manifest(stage).seconds
        num_gpus = 1 if self.experiment.device == "cuda" else 0
        gpu_seconds = num_gpus * (seconds["train"] * self.experiment.resources.train_workers + seconds["sample"])
        return {f"cost/{kind}_seconds": value for kind, value in seconds.items()} | {"cost/gpu_seconds": gpu_seconds}


def real_stage(experiment: Experiment) -> RealStage:
    """Return the stage of generation 0."""
    return RealStage(experiment.data, experiment.seed, experiment.sampling.shard_size)


def fresh_stage(experiment: Experiment, generation: int) -> FreshStage:
    """Return the stage of the new real images that join after a generation; the paradigm needs them."""
    num = experiment.num_train - experiment.num_select
    return FreshStage(experiment.data, experiment.seed, generation, num, experiment.sampling.shard_size)


def given_stage(experiment: Experiment) -> GivenStage:
    """Return the stage of the images that an experiment starts from; it has some."""
    assert experiment.start is not None
    return GivenStage(experiment.start, experiment.seed, experiment.num_candidates, experiment.sampling.shard_size)
