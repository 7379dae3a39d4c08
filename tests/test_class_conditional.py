"""Class-conditional trials: samples have labels, labels follow selection, and what cannot be is refused beforehand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tiny import TINY, manifests, run, tiny

from raycollapse.config import Experiment
from raycollapse.data.shards import read_shard
from raycollapse.errors import RequestError
from raycollapse.plan import stages_of
from raycollapse.runner import run_here
from raycollapse.stages.base import Stage
from raycollapse.stages.picturing import PictureStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.selecting import SelectStage
from raycollapse.stages.training import TrainStage
from raycollapse.store import Store

CONDITIONAL: dict[str, Any] = {
    "denoiser": {**TINY["denoiser"], "num_classes": 10},
    "training": {**TINY["training"], "label_dropout": 0.2},
    "sampling": {**TINY["sampling"], "guidance_scale": 2.0},
}


def conditional(folder: Path, **changes: Any) -> Experiment:
    return tiny(folder, **{**CONDITIONAL, **changes})


def stages(experiment: Experiment, kind: type[Stage]) -> list[Any]:
    return [stage for stage in stages_of(experiment).values() if isinstance(stage, kind)]


@pytest.mark.parametrize("paradigm", ["replace", "accumulate"])
def test_the_next_generation_trains_on_the_samples_with_their_own_labels(paradigm: str, tmp_path: Path) -> None:
    experiment = conditional(tmp_path, paradigm=paradigm)
    records, store = run(experiment), Store(str(tmp_path))
    assert [record.generation for record in records] == [1, 2]
    (select,) = stages(experiment, SelectStage)
    pool = [source.load(store) for source in select.sources]
    images, labels = (np.concatenate([getattr(part, name) for part in pool]) for name in ("images", "labels"))
    train_set = stages(experiment, TrainStage)[1].train_set
    picks = train_set.picks(store)
    loaded = train_set.load(store)
    np.testing.assert_array_equal(loaded.images, images[picks])
    np.testing.assert_array_equal(loaded.labels, labels[picks])


def test_a_shard_of_samples_has_the_classes_of_its_models_train_set(tmp_path: Path) -> None:
    experiment = conditional(tmp_path)
    run(experiment)
    store = Store(str(tmp_path))
    trains = {stage.key: stage for stage in stages(experiment, TrainStage)}
    shards = stages(experiment, SampleStage)
    assert {stage.generation for stage in shards} == {1, 2}
    for stage in shards:
        real = np.bincount(trains[stage.snapshot].train_set.load(store).labels, minlength=10)
        found = np.bincount(read_shard(stage.shard().path(store)).labels, minlength=10)
        assert (np.abs(found - 16 * real / 40) < 1).all()


def test_without_a_conditional_network_samples_have_no_labels(tmp_path: Path) -> None:
    run(tiny(tmp_path, num_generations=1))
    for stage in stages(tiny(tmp_path, num_generations=1), SampleStage):
        assert read_shard(stage.shard().path(Store(str(tmp_path)))).labels is None


def test_the_grid_shows_the_samples_by_class(tmp_path: Path) -> None:
    experiment = conditional(tmp_path, num_generations=1)
    run(experiment)
    store = Store(str(tmp_path))
    (picture,) = stages(experiment, PictureStage)
    loaded = picture.synthetic.load(store)
    (folder,) = tmp_path.glob(f"stages/picture/{picture.key}/*/samples.png")
    grid = np.asarray(Image.open(folder))[::4, ::4]  # enlarged fourfold; cells of 8 pixels, gaps of 1
    cells = [grid[1 + 9 * (i // 7) :, 1 + 9 * (i % 7) :][:8, :8] for i in range(40)]
    by_class = loaded.images[np.argsort(loaded.labels, kind="stable")][..., 0]
    np.testing.assert_array_equal(np.stack(cells), by_class)


def test_labels_and_guidance_decide_the_samples_and_a_run_repeats_them(tmp_path: Path) -> None:
    def shards(name: str, **changes: Any) -> list[str]:
        run(conditional(tmp_path / name, num_generations=1, **changes))
        return sorted(
            m.files["images.parquet"].sha256 for m in manifests(tmp_path / name).values() if m.kind == "sample"
        )

    first = shards("first")
    assert shards("again") == first
    assert shards("plain", sampling={**TINY["sampling"], "guidance_scale": 1.0}) != first


@pytest.mark.parametrize("path", ["denoiser.num_classes", "training.label_dropout", "sampling.guidance_scale"])
def test_each_setting_is_in_the_keys_from_where_it_acts(path: str) -> None:
    part, field = path.split(".")
    acts = {"num_classes": "train", "label_dropout": "train", "guidance_scale": "sample"}[field]
    other: dict[str, Any] = {"num_classes": 11, "label_dropout": 0.3, "guidance_scale": 3.0}
    base = conditional(Path("/nowhere"))
    changed = conditional(Path("/nowhere"), **{part: {**CONDITIONAL[part], field: other[field]}})
    kinds = ["real", "train", "sample", "select"]
    before, after = ({(s.kind, s.key) for s in stages_of(e).values()} for e in (base, changed))
    assert base.trial_key() != changed.trial_key()
    for kind in kinds:
        same = {key for k, key in before if k == kind} & {key for k, key in after if k == kind}
        # At generation 1 what comes before the setting acts is the same stage.
        assert bool(same) == (kinds.index(kind) < kinds.index(acts)), kind


def test_the_keys_of_unconditional_trials_are_those_of_before_there_were_classes() -> None:
    """Of the code of 2026-11-24; a raised code version of one of these stages changes them knowingly."""
    experiment = tiny(Path("/nowhere")).on("cpu")
    first: dict[str, str] = {}
    for kind, key in stages_of(experiment):
        first.setdefault(kind, key[:16])
    assert experiment.trial_key() == "95b52a4b3749921b"
    assert {kind: first[kind] for kind in ("real", "train", "sample", "select")} == {
        "real": "7fef79412ea5833b",
        "train": "d72d2dcff9929fd2",
        "sample": "324bf4538bede33b",
        "select": "8964b47da46894fd",
    }
    unet = tiny(Path("/nowhere"), denoiser={"name": "unet", "channels": [8, 16], "norm_num_groups": 4}).on("cpu")
    assert stages(unet, TrainStage)[0].key.startswith("7773b8d27705f8cc")


def folder_of_images(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    for index in range(3):
        Image.fromarray(np.full((8, 8), index, np.uint8)).save(folder / f"{index}.png")
    return {"name": "files", "path": str(folder), "num_train": 2, "num_held_out": 1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"denoiser": {**TINY["denoiser"], "num_classes": 9}}, "num_classes is 9, but the data have 10 class(es)"),
        ({"denoiser": TINY["denoiser"]}, "label_dropout is 0.2, but the denoiser is not class-conditional"),
        ({"denoiser": TINY["denoiser"], "training": TINY["training"]}, "guidance_scale is 2, but the denoiser is not"),
        ({"training": TINY["training"]}, "guidance_scale is 2, but training.label_dropout is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_there_is_anything_in_the_storage(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as error:
        run_here(conditional(tmp_path / "results", **changes), Console(quiet=True))
    assert words in str(error.value)
    assert not (tmp_path / "results").exists()


def test_a_folder_of_images_has_no_labels_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="num_classes is 10, but the data have no labels"):
        run_here(conditional(tmp_path / "results", data=folder_of_images(tmp_path / "images")), Console(quiet=True))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("labels", "words"), [(None, "the data have no labels"), ([0, 1, 10], "have the label 10; .* Set it to 11")]
)
def test_what_only_the_file_can_tell_is_refused_before_a_model_is_trained(
    labels: list[int] | None, words: str, tmp_path: Path
) -> None:
    images = np.zeros((3, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", images=images, **({} if labels is None else {"labels": np.array(labels)}))
    data = {"name": "files", "path": str(tmp_path / "data.npz"), "num_train": 2, "num_held_out": 1}
    # In a sweep every trial is checked, not only the first that uses the data.
    sweep = {"grid": {"denoiser.num_classes": [10, 12] if labels else [10], "seed": [0]}}
    with pytest.raises(RequestError, match=words):
        run_here(conditional(tmp_path / "results", data=data, sweep=sweep), Console(quiet=True))
    assert {manifest.kind for manifest in manifests(tmp_path / "results").values()} == {"real"}


@pytest.mark.parametrize("field", ["label_dropout", "guidance_scale", "num_classes"])
def test_values_out_of_range_are_refused(field: str, tmp_path: Path) -> None:
    part, value = {
        "label_dropout": ("training", 1.0),
        "guidance_scale": ("sampling", 0.0),
        "num_classes": ("denoiser", 0),
    }[field]
    with pytest.raises(RequestError, match=rf"{part}\.{field} is {value}; it must"):
        conditional(tmp_path, **{part: {**CONDITIONAL[part], field: value}})
