"""The experiment: one YAML file, validated as a whole before anything starts."""

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from raycollapse.config_errors import explain, value_of
from raycollapse.data import AnyData
from raycollapse.diffusion import AnyDenoiser
from raycollapse.diffusion.conditioning import check_conditioning
from raycollapse.diffusion.sampling import Sampling
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError
from raycollapse.experiment_file import read_raw
from raycollapse.features import AnyExtractor, FeatureExtractor
from raycollapse.metrics import AnyMetric
from raycollapse.overrides import apply
from raycollapse.paradigms import AnyParadigm
from raycollapse.scheduling import Scheduler
from raycollapse.schema import Config, Json
from raycollapse.search import Search
from raycollapse.selection import AnyStrategy
from raycollapse.start import Start
from raycollapse.store import content_key
from raycollapse.sweeps import Sweep


class Resources(Config):
    """Where stages run and how much of the machine each takes. On CPUs each stage takes `threads` CPUs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`cpu`, `cuda`, or `auto`: CUDA if the machine (or the cluster) has it. `cuda` without a GPU is refused."""
    threads: int = Field(default=1, gt=0)
    """Threads of each process; another number changes last bits."""
    train_workers: int = Field(default=1, gt=0)
    """Processes that train one model together (Ray only); `training.batch_size` is their global batch."""
    num_actors: int | None = Field(default=None, gt=0)
    """At most so many Ray Data actors sample for one trial; none: one per GPU, and on CPUs tasks on warm workers."""
    max_concurrent_trials: int | None = Field(default=None, gt=0)
    """Trials at a time; none: as many as the cluster can keep busy."""


class Tracking(Config):
    """Where results are shown beside the storage, which always keeps them."""

    mlflow: bool = True
    """Record in MLflow."""
    mlflow_uri: str | None = None
    """An MLflow server or database; none: `mlflow.db` in the storage folder. Secrets by environment, never here."""
    mlflow_experiment: str | None = None
    """The name of the MLflow experiment; none: the experiment's name."""


