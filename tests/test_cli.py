"""The command line as a person meets it: exit codes, what is said, and every bad input that a command can meet."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny import TINY, manifests, results, run, tiny

from raycollapse import runner
from raycollapse.cli import main
from raycollapse.compute import Compute
from raycollapse.runner import Result
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run a command in this process, in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raycollapse", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return int(ended.value.code or 0), told.out, told.err

    return run_command


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


def edit(file: str, **changes: Any) -> str:
    Path(file).write_text(yaml.safe_dump({**TINY, **changes}))
    return file


def metrics(folder: Path, experiment: str = "tiny") -> dict[str, Any]:
    store = Store(str(folder))
    return {key: results(TrialRecords(store, experiment, key).read()) for key in trial_keys(store, experiment)}


# Help


def test_without_a_command_there_is_help(call: Call) -> None:
    code, out, err = call()
    assert code == 2 or code == 0
    assert "quickstart.yaml" in out + err


@pytest.mark.parametrize("command", [[], ["run"], ["show"], ["report"], ["clean"]])
def test_help_tells_what_a_command_does(call: Call, command: list[str]) -> None:
    code, out, _ = call(*command, "--help")
    assert code == 0
    assert "Usage" in out and len(out.splitlines()) > 8


@pytest.mark.parametrize("arguments", [["rum"], ["run"], ["run", "x.yaml", "--sett", "a=1"], ["report"], ["clean"]])
def test_a_command_line_that_is_wrong_exits_2(call: Call, arguments: list[str]) -> None:
    code, _, err = call(*arguments)
    assert code == 2
    assert "Error" in err or "Usage" in err


# Run


def test_run_records_and_ends_with_the_table_and_the_figures_path(call: Call, file: str, tmp_path: Path) -> None:
    code, out, err = call("run", file, "--local", "--storage", "here")
    assert (code, err) == (0, "")
    assert "[2/2] replace, greedy: generation 2 of 2" in out
    assert f"Figure: {tmp_path}/here/reports/tiny/figure.png" in out
    assert (tmp_path / "here/reports/tiny/figure.png").stat().st_size > 10_000
    assert len(manifests(tmp_path / "here")) > 10
    assert "mlflow" not in out
    assert "spent on stages made in this run; saved: 0.0 s by stages that were there, 0.0 s by sharing" in out


def test_the_same_command_again_resumes_and_a_longer_one_extends(call: Call, file: str, tmp_path: Path) -> None:
    assert call("run", file, "--local")[0] == 0
    first = metrics(tmp_path / "results")
    assert call("run", file, "--local")[0] == 0
    assert metrics(tmp_path / "results") == first
    assert call("run", file, "--local", "--set", "num_generations=3", "--set", "metrics=[entropy]")[0] == 0
    ((longer,), (shorter,)) = metrics(tmp_path / "results").values(), first.values()
    assert (len(longer), longer[:2]) == (3, shorter)


def test_another_learning_rate_under_the_same_name_is_refused_with_the_difference(call: Call, file: str) -> None:
    call("run", file, "--local")
    code, _, err = call("run", file, "--local", "--set", "training.learning_rate=2e-3")
    assert code == 2
    assert "training.learning_rate was 0.001, now it is 0.002" in err
    assert call("run", file, "--local", "--set", "training.learning_rate=2e-3", "--set", "name=other")[0] == 0


def test_a_trial_that_fails_exits_1_and_the_others_complete(call: Call, file: str, tmp_path: Path) -> None:
    (tmp_path / "own_strategy.py").write_text(
        "import numpy as np\nfrom raycollapse.selection.base import SelectionStrategy\n"
        "class Same(SelectionStrategy):\n    def select(self, pool, num_select, rng):\n"
        "        raise ValueError('picks[mask] of [/oops] are wrong')\n"
    )
    edit(file, sweep={"grid": {"selection": ["uniform", "own_strategy:Same"]}})
    code, out, _ = call("run", file, "--local")
    sys.modules.pop("own_strategy")
    assert code == 1
    assert "failed replace, own_strategy:Same: Traceback" in out
    assert "ValueError: picks[mask] of [/oops] are wrong" in out
    assert "run the same command again" in out
    assert sorted(map(len, metrics(tmp_path / "results").values())) == [1, 2]


@pytest.mark.parametrize("storage", ["a b", "2024", "1e3", "#5", "my: dir", "[x]", "null", "ünï😀"])
def test_a_storage_of_any_name_is_taken_as_it_is_written(call: Call, file: str, storage: str, tmp_path: Path) -> None:
    code, out, _ = call("show", file, "--storage", storage)
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("storage: ")]
    assert yaml.safe_load(line)["storage"] == str(tmp_path / storage)


def test_the_mlflow_command_can_be_pasted_into_a_shell_whatever_the_path_holds(
    call: Call, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/my $HOME results/mlflow.db"
    done = Result(tiny(tmp_path), Store(str(tmp_path)), {}, {}, has_records=False, tracking_uri=uri, compute=Compute())
    monkeypatch.setattr(runner, "run_here", lambda *arguments: done)
    code, out, _ = call("run", file, "--local")
    assert code == 0
    (command,) = [line.removeprefix("MLflow: ") for line in out.splitlines() if line.startswith("MLflow: ")]
    pasted = subprocess.run(f"printf '%s\n' {command}", shell=True, capture_output=True, text=True, check=True)
    assert pasted.stdout.splitlines() == ["mlflow", "ui", "--backend-store-uri", uri]


def test_records_that_break_off_are_completed_and_damaged_ones_are_told(
    call: Call, file: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert call("run", file, "--local")[0] == 0
    before = metrics(tmp_path / "results")
    (path,) = tmp_path.glob("results/experiments/tiny/*/records.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    code, out, _ = call("report", "tiny")
    assert (code, "breaks off in line 2" in caplog.text, "generation 1" in out) == (0, True, True)
    assert call("run", file, "--local")[0] == 0
    assert metrics(tmp_path / "results") == before
    path.write_bytes(b"garbage\n" + whole)
    code, _, err = call("report", "tiny")
    assert (code, f"{path} is damaged: line 1" in err, "Run the experiment again" in err) == (2, True, True)
    assert call("run", file, "--local")[0] == 0
    assert metrics(tmp_path / "results") == before
    assert call("report", "tiny")[0] == 0


@pytest.mark.parametrize("damaged", ["config.json", "failure.json", "protocol.json"])
@pytest.mark.parametrize("content", ['{"reason": ', '{"reason": "x", "seal": "y"}'], ids=["truncated", "altered"])
def test_a_damaged_file_beside_the_records_is_told_and_made_anew_by_a_run(
    call: Call, file: str, tmp_path: Path, damaged: str, content: str
) -> None:
    assert call("run", file, "--local", "--set", "num_generations=1")[0] == 0
    (folder,) = tmp_path.glob("results/experiments/tiny/*")
    file_there = (folder / damaged).is_file()
    whole = (folder / damaged).read_bytes() if file_there else b""
    (folder / damaged).write_text(content)
    if damaged == "config.json":
        code, _, err = call("report", "tiny")
        assert (code, f"{folder / damaged} is damaged" in err, "again" in err) == (2, True, True)
    assert call("run", file, "--local", "--set", "num_generations=1")[0] == 0
    assert call("report", "tiny")[0] == 0
    assert (folder / damaged).is_file() == file_there
    assert not file_there or (folder / damaged).read_bytes() == whole


@pytest.mark.parametrize("command", ["run", "show", "report"])
def test_an_empty_name_of_a_storage_is_refused_and_never_the_default(
    call: Call, file: str, tmp_path: Path, command: str
) -> None:
    code, _, err = call(command, "tiny" if command == "report" else file, "--storage", "")
    assert (code, "storage" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


# Show


def test_show_prints_the_resolved_configuration_and_the_plan_and_makes_nothing(
    call: Call, file: str, tmp_path: Path
) -> None:
    edit(file, sweep={"grid": {"seed": [0, 1], "selection": ["uniform", "greedy"]}})
    code, out, _ = call("show", file, "--set", "training.num_steps=7", "--storage", "x" * 200)
    assert code == 0
    resolved = yaml.safe_load(out[: out.index("Plan")])
    assert resolved["training"]["num_steps"] == 7
    assert resolved["training"]["batch_size"] == 16
    assert resolved["storage"] == str(tmp_path / ("x" * 200))
    rows = {row[0]: row[1:] for line in out.splitlines() if len(row := re.findall(r"[\w,]+", line)) == 3}
    assert rows["train"] == ["8", "6"]  # two seeds x (one first model, and one for each strategy)
    assert "4 trial(s), 2 generation(s) each" in out
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_show_lists_what_a_run_would_refuse_and_exits_0(call: Call, file: str) -> None:
    code, out, _ = call("show", file, "--set", "sampling.num_steps=3")
    assert code == 0
    assert "would be refused: sampling.num_steps is 3; with ddim it must divide the 1000 timesteps" in out
    code, _, err = call("run", file, "--local", "--set", "sampling.num_steps=3")
    assert (code, "it must divide" in err) == (2, True)


def test_show_refuses_a_file_that_is_wrong(call: Call, file: str) -> None:
    code, _, err = call("show", file, "--set", "selection=gredy")
    assert code == 2
    assert "selection.name is 'gredy'" in err


# Report


def test_report_writes_a_figure_a_table_and_every_value(call: Call, file: str, tmp_path: Path) -> None:
    run(tiny(tmp_path / "results", **{}))
    store = Store(str(tmp_path / "results"))
    TrialRecords(store, "tiny", trial_keys(store, "tiny")[0]).write_config(tiny(tmp_path / "results").resolved())
    code, out, _ = call("report", "tiny", "--output", "there")
    assert code == 0
    written = {path.name for path in (tmp_path / "there").iterdir()}
    assert written == {"figure.png", "table.md", "results.csv", "protocol.json"}
    assert "Figure: there/figure.png" in out


def test_report_with_claims_writes_their_table_and_no_figure(call: Call, tmp_path: Path) -> None:
    experiment = tiny(tmp_path / "results")
    run(experiment)
    TrialRecords(Store(experiment.storage), "tiny", experiment.trial_key()).write_config(experiment.resolved())
    code, out, _ = call("report", "tiny", "--claims", "--output", "there")
    assert code == 0
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"claims.md", "claims.csv"}
    assert "C13: " in out and "not tested at this size, no runs of" in out and "Markdown: there/claims.md" in out


def test_report_on_an_experiment_that_is_not_there_names_those_that_are(call: Call, tmp_path: Path) -> None:
    Store(str(tmp_path / "results")).write_json("experiments/mine/abc/config.json", {})
    code, _, err = call("report", "yours")
    assert code == 2
    assert "has no experiment 'yours'. There are: mine." in err


def test_report_where_nothing_was_run_makes_nothing(call: Call, tmp_path: Path) -> None:
    for folder in ("results", "elsewhere"):
        code, _, err = call("report", "tiny", "--storage", folder)
        assert code == 2
        assert f"There is no storage {tmp_path}/{folder}" in err and "--storage DIR" in err
    (tmp_path / "elsewhere").mkdir()
    assert call("report", "tiny", "--storage", "elsewhere")[0] == 2
    Store(str(tmp_path / "results"))
    code, _, err = call("report", "tiny", "--output", "out")
    assert (code, "has no experiment 'tiny'. There are none yet." in err) == (2, True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "raycollapse.json", "results"]


# Clean


def test_clean_lists_what_no_experiment_refers_to_and_removes_it_with_yes(
    call: Call, file: str, tmp_path: Path
) -> None:
    assert call("run", file, "--local", "--storage", "my results")[0] == 0
    assert "There is nothing to remove." in call("clean", "my results", "--yes")[1]
    made = manifests(tmp_path / "my results")
    (tmp_path / "my results/experiments/tiny").rename(tmp_path / "given up")
    code, out, err = call("clean", "my results")
    assert (code, err) == (0, "")
    assert f"raycollapse clean '{tmp_path}/my results' --yes" in out
    assert manifests(tmp_path / "my results") == made
    code, out, err = call("clean", "my results", "--yes")
    assert (code, err) == (0, "")
    assert "Removed: " in out
    assert not list((tmp_path / "my results/stages").rglob("*.*"))


def test_clean_refuses_what_is_no_storage_and_what_it_cannot_tell(call: Call, file: str, tmp_path: Path) -> None:
    code, _, err = call("clean", str(tmp_path))
    assert (code, f"There is no storage {tmp_path}" in err) == (2, True)
    assert call("run", file, "--local")[0] == 0
    made = manifests(tmp_path / "results")
    (config,) = (tmp_path / "results").glob("experiments/tiny/*/config.json")
    config.write_text("{")
    code, _, err = call("clean", "results", "--yes")
    assert code == 2
    assert f"Which stages {config.parent} refers to cannot be told: {config} is damaged" in err
    assert manifests(tmp_path / "results") == made


# Bad input


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"selection": "gready"}, "selection.name is 'gready'; it must be one of: keep_all, uniform, greedy"),
        ({"selection": {"name": "threshold_decay", "decay": 1.2}}, "selection.decay is 1.2; it must lie strictly"),
        ({"data": {"name": "digits", "num_train": 1000}}, "data.num_train + data.num_held_out is 2,000 but digits has"),
        ({"training": {"num_steps": 4, "warmup_steps": 1, "precision": "fp16"}}, "training.precision is fp16, but the"),
        (
            {"metrics": [{"name": "fidelity", "k": 40}]},
            "metrics[0].k is 40; with N = 40 (data.num_train) it must lie in",
        ),
        ({"resources": {"device": "cuda"}}, "resources.device is cuda, but this machine has no GPU"),
        ({"selection": "my_module:Mine"}, "selection.name is 'my_module:Mine'; it cannot be imported"),
    ],
)
def test_a_request_that_is_wrong_exits_2_and_says_why(
    call: Call, file: str, changes: dict[str, Any], said: str
) -> None:
    import torch

    if "cuda" in str(changes) and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    code, _, err = call("run", edit(file, **changes), "--local")
    assert code == 2
    assert err.startswith("Error: ") and said in err


def test_a_file_that_is_not_there_exits_2(call: Call) -> None:
    code, _, err = call("run", "nowhere.yaml", "--local")
    assert code == 2
    assert "nowhere.yaml cannot be read: No such file or directory" in err


def test_a_key_given_twice_exits_2_with_file_line_and_key(call: Call, file: str) -> None:
    Path(file).write_text(f"seed: 3\n{yaml.safe_dump(TINY)}seed: 4\n")
    code, _, err = call("run", file, "--local")
    assert code == 2
    last = 2 + yaml.safe_dump(TINY).count("\n")
    assert f"{file}, line {last}: seed is given twice, first in line 1. Keep one of them." in " ".join(err.split())


def test_two_storages_exit_2(call: Call, file: str) -> None:
    code, _, err = call("run", file, "--local", "--storage", "a", "--set", "storage=b")
    assert (code, "storage is set twice, to 'b' and to 'a'. Set it once." in err) == (2, True)


def test_local_and_a_cluster_at_once_exit_2(call: Call, file: str) -> None:
    code, _, err = call("run", file, "--local", "--address", "auto")
    assert (code, "Give one of them" in err) == (2, True)


@pytest.mark.parametrize("assignment", ["seed", "=3", "seed=[1", "sede=3", "training.num_steps.x=3"])
def test_an_assignment_that_is_wrong_exits_2(call: Call, file: str, assignment: str) -> None:
    code, _, err = call("run", file, "--local", "--set", assignment)
    assert code == 2
    assert err.startswith("Error: ")


def text_named_png(folder: Path) -> None:
    for index in range(3):
        (folder / f"{index}.png").write_text("this is no image")


def pickled_object(folder: Path) -> None:
    np.savez(folder / "images.npz", images=np.array([{"a": 1}], dtype=object))


def vectors_with_nan(folder: Path) -> None:
    vectors = np.zeros((100, 2), np.float32)
    vectors[7, 1] = np.nan
    np.savez(folder / "vectors.npz", vectors=vectors)


@pytest.mark.parametrize(
    ("prepare", "path", "said"),
    [
        (lambda folder: None, "", "holds no images"),
        (text_named_png, "", "0.png cannot be read as an image"),
        (pickled_object, "images.npz", "images.npz holds a pickled object, which is refused"),
        (vectors_with_nan, "vectors.npz", "1 of 100 vectors hold NaN or infinity, the first is row 7"),
        (lambda folder: None, "nowhere", "there is no file or folder"),
    ],
)
def test_data_that_cannot_be_used_exits_2_and_names_the_file(
    call: Call, file: str, tmp_path: Path, prepare: Callable[[Path], None], path: str, said: str
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    prepare(folder)
    data = {"name": "files", "path": str(folder / path), "num_train": 40, "num_held_out": 10}
    features = "identity" if path == "vectors.npz" else "pixels"
    code, _, err = call("run", edit(file, data=data, features=features), "--local")
    assert code == 2
    assert said in err and str(folder) in err
    assert not list(tmp_path.glob("results/stages/*/*/*"))
    assert not list(tmp_path.glob("results/experiments/*"))


def test_a_storage_that_cannot_be_written_exits_2(call: Call, file: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    code, _, err = call("run", file, "--local", "--storage", "taken")
    assert code == 2
    assert f"The storage {tmp_path}/taken cannot be written" in err and "--storage DIR" in err


@pytest.mark.parametrize("uri", ["ftp://host/x", "sqlite:////proc/nowhere/mlflow.db"])
def test_a_place_that_mlflow_can_never_record_in_is_told_before_anything_is_made(
    call: Call, file: str, tmp_path: Path, uri: str
) -> None:
    code, _, err = call("run", edit(file, tracking={"mlflow": True, "mlflow_uri": uri}), "--local")
    assert (code, "tracking.mlflow_uri" in err) == (2, True)
    assert not list(tmp_path.glob("results/stages")) and not list(tmp_path.glob("results/experiments"))


@pytest.mark.slow
def test_an_mlflow_server_that_does_not_answer_is_said_and_replayed_later(
    call: Call, file: str, tmp_path: Path
) -> None:
    tracking = {"mlflow": True, "mlflow_uri": "http://127.0.0.1:9"}
    code, out, _ = call("run", edit(file, tracking=tracking), "--local")
    assert code == 0
    assert (tmp_path / "results/reports/tiny/figure.png").is_file()
    code, out, _ = call("run", edit(file, tracking={"mlflow": True}), "--local")
    assert code == 0
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/results/mlflow.db" in out


# Signals


def start(file: str, folder: Path) -> "subprocess.Popen[str]":
    # Children of a background shell inherit that Ctrl-C is ignored.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", code + "from raycollapse.cli import main; main()", "run", file, "--local"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(process: "subprocess.Popen[str]", pattern: str, folder: Path) -> None:
    """Wait until a file that matches is there, and the process still runs."""
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


LONG = {"num_steps": 400, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-3, "checkpoint_steps": 20}


@pytest.fixture
def long_file(file: str) -> str:
    return edit(file, training=LONG)


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(call: Call, long_file: str, tmp_path: Path) -> None:
    process = start(long_file, tmp_path)
    wait_for(process, "results/stages/checkpoint/*/*/manifest.json", tmp_path)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to resume, run the same command again" in out
    assert "Traceback" not in out
    code, out, _ = call("run", long_file, "--local")
    assert code == 0
    assert "generation 2 of 2" in out


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return results(run(tiny(tmp_path_factory.mktemp("undisturbed"), training=LONG)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["real", "checkpoint", "train", "sample", "features", "measure", "select"])
def test_a_run_killed_at_any_stage_gives_the_same_metrics_when_run_again(
    kind: str, undisturbed: list[Any], call: Call, long_file: str, tmp_path: Path
) -> None:
    process = start(long_file, tmp_path)
    wait_for(process, f"results/stages/{kind}/*" + ("/*/manifest.json" if kind == "checkpoint" else ""), tmp_path)
    process.kill()
    process.communicate()
    assert call("run", long_file, "--local")[0] == 0
    assert list(metrics(tmp_path / "results").values()) == [undisturbed]
    assert not list(tmp_path.glob("results/stages/checkpoint/*"))


@pytest.mark.slow
def test_two_runs_of_one_experiment_at_once_do_not_disturb_each_other(
    undisturbed: list[Any], long_file: str, tmp_path: Path
) -> None:
    both = [start(long_file, tmp_path) for _ in range(2)]
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert list(metrics(tmp_path / "results").values()) == [undisturbed]
    assert not list(tmp_path.glob("results/stages/checkpoint/*"))
    for (kind, key), manifest in manifests(tmp_path / "results").items():
        folder = tmp_path / "results/stages" / kind / key
        assert {path.name for path in folder.iterdir()} == {manifest.attempt, "manifest.json"}
