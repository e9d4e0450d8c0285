"""Bands of means over problems."""

from __future__ import annotations

import numpy as np

from gdbench.stats.bands import cluster_means, mean_band
from gdbench.stats.clusters import clustered_band


def test_means_of_clusters():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    assert cluster_means(values, ["b", "b", "a"]).tolist() == [[10, 20], [2, 3]]


def test_agrees_with_the_bootstrap_that_draws_units_too_where_there_is_one_a_problem():
    rng = np.random.default_rng(3)
    values, families = rng.random((12, 2)), np.repeat(["a", "b", "c", "d", "e"], [4, 1, 3, 2, 2])
    found = mean_band(values, families, rng, resamples=20_000)
    other = clustered_band(values[..., None], families, lambda x: x[..., 0], np.mean, rng, resamples=20_000)
    np.testing.assert_array_equal(found.value, values.mean(axis=0))
    np.testing.assert_allclose(found, other, atol=0.01)


def test_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(200):
        values = rng.normal(size=30)[:, None] + 0.1 * rng.normal(size=(30, 3))
        _, low, high = mean_band(values.ravel(), np.repeat(np.arange(30), 3), rng, resamples=400)
        covered.append(low <= 0 <= high)
    # 30 members three times each: taken for 90 independent ones the interval would cover about 75%.
    assert 0.88 <= np.mean(covered) <= 0.99


def test_chunks_change_nothing(monkeypatch):
    values = np.random.default_rng(0).random((9, 7, 3))
    families = list("aabbccdde")
    whole = mean_band(values, families, np.random.default_rng(1))
    monkeypatch.setattr("gdbench.stats.bands.CHUNK", 8000)
    parts = mean_band(values, families, np.random.default_rng(1))
    np.testing.assert_allclose(whole, parts, rtol=1e-12)
