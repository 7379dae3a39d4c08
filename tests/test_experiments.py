"""Every experiment file that is shipped loads, expands and can be planned."""

from pathlib import Path

import pytest

from raycollapse.config import build, expand, load

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.rglob("*.yaml"))


def test_there_are_experiments() -> None:
    assert EXPERIMENTS / "quickstart.yaml" in FILES


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(EXPERIMENTS)) for file in FILES])
def test_the_file_loads_and_expands(file: Path) -> None:
    experiment = load(file)
    trials = expand(experiment)
    assert len({trial.trial_key() for trial in trials}) == len(trials) >= 1
    for trial in trials:
        assert trial.on("cpu").device == "cpu"
        assert build(trial.resolved()) == trial


def test_no_two_files_share_a_name_so_that_one_storage_holds_them_all() -> None:
    names = [load(file).name for file in FILES]
    assert sorted(set(names)) == sorted(names)
