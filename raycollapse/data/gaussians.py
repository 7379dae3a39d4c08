"""A mixture of Gaussians in the plane, whose mean, covariance and entropy are known: for theory and for tests."""

import json
from typing import Literal

import numpy as np
from pydantic import Field

from raycollapse.data.base import DataSource, Loaded


class Gaussians(DataSource):
    """Points (x, y) from equally likely isotropic Gaussians, centred evenly on a ring; labelled by component.

    For three components or more the mean is 0 and the covariance (radius^2 / 2 + std^2) I. Where they hardly overlap
    the entropy is log(num_components) + 1 + log(2 pi std^2) nats.
    """

    name: Literal["gaussians"] = "gaussians"

    num_components: int = Field(default=8, gt=0)
    """How many Gaussians lie on the ring."""
    radius: float = Field(default=2.0, ge=0)
    """Distance of each centre from the origin."""
    std: float = Field(default=0.1, gt=0)
    """Standard deviation of each Gaussian, along each axis."""
    num_points: int = Field(default=131_072, gt=0)
    """How many points there are in all; train and held-out points are drawn from them, as from any real data."""
    points_seed: int = Field(default=0, ge=0)
    """Seed of the points themselves, apart from the experiment's, which draws the split."""

    def load(self) -> Loaded:
        rng = np.random.default_rng(self.points_seed)
        components = rng.integers(self.num_components, size=self.num_points)
        angles = 2 * np.pi * components / self.num_components
        centres = self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (n, 2)
        points = centres + self.std * rng.standard_normal((self.num_points, 2))
        return Loaded.of_vectors(points, components, "gaussians")

    def fingerprint(self) -> str:
        return json.dumps(self.model_dump(exclude=set(DataSource.model_fields) - {"name"}), sort_keys=True)

    def shape_hint(self) -> tuple[int, ...]:
        return (2,)

    def num_classes_hint(self) -> int:
        return self.num_components

    def _described(self) -> str:
        return f"gaussians (num_points: {self.num_points})"
