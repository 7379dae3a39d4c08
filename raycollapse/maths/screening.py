"""Exact nearest distances without looking at most pairs.

A product of short vectors (see `short_vectors`) rules out almost every pair at p / d of a full product's cost. The rest
is computed from the differences of features: accurate for near-duplicates too, and 0 for duplicates. What is ruled out
is certain, so results depend neither on the short vectors nor on how the work is cut into blocks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Points
from raycollapse.maths.optional_faiss import load_faiss
from raycollapse.maths.short_vectors import short_vectors

_VALUES = 1 << 22  # differences held at once


@dataclass(frozen=True)
class Vectors:
    """Some points' short vectors."""

    positions: Tensor
    """(r,) rows of the set"""
    short: Tensor
    """(r, width) float32"""
    square: Tensor
    """(r,) their squared lengths"""

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, part: slice) -> "Vectors":
        return Vectors(self.positions[part], self.short[part], self.square[part])

    def where(self, keep: Tensor) -> "Vectors":
        """Return those points that are to be kept; these, while they are nearly all, since a copy would cost more."""
        kept = keep.nonzero()[:, 0]
        if len(kept) > 0.9 * len(self):
            return self
        parts = (part.index_select(0, kept) for part in (self.positions, self.short, self.square))
        return Vectors(*parts)

    def products(self, columns: "Vectors") -> Tensor:
        """Return (r, c) |v|^2 - 2 u.v: plus the row's |u|^2, a lower bound of the pair's squared distance."""
        with _full_precision():
            return torch.addmm(columns.square, self.short, columns.short.T, alpha=-2.0)


class Screen:
    """Squared distances between the rows of one set of (n, d) points, nearest ones to at most `num_columns` of them."""

    def __init__(self, points: Points, num_columns: int, device: str | None = None) -> None:
        self.points = torch.from_numpy(points).to(_device(device))
        self.on_cpu = self.points.device.type == "cpu"
        centre, short, self._error = short_vectors(points, num_columns)
        self._centre = torch.from_numpy(centre).to(self.points)
        self._short = None if short is None else torch.from_numpy(short).to(self.points.device)
        self._faiss: Any = load_faiss() if self.on_cpu else None

    def __len__(self) -> int:
        return len(self.points)

    def pairs(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return (m,) squared distances of (m,) pairs of points, from their differences."""
        if self.on_cpu and self.points.dtype == torch.float32:
            return self._pairs_by_faiss(rows, columns)
        step = max(1, _VALUES // self.points.shape[1])
        parts = zip(torch.split(rows, step), torch.split(columns, step), strict=True)
        squared = [(self.points[r] - self.points[c]).square_().sum(1) for r, c in parts]
        return torch.cat(squared) if squared else self.points.new_empty(0)

    def vectors(self, positions: Tensor) -> Vectors:
        """Return what products of these points are formed from."""
        if self._short is None:
            short = self.points.index_select(0, positions).sub_(self._centre).float()
        else:
            short = self._short.index_select(0, positions)
        return Vectors(positions, short, torch.linalg.vector_norm(short, dim=1).square_())

    def lower(self, bound: Tensor, rows: Vectors, columns: Vectors, stop: float) -> tuple[Tensor, Tensor]:
        """Lower each row's bound on its squared distance to the columns as far as the columns allow.

        A row whose bound lies under `stop`, or is found to, is given up: not all columns may have been looked at.

        Args:
            bound: (r,) an upper bound on each row's squared distance to some set that is about to gain the columns.
            rows: r points.
            columns: c points.
            stop: a squared distance.

        Returns:
            (r,) the new bounds, and (r,) whether all columns were taken into account.
        """
        products = rows.products(columns)
        likely = _argmin(products)
        near = products.gather(1, likely[:, None])[:, 0] < self._limit(bound, rows)
        hit = near.nonzero()[:, 0]
        distance = self.pairs(rows.positions[hit], columns.positions[likely[hit]])
        bound = bound.scatter_reduce(0, hit, distance, "amin")
        complete = bound >= stop
        row, column = _below(products, self._limit(bound, rows).masked_fill_(~(near & complete), -torch.inf))
        distance = self.pairs(rows.positions[row], columns.positions[column])
        return bound.scatter_reduce_(0, row, distance, "amin"), complete

    def close_pairs(self, positions: Tensor, limit: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return every pair i < j of the (r,) positions within a squared distance of `limit`, and that distance."""
        rows = self.vectors(positions)
        bound = self.points.new_full((len(positions),), limit)
        i, j = _below(rows.products(rows), self._limit(bound, rows))
        i, j = i[i < j], j[i < j]
        squared = self.pairs(positions[i], positions[j])
        near = squared <= limit
        return i[near], j[near], squared[near]

    def _limit(self, bound: Tensor, rows: Vectors) -> Tensor:
        """Return what a row's products must lie under for a pair to possibly lie within the row's bound."""
        return bound.float() - rows.square + self._error

    def _pairs_by_faiss(self, rows: Tensor, columns: Tensor) -> Tensor:
        x, squared = self.points.numpy(), torch.empty(len(rows))
        r, c = rows.contiguous().numpy(), columns.contiguous().numpy()
        pointers = [self._faiss.swig_ptr(array) for array in (x, r, x, c, squared.numpy())]
        if len(r):
            self._faiss.pairwise_indexed_L2sqr(x.shape[1], len(r), *pointers)
        return squared


def _device(name: str | None) -> torch.device:
    """Return the device asked for, the CPU if none is."""
    try:
        device = torch.device(name or "cpu")
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        raise RequestError(
            f"device is {name!r}, which torch cannot use here ({str(error).splitlines()[0]}). "
            "Use 'cpu', or 'cuda' where torch sees a GPU."
        ) from error
    return device


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep TF32, which a training may have allowed, out of products whose error is relied on."""
    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


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
