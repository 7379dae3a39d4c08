"""Snapshots: what is written is what is sampled from, and the libraries of others can read it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from raycollapse.diffusion import Denoiser, MlpDenoiser, UNetDenoiser
from raycollapse.diffusion.checkpoints import NoCheckpoints
from raycollapse.diffusion.mlp_module import MlpModel
from raycollapse.diffusion.snapshot import Standardisation, Trained, load_snapshot, save_snapshot
from raycollapse.diffusion.trainer import train
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError

TRAINING = Training(num_steps=3, warmup_steps=0, batch_size=4, ema=0.9)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
UNET = UNetDenoiser(channels=(8, 16), layers_per_block=1, norm_num_groups=4)
MLP = MlpDenoiser(width=16, num_blocks=1)


class PlainDenoiser(Denoiser):
    """A denoiser of another package, whose module knows nothing of diffusers."""

    def build(self, shape: tuple[int, ...]) -> torch.nn.Module:
        return PlainModule()

    def check_shape(self, shape: tuple[int, ...]) -> None:
        pass


class PlainModule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, t: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        return (x * self.scale,)


PLAIN = PlainDenoiser(name=f"{__name__}:PlainDenoiser")


def trained(denoiser: Denoiser, data: np.ndarray = IMAGES) -> Trained:
    return train(data, denoiser, TRAINING, 0, NoCheckpoints(), "cpu")


@pytest.mark.parametrize("denoiser", [MLP, UNET, PLAIN], ids=["mlp", "unet", "from another package"])
def test_a_loaded_snapshot_is_the_trained_one(denoiser: Denoiser, tmp_path: Path) -> None:
    outcome = trained(denoiser)
    save_snapshot(outcome, tmp_path)
    snapshot = load_snapshot(tmp_path)
    state = snapshot.module.state_dict()
    assert all(torch.equal(state[name], value) for name, value in outcome.weights.items())
    assert snapshot.shape == (8, 8, 1)
    assert snapshot.standardisation is None
    assert not snapshot.module.training


@pytest.mark.parametrize(("denoiser", "model_class"), [(UNET, UNet2DModel), (MLP, MlpModel)])
def test_from_pretrained_reads_a_snapshot(denoiser: Denoiser, model_class: type, tmp_path: Path) -> None:
    save_snapshot(trained(denoiser), tmp_path)
    theirs = model_class.from_pretrained(tmp_path / "model")
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 900])
    ours = load_snapshot(tmp_path).module(x, t, return_dict=False)[0]
    assert torch.equal(theirs(x, t, return_dict=False)[0], ours)


def test_a_snapshot_holds_safetensors_and_json_only(tmp_path: Path) -> None:
    save_snapshot(trained(UNET), tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_the_description_says_how_it_was_made(tmp_path: Path) -> None:
    outcome = trained(MLP)
    save_snapshot(outcome, tmp_path)
    description = json.loads((tmp_path / "snapshot.json").read_text())
    assert description["denoiser"] == MLP.model_dump(mode="json")
    assert description["noise_schedule"] == TRAINING.noise_schedule()
    assert description["facts"]["precision"] == "no"
    assert json.loads((tmp_path / "loss.json").read_text())[-1] == {"step": 3, "loss": outcome.losses[-1][1]}


def test_the_standardisation_comes_back_bitwise(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(3.0, 0.1, (9, 2)).astype(np.float32)
    outcome = trained(MLP, vectors)
    save_snapshot(outcome, tmp_path)
    loaded = load_snapshot(tmp_path).standardisation
    assert loaded is not None
    assert outcome.standardisation is not None
    assert np.array_equal(loaded.mean, outcome.standardisation.mean)
    assert np.array_equal(loaded.std, outcome.standardisation.std)


@given(arrays(np.float32, (7, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_standardising_is_undone(vectors: np.ndarray) -> None:
    standardisation = Standardisation.of(vectors)
    back = standardisation.invert(standardisation.apply(vectors))
    scale = np.abs(vectors).max(axis=0) + standardisation.std
    assert (np.abs(back - vectors) <= 4 * np.finfo(np.float32).eps * scale).all()


def test_a_snapshot_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "snapshot.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(RequestError, match="format 99; this version reads 1"):
        load_snapshot(tmp_path)
