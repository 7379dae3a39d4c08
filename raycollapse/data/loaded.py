"""Images or vectors in memory, checked once, here, so that no later stage meets a surprise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError

Images = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Loaded:
    """Real data in memory, or a synthetic set read back."""

    images: Images
    """(n, H, W, C) uint8, 0..255, C = 1 or 3; or, for other modalities, vectors (n, d) float32, all finite."""
    labels: Labels | None = None
    """(n,) int64, or none."""

    def __post_init__(self) -> None:
        assert (self.images.dtype.name, self.images.ndim) in (("uint8", 4), ("float32", 2))
        assert self.labels is None or (self.labels.dtype == np.int64 and self.labels.shape == (len(self.images),))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, C), or (d,) for vectors."""
        return self.images.shape[1:]

    def take(self, indices: NDArray[np.int64]) -> "Loaded":
        """Return a copy of these rows, in this order."""
        return Loaded(self.images[indices], None if self.labels is None else self.labels[indices])

    @classmethod
    def of_images(cls, images: NDArray[Any], labels: NDArray[Any] | None, source: str) -> "Loaded":
        """Check images (n, H, W) or (n, H, W, 1 | 3), 0..255; `source` is the file or data set an error names."""
        _check_pixel_type(images, source)
        images = images[..., None] if images.ndim == 3 else images
        _check_image_shape(images, source)
        return cls(images, _checked_labels(labels, len(images), source))

    @classmethod
    def of_vectors(cls, vectors: NDArray[Any], labels: NDArray[Any] | None, source: str) -> "Loaded":
        """Check vectors (n, d) of any float type; they are kept as float32."""
        if vectors.ndim != 2 or vectors.dtype.kind != "f":
            raise RequestError(f"{source}: vectors are {_kind(vectors)}; they must be floating point, of shape (N, d).")
        _check_not_empty(vectors, source)
        with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes inf, which is reported below
            vectors = vectors.astype(np.float32, copy=False)
        _check_finite(vectors, source)
        return cls(vectors, _checked_labels(labels, len(vectors), source))


def _kind(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {tuple(array.shape)}"


def _check_pixel_type(images: NDArray[Any], source: str) -> None:
    if images.dtype == np.uint8:
        return
    remedy = "Convert with images.astype('uint8')"
    if images.dtype.kind == "f":
        in_unit_range = images.size > 0 and images.min() >= 0 and images.max() <= 1
        remedy = (
            "They lie between 0 and 1: multiply by 255 and convert, (images * 255).round().astype('uint8')"
            if in_unit_range
            else "Scale them to 0..255 and convert, images.round().astype('uint8'), or give `vectors` (N, d) instead"
        )
    raise RequestError(f"{source}: images are {_kind(images)}; they must be uint8, 0..255. {remedy}.")


def _check_image_shape(images: NDArray[np.uint8], source: str) -> None:
    """Check (n, H, W, C), C = 1 or 3, nothing empty."""
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return _check_not_empty(images, source)
    remedy = "Reshape them"
    if images.ndim == 4 and images.shape[1] in (1, 3):
        remedy = "The channels seem to come first: images.transpose(0, 2, 3, 1)"
    elif images.ndim == 4 and images.shape[3] == 4:
        remedy = "Drop the alpha channel: images[..., :3]"
    raise RequestError(
        f"{source}: images have shape {tuple(images.shape)}; "
        f"it must be (N, H, W), (N, H, W, 1) or (N, H, W, 3). {remedy}."
    )


def _check_not_empty(array: NDArray[Any], source: str) -> None:
    if len(array) == 0:
        raise RequestError(f"{source} holds no rows; at least one is needed.")
    if array.size == 0:
        raise RequestError(f"{source}: the array has shape {tuple(array.shape)}; no side may be 0.")


def _check_finite(vectors: NDArray[np.float32], source: str) -> None:
    bad_rows = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad_rows):
        raise RequestError(
            f"{source}: {len(bad_rows):,} of {len(vectors):,} vectors hold NaN or infinity, "
            f"the first is row {bad_rows[0]}. Remove these rows."
        )


def _checked_labels(labels: NDArray[Any] | None, num: int, source: str) -> Labels | None:
    """Return (num,) int64, from any integer type."""
    if labels is None:
        return None
    if labels.shape != (num,) or labels.dtype.kind not in "iu":
        raise RequestError(f"{source}: labels are {_kind(labels)}; they must be integers, of shape ({num},).")
    return labels.astype(np.int64)
