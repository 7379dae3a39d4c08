"""The protocol of a trial: what must be said beside its numbers so that they can be compared with somebody else's.

Nothing in it is typed in: it follows from the configuration, and from what the stages noted when they were made. Stages
that an older version of this package made noted less; what they left out is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from raycollapse.config import Experiment
from raycollapse.schema import Json
from raycollapse.seeds import integer_seed, seed_sequence
from raycollapse.store import Manifest

Section = dict[str, Json]

ENVIRONMENT_OF = ("train", "sample")
"""Stages whose machine and library versions are told: those that cost something, and whose last bits hang on them."""

EFFECTIVE = ("num_steps", "num_images", "batch_size", "world_size", "precision", "device", "scaling")
"""What a training notes of itself: optimizer steps, size of its train set, global batch, and so on."""


@dataclass(frozen=True)
class Made:
    """Manifests of the stages of one generation that its protocol is read from."""

    real: Manifest
    features: Mapping[str, Manifest]
    """By feature space: the features of the real images."""
    own: Sequence[Manifest]
    """Of the generation itself: its training, if it was trained, and its samples."""


def protocol(experiment: Experiment, made: Made, earlier: Mapping[str, Json] | None = None) -> Section:
    """Return the protocol as plain data, once a generation is complete.

    Args:
        experiment: one trial, its device decided.
        made: that generation's manifests.
        earlier: the protocol after the generation before. What it says of training stays: the first model's holds.
    """
    before = earlier or {}
    trained = next((manifest for manifest in made.own if manifest.kind == "train"), None)
    return {
        "trial": {"experiment": experiment.name, "key": experiment.trial_key()},
        "data": _data(experiment, made.real),
        "reference": _reference(experiment, made.real),
        "seeds": _seeds(experiment),
        "denoiser": before.get("denoiser") or _denoiser(experiment, trained),
        "training": before.get("training") or _training(experiment, trained),
        "sampling": _sampling(experiment, made.own, before.get("sampling")),
        "features": {space: _features(manifest) for space, manifest in made.features.items()},
        "environments": _environments(made.own, before.get("environments")),
    }


def _data(experiment: Experiment, real: Manifest) -> Section:
    return {"shape": real.facts["shape"], "num_train": real.facts["num_train"], **experiment.data.identity()}


def _reference(experiment: Experiment, real: Manifest) -> Section:
    """Return what samples are compared with, and what bounds that comparison: two runs of one permutation."""
    num_train, num_held_out = real.facts["num_train"], real.facts["num_held_out"]
    split = experiment.data.identity().get("hub_split")
    return {"set": "train", "num": num_train, "num_held_out": num_held_out, "published_split": split}


def _seeds(experiment: Experiment) -> Section:
    """Return the root, and the seed of each generation's training that follows from it."""
    generations = range(1, experiment.num_generations + 1)
    return {
        "root": experiment.seed,
        "training": [integer_seed(seed_sequence(experiment.seed, generation, "train")) for generation in generations],
    }


def _denoiser(experiment: Experiment, trained: Manifest | None) -> Section | None:
    if trained is None:
        return None
    return {**experiment.denoiser.architecture(), "num_parameters": trained.facts["num_parameters"]}


def _training(experiment: Experiment, trained: Manifest | None) -> Section | None:
    """Return the settings with what came of them: batch and world size, precision and steps are the effective ones."""
    if trained is None:
        return None
    settings: Section = experiment.training.model_dump(mode="json", exclude={"checkpoint_steps"})
    facts = trained.facts
    effective = {name: facts.get(name) for name in EFFECTIVE}
    num_seen, num_images = cast(int, facts["num_steps"]) * cast(int, facts["batch_size"]), facts.get("num_images")
    num_epochs = num_seen / cast(int, num_images) if num_images else None
    return {**settings, **effective, "num_epochs": num_epochs, **experiment.training.noise_schedule()}


def _sampling(experiment: Experiment, made: Sequence[Manifest], earlier: Json) -> Section:
    """Return the settings; and where memory was short for some shards, the batches that these were made with."""
    identity = {name: value for name, value in experiment.sampling.identity().items() if name != "code_version"}
    settings = {"guidance_scale": experiment.sampling.guidance_scale, "num_samples": experiment.num_candidates}
    before = earlier.get("smaller_batch_sizes", []) if isinstance(earlier, dict) else []
    sizes = {cast(Section, one.identity["sampling"])["batch_size"] for one in made if one.kind == "sample"}
    smaller = sorted(cast(set[int], {*cast(list[Json], before), *sizes} - {experiment.sampling.batch_size}))
    return {**identity, **settings, **({"smaller_batch_sizes": cast(Json, smaller)} if smaller else {})}


def _features(manifest: Manifest) -> Section:
    """Return the extractor as it is hashed, model and revision or weights included, and what it did to images."""
    extractor = manifest.identity["extractor"]
    assert isinstance(extractor, dict)
    return {**extractor, "dim": manifest.facts["dim"], "preparation": manifest.facts.get("preparation")}


def _environments(made: Sequence[Manifest], earlier: Json) -> list[Json]:
    """Return the distinct machines and versions that trained or sampled, those of earlier generations first."""
    found = list(earlier) if isinstance(earlier, list) else []
    for manifest in made:
        environment: Section = {
            "kind": manifest.kind,
            "hardware": manifest.hardware,
            "device_name": manifest.facts.get("device_name"),
            "versions": dict(manifest.versions),
        }
        if environment not in found:
            found.append(environment)
    return found
