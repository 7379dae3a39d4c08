"""What the paper's numbers hold for, and how a finding says what it holds for."""

from collections.abc import Sequence

from raycollapse.report.claims.runs import Run

TORCHVISION = "inception_torchvision"
"""The space of the paper's FIDs (see its published code)."""
DINO, PIXELS = "dinov2", "pixels"

FIDS = ("quality/fid", "quality/fd_inception", f"quality/fd_{TORCHVISION}")
FRECHET = "quality/fd"


def frechet_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the distances that stand for the paper's FID: those in an Inception space, or else the selection's."""
    found = [metric for metric in FIDS if any(run.series(metric) for run in runs)]
    return found or [FRECHET]


def space_of(metric: str, run: Run) -> str:
    """Return the space that a Frechet distance was measured in.

    The literature's FID network bears the name of its extractor.
    """
    if metric == FRECHET:
        return run.space
    return "inception" if metric == "quality/fid" else metric.removeprefix(f"{FRECHET}_")


def where(runs: Sequence[Run], *more: str) -> str:
    """Return data set, space, N and what else tells this finding from the claim's others."""
    first = runs[0]
    sizes = sorted({run.num_train for run in runs})
    return ", ".join([first.data, first.space, f"N = {', '.join(map(str, sizes))}", *more])
