"""The data-copying test: are samples closer to the train set than fresh data is? (Meehan, Chaudhuri, Dasgupta 2020)"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Points as Rows
from raycollapse.maths.arrays import as_points, check_same_width
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.scalars import as_integer
from raycollapse.metrics.base import Metric, Points


@dataclass(frozen=True)
class DataCopying:
    """The outcome of the test."""

    value: float
    """C_T in standard deviations: far below 0 = copies, about 0 = neither, far above 0 = underfitted; NaN: no cell"""
    num_cells: int
    """How many cells were populated enough to be tested"""
    share: float
    """The share of the held-out points that lie in them"""


def data_copying(
    synthetic: Any, held_out: Any, train: Any, *, num_cells: int = 10, min_population: int = 20, seed: int = 0
) -> DataCopying:
    """Return C_T = sum_c P(c) Z(c) / sum_c P(c) over cells c, with P(c) the share of held-out points in c.

    Z(c) is the Mann-Whitney statistic `rank_sum_z` of the distances to c's nearest training point, of samples in c
    against held-out points in c. The cells are those of k-means on the train set: copying in one place cannot hide
    behind underfitting in another. A cell with fewer than `min_population` samples or held-out points is left out,
    as is one without training points: there Z is far from normal.

    Under the null hypothesis one cell's Z has mean 0 and variance 1, the mean over cells a variance below 1.

    Args:
        synthetic: (n, d) NumPy or torch.
        held_out: (h, d) real points that the model was not trained on.
        train: (m, d), m >= num_cells.
        num_cells: cells of k-means; 1 makes a single test of everything.
        min_population: samples, and held-out points, that a cell must hold to be tested (Meehan et al.'s tau, which
            they ask of samples only).
        seed: of k-means; the same input and seed give the same value.
    """
    q, p, t = as_points(synthetic, "synthetic"), as_points(held_out, "held_out"), as_points(train, "train")
    check_same_width(q, t, "synthetic", "train")
    check_same_width(p, t, "held_out", "train")
    _check(num_cells, min_population, len(t))
    cells_q, cells_p, cells_t = _cells((q, p, t), num_cells, seed)
    tested, scores = [], []
    for cell in range(num_cells):
        own_q, own_p, own_t = q[cells_q == cell], p[cells_p == cell], t[cells_t == cell]
        if min(len(own_q), len(own_p)) >= min_population and len(own_t):
            tested.append(len(own_p))
            scores.append(rank_sum_z(_nearest_distances(own_q, own_t), _nearest_distances(own_p, own_t)))
    value = float(np.average(scores, weights=tested)) if tested else float("nan")
    return DataCopying(value, len(tested), sum(tested) / len(p))


def rank_sum_z(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Z = (U - n m / 2) / sqrt(n m (n + m + 1) / 12) for (n,) a and (m,) b; below 0 where a's are smaller.

    U counts the pairs with a > b, equal ones as half (Mann and Whitney 1947). As in Meehan et al. the deviation is that
    of values without ties; many ties, as exact copies make, would make Z somewhat larger.
    """
    from scipy.stats import rankdata

    n, m = len(a), len(b)
    u = rankdata(np.concatenate([a, b]))[:n].sum() - n * (n + 1) / 2
    return float((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def _check(num_cells: int, min_population: int, num_train: int) -> None:
    if not 1 <= as_integer(num_cells, "num_cells") <= num_train:
        raise RequestError(
            f"num_cells is {num_cells}; with {num_train} training points it must lie in 1..{num_train}. "
            "Use so few that each cell holds some dozen held-out points."
        )
    if as_integer(min_population, "min_population") < 1:
        raise RequestError(f"min_population is {min_population}; it must be 1 or more. Use 20.")


def _cells(sets: tuple[Rows, Rows, Rows], num_cells: int, seed: int) -> list[NDArray[np.int64]]:
    """Return the cell of each point of each set, by k-means on the last one."""
    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Number of distinct clusters")  # a collapsed train set: empty cells
        centres = KMeans(num_cells, n_init=1, random_state=seed).fit(sets[-1]).cluster_centers_
    return [nearest(points, centres, 1).indices[:, 0] for points in sets]


def _nearest_distances(points: Rows, train: Rows) -> NDArray[np.float64]:
    return nearest(points, train, 1).distances[:, 0]


class Ct(Metric):
    """The data-copying test C_T of N synthetic points, up to N held-out ones and the whole train set.

    Nothing but the number of cells tested, 0, where no cell holds enough samples and held-out points. The test
    assumes that train set and held-out points stem from one distribution: from generation 2 on it also shows how far
    the train set has drifted away from real images.
    """

    value_names: ClassVar[tuple[str, ...]] = ("memorization/ct", "memorization/ct_num_cells")

    name: Literal["ct"] = "ct"
    num_cells: Annotated[int, Field(ge=1)] = 10
    """Cells of k-means on the train set; at most N."""
    min_population: Annotated[int, Field(ge=1)] = 20
    """Synthetic, and held-out, points that a cell must hold to be tested; no more than there are of each."""

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        super().check_request(where, num_train, num_held_out)
        if self.num_cells > num_train:
            raise RequestError(
                f"{where}.num_cells is {self.num_cells}; with N = {num_train} (data.num_train) it must lie in "
                f"1..{num_train}. Use so few that each cell holds some dozen held-out points."
            )
        fewest = min(num_train, num_held_out)
        if self.min_population > fewest:
            raise RequestError(
                f"{where}.min_population is {self.min_population}, but data.num_train is {num_train} and "
                f"data.num_held_out {num_held_out}, so that no cell could be tested; it must be at most {fewest}. "
                "Lower it, or raise them."
            )

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        fresh = held_out.first(num)
        if not len(fresh):
            yield "memorization/ct_num_cells", 0.0
            return
        sets = (synthetic.first(num).features, fresh.features, train_set.features)
        outcome = data_copying(*sets, num_cells=self.num_cells, min_population=self.min_population)
        if outcome.num_cells:
            yield "memorization/ct", outcome.value
        yield "memorization/ct_num_cells", float(outcome.num_cells)
