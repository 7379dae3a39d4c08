"""How long our metrics take and how much memory, beside what people use instead.

    OMP_NUM_THREADS=1 python experiments/benchmarks/metrics.py --json metrics.json

Nearest neighbours against scikit-learn's brute force; precision, recall, density and coverage against `prdc`; entropy
and generalization score against the same formulas on scikit-learn's neighbours. All in one process, one after the
other in every round, so that a busy machine slows all alike; the median over rounds is shown. Memory is the peak above
what was there before, features included in neither. `prdc` takes up to eight threads for its distances, whatever is
asked, and keeps them in float32: a few pairs fall on the other side of a radius. Needs Linux with glibc and the `test`
extra.
"""

import argparse
import contextlib
import ctypes
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from measuring import growth, kibibytes, processor
from numpy.typing import NDArray

from raycollapse.maths.neighbours import nearest
from raycollapse.metrics.entropy import entropy_of_distances, kozachenko_leonenko
from raycollapse.metrics.fidelity import fidelity
from raycollapse.metrics.generalization import generalization_score

K = 5
PRDC = "precision, recall, density, coverage"
Features = NDArray[np.float32]
Task = Callable[[Features, Features], NDArray[np.float64]]
"""Of synthetic and real features, to something that ours and theirs must agree in."""


@dataclass(frozen=True)
class Contestant:
    """One way to compute something."""

    what: str
    who: str
    run: Task


@dataclass(frozen=True)
class Result:
    """What one contestant took at one size."""

    what: str
    who: str
    size: int
    seconds: float
    """The median over rounds."""
    mebibytes: float
    """The largest peak of any round, above what was held before."""
    difference: float
    """The largest relative difference from ours."""


def by_scikit_learn(queries: Features, references: Features, k: int) -> NDArray[np.float64]:
    """Return (n, k) distances."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(references)
    distances: NDArray[np.float64] = fitted.kneighbors(queries)[0]
    return distances


def prdc(synthetic: Features, real: Features) -> NDArray[np.float64]:
    """Return precision, recall, density and coverage by Naeem et al.'s package."""
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        scores = compute_prdc(real, synthetic, K)
    return np.array([scores[name] for name in PRDC.split(", ")])


def entropy_by_scikit_learn(synthetic: Features, real: Features) -> NDArray[np.float64]:
    """Return the entropy of the synthetic points, their nearest neighbour but themselves being the second."""
    distances = by_scikit_learn(synthetic, synthetic, 2)[:, 1]
    return np.array([entropy_of_distances(distances, synthetic.shape[1], 1, 1e-10).value])


CONTESTANTS = (
    Contestant("5 nearest neighbours", "raycollapse", lambda s, r: nearest(s, r, K).distances),
    Contestant("5 nearest neighbours", "scikit-learn", lambda s, r: by_scikit_learn(s, r, K)),
    Contestant(PRDC, "raycollapse", lambda s, r: np.array(astuple(fidelity(s, r, K)))),
    Contestant(PRDC, "prdc", prdc),
    Contestant("entropy", "raycollapse", lambda s, r: np.array([kozachenko_leonenko(s).value])),
    Contestant("entropy", "scikit-learn", entropy_by_scikit_learn),
    Contestant("generalization score", "raycollapse", lambda s, r: np.array([generalization_score(s, r)])),
    Contestant("generalization score", "scikit-learn", lambda s, r: np.array([by_scikit_learn(s, r, 1).mean()])),
)


def main() -> None:
    """Measure and print."""
    options = parsed()
    synthetic, real = features(options.features, max(options.sizes))
    results: list[Result] = []
    for size in options.sizes:
        chosen = [c for c in CONTESTANTS if c.who == "raycollapse" or size <= options.reference_limit]
        results += list(compete(chosen, synthetic[:size], real[:size], options.rounds))
    setting = {
        "date": date.today().isoformat(), "processor": processor(), "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "features": options.features, "dimensions": synthetic.shape[1], "rounds": options.rounds,
    }  # fmt: skip
    print(table(results, setting))
    if options.json is not None:
        content = {
            "setting": setting,
            "results": [asdict(result) for result in results],
            "growth": exponents_of(results),
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n")


def parsed() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 8192, 16384], help="points in either set")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--features", choices=("synthetic", "pixels"), default="synthetic", help="see `features`")
    parser.add_argument("--reference-limit", type=int, default=16384, help="above it only raycollapse is measured")
    parser.add_argument("--json", type=Path, help="where to write the results, too")
    return parser.parse_args()


