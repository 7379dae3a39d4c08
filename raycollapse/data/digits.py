"""The handwritten digits that come with scikit-learn: real images, and no network needed.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; its test
set.
"""

from typing import Literal

import numpy as np

from raycollapse.data.base import DataSource, Loaded


class Digits(DataSource):
    """1,797 real handwritten digits, 8 x 8, grayscale, with labels; they need no network."""

    name: Literal["digits"] = "digits"

    def load(self) -> Loaded:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # inked cells counted 0..16 -> 0..255
        return Loaded.of_images(images, digits.target, "digits")

    def fingerprint(self) -> str:
        return "scikit-learn digits, version 1"

    def shape_hint(self) -> tuple[int, ...]:
        return (8, 8, 1)

    def num_classes_hint(self) -> int:
        return 10
