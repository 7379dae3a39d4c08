"""The protocol of a trial: every number that another's must share before the two can be compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from tiny import manifests, run, tiny

from raycollapse.diffusion import MlpDenoiser, UNetDenoiser
from raycollapse.features import Inception, InceptionTorchvision, Pixels
from raycollapse.protocol import Made, protocol
from raycollapse.report import write_report
from raycollapse.runner import run_here
from raycollapse.seeds import integer_seed, seed_sequence
from raycollapse.store import Manifest, Store
from raycollapse.tracking import TrialRecords
from raycollapse.tracking.projection import protocol_tags

UNET = {"name": "unet", "channels": [16, 32], "attention_levels": [2], "layers_per_block": 1}


def protocol_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """Run a trial and return what it noted."""
    experiment = tiny(folder, **changes).on("cpu")
    run(experiment)
    found = TrialRecords(Store(experiment.storage), experiment.name, experiment.trial_key()).read_protocol()
    assert found is not None
    return found


def test_it_says_what_was_trained_on_what_with_which_settings(tmp_path: Path) -> None:
    training = {"num_epochs": 3, "warmup_steps": 1, "batch_size": 16, "precision": "bf16", "ema": 0.9}
    found = protocol_of(tmp_path, training=training, seed=5, num_generations=1)
    assert found["data"]["shape"] == [8, 8, 1] and found["data"]["num_train"] == 40
    assert found["reference"] == {"set": "train", "num": 40, "num_held_out": 24, "published_split": None}
    told = {name: found["training"][name] for name in ("num_steps", "num_epochs", "batch_size", "world_size")}
    assert told == {"num_steps": 8, "num_epochs": 8 * 16 / 40, "batch_size": 16, "world_size": 1}  # 7.5 steps, rounded
    assert found["training"]["precision"] == "bf16" and found["training"]["beta_schedule"] == "linear"
    assert found["training"]["scaling"] == {"from": [0, 255], "to": [-1.0, 1.0]}
    assert found["seeds"] == {"root": 5, "training": [integer_seed(seed_sequence(5, 1, "train"))]}
    assert found["sampling"]["scheduler"] == "ddim" and found["sampling"]["num_steps"] == 2
    assert found["features"]["pixels"]["dim"] == 64
    assert found["trial"]["experiment"] == "tiny"


def test_vectors_are_said_to_be_standardised(tmp_path: Path) -> None:
    data = {"name": "gaussians", "num_train": 40, "num_held_out": 24}
    found = protocol_of(tmp_path, data=data, features="identity", num_generations=1)
    assert found["training"]["scaling"] == {"mean": 0.0, "standard_deviation": 1.0}
    assert found["data"]["shape"] == [2]


def test_a_width_of_the_paper_is_spelled_out() -> None:
    told = UNetDenoiser(width="unet48").architecture()
    assert told["channels"] == [48, 48, 96, 96, 192, 192] and told["attention_levels"] == [5]
    assert told["layers_per_block"] == 2 and told["norm_num_groups"] == 16
    assert told["down_block_types"] == [*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"]
    own = UNetDenoiser.model_validate(UNET).architecture()
    assert (own["channels"], own["attention_levels"], own["layers_per_block"]) == ([16, 32], [2], 1)
    assert MlpDenoiser(width=32).architecture()["width"] == 32


def test_the_machine_and_the_versions_are_those_of_the_stages(tmp_path: Path) -> None:
    found = protocol_of(tmp_path)
    made = next(m for m in manifests(tmp_path).values() if m.kind == "train")
    assert [environment["kind"] for environment in found["environments"]] == ["train", "sample"]  # once for all shards
    assert found["environments"][0]["hardware"] == made.hardware
    assert found["environments"][0]["versions"] == made.versions
    assert found["denoiser"]["num_parameters"] == made.facts["num_parameters"]


def test_a_generation_made_on_another_machine_is_noted_once(tmp_path: Path) -> None:
    experiment = tiny(tmp_path).on("cpu")
    run(experiment)
    by_kind: dict[str, Manifest] = {m.kind: m for m in manifests(tmp_path).values()}
    elsewhere = by_kind["train"].model_copy(update={"hardware": {"host": "another"}})
    first, second = (
        Made(by_kind["real"], {"pixels": by_kind["features"]}, [train]) for train in (by_kind["train"], elsewhere)
    )
    one = protocol(experiment, first)
    two = protocol(experiment, second, one)
    assert one["environments"] == two["environments"][:1]  # type: ignore[index]
    assert two["environments"][1]["hardware"] == {"host": "another"}  # type: ignore[index,call-overload]
    assert protocol(experiment, second, two) == two
    assert {name for name in one if one[name] != two[name]} == {"environments"}


def test_a_trial_that_starts_from_images_tells_of_training_once_there_is_some(tmp_path: Path) -> None:
    np.savez(tmp_path / "given.npz", images=np.random.default_rng(0).integers(0, 17, (80, 8, 8, 1), dtype=np.uint8))
    given = {"images": str(tmp_path / "given.npz")}
    assert protocol_of(tmp_path / "a", start=given, num_generations=1)["training"] is None
    found = protocol_of(tmp_path / "b", start=given, num_generations=2)
    assert found["training"]["num_steps"] == 4 and found["denoiser"]["num_parameters"] > 0


def test_what_an_older_version_did_not_note_is_null(tmp_path: Path) -> None:
    experiment = tiny(tmp_path).on("cpu")
    run(experiment)
    by_kind: dict[str, Manifest] = {m.kind: m for m in manifests(tmp_path).values()}
    facts = {name: v for name, v in by_kind["train"].facts.items() if name not in ("scaling", "num_images")}
    old = by_kind["train"].model_copy(update={"facts": facts})
    training: Any = protocol(experiment, Made(by_kind["real"], {}, [old]))["training"]
    assert training["scaling"] is training["num_epochs"] is None and training["num_steps"] == 4


def test_running_again_writes_the_same(tmp_path: Path) -> None:
    assert protocol_of(tmp_path) == protocol_of(tmp_path)


def test_extractors_say_how_they_resize() -> None:
    assert Inception().preparation()["resize"] == [299, 299]
    assert Inception().preparation() != InceptionTorchvision().preparation()
    assert Pixels().preparation() == {}


def test_a_report_holds_the_protocol_of_every_trial_and_tags_have_it_by_path(tmp_path: Path) -> None:
    sweep = {"grid": {"selection": ["uniform", "greedy"]}}
    result = run_here(tiny(tmp_path / "r", sweep=sweep), Console(quiet=True))
    report = write_report(result.store, ["tiny"], tmp_path / "out")
    written = json.loads((tmp_path / "out" / "protocol.json").read_text())
    assert [trial["label"] for trial in written] == list(dict.fromkeys(report.values["label"]))
    for trial in written:
        own = TrialRecords(result.store, "tiny", trial["trial_key"]).read_protocol()
        assert trial["protocol"] == own and own is not None
    tags = protocol_tags(written[0]["protocol"])
    assert tags["protocol.training.world_size"] == "1" and tags["protocol.data.shape"] == "[8, 8, 1]"
    assert "torch" in tags["protocol.environments"]
