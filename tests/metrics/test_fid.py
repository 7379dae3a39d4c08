"""The standard FID: one space only, one name only, and its weights are found before anything starts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny import results, run, tiny

from raycollapse.errors import RequestError
from raycollapse.features import inception
from raycollapse.features.files import content_hash
from raycollapse.metrics import Fid, Points
from raycollapse.metrics.frechet import frechet_distance
from raycollapse.runner import run_here

SMALL = {"name": "digits", "num_train": 12, "num_held_out": 7}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file in the place of the published one, and a small network in the place of the one it would hold."""
    path = tmp_path / "fid.pth"
    torch.save({"fc.weight": torch.zeros(1)}, path)
    monkeypatch.setattr(inception, "FID_WEIGHTS", replace(inception.FID_WEIGHTS, sha256_prefix=content_hash(path)))
    monkeypatch.setattr(inception, "_load_network", lambda *_: lambda pixels: pixels.mean(dim=3)[:, 0, ::60])
    return path


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)


def fid_with(weights: Path) -> dict[str, Any]:
    return {"name": "fid", "features": {"name": "inception", "weights": str(weights)}}


def test_it_is_the_frechet_distance_with_its_floor_and_how_many_made_it() -> None:
    rng = np.random.default_rng(0)
    real, held_out, synthetic = (
        Points(rng.normal(shift, 1, (num, 3)).astype(np.float32), np.zeros(num, np.int64))
        for shift, num in ((0, 20), (0, 9), (1, 30))
    )
    values = dict(Fid().measure(real, held_out, real, synthetic))
    assert values == {
        "quality/fid": frechet_distance(synthetic.features[:20], real.features),
        "quality/fid_floor": frechet_distance(held_out.features, real.features),
        "quality/fid_floor_num": 9.0,
    }


def test_a_run_records_it_under_its_own_name_whatever_the_selections_space(tmp_path: Path, weights: Path) -> None:
    frechet = {"name": "frechet", "features": {"name": "inception", "weights": str(weights)}}
    (values,) = results(run(tiny(tmp_path, metrics=[fid_with(weights), frechet], data=SMALL, num_generations=1)))
    names = {"quality/fid", "quality/fid_floor", "quality/fid_floor_num"}
    assert set(values) == names | {name.replace("fid", "fd") + "_inception" for name in names} | {
        "selection/real_share"
    }
    for name in names:
        assert values[name] == values[name.replace("fid", "fd") + "_inception"]
    assert values["quality/fid"] > 0 and values["quality/fid_floor_num"] == 7


@pytest.mark.parametrize(("features", "found"), [("pixels", "pixels"), ("inception_torchvision",) * 2, (None, "null")])
def test_another_space_is_refused_with_the_metric_to_use_instead(
    tmp_path: Path, features: str | None, found: str
) -> None:
    with pytest.raises(RequestError, match=f"metrics.0..*features is {found};.* leave features out, or use.* frechet"):
        tiny(tmp_path, metrics=[{"name": "fid", "features": features}])


def test_missing_weights_are_an_error_before_anything_starts(tmp_path: Path, no_network: None) -> None:
    with pytest.raises(RequestError, match=r"FID network .* are not at .*6726825d\.pth, and cannot be downloaded"):
        run_here(tiny(tmp_path / "results", metrics=["fid"]), Console(quiet=True))
    assert not (tmp_path / "results" / "stages").exists()


def test_another_file_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"other")
    with pytest.raises(RequestError, match=r"other\.pth does not hold the weights of the FID network"):
        run_here(tiny(tmp_path / "results", metrics=[fid_with(other)]), Console(quiet=True))
    assert not (tmp_path / "results" / "stages").exists()


def test_one_space_given_twice_is_looked_for_once_where_it_is_said_to_lie(
    tmp_path: Path, weights: Path, no_network: None
) -> None:
    """`features` names the file, `fid` does not: both mean the same network, and the first has it."""
    features = {"name": "inception", "weights": str(weights)}
    experiment = tiny(tmp_path / "results", features=features, metrics=["fid"], data=SMALL, num_generations=1)
    assert not run_here(experiment, Console(quiet=True)).failures
