"""Class labels in training and sampling: what is told, what is withheld, what is drawn, and that it is learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raycollapse.diffusion import Denoiser, MlpDenoiser, UNetDenoiser
from raycollapse.diffusion.checkpoints import NoCheckpoints
from raycollapse.diffusion.conditioning import check_conditioning, check_labels
from raycollapse.diffusion.labels import TrainLabels, draw_labels, drawn_labels
from raycollapse.diffusion.sampler import sample
from raycollapse.diffusion.sampling import Sampling
from raycollapse.diffusion.snapshot import save_snapshot
from raycollapse.diffusion.trainer import train
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
CONDITIONAL = MlpDenoiser(width=16, num_blocks=1, num_classes=3)


def training(**fields: object) -> Training:
    return Training.model_validate({"num_steps": 3, "warmup_steps": 0, "batch_size": 4, **fields})


def test_the_share_of_labels_withheld_is_the_dropout_and_the_others_are_told_as_they_are() -> None:
    labels = np.arange(5000) % 4
    classes = TrainLabels(labels, num_classes=4, dropout=0.2)
    told = torch.cat([classes.of_step(np.arange(5000), seed=0, step=step) for step in range(4)]).numpy()
    withheld = told == 4
    assert abs(withheld.mean() - 0.2) < 4 * (0.2 * 0.8 / 20_000) ** 0.5
    assert np.array_equal(told[~withheld], np.tile(labels, 4)[~withheld])
    per_class = [withheld[np.tile(labels, 4) == label].mean() for label in range(4)]
    assert np.abs(np.array(per_class) - 0.2).max() < 4 * (0.2 * 0.8 / 5000) ** 0.5


def test_without_dropout_every_label_is_told() -> None:
    classes = TrainLabels(np.array([2, 0, 1]), num_classes=3, dropout=0.0)
    assert classes.of_step(np.array([2, 2, 0]), seed=0, step=0).tolist() == [1, 1, 2]


def test_which_labels_are_withheld_depends_on_seed_and_step_alone() -> None:
    classes = TrainLabels(np.zeros(64, np.int64), num_classes=1, dropout=0.5)
    told = [tuple(classes.of_step(np.arange(64), seed, step).tolist()) for seed, step in ((0, 0), (0, 1), (1, 0))]
    torch.rand(3)
    assert tuple(classes.of_step(np.arange(64), 0, 0).tolist()) == told[0]
    assert len(set(told)) == 3


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.integers(1, 80), st.integers(0, 10**6))
def test_a_shard_has_of_each_class_its_share_rounded_up_or_down(counts: list[int], num: int, seed: int) -> None:
    found = np.bincount(drawn_labels(np.array(counts), num, seed), minlength=len(counts))
    share = num * np.array(counts) / sum(counts)
    assert len(found) == len(counts) and found.sum() == num
    assert (np.abs(found - share) < 1).all()


def test_over_many_shards_each_class_has_its_share_and_every_place_in_the_shard() -> None:
    counts, num_shards = np.array([1, 0, 5, 14]), 4000
    drawn = np.stack([drawn_labels(counts, 7, seed) for seed in range(num_shards)])  # (num_shards, 7)
    for place in range(7):
        shares = np.bincount(drawn[:, place], minlength=4) / num_shards
        assert np.abs(shares - counts / 20).max() < 4 * 0.5 / num_shards**0.5


def test_samples_are_of_the_classes_of_the_train_set(tmp_path: Path) -> None:
    labels = np.array([0, 0, 0, 0, 2, 2])
    save_snapshot(train(IMAGES, CONDITIONAL, training(), 0, NoCheckpoints(), "cpu", labels), tmp_path)
    drawn = draw_labels(tmp_path, 30, seed=5)
    assert drawn is not None and np.bincount(drawn).tolist() == [20, 0, 10]
    again, other = draw_labels(tmp_path, 30, seed=5), draw_labels(tmp_path, 30, seed=6)
    assert np.array_equal(drawn, again) and not np.array_equal(drawn, other)


def test_an_unconditional_snapshot_draws_no_labels(tmp_path: Path) -> None:
    plain = MlpDenoiser(width=16, num_blocks=1)
    save_snapshot(train(IMAGES, plain, training(), 0, NoCheckpoints(), "cpu", np.zeros(6, np.int64)), tmp_path)
    assert draw_labels(tmp_path, 30, seed=5) is None


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_class_of_a_sample_is_the_class_asked_for(dropout: float, tmp_path: Path) -> None:
    """Three Gaussians on a ring; guidance at w = 1 must not lose any, and the classes have unequal shares."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 2000, p=[0.2, 0.3, 0.5])
    angles = 2 * np.pi * np.arange(3) / 3
    centres = 3.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vectors = (centres[labels] + rng.normal(0.0, 0.4, (2000, 2))).astype(np.float32)
    denoiser = MlpDenoiser(width=64, num_blocks=2, num_classes=3)
    settings = training(num_steps=400, warmup_steps=40, batch_size=256, learning_rate=3e-3, label_dropout=dropout)
    save_snapshot(train(vectors, denoiser, settings, 0, NoCheckpoints(), "cpu", labels), tmp_path)

    asked = np.arange(600) % 3
    samples = sample(tmp_path, Sampling(scheduler="dpmsolver++", num_steps=25), 600, 0, "cpu", asked)
    nearest = np.linalg.norm(samples[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == asked).mean() > 0.98
    for label in range(3):
        assert samples[asked == label].mean(0).tolist() == pytest.approx(centres[label].tolist(), abs=0.15)
        assert samples[asked == label].std(0).tolist() == pytest.approx([0.4, 0.4], abs=0.1)


def test_a_network_that_is_told_the_class_starts_with_the_weights_of_one_that_is_not() -> None:
    plain, told = (
        train(IMAGES, MlpDenoiser(width=16, num_blocks=1, num_classes=number), training(learning_rate=1e-30), 0,
              NoCheckpoints(), "cpu", np.zeros(6, np.int64)).weights
        for number in (None, 2)
    )  # fmt: skip
    assert set(told) - set(plain) == {"class_embedding.weight"}
    assert told["class_embedding.weight"].shape == (3, 16)
    assert all(torch.allclose(told[name], value, atol=1e-12) for name, value in plain.items())


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "num_classes is 3, but the data have no labels. Leave num_classes out"),
        (np.array([0, 1, 2, 3]), "have the label 3; labels must lie between 0 and 2. Set it to 4"),
        (np.array([-1, 1]), "have the label -1; labels must lie between 0 and 2. Number the classes from 0"),
    ],
)
def test_labels_that_do_not_fit_the_number_of_classes_are_refused(labels: np.ndarray | None, words: str) -> None:
    with pytest.raises(RequestError) as error:
        check_labels(labels, 3)
    assert words in str(error.value)


