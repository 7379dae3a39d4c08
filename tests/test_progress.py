"""What a person sees while an experiment runs."""

import io

import pytest
from rich.console import Console

from raycollapse.progress import Display, PlainDisplay, RichDisplay, display_for

LABELS = {"a": "replace, uniform", "b": "accumulate, channels=[32, 64], [bold] of mine"}


def console(is_terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=is_terminal, width=200, legacy_windows=False), stream


def run_both(is_terminal: bool) -> str:
    """Two trials of two generations: one ends, the other fails."""
    own, stream = console(is_terminal)
    with display_for(own, LABELS, num_generations=2) as display:
        for generation in (1, 2):
            for verb in ("train", "sample", "measure", "recorded"):
                display.show("a", generation, verb)
        display.show("b", 1, "train")
        display.fail("b", "Traceback (most recent call last):\n  ...\nIndexError: features[mask] [/oops]")
    return stream.getvalue()


def test_a_terminal_gets_bars_and_anything_else_lines() -> None:
    assert isinstance(display_for(console(True)[0], LABELS, 2), RichDisplay)
    assert isinstance(display_for(console(False)[0], LABELS, 2), PlainDisplay)


def test_lines_tell_each_finished_generation_and_the_time_left() -> None:
    lines = run_both(is_terminal=False).splitlines()
    assert lines[0].startswith("[1/4] replace, uniform: generation 1 of 2, about 0:00 left")
    assert lines[1].startswith("[2/4] replace, uniform: generation 2 of 2, about 0:00 left")
    assert lines[2].startswith("accumulate, channels=[32, 64], [bold] of mine failed: Traceback")
    assert lines[-1] == "IndexError: features[mask] [/oops]"


def test_bars_show_labels_and_reasons_as_they_are_written() -> None:
    shown = run_both(is_terminal=True)
    assert "accumulate, channels=[32, 64], [bold] of mine" in shown
    assert "failed: IndexError: features[mask] [/oops]" in shown
    assert "done" in shown


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("reason", ["", "\n", "one line", "[red]", "\\", "x" * 300])
def test_any_reason_of_a_failure_can_be_shown(is_terminal: bool, reason: str) -> None:
    own, _ = console(is_terminal)
    with display_for(own, LABELS, 2) as display:
        display.fail("a", reason)


def test_a_generation_told_again_is_not_counted_twice() -> None:
    own, stream = console(False)
    with PlainDisplay(own, LABELS, 2) as display:
        for generation in (1, 2, 1, 2):
            display.show("a", generation, "recorded")
    assert [line[:5] for line in stream.getvalue().splitlines()] == ["[1/4]", "[2/4]", "[2/4]", "[2/4]"]


def test_the_time_left_follows_the_pace_so_far() -> None:
    display: Display = PlainDisplay(console(False)[0], LABELS, 4)
    assert display.remaining() == "?"
    display._start -= 30.01  # one of eight generations in thirty seconds: seven to go
    display.show("a", 1, "recorded")
    assert display.remaining() == "3:30"
