"""All metrics in a run: what is recorded of each generation."""

import math
from pathlib import Path

from tiny import results, run, tiny

NAMES = {
    "fidelity": {"quality/precision", "diversity/recall", "quality/density", "diversity/coverage"},
    "kid": {"quality/kd", "quality/kd_deviation", "quality/kd_floor", "quality/kd_floor_num"},
    "vendi": {"diversity/vendi_train_set", "diversity/vendi_synthetic"},
    "ct": {"memorization/ct_num_cells"},  # 40 points in ten cells are too few to be tested
    "authenticity": {"memorization/authenticity", "memorization/authenticity_held_out"},
    "duplicates": {
        "memorization/duplicates", "memorization/duplicates_threshold", "memorization/duplicates_held_out",
    },
    "generalization_ratio": {"memorization/generalization_ratio", "memorization/generalization_ratio_num_held_out"},
}  # fmt: skip


def test_every_generation_records_every_value(tmp_path: Path) -> None:
    own = tiny(tmp_path, metrics=list(NAMES), selection="keep_all")
    for metric in own.metrics:
        assert NAMES[metric.name] <= set(metric.value_names), "what a search may name as an objective"
    recorded = results(run(own))
    assert len(recorded) == 2
    for values in recorded:
        assert set(values) == set().union(*NAMES.values()) | {"selection/real_share"}
        assert all(math.isfinite(value) for value in values.values())


def test_a_single_held_out_image_makes_no_floor_but_all_else(tmp_path: Path) -> None:
    data = {"name": "digits", "num_train": 40, "num_held_out": 1}
    recorded = results(run(tiny(tmp_path, metrics=list(NAMES), data=data, num_generations=1)))[0]
    assert set(recorded) == set().union(*NAMES.values()) - {"quality/kd_floor"} | {"selection/real_share"}
    assert recorded["memorization/generalization_ratio_num_held_out"] == recorded["quality/kd_floor_num"] == 1
