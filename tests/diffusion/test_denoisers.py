"""The denoisers: their sizes, their shapes, and what they refuse."""

import subprocess
import sys

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from raycollapse.diffusion import AnyDenoiser, MlpDenoiser, UNetDenoiser
from raycollapse.errors import RequestError

SMALL_UNET = UNetDenoiser(channels=(16, 32), attention_levels=(2,), layers_per_block=1, norm_num_groups=8)


@pytest.mark.parametrize(("width", "millions"), [("unet32", 7.1), ("unet48", 16.0)])
def test_the_papers_unets_have_the_papers_sizes(width: str, millions: float) -> None:
    module = UNetDenoiser(width=width).build((32, 32, 3))
    assert round(sum(p.numel() for p in module.parameters()) / 1e6, 1) == millions


def test_the_papers_unets_have_six_levels_and_attention_at_the_fifth() -> None:
    config = UNetDenoiser(width="unet32").build((32, 32, 3)).config
    assert tuple(config.down_block_types) == ("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D")
    assert tuple(config.up_block_types) == ("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4
    assert (config.layers_per_block, config.norm_num_groups) == (2, 16)


@pytest.mark.parametrize(
    ("denoiser", "shape", "batch"),
    [
        (MlpDenoiser(width=16), (5,), (3, 5)),
        (MlpDenoiser(width=16), (6, 4, 2), (3, 2, 6, 4)),
        (SMALL_UNET, (8, 12, 1), (3, 1, 8, 12)),
        (SMALL_UNET, (8, 8, 3), (3, 3, 8, 8)),
    ],
)
def test_the_predicted_noise_has_the_shape_of_the_data(
    denoiser: MlpDenoiser | UNetDenoiser, shape: tuple[int, ...], batch: tuple[int, ...]
) -> None:
    denoiser.check_shape(shape)
    noise = denoiser.build(shape)(torch.randn(batch), torch.tensor([0, 500, 999]), return_dict=False)[0]
    assert noise.shape == batch


@pytest.mark.parametrize("skip", [False, True])
def test_the_mlp_hears_the_timestep(skip: bool) -> None:
    module = MlpDenoiser(width=16, skip=skip).build((2,))
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)  # the layers that the timestep acts through start at zero
    out = module(torch.ones(2, 2), torch.tensor([10, 900]), return_dict=False)[0]
    assert not torch.allclose(out[0], out[1])


@pytest.mark.parametrize(
    ("denoiser", "shape"),
    [
        (MlpDenoiser(width=16, num_classes=3), (2,)),
        (MlpDenoiser(width=16, num_classes=3), (8, 8, 1)),
        (SMALL_UNET.model_copy(update={"num_classes": 3}), (8, 8, 1)),
    ],
)
def test_a_conditional_network_tells_every_class_and_the_null_class_apart(
    denoiser: MlpDenoiser | UNetDenoiser, shape: tuple[int, ...]
) -> None:
    module = denoiser.build(shape)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # the layers that the class acts through may start at zero
    x = torch.ones(4, *shape[2:], *shape[:2]) if len(shape) == 3 else torch.ones(4, *shape)
    noise = module(x, torch.full((4,), 500), class_labels=torch.arange(4), return_dict=False)[0]
    assert noise.shape == x.shape
    distances = torch.cdist(noise.flatten(1), noise.flatten(1)) + torch.eye(4)
    assert distances.min() > 1e-3


def test_for_vectors_the_first_guess_at_the_noise_is_the_input_itself() -> None:
    x, t = torch.randn(3, 2), torch.tensor([0, 500, 999])
    assert torch.equal(MlpDenoiser(width=16).build((2,))(x, t, return_dict=False)[0], x)
    assert not torch.equal(MlpDenoiser(width=16, skip=False).build((2,))(x, t, return_dict=False)[0], x)


def test_a_denoiser_is_named_by_its_name_or_by_its_fields() -> None:
    family = TypeAdapter(AnyDenoiser)
    assert family.validate_python("mlp") == MlpDenoiser()
    assert family.validate_python({"name": "unet", "width": "unet48"}) == UNetDenoiser(width="unet48")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "neither is given"),
        ({"width": "unet32", "channels": [32, 64]}, "both are given"),
        ({"width": "unet32", "norm_num_groups": 8}, "already fixes norm_num_groups"),
        ({"channels": [24, 64]}, "does not divide the channels [24]"),
        ({"channels": [32, 64], "attention_levels": [3]}, "there are 2 levels"),
        ({"channels": [4, 4], "norm_num_groups": 4}, "multiples of 8"),
        ({"width": "unet96"}, "unet128"),
    ],
)
def test_a_unet_that_cannot_be_built_is_refused_with_what_to_do(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        UNetDenoiser.model_validate({"name": "unet", **fields})
    assert words in str(error.value)


def test_sides_that_cannot_be_halved_are_refused_with_the_number_of_levels_that_fit() -> None:
    with pytest.raises(RequestError, match=r"28 x 28.*divisible by 32.*at most 3 here"):
        UNetDenoiser(width="unet32").check_shape((28, 28, 1))


def test_a_unet_refuses_vectors() -> None:
    with pytest.raises(RequestError, match="Use mlp"):
        SMALL_UNET.check_shape((2,))


def test_importing_the_settings_imports_neither_torch_nor_diffusers() -> None:
    modules = [
        "raycollapse.diffusion",
        *(f"raycollapse.diffusion.{m}" for m in ("training", "sampling", "checkpoints")),
    ]
    code = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'diffusers', 'accelerate'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
