"""The embedded digits."""

import subprocess
import sys

import numpy as np
from sklearn.datasets import load_digits

from raycollapse.data import Digits


def test_there_are_1797_grayscale_images_of_8_by_8_with_ten_labels() -> None:
    loaded = Digits(num_train=1).load()
    assert loaded.images.shape == (1797, 8, 8, 1)
    assert loaded.labels is not None
    assert set(loaded.labels.tolist()) == set(range(10))


def test_the_seventeen_levels_span_0_to_255_and_can_be_told_apart() -> None:
    images = Digits(num_train=1).load().images[..., 0]
    assert (images.min(), images.max(), len(np.unique(images))) == (0, 255, 17)
    assert np.array_equal(np.rint(images / 255 * 16), load_digits().images)


def test_the_shape_is_known_without_loading() -> None:
    digits = Digits(num_train=1)
    assert digits.shape_hint() == digits.load().shape


def test_importing_the_sources_imports_nothing_heavy() -> None:
    heavy = {"sklearn", "PIL", "pyarrow", "torch", "pandas", "scipy"}
    code = f"import sys, raycollapse.data; print(sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
