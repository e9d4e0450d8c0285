"""Bootstrap intervals against scipy.stats.bootstrap, and what scipy does not do: clusters and censored values."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from gdbench.stats import bootstrap as module
from gdbench.stats.bootstrap import bca_interval, bootstrap, distribution, jackknife_values, percentile_interval

SAMPLE = np.random.default_rng(5).gamma(2.0, size=40)


def from_scipy(method: str, statistic=np.mean):
    return scipy.stats.bootstrap(
        (SAMPLE,), statistic, n_resamples=999, method=method, rng=np.random.default_rng(1), vectorized=True
    )


def test_percentile_agrees_with_scipy_on_its_own_resamples():
    theirs = from_scipy("percentile")
    ours = percentile_interval(theirs.bootstrap_distribution)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=1e-12)


def test_bca_agrees_with_scipy_on_its_own_resamples():
    theirs = from_scipy("BCa")
    ours = bca_interval(theirs.bootstrap_distribution, SAMPLE.mean(), jackknife_values(SAMPLE, np.mean))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=1e-9)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_is_near_scipys_and_repeats(method):
    ours = bootstrap(SAMPLE, np.mean, np.random.default_rng(0), method=method)
    theirs = from_scipy(method).confidence_interval
    assert ours.value == pytest.approx(SAMPLE.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.05)
    assert ours == bootstrap(SAMPLE, np.mean, np.random.default_rng(0), method=method)


def test_coverage_of_the_mean_is_near_nominal():
    rng = np.random.default_rng(7)
    samples = rng.normal(size=(600, 30))  # nominal 0.95; the percentile interval of 30 values holds about 0.925
    covered = [e.low <= 0 <= e.high for e in (bootstrap(s, np.mean, rng, resamples=300) for s in samples)]
    assert 0.90 <= np.mean(covered) <= 0.97


def test_chunks_change_nothing(monkeypatch):
    whole = distribution(SAMPLE, np.median, np.random.default_rng(3), 50)
    monkeypatch.setattr(module, "CHUNK", 3 * SAMPLE.size)
    np.testing.assert_array_equal(whole, distribution(SAMPLE, np.median, np.random.default_rng(3), 50))


def test_clusters_are_drawn_whole():
    # Ten equal copies of each of six values carry no more information than the six.
    copies = np.repeat(SAMPLE[:6, None], 10, axis=1)
    alone = bootstrap(SAMPLE[:6], np.mean, np.random.default_rng(0))
    together = bootstrap(copies, np.mean, np.random.default_rng(0))
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))


def test_censored_values_give_an_open_interval_and_no_nan():
    costs = np.array([10.0, 12.0, 15.0, 20.0, np.inf, np.inf])
    found = bootstrap(costs, np.median, np.random.default_rng(0))
    assert found.value == 17.5
    assert 10.0 <= found.low < 17.5
    assert found.high == np.inf
    all_lost = bootstrap(np.full(4, np.inf), np.median, np.random.default_rng(0))
    assert all_lost == (np.inf, np.inf, np.inf)


def test_bca_of_equal_values_is_a_point():
    assert bootstrap(np.ones(5), np.mean, np.random.default_rng(0), method="bca") == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "method", "what"),
    [
        ([], "percentile", "at least one"),
        ([1.0], "bca", "two units"),
        ([1, np.inf], "bca", "finite"),
        ([1], "x", "method"),
    ],
)
def test_refusals(values, method, what):
    with pytest.raises(ValueError, match=what):
        bootstrap(np.array(values), np.mean, np.random.default_rng(0), method=method)
