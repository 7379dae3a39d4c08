"""What greedy in two rounds loses against exact greedy, on pools of real images.

    OMP_NUM_THREADS=1 python experiments/benchmarks/distributed_greedy.py --features pixels --json loss.json

Of a pool of 8,192 a half and an eighth are selected: all at once, in two rounds over 2 to 16 shards, and at random,
which tells what there is to lose. Half of the pool's images are real, the others stand in for samples of a model: other
real images, drawn towards their mean (`--shrink`), as those of collapsing models are. Every figure is a mean over
`--seeds`, each of which deals the pool anew and starts elsewhere; entropies are in nats, distances in the units of the
features. About six minutes on one core of a server. RAYCOLLAPSE_DATA names the folder of CIFAR-10.

Expected: with shortlists of twice a fair share less than a hundredth of what greedy gains in entropy over the random
draw is lost, with a fair share a fifth at worst; the covering radius grows by 3 to 10 %; the real share hardly moves.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path

import numpy as np
from measuring import Features, features_from, processor
from numpy.typing import NDArray

from raycollapse.maths.neighbours import nearest
from raycollapse.metrics.entropy import entropy_of_distances
from raycollapse.selection.distributed_greedy import shortlist_size, two_round_greedy
from raycollapse.selection.greedy import farthest_points

Picks = NDArray[np.int64]
Choose = Callable[[Features, int, np.random.Generator], Picks]


@dataclass(frozen=True)
class Quality:
    """What one selection is worth."""

    covering_radius: float
    """The largest distance of a candidate to the nearest pick."""
    sum_log_nearest: float
    """The sum over picks of the log of the distance to the nearest other: the entropy, but for constants, over d / n"""
    entropy: float
    """nats"""
    real_share: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """One way to select, over all seeds."""

    strategy: str
    num_select: int
    shards: int
    shortlist: float
    put_forward: int
    """How many candidates the second round sees."""
    runs: list[Quality]

    def mean(self, field: str) -> float:
        return float(np.mean([getattr(run, field) for run in self.runs]))


def quality(pool: Features, num_real: int, picks: Picks, seconds: float) -> Quality:
    """Return what picks are worth; the first `num_real` of the pool are real."""
    kept = pool[picks]
    gaps = nearest(kept, kept, 1, exclude_self=True).distances[:, 0]
    return Quality(
        covering_radius=float(nearest(pool, kept, 1).distances.max()),
        sum_log_nearest=float(np.log(np.maximum(gaps, 1e-10)).sum()),
        entropy=entropy_of_distances(gaps, pool.shape[1], 1, 1e-10).value,
        real_share=float((picks < num_real).mean()),
        seconds=seconds,
    )


def measured(pool: Features, num_real: int, choose: Choose, num_select: int, seeds: int) -> list[Quality]:
    """Return the quality of what is chosen from the pool dealt anew for each seed."""
    runs = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(pool))
        dealt, start = pool[order], time.perf_counter()
        picks = choose(dealt, num_select, rng)
        runs.append(quality(pool, num_real, order[picks], time.perf_counter() - start))
    return runs


def rows_of(pool: Features, num_real: int, num_select: int, options: argparse.Namespace) -> Iterator[Row]:
    """Yield greedy, two rounds for every number of shards and length of shortlists, and the random draw."""
    num = len(pool)

    def row(name: str, choose: Choose, shards: int = 1, shortlist: float = 1.0, put_forward: int = num) -> Row:
        runs = measured(pool, num_real, choose, num_select, options.seeds)
        return Row(name, num_select, shards, shortlist, put_forward, runs)

    yield row("greedy", lambda p, n, rng: farthest_points(p, n, int(rng.integers(len(p)))))
    for shortlist in options.shortlists:
        for shards in options.shards:
            sizes = [shortlist_size(len(range(s, num, shards)), num, num_select, shortlist) for s in range(shards)]
            yield row("distributed_greedy", _in_two_rounds(shards, shortlist), shards, shortlist, sum(sizes))
    yield row("random", lambda p, n, rng: rng.choice(len(p), n, replace=False))


def _in_two_rounds(shards: int, shortlist: float) -> Choose:
    return lambda p, n, rng: two_round_greedy(p, n, int(rng.integers(len(p))), shards, shortlist)


def mixed_pool(real: Features, shrink: float) -> tuple[Features, int]:
    """Return the pool and how many of it, the first half, are real as they are."""
    num_real = (len(real) + 1) // 2
    mean = real[num_real:].mean(axis=0)
    return np.concatenate([real[:num_real], mean + np.float32(shrink) * (real[num_real:] - mean)]), num_real


def table(rows: list[Row]) -> str:
    """Return Markdown. The loss is the share of greedy's gain in entropy over the random draw that is not reached."""
    best, worst = rows[0].mean("entropy"), rows[-1].mean("entropy")
    heading = (
        f"{rows[0].num_select:,} selected", "shards", "shortlist", "put forward", "covering radius", "Σ log nearest",
        "entropy", "loss", "real share", "s",
    )  # fmt: skip
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for row in rows:
        radius, logs, entropy, share, seconds = (row.mean(field.name) for field in fields(Quality))
        loss = (best - entropy) / (best - worst)
        lines.append(
            f"| {row.strategy} | {row.shards} | {row.shortlist:g} | {row.put_forward:,} | {radius:,.1f} | {logs:,.1f} "
            f"| {entropy:,.1f} | {loss:.2%} | {share:.4f} | {seconds:.1f} |"
        )
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8192, help="candidates in the pool")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.125], help="of the pool to select")
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--shortlists", type=float, nargs="+", default=[1.0, 1.5, 2.0], help="times a fair share")
    parser.add_argument("--shrink", type=float, default=0.9, help="of the stand-ins, 1: as wide as the real images")
    parser.add_argument("--features", choices=["pixels", "efficientnet_lite", "clusters"], default="pixels")
    parser.add_argument("--dim", type=int, default=384, help="of clusters")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each")
    parser.add_argument("--json", type=Path, help="where to write every run, too")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parsed()
    pool, num_real = mixed_pool(
        features_from(options.features, options.dim, options.size)(options.size), options.shrink
    )
    tables = [list(rows_of(pool, num_real, int(share * len(pool)), options)) for share in options.shares]
    setting = {
        "date": date.today().isoformat(), "processor": processor(), "features": options.features, "pool": len(pool),
        "dimensions": pool.shape[1], "real": num_real, "shrink": options.shrink, "seeds": options.seeds,
    }  # fmt: skip
    print(*map(table, tables), ", ".join(f"{name} {value}" for name, value in setting.items()), sep="\n\n")
    if options.json is not None:
        content = {"setting": setting, "rows": [asdict(row) for rows in tables for row in rows]}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