def features(kind: str, size: int) -> tuple[Features, Features]:
    """Return two sets of (size, d) features.

    `synthetic`: Gaussians in d = 384 whose variances fall as 1 / i, as those of image features do, one of them 10 %
    narrower. `pixels`: CIFAR-10 images 0..255, d = 3,072, one half and the other; RAYCOLLAPSE_DATA names their folder.
    """
    if kind == "synthetic":
        rng = np.random.default_rng(0)
        scale = 1 / np.sqrt(np.arange(1, 385))
        synthetic, real = (width * scale * rng.normal(size=(size, 384)) for width in (0.9, 1.0))
        return synthetic.astype(np.float32), real.astype(np.float32)
    with np.load(Path(os.environ["RAYCOLLAPSE_DATA"]) / "cifar10_train_32768.npz") as file:
        images = file["images"]
    if len(images) < 2 * size:
        raise SystemExit(f"CIFAR-10 has {len(images)} images here; two sets of {size} are too many. Use --sizes.")
    flat = images.reshape(len(images), -1)
    return flat[:size].astype(np.float32), flat[-size:].astype(np.float32)


def compete(chosen: list[Contestant], synthetic: Features, real: Features, rounds: int) -> Iterator[Result]:
    """Measure the contestants in turns, after a round of 100 points that loads what they import."""
    for contestant in chosen:
        contestant.run(synthetic[:100], real[:100])
    runs = [[measured(contestant, synthetic, real) for contestant in chosen] for _ in range(rounds)]
    ours = {c.what: runs[0][i][2] for i, c in enumerate(chosen) if c.who == "raycollapse"}
    for index, contestant in enumerate(chosen):
        seconds, mebibytes, values = zip(*(taken[index] for taken in runs), strict=True)
        difference = float(np.abs(values[0] / ours[contestant.what] - 1).max())
        median = statistics.median(seconds)
        yield Result(contestant.what, contestant.who, len(real), median, max(mebibytes), difference)


def measured(contestant: Contestant, synthetic: Features, real: Features) -> tuple[float, float, NDArray[np.float64]]:
    """Return seconds, peak MiB above what was held before, and the values."""
    ctypes.CDLL(None).malloc_trim(0)  # what earlier contestants freed is not there to be reused
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
    before, start = kibibytes("VmHWM"), time.perf_counter()
    values = contestant.run(synthetic, real)
    return time.perf_counter() - start, (kibibytes("VmHWM") - before) / 1024, values


def exponents_of(results: list[Result]) -> dict[str, float]:
    """Return by contestant how its time grows (nothing for fewer than two sizes)."""
    exponents = {}
    for what, who in dict.fromkeys((result.what, result.who) for result in results):
        own = [result for result in results if (result.what, result.who) == (what, who)]
        exponent = growth([r.size for r in own], [r.seconds for r in own])
        if exponent is not None:
            exponents[f"{what}: {who}"] = round(exponent, 2)
    return exponents


def table(results: list[Result], setting: dict[str, object]) -> str:
    """Return the results as a Markdown table."""
    exponents = exponents_of(results)
    lines = [
        "| what | by | points | seconds | peak MiB | differs by | time grows as n^ |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        exponent = exponents.get(f"{r.what}: {r.who}", "–")
        cells = (
            r.what,
            r.who,
            f"{r.size:,}",
            f"{r.seconds:.3g}",
            f"{r.mebibytes:,.0f}",
            f"{r.difference:.0e}",
            exponent,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in setting.items())])


if __name__ == "__main__":
    main()
