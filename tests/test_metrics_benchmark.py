"""The benchmark of metrics runs, and what it compares agrees."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "experiments" / "benchmarks" / "metrics.py"


def test_ours_and_theirs_agree_and_the_table_and_the_json_hold_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "metrics.json"
    options = ["--sizes", "150", "300", "--rounds", "1", "--reference-limit", "200", "--json", str(file)]
    monkeypatch.syspath_prepend(SCRIPT.parent)  # as Python does for a script
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    written = json.loads(file.read_text())
    assert [r["who"] for r in written["results"] if r["size"] == 300] == ["raycollapse"] * 4
    theirs = [r for r in written["results"] if r["who"] != "raycollapse"]
    assert len(theirs) == 4 and all(r["difference"] < 1e-6 for r in theirs)
    assert all(r["seconds"] > 0 and r["mebibytes"] >= 0 for r in written["results"])
    assert set(written["growth"]) == {f"{r['what']}: raycollapse" for r in written["results"]}
    assert capsys.readouterr().out.count("\n| ") == len(written["results"])
