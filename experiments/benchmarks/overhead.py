"""What the framework costs: one trial through `raycollapse run` against a bare loop over the same functions.

    python experiments/benchmarks/overhead.py                    about ten minutes on two cores

The bare loop is what one would write in an afternoon: no store, no records, no MLflow, no Ray, nothing to resume from.
It makes the same images from the same seeds, so its metrics must be the command's to the last bit, which is checked.
Each run is a process of its own, in turn, one thread each; medians, with start-up and imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import processor

FILE = Path(__file__).parents[1] / "digits" / "base.yaml"
BARE, KINDS = "bare loop", ["bare loop", "raycollapse run --local", "raycollapse run"]
SETTINGS = ["name=overhead", "resources.device=cpu"]


def bare_loop(changes: list[str], output: Path) -> None:
    """Run the loop of `replace` with functions of the package alone; write the last generation's metrics."""
    import torch

    from raycollapse.config import load
    from raycollapse.diffusion.checkpoints import NoCheckpoints
    from raycollapse.diffusion.sampler import sample
    from raycollapse.diffusion.snapshot import save_snapshot
    from raycollapse.diffusion.trainer import train
    from raycollapse.metrics.base import Points
    from raycollapse.seeds import integer_seed, seed_sequence
    from raycollapse.selection import Pool

    torch.set_num_threads(1)
    own = load(FILE, changes)
    seed, num = own.seed, own.data.num_train
    real, held_out = own.data.split(seed)

    def points(images: Any, generation: int) -> Points:
        features = own.features.extract(images)
        return Points(features, np.full(len(features), generation))

    train_images, train_points = real.images, points(real.images, 0)
    real_points, held_out_points = train_points, points(held_out.images, 0)
    values: dict[str, float] = {}
    for generation in range(1, own.num_generations + 1):
        trained = train(
            train_images, own.denoiser, own.training, integer_seed(seed_sequence(seed, generation, "train")),
            NoCheckpoints(), "cpu",
        )  # fmt: skip
        num_samples = num if generation == own.num_generations else own.num_candidates
        with tempfile.TemporaryDirectory() as snapshot:
            save_snapshot(trained, Path(snapshot))
            shards = [
                sample(
                    Path(snapshot), own.sampling, own.sampling.shard_size,
                    integer_seed(seed_sequence(seed, generation, "sample", index)), "cpu",
                )
                for index in range(-(-num_samples // own.sampling.shard_size))
            ]  # fmt: skip
        synthetic = np.concatenate(shards)[:num_samples]
        made = points(synthetic, generation)
        for metric in own.metrics:
            values |= dict(metric.measure(real_points, held_out_points, train_points, made.first(num)))
        if generation < own.num_generations:
            pool = Pool(np.stack([made.generations, np.arange(num_samples)], axis=1), made.features)
            picks = own.selection.select(pool, num, np.random.default_rng(seed_sequence(seed, generation, "select")))
            train_images, train_points = synthetic[picks], Points(made.features[picks], made.generations[picks])
    output.write_text(json.dumps({name: float(value) for name, value in values.items()}))


def run_once(kind: str, changes: list[str]) -> tuple[float, dict[str, float]]:
    """Run a kind in a process of its own and an empty folder; return its seconds and the last generation's metrics."""
    with tempfile.TemporaryDirectory() as folder:
        output, storage = Path(folder) / "metrics.json", Path(folder) / "results"
        if kind == BARE:
            command = [sys.executable, __file__, "--bare", str(output), *changes]
        else:
            command = [str(Path(sys.executable).with_name("raycollapse")), *kind.split()[1:], str(FILE)]
            command += ["--storage", str(storage), *(part for change in changes for part in ("--set", change))]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        return seconds, json.loads(output.read_text()) if kind == BARE else recorded(storage)


def recorded(storage: Path) -> dict[str, float]:
    """Return the last generation's metrics of the only trial in a storage."""
    from raycollapse.report import collect
    from raycollapse.store import Store

    values = collect(Store(str(storage)), ["overhead"])
    last = values[values["generation"] == values["generation"].max()].iloc[0]
    return {str(name): float(value) for name, value in last.items() if isinstance(value, float)}


def main() -> None:
    """Time all kinds in turn and print a table."""
    parser = argparse.ArgumentParser(description="The framework's overhead.")
    parser.add_argument("--generations", type=int, default=8, help="of the loop; each is about 10 s of work")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="change a field")
    options = parser.parse_args()
    changes = [*SETTINGS, f"num_generations={options.generations}", *options.set]
    runs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(options.repeats):
        metrics = {}
        for kind in KINDS:
            seconds, metrics[kind] = run_once(kind, changes)
            runs[kind].append(seconds)
            print(f"{kind:<26} {seconds:8.1f} s", flush=True)
        for kind in KINDS[1:]:
            different = [name for name, value in metrics[BARE].items() if metrics[kind].get(name) != value]
            if different:
                sys.exit(f"{kind} recorded other values than the bare loop of: {', '.join(different)}")
    print(f"\n{processor()}, medians of {options.repeats}; metrics agree to the last bit")
    for kind in KINDS:
        median = float(np.median(runs[kind]))
        print(f"{kind:<26} {median:8.1f} s   {median / float(np.median(runs['bare loop'])):5.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        bare_loop(sys.argv[3:], Path(sys.argv[2]))
    else:
        main()
