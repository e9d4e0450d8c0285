"""Bootstrap intervals against scipy.stats.bootstrap, and what scipy does not do: clusters and censored values."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from gdbench.stats import bootstrap as module
from gdbench.stats.bootstrap import (
    bca_interval,
    bootstrap,
    cluster_bootstrap,
    distribution,
    jackknife_values,
    percentile_interval,
    stratified_bootstrap,
)  # fmt: skip

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


def test_families_are_drawn_whole():
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


def test_strata_are_drawn_one_by_one_and_pairs_stay_together():
    rng = np.random.default_rng(0)
    # Two solvers that always differ by 1: whatever is drawn, their paired difference is 1.
    strata = [np.stack([x, x + 1]) for x in (rng.normal(size=5), rng.normal(size=9))]

    def difference(*drawn):
        return np.mean([d[:, 1].mean(-1) - d[:, 0].mean(-1) for d in drawn], axis=0)

    found = stratified_bootstrap(strata, difference, rng)
    assert found == pytest.approx((1, 1, 1))


def test_strata_agree_with_the_plain_bootstrap_of_one():
    values = np.random.default_rng(1).normal(size=(1, 30))
    one = stratified_bootstrap([values], lambda d: d[:, 0].mean(-1), np.random.default_rng(2), resamples=20_000)
    plain = bootstrap(values[0], np.mean, np.random.default_rng(3), resamples=20_000)
    np.testing.assert_allclose(one, plain, atol=0.02)


def test_a_family_is_drawn_with_all_its_members():
    values = np.repeat([0.0, 1.0, 2.0, 3.0], [1, 5, 2, 3])
    clusters = np.repeat(list("abcd"), [1, 5, 2, 3])
    found = cluster_bootstrap(values, clusters, np.mean, np.random.default_rng(0), resamples=4000)
    assert found.value == pytest.approx(values.mean()) and found.low <= found.value <= found.high
    # Members of a family are no replicates: an interval over them is far too narrow.
    plain = bootstrap(values, np.mean, np.random.default_rng(0))
    assert found.high - found.low > 1.3 * (plain.high - plain.low)
    alone = cluster_bootstrap(values, np.arange(len(values)), np.mean, np.random.default_rng(0), resamples=20_000)
    np.testing.assert_allclose(alone, bootstrap(values, np.mean, np.random.default_rng(1), resamples=20_000), atol=0.1)


@pytest.mark.slow
def test_intervals_over_families_cover_as_often_as_they_say():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        family = np.repeat(np.arange(30), 3)
        values = np.repeat(rng.normal(size=30), 3) + 0.3 * rng.normal(size=90)
        found = cluster_bootstrap(values, family, np.mean, rng, resamples=500)
        hits += found.low <= 0 <= found.high
    # A percentile interval of 30 units falls a little short of 95%.
    assert 0.90 <= hits / 400 <= 0.98


@pytest.mark.slow
def test_intervals_over_starts_cover_as_often_as_they_say():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        strata = [rng.normal(size=(1, 24)) for _ in range(5)]
        found = stratified_bootstrap(
            strata, lambda *d: np.mean([x[:, 0].mean(-1) for x in d], axis=0), rng, resamples=500
        )
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 400 <= 0.98
