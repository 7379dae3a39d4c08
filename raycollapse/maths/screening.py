"""Exact nearest distances without looking at most pairs.

A product of short vectors (see `short_vectors`) rules out almost every pair at p / d of a full product's cost. The rest
is computed from the differences of features: accurate for near-duplicates too, and 0 for duplicates. What is ruled out
is certain, so results depend neither on the short vectors nor on how the work is cut into blocks.
"""

import numpy as np
import torch
from torch import Tensor

from raycollapse.maths.arrays import Points
from raycollapse.maths.optional_faiss import load_faiss
from raycollapse.maths.short_vectors import blocks, frame_of

_VALUES = 1 << 22  # differences held at once


class Screen:
    """Squared distances between the rows of one set of (n, d) points."""

    def __init__(self, points: Points, device: str | None = None) -> None:
        self.points = torch.from_numpy(points).to(device or "cpu")
        self.on_cpu = self.points.device.type == "cpu"
        self._frame = frame_of(points)
        self._short = self._all_short(points) if self._frame.axes is not None else None

    def __len__(self) -> int:
        return len(self.points)

    def pairs(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return (m,) squared distances of (m,) pairs of points, from their differences."""
        if self.on_cpu and self.points.dtype == torch.float32:
            return self._pairs_by_faiss(rows, columns)
        step = max(1, _VALUES // self.points.shape[1])
        parts = zip(rows.split(step), columns.split(step), strict=True)
        squared = [(self.points[r] - self.points[c]).square_().sum(1) for r, c in parts]
        return torch.cat(squared) if squared else self.points.new_empty(0)

    def lower(self, bound: Tensor, rows: Tensor, columns: Tensor, stop: float) -> tuple[Tensor, Tensor]:
        """Lower each row's bound on its squared distance to the columns as far as the columns allow.

        A row whose bound is found to lie under `stop` is given up: the columns may not all have been looked at.

        Args:
            bound: (r,) an upper bound on each row's squared distance to some set that is about to gain the columns.
            rows: (r,) positions of points.
            columns: (c,) positions of points.
            stop: a squared distance.

        Returns:
            (r,) the new bounds, and (r,) whether all columns were taken into account.
        """
        products, own = self._products(rows, columns)
        likely = _argmin(products)
        limit = self._limit(bound) - own
        hit = (products.gather(1, likely[:, None])[:, 0] < limit).nonzero()[:, 0]
        if len(hit) == 0:
            return bound, torch.ones_like(rows, dtype=torch.bool)
        bound = bound.clone()
        bound[hit] = torch.minimum(bound[hit], self.pairs(rows[hit], columns[likely[hit]]))
        going = hit[bound[hit] >= stop]
        complete = torch.ones_like(rows, dtype=torch.bool)
        complete[hit] = bound[hit] >= stop
        limit = torch.full_like(own, -torch.inf)
        limit[going] = self._limit(bound[going]) - own[going]
        row, column = _below(products, limit)
        bound.scatter_reduce_(0, row, self.pairs(rows[row], columns[column]), "amin")
        return bound, complete

    def close_pairs(self, rows: Tensor, limit: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return every pair i < j of the (r,) rows whose squared distance is at most `limit`, and that distance."""
        products, own = self._products(rows, rows)
        bound = self.points.new_full((len(rows),), limit)
        i, j = _below(products, self._limit(bound) - own)
        i, j = i[i < j], j[i < j]
        squared = self.pairs(rows[i], rows[j])
        near = squared <= limit
        return i[near], j[near], squared[near]

    def _limit(self, bound: Tensor) -> Tensor:
        """Return what a product must stay below for its pair to possibly lie within the bound."""
        return bound.float() / self._frame.scale**2 + self._frame.error

    def _products(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return (r, c) |v|^2 - 2 u.v and (r,) |u|^2, which add up to a lower bound of the squared distance."""
        u, v = self._vectors(rows), self._vectors(columns)
        return torch.addmm(v.square().sum(1), u, v.T, alpha=-2.0), u.square().sum(1)

    def _vectors(self, rows: Tensor) -> Tensor:
        if self._short is not None:
            return self._short[rows]
        centre = torch.from_numpy(self._frame.centre).to(self.points)
        return ((self.points[rows] - centre) / self._frame.scale).float()

    def _all_short(self, points: Points) -> Tensor:
        short = np.empty((len(points), self._frame.width), np.float32)
        start = 0
        for block in blocks(points):
            short[start : start + len(block)] = self._frame.place(block)
            start += len(block)
        return torch.from_numpy(short).to(self.points.device)

    def _pairs_by_faiss(self, rows: Tensor, columns: Tensor) -> Tensor:
        faiss = load_faiss()
        x, squared = self.points.numpy(), torch.empty(len(rows))
        r, c = rows.contiguous().numpy(), columns.contiguous().numpy()
        pointers = [faiss.swig_ptr(array) for array in (x, r, x, c, squared.numpy())]
        if len(r):
            faiss.pairwise_indexed_L2sqr(x.shape[1], len(r), *pointers)
        return squared


def _argmin(products: Tensor) -> Tensor:
    """Return each row's argmin; NumPy's is vectorised on CPUs, torch's is not."""
    if products.device.type == "cpu":
        return torch.from_numpy(products.numpy().argmin(axis=1))
    return products.argmin(dim=1)


def _below(products: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (row, column) of every product under its row's limit, row by row."""
    if products.device.type == "cpu":
        flat = torch.from_numpy(np.flatnonzero(products.numpy() < limit.numpy()[:, None]))
        return torch.div(flat, products.shape[1], rounding_mode="floor"), flat % products.shape[1]
    row, column = (products < limit[:, None]).nonzero(as_tuple=True)
    return row, column
