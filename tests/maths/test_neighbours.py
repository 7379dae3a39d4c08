"""Nearest neighbours against brute force in float64, on the inputs that defeat float32."""

import builtins
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from raycollapse.errors import RequestError
from raycollapse.maths.neighbours import nearest


def brute_force(queries, references, k, exclude_self=False):
    distances = cdist(queries.astype(np.float64), references.astype(np.float64))
    if exclude_self:
        np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


def gaussian(num, dim, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(dtype)


def test_the_neighbours_are_those_of_scikit_learn():
    queries, references = gaussian(300, 24), gaussian(500, 24, seed=1)
    distances, indices = nearest(queries, references, 5)
    expected = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(references.astype(np.float64))
    expected_distances, expected_indices = expected.kneighbors(queries.astype(np.float64))
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-7)
    np.testing.assert_array_equal(indices, expected_indices)
    assert distances.dtype == np.float64 and indices.dtype == np.int64


@settings(max_examples=150, deadline=None)
@given(
    num=st.integers(2, 60),
    dim=st.integers(1, 12),
    k=st.integers(1, 6),
    distinct=st.integers(1, 60),
    noise=st.sampled_from([0.0, 1e-12, 1e-6, 1e-2, 1.0]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    seed=st.integers(0, 2**31),
)
def test_any_small_set_agrees_with_brute_force(num, dim, k, distinct, noise, offset, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(distinct, dim))[rng.integers(distinct, size=num)] + noise * rng.normal(size=(num, dim))
    points += offset
    k = min(k, num - 1)
    distances, indices = nearest(points, points, k, exclude_self=True)
    np.testing.assert_allclose(distances, brute_force(points, points, k, exclude_self=True), rtol=1e-9, atol=0)
    assert not (indices == np.arange(num)[:, None]).any()
    assert all(len(set(row)) == k for row in indices.tolist())


@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-7])
def test_near_duplicates_far_from_the_origin_are_exact(noise):
    rng = np.random.default_rng(3)
    points = np.repeat(gaussian(40, 64, dtype=np.float64), 10, axis=0) + noise * rng.normal(size=(400, 64)) + 1000.0
    for values in (points, points.astype(np.float32)):
        distances = nearest(values, values, 1, exclude_self=True).distances
        np.testing.assert_allclose(distances, brute_force(values, values, 1, exclude_self=True), rtol=1e-9)


def test_a_duplicate_is_a_neighbour_at_distance_zero_but_a_point_is_not_its_own():
    points = np.repeat(gaussian(5, 3), 2, axis=0)
    distances, indices = nearest(points, points, 1, exclude_self=True)
    assert (distances == 0).all()
    np.testing.assert_array_equal(indices.ravel(), np.arange(10) ^ 1)


def test_all_points_equal_gives_zeros():
    assert (nearest(np.ones((50, 4)), np.ones((50, 4)), 3, exclude_self=True).distances == 0).all()


def test_a_rotation_and_a_shift_change_nothing():
    points = gaussian(200, 16, dtype=np.float64)
    rotation = np.linalg.qr(gaussian(16, 16, seed=2, dtype=np.float64))[0]
    before, after = nearest(points, points, 3, True), nearest(points @ rotation + 7, points @ rotation + 7, 3, True)
    np.testing.assert_allclose(before.distances, after.distances, rtol=1e-9)


def test_scaling_scales_the_distances_from_tiny_to_huge():
    points = gaussian(50, 8, dtype=np.float64)
    expected = nearest(points, points, 2, exclude_self=True).distances
    for scale in (1e-30, 1e30):
        scaled = nearest(scale * points, scale * points, 2, exclude_self=True).distances
        np.testing.assert_allclose(scaled, scale * expected, rtol=1e-9)


def test_on_a_line_the_neighbours_are_the_adjacent_points():
    line = np.arange(10.0)[:, None] ** 2
    np.testing.assert_array_equal(nearest(line, line, 1, True).indices.ravel(), [1, 0, 1, 2, 3, 4, 5, 6, 7, 8])


def test_a_query_may_ask_for_every_reference():
    queries, references = gaussian(7, 3), gaussian(9, 3, seed=1)
    np.testing.assert_allclose(nearest(queries, references, 9).distances, brute_force(queries, references, 9))


def test_cosine_is_one_minus_the_cosine():
    queries, references = gaussian(40, 6), gaussian(60, 6, seed=1)
    expected = np.sort(cdist(queries.astype(np.float64), references.astype(np.float64), "cosine"), axis=1)[:, :4]
    np.testing.assert_allclose(nearest(queries, references, 4, metric="cosine").distances, expected, rtol=1e-5)


@pytest.mark.parametrize("convert", [torch.from_numpy, lambda x: torch.from_numpy(x).half().float(), np.asfortranarray])
def test_tensors_and_other_layouts_are_accepted(convert):
    points = gaussian(30, 5)
    values = convert(points)
    expected = brute_force(np.asarray(values), np.asarray(values), 2, exclude_self=True)
    np.testing.assert_allclose(nearest(values, values, 2, exclude_self=True).distances, expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.uint8, np.int64, bool])
def test_other_number_types_are_accepted(dtype):
    points = (40 * np.random.default_rng(0).random((30, 5))).astype(dtype)
    expected = brute_force(points, points, 2, exclude_self=True)
    np.testing.assert_allclose(nearest(points, points, 2, exclude_self=True).distances, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 2)), np.zeros((4, 3)), 1), "2 dimensions and references has 3"),
        ((np.zeros((3, 2)), np.zeros((3, 2)), 3, True), r"k is 3; with 3 references it must lie in 1\.\.2"),
        ((np.zeros((3, 2)), np.zeros((3, 2)), 0), "k is 0"),
        ((np.zeros((3, 2)), np.zeros((4, 2)), 1, True), "3 queries and 4 references"),
        ((np.zeros((0, 2)), np.zeros((4, 2)), 1), r"shape \(0, 2\)"),
        ((np.zeros(3), np.zeros((4, 2)), 1), r"shape \(3,\)"),
        ((np.array([[0.0, np.nan]]), np.zeros((4, 2)), 1), "NaN or infinity in 1 of 1 rows, first in row 0"),
        ((np.zeros((4, 2)), np.array([[0.0, 1.0], [np.inf, 0.0]]), 1), "references holds NaN or infinity"),
        ((np.array([["a", "b"]]), np.zeros((4, 2)), 1), "real numbers are needed"),
    ],
)
def test_bad_input_is_refused_with_its_value(arguments, message):
    with pytest.raises(RequestError, match=message):
        nearest(*arguments)


def test_cosine_refuses_a_vector_without_direction():
    with pytest.raises(RequestError, match="zero vector in row 1"):
        nearest(np.ones((2, 2)), np.array([[1.0, 0.0], [0.0, 0.0]]), 1, metric="cosine")


def test_without_faiss_the_error_names_both_extras(monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "faiss":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RequestError, match=r"raycollapse\[cpu\].*raycollapse\[gpu\]"):
        nearest(gaussian(20, 3), gaussian(20, 3), 1)
