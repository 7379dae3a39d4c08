"""Selection: ours against other packages, a plain NumPy greedy and plain loops as published code has them.

    python experiments/benchmarks/selection.py                     4,096 to 16,384 points, half of them selected
    python experiments/benchmarks/selection.py --sizes 65536 --only ours
    python experiments/benchmarks/selection.py --features efficientnet_lite --sizes 4096 8192 16384

One thread, each run in a new process, runs of all functions in turn, medians. Needs `pip install skmatter fpsample`.
About 25 minutes on one core of a server, nearly all of it the slower functions; `--repeats 1` takes a third.
"""

from functools import partial
from typing import Any

import numpy as np
from measuring import Features, Function, arguments, features_from, measure, report

from raycollapse.selection.adaptive_threshold import adaptive_threshold
from raycollapse.selection.greedy import farthest_points
from raycollapse.selection.threshold_decay import auto_threshold, threshold_decay_filter

DECAY = 0.95


def ours_greedy(features: Features, device: str | None = None) -> Any:
    return farthest_points(features, len(features) // 2, 0, device=device)


def ours_threshold_decay(features: Features, device: str | None = None) -> Any:
    order = np.arange(len(features))
    tau = auto_threshold(features, order, len(features) // 2)
    return threshold_decay_filter(features, len(features) // 2, order, tau, DECAY, device=device)


def ours_adaptive_threshold(features: Features, device: str | None = None) -> Any:
    return adaptive_threshold(features, len(features) // 2, np.arange(len(features)), 0.01, device=device)


def numpy_greedy(features: Features) -> Any:
    """One vector product per pick."""
    squares = (features * features).sum(axis=1)
    gap = np.full(len(features), np.inf, np.float32)
    chosen = [0]
    while len(chosen) < len(features) // 2:
        last = chosen[-1]
        np.minimum(gap, squares + squares[last] - 2 * (features @ features[last]), out=gap)
        gap[last] = -np.inf
        chosen.append(int(gap.argmax()))
    return chosen


def published_greedy(features: Features) -> Any:
    """Per pick, the distances of all candidates to the last pick, from differences."""
    gap = np.full(len(features), np.inf, np.float32)
    chosen = [0]
    while len(chosen) < len(features) // 2:
        gap = np.minimum(gap, np.linalg.norm(features - features[chosen[-1]], axis=1))
        gap[chosen[-1]] = -np.inf
        chosen.append(int(gap.argmax()))
    return chosen


def published_threshold_decay(features: Features) -> Any:
    """A loop over candidates that computes every distance to the accepted anew in every pass."""
    num_select, waiting = len(features) // 2, list(range(1, len(features)))
    tau = auto_threshold(features, np.arange(len(features)), num_select)
    chosen = [0]
    held = np.empty((num_select, features.shape[1]), np.float32)
    held[0] = features[0]
    while len(chosen) < num_select:
        left = []
        for row in waiting:
            if len(chosen) < num_select and np.linalg.norm(held[: len(chosen)] - features[row], axis=1).min() > tau:
                held[len(chosen)] = features[row]
                chosen.append(row)
            else:
                left.append(row)
        waiting, tau = left, tau * DECAY
    return chosen


def skmatter_greedy(features: Features) -> Any:
    from skmatter.sample_selection import FPS

    return FPS(n_to_select=len(features) // 2, initialize=0).fit(features).selected_idx_


def fpsample_greedy(features: Features) -> Any:
    import fpsample

    return fpsample.fps_sampling(features, len(features) // 2, start_idx=0)


def functions(device: str | None) -> dict[str, Function]:
    """Return what is compared, by name."""
    return {
        "greedy, ours": partial(ours_greedy, device=device),
        "greedy, NumPy, a product per pick": numpy_greedy,
        "greedy, scikit-matter FPS": skmatter_greedy,
        "greedy, fpsample": fpsample_greedy,
        "greedy, published loop": published_greedy,
        "threshold_decay, ours": partial(ours_threshold_decay, device=device),
        "threshold_decay, published loop": published_threshold_decay,
        "adaptive_threshold, ours": partial(ours_adaptive_threshold, device=device),
    }


if __name__ == "__main__":
    parser = arguments("Selection: time and memory.", [4096, 8192, 16384])
    parser.add_argument("--device", help="where ours computes: cpu, cuda, ...")
    options = parser.parse_args()
    chosen = {
        name: function
        for name, function in functions(options.device).items()
        if not options.only or any(part in name for part in options.only)
    }
    make = features_from(options.features, options.dim, max(options.sizes))
    report(measure(chosen, make, options.sizes, repeats=options.repeats, limit=options.limit), options)
