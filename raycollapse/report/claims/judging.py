"""The paper's claims, and what recorded runs say about them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from raycollapse.report.claims.decline import correlation, entropy_decline, exponential_decline, neighbours_close_in
from raycollapse.report.claims.finding import Finding
from raycollapse.report.claims.runs import Run, runs_of
from raycollapse.report.claims.selectors import lower_distance, more_entropy_and_novelty, not_always, real_images_kept
from raycollapse.report.claims.settings import fresh_data_help, guidance_costs_diversity, other_spaces_agree
from raycollapse.report.claims.variations import decay_matters_little, twice_as_many

if TYPE_CHECKING:
    import pandas as pd

Judge = Callable[[Sequence[Run]], list[Finding]]

CLAIMS: dict[str, tuple[str, str, Judge]] = {
    "C1": (
        "the generalization score (GS) falls near-exponentially, for every size", "replace, uniform",
        exponential_decline,
    ),
    "C2": ("the entropy of the train set falls with it", "replace, uniform", entropy_decline),
    "C3": (
        "entropy and ln GS correlate, the covariance trace far less", "replace, uniform, several data.num_train",
        correlation,
    ),
    "C4": (
        "nearest neighbours close in while the covariance trace falls less than 2x", "replace, uniform",
        neighbours_close_in,
    ),
    "C5": (
        "selection keeps entropy and GS above the plain loop's", "uniform, greedy and threshold_decay",
        more_entropy_and_novelty,
    ),
    "C6": ("selection lowers the FID", "uniform, greedy and threshold_decay", lower_distance),
    "C7": ("but not always: some selector raises it", "uniform, greedy and threshold_decay", not_always),
    "C8": (
        "under accumulate selectors keep far more real images than an even draw",
        "accumulate with uniform, greedy and threshold_decay", real_images_kept,
    ),
    "C9": (
        "where the threshold filter ends hardly depends on its decay", "uniform and threshold_decay at several decays",
        decay_matters_little,
    ),
    "C10": (
        "training on 2N is better than on N, worse than on N selected of 2N",
        "replace with uniform, keep_all and a selector", twice_as_many,
    ),
    "C11": (
        "the distance in another space tells the same story", "selectors measured by frechet in two spaces",
        other_spaces_agree,
    ),
    "C12": (
        "guidance lowers diversity, the threshold filter restores it",
        "uniform and threshold_decay at two values of sampling.guidance_scale", guidance_costs_diversity,
    ),
    "C13": ("fresh real data improve quality and diversity", "replace and fresh, uniform", fresh_data_help),
}  # fmt: skip
"""Claim -> what the paper says in short, the runs it is judged by, and how. The function's docstring defines it."""


def judge(frame: "pd.DataFrame") -> list[Finding]:
    """Return what collected records say of every claim, in order; of one without runs, that it is not tested."""
    runs = runs_of(frame)
    return [
        finding
        for claim, (_, needed, judge_claim) in CLAIMS.items()
        for finding in judge_claim(runs) or [Finding(claim, "", (), f"no runs of {needed}")]
    ]
