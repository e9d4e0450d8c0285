"""Bands of means over problems."""

from __future__ import annotations

import numpy as np
import pytest

from gdbench.stats.bands import cluster_means, mean_band
from gdbench.stats.bootstrap import cluster_bootstrap
from gdbench.stats.profiles import profile_band


def test_means_of_clusters():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    assert cluster_means(values, ["b", "b", "a"]).tolist() == [[10, 20], [2, 3]]


def test_agrees_with_the_bootstrap_of_one_number_and_with_that_of_profiles():
    rng = np.random.default_rng(3)
    values, families = rng.random((12, 2)), np.repeat(["a", "b", "c", "d", "e"], [4, 1, 3, 2, 2])
    band = mean_band(values, families, rng, resamples=20_000)
    for k in range(2):
        one = cluster_bootstrap(values[:, k], families, np.mean, rng, resamples=20_000)
        assert (band.low[k], band.high[k]) == pytest.approx((one.low, one.high), abs=0.01)
    at = np.array([0.2, 0.5, 0.8])
    below = (values[:, None] <= at[:, None]).astype(float)
    profile = profile_band(values, at, families, rng, relative=False, resamples=20_000)
    found = mean_band(below, families, rng, resamples=20_000)
    np.testing.assert_allclose(found.low, profile.low, atol=0.02)
    np.testing.assert_allclose(found.high, profile.high, atol=0.02)


def test_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(200):
        values = rng.normal(size=30)[:, None] + 0.1 * rng.normal(size=(30, 3))
        low, high = mean_band(values.ravel(), np.repeat(np.arange(30), 3), rng, resamples=400)
        covered.append(low <= 0 <= high)
    # 30 members three times each: taken for 90 independent ones the interval would cover about 75%.
    assert 0.88 <= np.mean(covered) <= 0.99


def test_one_family_says_nothing_of_others():
    band = mean_band(np.ones((3, 2)), ["a"] * 3, np.random.default_rng(0))
    assert np.isnan(band.low).all() and band.high.shape == (2,)


def test_chunks_change_nothing(monkeypatch):
    values = np.random.default_rng(0).random((9, 7, 3))
    families = list("aabbccdde")
    whole = mean_band(values, families, np.random.default_rng(1))
    monkeypatch.setattr("gdbench.stats.bands.CHUNK", 8000)
    parts = mean_band(values, families, np.random.default_rng(1))
    np.testing.assert_allclose(whole, parts, rtol=1e-12)
