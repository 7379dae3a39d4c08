"""What an image processor of `transformers` does to an image, done to batches of tensors on the device.

Equal to the processors' Pillow back end bit for bit up to normalisation, which agrees to 1e-6. Their torchvision back
end resizes with torch and so differs from the Pillow back end, and from this, by up to two of 256 grey levels in about
one pixel in a hundred.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raycollapse.errors import RequestError
from raycollapse.features.resizing import Filter, pillow_resize
from raycollapse.schema import Json

if TYPE_CHECKING:
    from torch import Tensor

_FILTERS: dict[int, Filter] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_TOLERANCE = 1e-3
"""Mean absolute difference from the processor. A resize by torch gives 1e-4; another order of steps 4e-3 and more."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop, rescale, normalise: all of it that there is, in this order."""

    size: tuple[int, int] | int | None
    """(height, width), or the shorter side with the other in proportion; none: no resize."""
    filter_name: Filter
    crop: tuple[int, int] | None
    """(height, width) cut from the middle; none: no crop."""
    scale: float
    """Multiplies pixels 0..255; 1 / 255 as a rule."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resizes: Literal["bytes", "floats"] = "bytes"
    """Resized as `bytes` (rounded to 0..255, as almost all processors do) or, after rescaling, as `floats` (DINOv3)."""

    def __call__(self, images: "Tensor") -> "Tensor":
        """Return the network's input (n, 3, h, w) float32, from images (n, 3, H, W) uint8."""
        mean, std = (images.new_tensor(values, dtype=_float32())[:, None, None] for values in (self.mean, self.std))
        if self.resizes == "floats":
            return (self._cropped(self._resized_floats(images.float() * self.scale)) - mean) / std
        return (self._cropped(self._resized_bytes(images)).float() * self.scale - mean) / std

    def described(self) -> dict[str, Json]:
        """Return all of it as plain data; `bytes` is what Pillow does."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {"resize": own.pop("size"), "filter": own.pop("filter_name"), **own}

    def _resized_bytes(self, images: "Tensor") -> "Tensor":
        return images if self.size is None else pillow_resize(images, *self._target(images), self.filter_name)

    def _resized_floats(self, images: "Tensor") -> "Tensor":
        from torch.nn.functional import interpolate

        if self.size is None:
            return images
        return interpolate(images, self._target(images), mode=self.filter_name, antialias=True)

    def _target(self, images: "Tensor") -> tuple[int, int]:
        height, width = images.shape[-2:]
        if self.size is None or isinstance(self.size, tuple):
            return self.size or (height, width)
        shorter = min(height, width)
        return int(self.size * height / shorter), int(self.size * width / shorter)

    def _cropped(self, images: "Tensor") -> "Tensor":
        if self.crop is None:
            return images
        top, left = ((have - keep) // 2 for have, keep in zip(images.shape[-2:], self.crop, strict=True))
        return images[..., top : top + self.crop[0], left : left + self.crop[1]]


def preprocessing_of(processor: Any, model: str) -> Preprocessing:
    """Return what a processor does, read from its own settings and held against its output on two images.

    Args:
        model: whose processor it is, for the error.
    """
    own = read_settings(processor.to_dict(), model)
    for candidate in (own, replace(own, resizes="floats")):
        if _agree(candidate, processor):
            return candidate
    raise RequestError(
        f"features.model is {model}, whose image processor ({type(processor).__name__}) does more than resize, centre "
        "crop, rescale and normalise, or in another order: its output cannot be reproduced in batches. Use another "
        "model."
    )


def read_settings(settings: dict[str, Any], model: str) -> Preprocessing:
    """Return what a processor's settings say, supposing that it resizes bytes."""
    resample = settings.get("resample")
    if settings.get("do_resize") and resample not in _FILTERS:
        raise RequestError(
            f"features.model is {model}, whose image processor resizes with Pillow's filter {resample}; "
            f"{', '.join(f'{number} ({name})' for number, name in _FILTERS.items())} can be done. Use another model."
        )
    normalises = settings.get("do_normalize")
    return Preprocessing(
        size=_size(settings.get("size") or {}, model) if settings.get("do_resize") else None,
        filter_name=_FILTERS.get(resample or 0, "bilinear"),
        crop=_height_and_width(settings.get("crop_size")) if settings.get("do_center_crop") else None,
        scale=float(settings["rescale_factor"]) if settings.get("do_rescale") else 1.0,
        mean=_triple(settings["image_mean"]) if normalises else (0.0, 0.0, 0.0),
        std=_triple(settings["image_std"]) if normalises else (1.0, 1.0, 1.0),
    )


def _size(size: dict[str, int], model: str) -> tuple[int, int] | int:
    given = {key: value for key, value in size.items() if value is not None}
    if set(given) == {"shortest_edge"}:
        return int(given["shortest_edge"])
    if set(given) == {"height", "width"}:
        return _height_and_width(given)
    raise RequestError(
        f"features.model is {model}, whose image processor resizes to {given}; height and width, or shortest_edge, can "
        "be done. Use another model."
    )


def _height_and_width(size: Any) -> tuple[int, int]:
    return (int(size["height"]), int(size["width"]))


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = values
    return (float(red), float(green), float(blue))


def _agree(candidate: Preprocessing, processor: Any) -> bool:
    """Whether both give the same of one square and one wide image of noise."""
    import torch
    from PIL import Image

    rng = np.random.default_rng(0)
    for shape in ((32, 32, 3), (40, 56, 3)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        theirs = torch.as_tensor(processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"])
        ours = candidate(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        if ours.shape != theirs.shape or float((ours - theirs).abs().mean()) > _TOLERANCE:
            return False
    return True


def _float32() -> Any:
    import torch

    return torch.float32