class Experiment(Config):
    """A self-consuming loop, or a sweep over such loops."""

    name: str
    """Names the folder of results: letters, digits, `.`, `_` and `-`."""
    seed: int = Field(default=0, ge=0)
    """The root of every random number."""
    data: AnyData
    """The real data: generation 0 and the held-out images."""
    paradigm: AnyParadigm
    """What of the history the next train set may be chosen from."""
    selection: AnyStrategy
    """How the next train set is chosen from the pool."""
    start: Start | None = None
    """Images that take the place of generation 1's samples; none: generation 1 is trained on the real images."""
    num_generations: int = Field(gt=0, le=1000)
    """Generations to train; more than an earlier run had extends it."""
    denoiser: AnyDenoiser
    """The network that predicts the noise."""
    training: Training
    """How each generation's model is trained."""
    sampling: Sampling = Sampling()
    """How samples are drawn from it."""
    features: AnyExtractor
    """The space in which strategies select, and metrics measure unless they name another."""
    metrics: tuple[AnyMetric, ...] = ()
    """What is measured of each generation."""
    resources: Resources = Resources()
    """Where stages run."""
    storage: str = Field(default="results", min_length=1, validate_default=True)
    """A folder or a URI (`s3://...`) that keeps every stage and record."""
    tracking: Tracking = Tracking()
    """Where results are shown."""
    sweep: Sweep | None = None
    """A grid over fields, one trial for each combination; or a search, one for each suggestion."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"start"})

    EXTENSION_FIELDS: ClassVar[tuple[str, ...]] = (
        "name", "num_generations", "metrics", "resources", "storage", "tracking", "sweep",
    )  # fmt: skip
    """Fields that may differ between runs of one experiment."""

    @field_validator("name")
    @classmethod
    def _name_is_a_folder_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError("it must be made of letters, digits, '.', '_' and '-', and start with a letter or digit")
        return name

    @field_validator("storage")
    @classmethod
    def _storage_is_absolute(cls, storage: str) -> str:
        """Trials may run in other folders, so a path is resolved at once."""
        return storage if "://" in storage else str(Path(storage).expanduser().absolute())

    @model_validator(mode="after")
    def _spaces_are_told_apart(self) -> "Experiment":
        """Metrics bear the space's name, so two spaces of one name would be taken for each other."""
        first: dict[str, FeatureExtractor] = {}
        for extractor in self.spaces():
            other = first.setdefault(extractor.space, extractor)
            if other is not extractor and other.identity() != extractor.identity():
                raise ValueError(_same_space(other, extractor))
        return self

    @model_validator(mode="after")
    def _metric_names_are_distinct(self) -> "Experiment":
        seen = [(metric.name, metric.features and metric.features.space) for metric in self.metrics]
        for index, (name, space) in enumerate(seen):
            if (name, space) in seen[:index]:
                where = f"in the space {space}" if space else "in the same space"
                raise ValueError(f"metrics lists {name} twice {where}; name each once")
        return self

    @model_validator(mode="after")
    def _shapes_fit(self) -> "Experiment":
        shape = self.data.shape_hint()
        if shape is not None:
            self.denoiser.check_shape(shape)
            for extractor in self.spaces():
                extractor.check_shape(shape)
        return self

    def on(self, device: Literal["cpu", "cuda"]) -> "Experiment":
        """Return this experiment with its device decided, checked against what that device can do."""
        decided = self.model_copy(update={"resources": self.resources.model_copy(update={"device": device})})
        self.training.check_request(self.num_train, device, self.resources.train_workers)
        self.sampling.check_request(self.training.num_train_timesteps, device)
        check_conditioning(self.denoiser, self.training, self.sampling, self.data.num_classes_hint())
        self.check_sizes()
        self.paradigm.check_request(self.data, self.selection, self.num_generations)
        return decided

    def check_sizes(self) -> None:
        """Raise RequestError if a strategy or a metric cannot do with as many images as there will be."""
        self.selection.check_request(sum(self.paradigm.pool([self.num_train, self.num_candidates])))
        refusals = [refusal for index in range(len(self.metrics)) if (refusal := self._metric_refusal(index))]
        if refusals:
            raise RequestError("\n".join(refusals))

    def _metric_refusal(self, index: int) -> str | None:
        try:
            self.metrics[index].check_request(f"metrics[{index}]", self.num_train, self.data.resolved_num_held_out)
        except RequestError as error:
            return str(error)
        return None

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """The device, once `on` has decided it."""
        assert self.resources.device != "auto"
        return self.resources.device

    @property
    def num_candidates(self) -> int:
        """How many samples of each generation are offered to the selection: N at least, since N are measured."""
        return max(self.selection.num_candidates(self.num_train, self.paradigm.oversample), self.num_train)

    @property
    def num_train(self) -> int:
        """N."""
        return self.data.num_train

    @property
    def num_select(self) -> int:
        """How many of the N images of a train set are selected; the paradigm may put real ones beside them."""
        return self.num_train - self.paradigm.num_real(self.num_train)

    @property
    def search(self) -> Search | None:
        """The search of its sweep, if it has one."""
        return None if self.sweep is None else self.sweep.search

    @property
    def scheduler(self) -> Scheduler | None:
        """What stops trials of its sweep early, if anything does."""
        return None if self.sweep is None else self.sweep.scheduler

    def spaces(self) -> list[FeatureExtractor]:
        """Return the distinct feature spaces, the selection's first."""
        spaces: list[FeatureExtractor] = [self.features]
        for metric in self.metrics:
            if metric.features is not None and metric.features not in spaces:
                spaces.append(metric.features)
        return spaces

    def trial_identity(self) -> dict[str, Json]:
        """Return what tells one trial of an experiment from another."""
        own = self.identity()
        kept = {name: value for name, value in own.items() if name not in self.EXTENSION_FIELDS}
        results = {"device": self.resources.device, "threads": self.resources.threads}
        return {**kept, "resources": {**results, "train_workers": self.resources.train_workers}}

    def trial_key(self) -> str:
        """Return the name of the trial's folder."""
        return content_key(self.trial_identity())[:16]

    def resolved(self) -> dict[str, Any]:
        """Return the whole configuration, defaults filled in, as plain data that loads again."""
        return self.model_dump(mode="json")


def _same_space(one: FeatureExtractor, other: FeatureExtractor) -> str:
    """Say that two extractors differ and give their spaces one name."""
    ours, theirs = one.model_dump(), other.model_dump()
    differing = [field for field in ours if field in theirs and ours[field] != theirs[field]]
    told = ", ".join(f"{field} is {value_of(ours[field])} and {value_of(theirs[field])}" for field in differing)
    either = "give one of them another space_name, or " if "space_name" in {**ours, **theirs} else ""
    return f"two feature extractors call their space {one.space}, but {told}; {either}use the same settings in both"


def build(raw: dict[str, Any], source: str = "the experiment") -> Experiment:
    """Return a validated experiment.

    Raises:
        RequestError: one line for each mistake: its path, its value, what is allowed.
    """
    try:
        return Experiment.model_validate(raw)
    except ValidationError as error:
        raise RequestError(explain(error, Experiment, source)) from None


def load(path: Path, assignments: list[str] | None = None) -> Experiment:
    """Return the experiment in a YAML file with `a.b=c` assignments applied."""
    experiment = build(apply(read_raw(path), assignments or []), str(path))
    if experiment.sweep is not None:
        experiment.sweep.check_assignments(assignments or [])
    return experiment
