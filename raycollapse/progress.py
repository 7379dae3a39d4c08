"""What a person sees while an experiment runs: bars on a terminal, plain lines elsewhere."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

MOST_DONE_SHOWN = 20
"""Of more trials, the bars of those that are done are hidden: a terminal is not that high."""


class Display(ABC):
    """Shows how far each trial is.

    Args:
        console: where.
        labels: trial key -> label, of the trials that are known already.
        num_generations: of each.
        num_trials: how many there will be; none: as many as there are labels.
    """

    def __init__(
        self, console: Console, labels: Mapping[str, str], num_generations: int, num_trials: int | None = None
    ) -> None:
        self.console = console
        self.labels = dict(labels)
        self.num_generations = num_generations
        self._total = (len(labels) if num_trials is None else num_trials) * num_generations
        self._start = time.monotonic()
        self._done: dict[str, int] = dict.fromkeys(labels, 0)

    def add(self, trial_key: str, label: str) -> None:
        """Take note of a trial that was not known at the beginning."""
        self.labels[trial_key] = label
        self._done[trial_key] = 0

    @abstractmethod
    def show(self, trial_key: str, generation: int, verb: str) -> None:
        """Take note that a trial has come to `verb` in a generation; `recorded` ends the generation."""

    @abstractmethod
    def stop(self, trial_key: str, reason: str) -> None:
        """Take note that a trial was stopped early: what it would have had to do is not awaited any more."""

    @abstractmethod
    def fail(self, trial_key: str, reason: str) -> None:
        """Take note that a trial has failed."""

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def remaining(self) -> str:
        """Return the estimated time that is left, from the pace so far."""
        done = sum(self._done.values())
        if not done:
            return "?"
        seconds = (time.monotonic() - self._start) / done * (self._total - done)
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


class PlainDisplay(Display):
    """One line for each finished generation: for logs, CI and files."""

    def show(self, trial_key: str, generation: int, verb: str) -> None:
        if verb == "recorded":
            self._done[trial_key] = max(generation, self._done[trial_key])
            label, done = self.labels[trial_key], sum(self._done.values())
            self.console.print(
                f"[{done}/{self._total}] {label}: generation {generation} of {self.num_generations}, "
                f"about {self.remaining()} left",
                highlight=False, markup=False,
            )  # fmt: skip

    def stop(self, trial_key: str, reason: str) -> None:
        self._done[trial_key] = self.num_generations
        self.console.print(f"{self.labels[trial_key]} stopped early: {reason}", highlight=False, markup=False)

    def fail(self, trial_key: str, reason: str) -> None:
        self.console.print(f"{self.labels[trial_key]} failed: {reason}", highlight=False, markup=False)


class RichDisplay(Display):
    """A bar for each trial, with the stage in hand, and one for all of them with the time left."""

    def __init__(
        self, console: Console, labels: Mapping[str, str], num_generations: int, num_trials: int | None = None
    ) -> None:
        super().__init__(console, labels, num_generations, num_trials)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[stage]}"), TimeElapsedColumn(), console=console)
        self._bars: dict[str, TaskID] = {key: self._bar(label) for key, label in labels.items()}
        several = self._total > num_generations
        self._all = self._progress.add_task("[bold]all trials", total=self._total, stage="", visible=several)

    def add(self, trial_key: str, label: str) -> None:
        super().add(trial_key, label)
        self._bars[trial_key] = self._bar(label)

    def _bar(self, label: str) -> TaskID:
        return self._progress.add_task(escape(label), total=self.num_generations, stage="waiting")

    def __enter__(self) -> "RichDisplay":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, trial_key: str, generation: int, verb: str) -> None:
        if verb == "recorded":
            self._done[trial_key] = max(generation, self._done[trial_key])
        finished = self._done[trial_key] == self.num_generations
        stage = "done" if finished else f"generation {generation}: {verb}"
        visible = not finished or self._total <= MOST_DONE_SHOWN * self.num_generations
        self._progress.update(self._bars[trial_key], completed=self._done[trial_key], stage=stage, visible=visible)
        self._progress.update(self._all, completed=sum(self._done.values()), stage=f"about {self.remaining()} left")

    def stop(self, trial_key: str, reason: str) -> None:
        self._done[trial_key] = self.num_generations
        self._progress.update(self._bars[trial_key], stage=escape(f"stopped early: {reason}"))
        self._progress.update(self._all, completed=sum(self._done.values()))

    def fail(self, trial_key: str, reason: str) -> None:
        last_line = reason.strip().rpartition("\n")[2]  # of a traceback, the line that says what it was
        self._progress.update(self._bars[trial_key], stage=f"[red]failed: {escape(last_line[:60])}")


def display_for(
    console: Console, labels: Mapping[str, str], num_generations: int, num_trials: int | None = None
) -> Display:
    """Return the display that suits the console."""
    kind = RichDisplay if console.is_terminal else PlainDisplay
    return kind(console, labels, num_generations, num_trials)
