"""Timing functions against each other: each run in a process of its own, in turn, so that drift hits all alike."""

import argparse
import ctypes
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

Features = np.ndarray[Any, np.dtype[np.float32]]
Function = Callable[[Features], Any]

WARM_UP = 2048
"""Points of a first call, which loads what a function imports lazily: enough for every path to be taken."""


@dataclass(frozen=True)
class Timing:
    """One function at one size."""

    function: str
    num: int
    dim: int
    seconds: list[float]
    """Of each run, without imports."""
    memory: float
    """The most that a run held above what it held before, in multiples of the features."""

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))


def measure(
    functions: dict[str, Function], features_of: Callable[[int], Features], sizes: Sequence[int], *, repeats: int,
    limit: float,
) -> list[Timing]:  # fmt: skip
    """Run every function at every size, `repeats` times in turn.

    Args:
        functions: by name; they must pickle.
        features_of: (n, d) for n.
        sizes: numbers of points.
        repeats: runs of each.
        limit: a function is left out at sizes where it would take longer than these seconds, if its time grew with
            the square from the last size on.
    """
    timings: list[Timing] = []
    for num in sorted(sizes):
        features = features_of(num)
        runs: dict[str, list[tuple[float, float]]] = {
            name: [] for name in functions if _expected(timings, name, num) <= limit
        }
        for _ in range(repeats):
            for name, measured in runs.items():
                measured.append(_in_a_new_process(functions[name], features))
        for name, measured in runs.items():
            seconds, memory = zip(*measured, strict=True)
            timings.append(Timing(name, num, features.shape[1], list(seconds), max(memory)))
            print(f"{num:>8}  {name:<36} {timings[-1].median:9.3f} s   {max(memory):5.2f} x features", flush=True)
    return timings


def _expected(timings: list[Timing], name: str, num: int) -> float:
    """Return the seconds to expect; infinity where it was left out before, 0 for the first size."""
    if not any(timing.num < num for timing in timings):
        return 0.0
    last = max(timing.num for timing in timings if timing.num < num)
    return next((t.median * (num / last) ** 2 for t in timings if (t.function, t.num) == (name, last)), float("inf"))


def _in_a_new_process(function: Function, features: Features) -> tuple[float, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (function, features))


def _run(function: Function, features: Features) -> tuple[float, float]:
    import faiss
    import torch

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    function(features[:WARM_UP])
    ctypes.CDLL(None).malloc_trim(0)  # what the first call freed is given back, so that it is counted again (glibc)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark counts from here (Linux)
    before, start = kibibytes("VmRSS"), time.perf_counter()
    function(features)
    return time.perf_counter() - start, (kibibytes("VmHWM") - before) * 1024 / features.nbytes


def kibibytes(field: str) -> int:
    """Return a field of this process's memory (Linux): `VmRSS`, what it holds; `VmHWM`, the most it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def growth(nums: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Return p of seconds ~ n^p, fitted over the sizes; none for fewer than two."""
    return float(np.polyfit(np.log(nums), np.log(seconds), 1)[0]) if len(nums) > 1 else None


def table(timings: list[Timing]) -> str:
    """Return Markdown: a row per function; seconds (memory in multiples of the features) per size; the growth."""
    sizes = sorted({timing.num for timing in timings})
    lines = ["| | " + " | ".join(f"{num:,}" for num in sizes) + " | growth |", "|---" * (len(sizes) + 2) + "|"]
    for name in dict.fromkeys(timing.function for timing in timings):
        own = {timing.num: timing for timing in timings if timing.function == name}
        cells = [f"{own[num].median:.2f} s ({own[num].memory:.2f}x)" if num in own else "" for num in sizes]
        exponent = growth(list(own), [timing.median for timing in own.values()])
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {'' if exponent is None else f'n^{exponent:.2f}'} |")
    return "\n".join(lines)


def features_from(name: str, dim: int, num_most: int) -> Callable[[int], Features]:
    """Return the function from n to (n, d) features of the kind named.

    `clusters`: synthetic: 64 Gaussian clusters in `dim` dimensions whose spectrum decays as 1 / k, as that of learned
    features does. `pixels`, `efficientnet_lite`: of CIFAR-10's training images (the file is found by RAYCOLLAPSE_DATA).
    """
    if name == "clusters":
        rng = np.random.default_rng(0)
        spectrum = 1 / np.arange(1, dim + 1) ** 0.5
        centres = 2 * rng.normal(size=(64, dim)) * spectrum
        points = rng.normal(size=(num_most, dim)) * spectrum + centres[rng.integers(64, size=num_most)]
        return lambda num: points[:num].astype(np.float32)
    from raycollapse.features import EfficientNetLite, Pixels

    images = np.load(Path(os.environ["RAYCOLLAPSE_DATA"]) / "cifar10_train_32768.npz")["images"][:num_most]
    extractor = Pixels() if name == "pixels" else EfficientNetLite()
    features = np.concatenate([extractor.extract(part, "cpu") for part in np.array_split(images, 64)])
    return lambda num: features[:num]


def arguments(description: str, sizes: Sequence[int]) -> argparse.ArgumentParser:
    """Return what every benchmark can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(sizes), help="numbers of points")
    parser.add_argument("--features", choices=["clusters", "pixels", "efficientnet_lite"], default="clusters")
    parser.add_argument("--dim", type=int, default=384, help="of clusters")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds beyond which a function is left out")
    parser.add_argument("--only", nargs="+", default=[], help="functions whose name contains one of these")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    return parser


def report(timings: list[Timing], options: argparse.Namespace) -> None:
    """Print the table, and write the figures with where they were taken."""
    print(table(timings))
    if options.json:
        facts = {"features": options.features, "processor": processor(), "threads": 1, "date": str(date.today())}
        options.json.write_text(json.dumps({**facts, "timings": [asdict(timing) for timing in timings]}, indent=1))


def processor() -> str:
    """Return the processor's name."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0].partition(":")[2].strip() if models else platform.processor()
