"""`raycollapse run` as a person calls it: on two CPUs of its own, whatever else Ray runs on the machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import TINY, manifests

from raycollapse.distributed.cluster import connected
from raycollapse.errors import RequestError

COMMAND = [sys.executable, "-c", "from raycollapse.cli import main; main()"]
OURS = re.compile(
    r"(tiny: \d+ trial\(s\) .*|\[\d/\d\] .*: generation \d of \d, about .* left|Figure: .*|Every value: .*)"
    r"|(Compute: .*|How each trial was done: .*| paradigm, strategy .*| ─+ | replace, \S+ .*)"
    r"|(generation \d .*|.* at last *| *)"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    meeting = [{"name": "plugins:Meeting", "folder": str(tmp_path), "place": place} for place in (0, 1)]
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | {"sweep": {"grid": {"selection": meeting}}}))
    return path


def raycollapse(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [*COMMAND, *arguments], env={**kept, **environment}, capture_output=True, text=True, timeout=400, check=False
    )


def test_a_run_works_on_two_trials_at_once_shows_its_own_lines_only_and_needs_no_home_to_write_in(
    file: Path, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    home = {"HOME": "/dev/null/nobody", "MPLCONFIGDIR": str(tmp_path), "COLUMNS": "120"}  # no line is wrapped
    done = raycollapse("run", str(file), "--storage", str(storage), **home, PYTHONPATH=str(Path(__file__).parent))
    # Had the trials taken turns, the first strategy would have waited for the second in vain.
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert [line for line in done.stdout.splitlines() if not OURS.fullmatch(line)] == []
    trainings = [found for (kind, _), found in manifests(storage).items() if kind == "train"]
    assert len(trainings) == 3, "one model of generation 1 for both"


def test_an_address_where_nothing_answers_is_refused_at_once() -> None:
    with (
        pytest.raises(RequestError, match=r"No Ray cluster answers at '127.0.0.1:1' .*leave out --address"),
        connected("127.0.0.1:1"),
    ):
        pass


def test_a_ray_client_address_is_refused_since_its_driver_would_die_with_this_process() -> None:
    with pytest.raises(RequestError, match="ray job submit"), connected("ray://127.0.0.1:10001"):
        pass


def test_the_address_in_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:2")
    with pytest.raises(RequestError, match=r"at '127.0.0.1:2'"), connected(None):
        pass
