"""Cleaning: what no experiment refers to goes, and nothing that is needed to report, resume or extend one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tiny import TINY, manifests, tiny

from raycollapse.cleaning.doomed import KINDS
from raycollapse.plan import stages_of
from raycollapse.runner import run_here
from raycollapse.stages.base import Stage
from raycollapse.stages.selecting import SelectStage
from raycollapse.stages.training import StageCheckpoints
from raycollapse.store import Store

from .conftest import Clean, Run

PLUGIN = """
import numpy as np
from raycollapse.features.base import FeatureExtractor

class Halves(FeatureExtractor):
    @property
    def space(self):
        return "halves"

    def extract(self, images, device="cpu"):
        return images.reshape(len(images), -1)[:, ::2].astype(np.float32)
"""


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def attempts(folder: Path) -> dict[tuple[str, str], str]:
    return {key: manifest.attempt for key, manifest in manifests(folder).items()}


def stage_folder(folder: Path, kind: str, index: int = 0) -> Path:
    return sorted((folder / "stages" / kind).iterdir())[index]


def test_what_experiments_refer_to_stays(folder: Path, do: Run, cleaned: Clean) -> None:
    do(sweep={"grid": {"selection": ["uniform", "greedy"], "paradigm": ["replace", "accumulate"]}})
    do(name="other", num_generations=3, selection={"name": "distributed_greedy", "num_shards": 2})
    do(name="fresh", data={"name": "digits", "num_train": 40, "num_fresh": 40}, paradigm="fresh")
    do(name="refined", training={**tiny(folder).training.model_dump(), "init": "previous"})
    before = everything(folder)
    assert "There is nothing to remove." in cleaned()
    assert everything(folder) == before


def test_nothing_is_changed_unless_it_is_asked_for(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    shutil.rmtree(folder / "experiments")
    before = everything(folder)
    said = cleaned(yes=False)
    assert f"Nothing was removed. To remove what is listed: raycollapse clean {folder} --yes" in said
    assert everything(folder) == before


def test_of_an_experiment_given_up_goes_what_no_other_refers_to(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    do(name="other", selection="uniform")
    all_made, size = attempts(folder), sum(map(len, everything(folder / "stages").values()))
    shutil.rmtree(folder / "experiments" / "other")
    said = cleaned()
    own = stages_of(tiny(folder))
    assert attempts(folder).keys() == own.keys() < all_made.keys()
    assert {key: all_made[key] for key in own} == attempts(folder)
    gone = [kind for kind, key in all_made if (kind, key) not in own]
    for kind in set(gone):
        assert f"{kind} │ {gone.count(kind)} │" in " ".join(said.split())
    assert f"in all │ {len(gone)} │ {(size - sum(map(len, everything(folder / 'stages').values()))) / 1000:.1f} kB" in (
        " ".join(said.split())
    )
    assert not [path for path in (folder / "stages").rglob("*") if path.is_dir() and not list(path.iterdir())]
    assert "There is nothing to remove." in cleaned()


def test_a_cleaned_experiment_is_extended_without_making_anything_anew(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    do(name="other", seed=1)
    shutil.rmtree(folder / "experiments" / "other")
    cleaned()
    before = attempts(folder)
    do(num_generations=4, metrics=["entropy", "spread", "vendi"])
    assert before.items() <= attempts(folder).items()


def test_generations_beyond_what_the_last_run_asked_for_stay(folder: Path, do: Run, cleaned: Clean) -> None:
    do(num_generations=3)
    before = attempts(folder)
    do(num_generations=1)
    cleaned()
    assert attempts(folder) == before


def test_metrics_that_the_last_run_left_out_stay_with_their_features(
    folder: Path, do: Run, cleaned: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cleaning_plugin.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    both = ["spread", {"name": "spread", "features": "cleaning_plugin:Halves"}]
    do(metrics=both)
    do(name="other", seed=1, metrics=both)
    shutil.rmtree(folder / "experiments" / "other")
    do(metrics=["spread"])
    cleaned()
    assert attempts(folder).keys() == stages_of(tiny(folder, metrics=both)).keys()


def test_stages_recorded_under_an_earlier_code_version_stay(
    folder: Path, do: Run, cleaned: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(num_generations=3)
    before = attempts(folder)
    monkeypatch.setattr(SelectStage, "code_version", 2)
    cleaned()
    lost = {kind for kind, _ in before.keys() - attempts(folder).keys()}
    assert lost <= {"features"}  # of images that no run of this version can make again


# What a killed run leaves


class AbortError(Exception):
    """The machine goes away."""


def test_attempts_that_came_to_nothing_go_and_the_checkpoint_to_resume_from_stays(
    folder: Path, do: Run, cleaned: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**TINY["training"], "checkpoint_steps": 2}
    do(num_generations=1, training=training)
    save = StageCheckpoints.save

    def save_and_abort(self: StageCheckpoints, step: int, write: Callable[[Path], None]) -> None:
        save(self, step, write)
        raise AbortError

    with monkeypatch.context() as patched:
        patched.setattr(StageCheckpoints, "save", save_and_abort)
        run_here(tiny(folder, training=training), Console(quiet=True))
    do(num_generations=1, training=training)  # which has no use for the model of generation 2
    (key,) = [path.name for path in (folder / "stages/checkpoint").iterdir()]
    (folder / "stages/train" / key / "killed").mkdir(parents=True)
    (folder / "stages/train" / key / "killed" / "loss.json").write_bytes(b"[")
    (folder / "stages/train" / key / ".manifest.json.0123").write_bytes(b"{")
    (folder / "stages/train" / key / "empty").mkdir()
    before = attempts(folder)
    assert "abandoned attempts │ 3 │" in " ".join(cleaned().split())
    assert not (folder / "stages/train" / key).exists()
    assert attempts(folder) == before
    latest = StageCheckpoints(Store(str(folder)), key).latest()
    assert latest is not None and latest[0] == 2
    do(training=training)
    assert "There is nothing to remove." in cleaned()


def test_an_attempt_beside_a_finished_stage_goes_and_so_do_checkpoints_of_a_finished_model(
    folder: Path, do: Run, cleaned: Clean
) -> None:
    do()
    before = everything(folder)
    (stage_folder(folder, "sample") / "lost").mkdir()
    (stage_folder(folder, "sample") / "lost" / "images.parquet").write_bytes(b"half")
    key = stage_folder(folder, "train").name
    StageCheckpoints(Store(str(folder)), key).save(2, lambda into: (into / "state").write_bytes(b"x") and None)
    assert "abandoned attempts │ 2 │" in " ".join(cleaned().split())
    assert everything(folder) == before


def test_checkpoints_of_a_model_that_nobody_needs_go(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    before = everything(folder)
    StageCheckpoints(Store(str(folder)), "0" * 64).save(2, lambda into: (into / "s").write_bytes(b"x") and None)
    assert "checkpoint │ 1 │" in " ".join(cleaned().split())
    assert everything(folder) == before
    assert not (folder / "stages/checkpoint" / ("0" * 64)).exists()


def test_what_was_set_aside_as_damaged_goes(folder: Path, do: Run, cleaned: Clean) -> None:
    do()
    (image,) = stage_folder(folder, "sample").glob("*/images.parquet")
    image.write_bytes(b"short")
    assert Store(str(folder)).find("sample", image.parents[1].name) is None
    do()
    assert "set aside as damaged │ 1 │" in " ".join(cleaned().split())
    assert attempts(folder).keys() == stages_of(tiny(folder)).keys()
    assert not list((folder / "stages/sample").glob("*.damaged-*"))


# What this version does not know


def test_stages_of_another_format_or_of_an_unknown_kind_are_left_and_told(
    folder: Path, do: Run, cleaned: Clean
) -> None:
    do()
    for path in ("stages/train/" + "0" * 64, "stages/distil/" + "1" * 64):
        (folder / path / "attempt").mkdir(parents=True)
        (folder / path / "attempt" / "weights").write_bytes(b"w")
        (folder / path / "manifest.json").write_text('{"format": 0}')
    before = everything(folder)
    said = cleaned()
    assert "Left as they are, since another version of raycollapse laid them out: 1 distil, 1 train." in said
    assert everything(folder) == before


def test_every_kind_of_stage_is_known() -> None:
    def below(cls: type[Stage]) -> set[type[Stage]]:
        return {cls, *(deeper for sub in cls.__subclasses__() for deeper in below(sub))}

    ours = {cls.kind for cls in below(Stage) - {Stage} if cls.__module__.startswith("raycollapse.")}
    assert ours | {"checkpoint"} == KINDS
