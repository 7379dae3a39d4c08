"""The mixture on a ring, against its closed forms."""

import numpy as np
import pytest
from scipy.stats import kstest

from raycollapse.data import Gaussians


def test_the_mean_is_zero_and_the_covariance_half_radius_squared_plus_variance() -> None:
    source = Gaussians(num_train=1, num_components=5, radius=3.0, std=0.5, num_points=200_000)
    points = source.load().images.astype(np.float64)
    variance = 3.0**2 / 2 + 0.5**2
    five_errors = 5 * np.sqrt(variance / len(points))
    assert np.abs(points.mean(axis=0)).max() < five_errors
    assert np.cov(points.T) == pytest.approx(variance * np.eye(2), abs=5 * variance * np.sqrt(2 / len(points)))


def test_components_are_equally_likely_and_labelled() -> None:
    source = Gaussians(num_train=1, num_components=8, num_points=80_000)
    loaded = source.load()
    assert loaded.labels is not None
    counts = np.bincount(loaded.labels, minlength=8)
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(80_000 / 8 * 7 / 8)


def test_around_its_centre_each_component_is_an_isotropic_gaussian() -> None:
    loaded = Gaussians(num_train=1, num_components=3, radius=2.0, std=0.1, num_points=3_000).load()
    assert loaded.labels is not None
    angles = 2 * np.pi * loaded.labels / 3
    residuals = (loaded.images - 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)) / 0.1
    for axis in residuals.T:
        assert kstest(axis, "norm").pvalue > 1e-3
    assert abs(np.asarray(np.corrcoef(residuals.T))[0, 1]) < 5 / np.sqrt(3_000)


def test_the_mean_log_density_is_the_documented_entropy() -> None:
    source = Gaussians(num_train=1, num_points=50_000)
    points = source.load().images.astype(np.float64)
    angles = 2 * np.pi * np.arange(source.num_components) / source.num_components
    centres = source.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    squared = ((points[:, None] - centres) ** 2).sum(axis=2) / source.std**2
    density = np.exp(-squared / 2).mean(axis=1) / (2 * np.pi * source.std**2)
    entropy = np.log(8) + 1 + np.log(2 * np.pi * source.std**2)
    assert -np.log(density).mean() == pytest.approx(entropy, abs=5 / np.sqrt(50_000))  # log density has variance 1


def test_the_points_depend_on_their_own_seed_only() -> None:
    def first(**fields: int) -> list[float]:
        return [float(value) for value in Gaussians(**{"num_train": 10, **fields}).load().images[0]]

    assert first() == first(num_train=20)
    assert first() != first(points_seed=1)


def test_what_changes_the_points_changes_the_fingerprint_and_counts_do_not() -> None:
    reference = Gaussians(num_train=10)
    assert Gaussians(num_train=20).fingerprint() == reference.fingerprint()
    others: list[dict[str, float]] = [
        {"num_components": 9},
        {"radius": 2.1},
        {"std": 0.2},
        {"num_points": 10},
        {"points_seed": 1},
    ]
    prints = {Gaussians.model_validate({"num_train": 10, **fields}).fingerprint() for fields in others}
    assert len(prints | {reference.fingerprint()}) == len(others) + 1


def test_one_component_of_radius_zero_is_a_plain_gaussian() -> None:
    points = Gaussians(num_train=1, num_components=1, radius=0.0, std=1.0, num_points=5_000).load().images
    assert kstest(points.ravel(), "norm").pvalue > 1e-3
