"""Image files to arrays: 8 bits a channel, grayscale or RGB, and nothing converted that would lose anything."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Pixels = NDArray[np.uint8]  # (H, W, C), 0..255

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
_LOSSLESS = {"L": "L", "1": "L", "RGB": "RGB", "P": "RGB"}  # bilevel and palette images hold nothing else
_KINDS = {1: "grayscale", 3: "RGB"}


def decode(file: Path | BytesIO, name: str, image_size: int | None = None) -> Pixels:
    """Return one image, upright; cropped and resized to (image_size, image_size) if that is asked.

    Args:
        name: what an error calls the image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_kind(image, name)
            upright = ImageOps.exif_transpose(image).convert(_LOSSLESS[image.mode])
    except RequestError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError(
            f"{name} cannot be read as an image ({_reason(error)}). Remove it, or put an intact file in its place."
        ) from error
    return _pixels(upright if image_size is None else _square(upright, image_size))


def resize(images: NDArray[Any], image_size: int) -> NDArray[np.uint8]:
    """Return images (n, H, W, C) uint8 cropped and resized to (n, image_size, image_size, C)."""
    from PIL import Image

    if images.shape[1:3] == (image_size, image_size):
        return images
    gray = images.shape[3] == 1
    pictures = (Image.fromarray(image[..., 0] if gray else image) for image in images)
    return np.stack([_pixels(_square(picture, image_size)) for picture in pictures])


def grayscale(pixels: Pixels) -> Pixels:
    """Return an RGB image's luma (ITU-R 601), as (H, W, 1)."""
    from PIL import Image

    return _pixels(Image.fromarray(pixels).convert("L"))


def pad(images: NDArray[Any], image_size: int) -> NDArray[np.uint8]:
    """Return images (n, H, W, C) uint8 in the middle of black squares, (n, image_size, image_size, C)."""
    height, width = images.shape[1:3]
    top, left = (image_size - height) // 2, (image_size - width) // 2
    padded = np.zeros((len(images), image_size, image_size, images.shape[3]), np.uint8)
    padded[:, top : top + height, left : left + width] = images
    return padded


def stack(decoded: Iterable[tuple[str, Pixels]], num: int) -> NDArray[np.uint8]:
    """Return (num, H, W, C) from named images, all of which must have the first one's size and channels."""
    stacked: NDArray[np.uint8] | None = None
    first_name = ""
    for row, (name, pixels) in enumerate(decoded):
        if stacked is None:
            first_name, stacked = name, np.empty((num, *pixels.shape), np.uint8)
        _check_same(first_name, stacked.shape[1:], name, pixels.shape)
        stacked[row] = pixels
    assert stacked is not None
    return stacked


def _square(image: "Image", image_size: int) -> "Image":
    """Cut the largest centred square out and resize it; Pillow widens the Lanczos kernel, so nothing aliases."""
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return square.resize((image_size, image_size), Image.Resampling.LANCZOS)


def _pixels(image: "Image") -> Pixels:
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _check_kind(image: "ImageFile", name: str) -> None:
    """Refuse what 8 bits a channel, grayscale or RGB, cannot hold."""
    raw_mode = _raw_mode(image)
    if image.mode.startswith(("I", "F")) or (";16" in raw_mode and not raw_mode.startswith("BGR")):
        raise RequestError(f"{name} has more than 8 bits a channel ({raw_mode}). Scale it to 0..255 and save 8 bits.")
    if image.has_transparency_data:
        raise RequestError(f"{name} has transparency ({image.mode}). {_conversion(name)}")
    if image.mode not in _LOSSLESS:
        raise RequestError(f"{name} is {image.mode}; images must be grayscale or RGB. {_conversion(name)}")
    if image.format in ("TIFF", "WEBP", "PNG") and getattr(image, "n_frames", 1) > 1:
        raise RequestError(f"{name} holds {getattr(image, 'n_frames', 1)} frames. Save each as a file of its own.")


def _conversion(name: str) -> str:
    return f"Convert it: Image.open(path).convert('RGB').save(path), with path = '{name}'."


def _raw_mode(image: "ImageFile") -> str:
    """Return how the file stores a pixel: Pillow reads 16-bit RGB as 8-bit `RGB`, and only this tells.

    A BMP's `BGR;16` is 16 bits a pixel, not a channel.
    """
    arguments: Any = image.tile[0][3] if image.tile else image.mode
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    # Pillow's own words name a path or a BytesIO at an address
    return "no PNG, JPEG, BMP, WebP or TIFF image" if isinstance(error, UnidentifiedImageError) else str(error)


def _check_same(first: str, expected: tuple[int, ...], name: str, shape: tuple[int, ...]) -> None:
    if expected[2] != shape[2]:
        raise RequestError(
            f"{first} is {_KINDS[expected[2]]} but {name} is {_KINDS[shape[2]]}. "
            "Convert all images to one of the two, with Image.convert('L') or Image.convert('RGB')."
        )
    if expected != shape:
        raise RequestError(
            f"{first} is {expected[0]} x {expected[1]} but {name} is {shape[0]} x {shape[1]} (height x width). "
            "Set data.image_size to crop and resize all of them, or keep images of one size only."
        )