def test_training_wants_a_label_for_every_image() -> None:
    with pytest.raises(RequestError, match="there are 5 labels for 6 images"):
        train(IMAGES, CONDITIONAL, training(), 0, NoCheckpoints(), "cpu", np.zeros(5, np.int64))


UNCONDITIONAL = UNetDenoiser(width="unet32")


@pytest.mark.parametrize(
    ("denoiser", "dropout", "scale", "num_known", "words"),
    [
        (CONDITIONAL, 0.1, 2.0, 0, "num_classes is 3, but the data have no labels"),
        (CONDITIONAL, 0.1, 2.0, 10, "num_classes is 3, but the data have 10 class(es). Set it to 10"),
        (CONDITIONAL, 0.0, 2.0, 3, "guidance_scale is 2, but training.label_dropout is 0"),
        (CONDITIONAL, 0.0, 0.5, None, "Set label_dropout to 0.1, or guidance_scale to 1"),
        (UNCONDITIONAL, 0.0, 2.0, 3, "guidance_scale is 2, but the denoiser is not class-conditional"),
        (UNCONDITIONAL, 0.1, 1.0, 3, "label_dropout is 0.1, but the denoiser is not class-conditional"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_to_do(
    denoiser: Denoiser, dropout: float, scale: float, num_known: int | None, words: str
) -> None:
    with pytest.raises(RequestError) as error:
        check_conditioning(denoiser, training(label_dropout=dropout), Sampling(guidance_scale=scale), num_known)
    assert words in str(error.value)


@pytest.mark.parametrize("num_known", [3, None])
@pytest.mark.parametrize(("dropout", "scale"), [(0.0, 1.0), (0.1, 1.0), (0.1, 3.0)])
def test_settings_that_go_together_are_accepted(dropout: float, scale: float, num_known: int | None) -> None:
    check_conditioning(CONDITIONAL, training(label_dropout=dropout), Sampling(guidance_scale=scale), num_known)
