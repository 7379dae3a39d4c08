"""What a configuration of the `huggingface` extractor may say, and what identifies its features."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from raycollapse.features import HuggingFace

SaveModel = Callable[[str], Path]


def test_the_default_is_dinov2_small_at_a_fixed_commit_under_its_short_name() -> None:
    extractor = HuggingFace()
    identity = extractor.identity()
    assert (extractor.model, extractor.pooling, extractor.normalise) == ("facebook/dinov2-small", "cls", False)
    assert (extractor.space, identity["space"]) == ("dinov2", "dinov2")
    assert identity["revision"] == "ed25f3a31f01632728cabb09d1542f84ab7b0056"


def test_writing_the_defaults_out_changes_no_identity() -> None:
    written = HuggingFace(
        model="facebook/dinov2-small", revision="ed25f3a31f01632728cabb09d1542f84ab7b0056", space_name="dinov2"
    )
    assert written.identity() == HuggingFace().identity()


@pytest.mark.parametrize(
    ("model", "space"),
    [
        ("openai/clip-vit-base-patch32", "clip_vit_base_patch32"),
        ("facebook/dinov3-vits16-pretrain-lvd1689m", "dinov3_vits16_pretrain_lvd1689m"),
        ("google/ViT.base--x", "vit_base_x"),
    ],
)
def test_another_models_space_is_its_name_without_the_owner(model: str, space: str) -> None:
    assert HuggingFace(model=model, revision="main").space == space


def test_a_space_can_be_named_and_a_name_must_fit_into_a_metrics() -> None:
    assert HuggingFace(model="openai/clip-vit-base-patch32", revision="main", space_name="clip").space == "clip"
    with pytest.raises(ValidationError, match="space_name"):
        HuggingFace(space_name="CLIP/32")


def test_a_model_of_the_hub_needs_a_revision() -> None:
    with pytest.raises(ValidationError, match=r"revision is missing: openai/clip-vit-base-patch32 .* give a commit"):
        HuggingFace(model="openai/clip-vit-base-patch32")


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="revision is main, but model is a local folder"):
        HuggingFace(model=str(tmp_path), revision="main")


@pytest.mark.parametrize("model", ["/not/there", "./not/there", "~/not/there"])
def test_a_folder_that_is_not_there_is_refused(model: str) -> None:
    with pytest.raises(ValidationError, match="there is no folder /"):
        HuggingFace(model=model)


@pytest.mark.parametrize("model", ["a b", "a/b/c", "", "owner/"])
def test_a_name_that_the_hub_cannot_have_is_refused(model: str) -> None:
    with pytest.raises(ValidationError, match="model"):
        HuggingFace(model=model, revision="main")


def test_a_folder_is_known_by_its_content_and_not_by_its_place(save_model: SaveModel, tmp_path: Path) -> None:
    folder = save_model("dinov2")
    shutil.copytree(folder, tmp_path / "dinov2")
    original, copy = HuggingFace(model=str(folder)), HuggingFace(model=str(tmp_path / "dinov2"))
    assert copy.identity() == original.identity()
    assert str(tmp_path) not in str(copy.identity())
    (tmp_path / "dinov2" / "README.md").write_text("notes")
    assert copy.identity() == original.identity()
    settings = tmp_path / "dinov2" / "preprocessor_config.json"
    settings.write_text(settings.read_text() + " ")
    assert copy.identity() != original.identity()


def test_a_relative_folder_is_resolved_at_once(
    save_model: SaveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(save_model("dinov2"), tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert HuggingFace(model="mine").model == str((tmp_path / "mine").resolve())


@pytest.mark.parametrize("change", [{"pooling": "mean"}, {"normalise": True}, {"batch_size": 1}, {"revision": "main"}])
def test_whatever_changes_the_features_changes_the_identity(change: dict[str, object]) -> None:
    assert HuggingFace.model_validate(change).identity() != HuggingFace().identity()
