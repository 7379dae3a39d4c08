"""Whether a finished quickstart shows the paper's effect: `python tests/check_quickstart.py STORAGE`."""

import sys
from pathlib import Path

import pandas as pd

from raycollapse.report import collect
from raycollapse.store import Store

SCORE, ENTROPY, SHARE = "memorization/generalization_score", "entropy/train_set", "selection/real_share"


def check_effect(values: pd.DataFrame) -> None:
    """Assert the orderings of arXiv 2509.16499 (C1, C2, C5, C8) within every seed of a quickstart's values."""
    for _, run in values.groupby("seed"):
        last = run[run["generation"] == run["generation"].max()].set_index(["paradigm", "strategy"])
        first = run[run["generation"] == 1]
        assert first[SCORE].nunique() == 1, "generation 1 is one model for all strategies"
        for strategy in ("greedy", "threshold_decay"):
            for column in (SCORE, ENTROPY):
                vanilla = last.loc[("replace", "uniform"), column]
                assert vanilla < last.loc[("replace", strategy), column], (strategy, column)
                assert vanilla < first[column].iloc[0], (strategy, column)
            kept = last.loc[("accumulate", strategy), SHARE]
            assert kept > 1.3 * last.loc[("accumulate", "uniform"), SHARE], (strategy, kept)
        # "Near generation 1's": they lose less than three tenths of what vanilla loses under replace.
        for column in (SCORE, ENTROPY):
            start = first[column].iloc[0]
            lost = start - last.loc[("accumulate", "greedy"), column]
            assert lost < 0.3 * (start - last.loc[("replace", "uniform"), column]), (column, lost)


def main() -> None:
    """Check the quickstart in a storage and everything that a run promises to leave there."""
    storage = Path(sys.argv[1])
    values = collect(Store(str(storage)), ["quickstart"])
    assert len(values) == 24, f"6 trials x 4 generations should be recorded, not {len(values)}"
    check_effect(values)
    for path in ("reports/quickstart/figure.png", "reports/quickstart/results.csv", "mlflow.db"):
        assert (storage / path).stat().st_size > 1000, path
    print("the quickstart shows the paper's effect")  # noqa: T201


if __name__ == "__main__":
    main()
