"""What is to go, and what is left because this version does not know it."""

from dataclasses import dataclass

from pydantic import ValidationError

from raycollapse.cleaning.references import References
from raycollapse.cleaning.stored import CHECKPOINT, MANIFEST, Stored
from raycollapse.stages.features import FeaturesStage
from raycollapse.stages.given import GivenStage
from raycollapse.stages.measuring import MeasureStage
from raycollapse.stages.picturing import PictureStage
from raycollapse.stages.real import FreshStage, RealStage
from raycollapse.stages.sampling import HalvingStage, SampleStage
from raycollapse.stages.selecting import SelectStage
from raycollapse.stages.shortlisting import ShortlistStage
from raycollapse.stages.training import TrainStage
from raycollapse.store import Manifest, Store

STAGES = (
    RealStage, FreshStage, GivenStage, FeaturesStage, TrainStage, SampleStage, SelectStage, ShortlistStage,
    MeasureStage, PictureStage, HalvingStage,
)  # fmt: skip
KINDS = frozenset({*(stage.kind for stage in STAGES), CHECKPOINT})

ATTEMPTS = "abandoned attempts"
SET_ASIDE = "set aside as damaged"


@dataclass(frozen=True)
class Doomed:
    """A stage that is to go, or what attempts that came to nothing have left in one."""

    stage: Stored
    what: str
    """The kind of a whole stage, `ATTEMPTS` or `SET_ASIDE`."""
    names: tuple[str, ...]
    """What goes of it, the manifest aside."""
    manifest: bytes | None = None
    """The manifest that goes with it; none: there is none, or it stays."""
    is_referred_to: bool = False
    """Whether an experiment refers to the stage; then what goes is what no run has in hand."""

    @property
    def size(self) -> int:
        """How many bytes go."""
        return sum(self.stage.parts[name] for name in self.names) + len(self.manifest or b"")

    def is_needed(self, references: References) -> bool:
        """Whether it has to stay after all, as far as is known now."""
        if self.what == SET_ASIDE:
            return False
        return self.stage.subject in (references.in_hand if self.is_referred_to else references.kept)


@dataclass(frozen=True)
class Survey:
    """What a storage holds, judged."""

    doomed: list[Doomed]
    unknown: list[Stored]
    """Stages whose manifest or kind this version cannot read: they are left."""
    kept: list[Stored]
    """Finished stages that are referred to."""

    @property
    def kept_size(self) -> int:
        """How many bytes are left in the stages kept."""
        kept = {stage.path for stage in self.kept}
        going = sum(one.size for one in self.doomed if one.stage.path in kept)
        return sum(sum(stage.parts.values()) for stage in self.kept) - going


def survey(store: Store, known: list[Stored], references: References) -> Survey:
    """Judge everything that is stored."""
    doomed: list[Doomed] = []
    unknown: list[Stored] = []
    kept: list[Stored] = []
    finished = {stage.subject for stage in known if MANIFEST in stage.parts and stage.kind == "train"}
    for stage in known:
        found = _judged(store, stage, references, finished)
        if found is None:
            unknown.append(stage)
        else:
            doomed += [found] if found.names or found.manifest is not None else []
            is_kept = MANIFEST in stage.parts and found.manifest is None and found.what != SET_ASIDE
            kept += [stage] if is_kept else []
    return Survey(doomed, unknown, kept)


def _judged(store: Store, stage: Stored, references: References, finished: set[tuple[str, str]]) -> Doomed | None:
    """Return what is to go of a stage, perhaps nothing; none if this version does not know what it is."""
    if stage.shown_kind not in KINDS:
        return None
    if stage.is_set_aside:
        return Doomed(stage, SET_ASIDE, tuple(stage.parts))
    is_referred_to = stage.subject in references.kept
    is_left_over = stage.shown_kind == CHECKPOINT and stage.subject in finished
    if is_referred_to and (stage.subject in references.in_hand or _is_tidy(stage)) and not is_left_over:
        return Doomed(stage, ATTEMPTS, ())
    raw = stage.manifest(store)
    if raw is None:
        going = () if stage.subject in references.in_hand else stage.attempts
        return Doomed(stage, ATTEMPTS, going, is_referred_to=is_referred_to)
    attempt = named_attempt(raw)
    if attempt is None:
        return None
    if not is_referred_to:
        return Doomed(stage, stage.shown_kind, stage.attempts, raw)
    if is_left_over:  # a run was killed between the commit of its model and the removal of its checkpoints
        in_hand = stage.subject in references.in_hand
        return Doomed(stage, ATTEMPTS, () if in_hand else stage.attempts, None if in_hand else raw, True)
    return Doomed(stage, ATTEMPTS, tuple(name for name in stage.attempts if name != attempt), is_referred_to=True)


def _is_tidy(stage: Stored) -> bool:
    """Whether there is no more than a finished stage has, so that its manifest need not be opened."""
    return MANIFEST in stage.parts and len(stage.parts) <= 2


def named_attempt(manifest: bytes) -> str | None:
    """Return the folder that a manifest names; none if it is not a manifest of this version's format."""
    try:
        return Manifest.model_validate_json(manifest).attempt
    except ValidationError:
        return None
