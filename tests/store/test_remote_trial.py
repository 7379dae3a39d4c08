"""A whole trial with its storage behind a URI: the same stages, the same bytes, the same metrics as on a disk."""

import tempfile
from pathlib import Path

import pytest
from tiny import results, run, tiny

from raycollapse.store import Store


@pytest.mark.parametrize("uri", ["s3"], indirect=True)
def test_a_trial_behind_a_uri_gives_the_results_of_one_on_a_disk(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"num_generations": 1, "metrics": ["entropy"], "paradigm": "accumulate"}
    remote = run(tiny(tmp_path, **changes).model_copy(update={"storage": uri}))
    assert results(remote) == results(run(tiny(tmp_path / "local", **changes)))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "another machine"))  # where nothing was fetched before
    (tmp_path / "another machine").mkdir()
    longer = {**changes, "num_generations": 2}
    remote = run(tiny(tmp_path, **longer).model_copy(update={"storage": uri}))
    assert results(remote) == results(run(tiny(tmp_path / "local", **longer)))

    near, far = Store(str(tmp_path / "local")), Store(uri)
    for kind in ("real", "train", "sample", "features", "select", "measure"):
        assert near.keys(kind) == far.keys(kind) != []
        for key in near.keys(kind):
            ours, theirs = near.find(kind, key), far.find(kind, key)
            assert ours is not None and theirs is not None
            assert ours.files == theirs.files
