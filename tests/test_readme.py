"""What the README shows is what the project does."""

import inspect
import re
from pathlib import Path

import pytest
from rich.console import Console

from raycollapse import loop
from raycollapse.config import load
from raycollapse.metrics import AnyMetric
from raycollapse.paradigms import AnyParadigm
from raycollapse.runner import run_here
from raycollapse.selection import AnyStrategy

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_loop_shown_is_the_loop() -> None:
    assert python_blocks()[0].rstrip() == inspect.getsource(loop.collapse).rstrip()


def test_the_strategy_shown_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_strategies.py").write_text(python_blocks()[1])
    grid = re.search(r"'(sweep\.grid\.selection=.*?)'", README)
    assert grid is not None
    changes = [
        grid.group(1), "name=mine", "tracking.mlflow=false", f"storage={tmp_path / 'results'}", "num_generations=2",
        "data.num_train=32", "training.num_steps=4", "training.warmup_steps=1", "sampling.num_steps=2",
        "sampling.shard_size=32",
    ]  # fmt: skip
    result = run_here(load(ROOT / "experiments" / "quickstart.yaml", changes), Console(quiet=True))
    assert not result.failures and result.has_records


@pytest.mark.parametrize("family", [AnyStrategy, AnyMetric, AnyParadigm])
def test_every_built_in_member_is_named(family: object) -> None:
    union = family.__origin__  # type: ignore[attr-defined]
    for member in union.__args__:
        assert f"`{member.model_fields['name'].default}`" in README, member


def test_every_image_and_file_linked_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_row_of_the_claims_shown_is_one_that_was_computed() -> None:
    computed = {tuple(row[2:5]) for row in rows((ROOT / "experiments/digits/results/claims.md").read_text())}
    shown = rows(README.partition("<!-- claims:digits -->")[2].partition("\n\n")[0])
    assert len(shown) > 20
    assert {tuple(row[1:4]) for row in shown} <= computed


def rows(markdown: str) -> list[list[str]]:
    """Return the cells of a Markdown table's rows, below its heading."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
