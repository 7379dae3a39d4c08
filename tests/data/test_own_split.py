"""A source that splits in a way of its own is held to the counts that everything else reckons with."""

from pathlib import Path

import pytest
from rich.console import Console
from tiny import TINY, tiny

from raycollapse.data import Digits, Loaded
from raycollapse.errors import RequestError
from raycollapse.runner import run_here


class FewHeldOut(Digits):
    """It keeps one image apart, whatever it is asked."""

    name: str = "few"  # type: ignore[assignment]

    def split(self, seed: int) -> tuple[Loaded, Loaded]:
        train, held_out = super().split(seed)
        return train, Loaded(held_out.images[:1])


def test_other_counts_than_asked_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, data={**TINY["data"], "name": f"{__name__}:FewHeldOut"})
    with pytest.raises(RequestError, match=r"data\.num_held_out is 24, but .*FewHeldOut returned 1 such images\."):
        run_here(experiment, Console(quiet=True))
    assert not list(tmp_path.glob("stages/train/*"))
