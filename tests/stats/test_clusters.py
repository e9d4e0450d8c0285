"""Intervals over several problems: within them, and over their families."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given

from gdbench.stats import bootstrap as module
from gdbench.stats.aggregates import interquartile_mean
from gdbench.stats.bootstrap import bootstrap, stratified_band, stratified_bootstrap, stratified_distribution
from gdbench.stats.clusters import clustered_band, clustered_bootstrap, clustered_distribution
from tests.stats.drawn import QUICK, strata

PROBLEMS = [np.random.default_rng(i).gamma(2.0, size=(2, n)) for i, n in enumerate((10, 12, 15))]


def rng(seed=0):
    return np.random.default_rng(seed)


def mean_of_means(*drawn):
    return np.mean([one.mean(axis=(-2, -1)) for one in drawn], axis=0)


def medians(drawn):
    return np.median(drawn, axis=-1)


def test_one_stratum_is_a_plain_bootstrap():
    found = stratified_bootstrap(PROBLEMS[:1], mean_of_means, rng(), resamples=20_000)
    plain = bootstrap(PROBLEMS[0].T, np.mean, rng(1), resamples=20_000)
    assert found == pytest.approx(plain, rel=0.01)


def test_strata_have_the_spread_of_their_means():
    # The variance of a mean of bootstrap means is known: Σ s²/n / P², with s² divided by n.
    resampled = stratified_distribution(PROBLEMS, mean_of_means, rng(), 20_000)
    each = [one.mean(axis=0).var() / one.shape[1] for one in PROBLEMS]
    assert resampled.std() == pytest.approx(np.sqrt(sum(each)) / 3, rel=0.03)


def test_differences_of_strata_agree_with_scipy():
    # Two strata drawn each by itself are the two samples of scipy's bootstrap.
    one, two = PROBLEMS[0][:1], PROBLEMS[2][:1]
    found = stratified_bootstrap([one, two], lambda x, y: x.mean(axis=(1, 2)) - y.mean(axis=(1, 2)), rng(), 0.9, 20_000)
    theirs = scipy.stats.bootstrap(
        (one[0], two[0]), lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis), n_resamples=20_000,
        method="percentile", confidence_level=0.9, rng=rng(1),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.05)


def test_optimizers_are_resampled_together():
    # The second is the first plus 1 at the same start: their difference has no spread at all.
    pair = [np.stack([one[0], one[0] + 1]) for one in PROBLEMS]
    found = stratified_bootstrap(pair, lambda *d: np.mean([(x[:, 1] - x[:, 0]).mean(-1) for x in d], axis=0), rng())
    assert found == pytest.approx((1.0, 1.0, 1.0))
    apart = clustered_band(pair, "abc", medians, lambda x, axis: np.diff(x.mean(axis=axis), axis=-1), rng())
    assert np.ravel(apart) == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize("families", ["abc", "aab"])
def test_chunks_change_nothing(monkeypatch, families):
    def both():
        return (
            stratified_distribution(PROBLEMS, mean_of_means, rng(), 50),
            clustered_distribution(PROBLEMS, list(families), medians, np.mean, rng(), 50),
        )

    whole = both()
    monkeypatch.setattr(module, "CHUNK", 3 * PROBLEMS[0].size)
    for one, other in zip(whole, both(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_families_of_one_unit_are_a_plain_bootstrap_of_problems():
    values = rng(3).gamma(2.0, size=20)
    found = clustered_bootstrap(values[:, None, None], np.arange(20), lambda d: d[..., 0, 0], np.mean, rng())
    assert found == pytest.approx(bootstrap(values, np.mean, rng(1)), rel=0.05)


def test_a_family_is_drawn_whole_and_every_draw_draws_units_anew():
    # Family a holds problems of 1 and 3, b of 20; a resample of two families has one of four makes.
    values = [np.array([[1.0]]), np.array([[20.0]]), np.array([[3.0]])]
    resampled = clustered_distribution(values, ["a", "b", "a"], lambda d: d[..., 0, 0], np.sum, rng(), 4000)
    kinds, counts = np.unique(resampled, return_counts=True)
    assert kinds.tolist() == [8.0, 24.0, 40.0]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    coin = [np.array([[0.0, 1.0]])] * 2
    first = clustered_distribution(coin, ["a", "b"], lambda d: d[..., 0, 0], lambda x, axis: x[:, 0] != x[:, 1], rng())
    assert first.mean() == pytest.approx(0.5, abs=0.05)


def test_variants_of_one_problem_do_not_narrow_the_interval():
    values = rng(5).normal(size=8)

    def mean(values, families):
        return clustered_bootstrap(values[:, None], families, lambda d: d[..., 0], np.mean, rng())

    alone, eightfold = mean(values, np.arange(8)), mean(np.tile(values, 8), np.tile(np.arange(8), 8))
    as_problems = mean(np.tile(values, 8), np.arange(64))
    assert eightfold == pytest.approx(alone)
    assert as_problems.high - as_problems.low < 0.5 * (alone.high - alone.low)


@QUICK
@given(strata())
def test_intervals_hold_their_value_and_repeat(drawn):
    problems, families = drawn

    def over(*one):
        return interquartile_mean(np.stack([medians(x) for x in one], axis=-1))

    for found in (
        stratified_band(problems, over, rng(), resamples=50),
        clustered_band(problems, families, medians, interquartile_mean, rng(), resamples=50),
    ):
        assert found.value.shape == (len(problems[0]),)
        assert (found.low <= found.value).all() and (found.value <= found.high).all()
        assert not np.isnan(found).any()
    again = clustered_band(problems, families, medians, interquartile_mean, rng(), resamples=50)
    np.testing.assert_array_equal(again, found)


@QUICK
@given(strata())
def test_other_names_of_optimizers_change_nothing(drawn):
    problems, families = drawn
    order = np.arange(len(problems[0]))[::-1]
    found = clustered_band(problems, families, medians, interquartile_mean, rng(), resamples=30)
    turned = clustered_band([p[order] for p in problems], families, medians, interquartile_mean, rng(), resamples=30)
    np.testing.assert_array_equal(np.array(turned)[:, order], found)


def test_refusals():
    with pytest.raises(ValueError, match="at least one value"):
        stratified_bootstrap([np.zeros((2, 0))], lambda x: x.sum(axis=(-2, -1)), rng())
    with pytest.raises(ValueError, match="at least one problem"):
        clustered_bootstrap([], [], medians, np.mean, rng())


@pytest.mark.slow
def test_coverage_over_starts_is_near_nominal():
    # Mean over five problems of the mean of 25 starts each, whose truth is 0; nominal is 0.95.
    draws = rng(8).normal(size=(400, 5, 1, 25)) * np.arange(1, 6)[:, None, None]
    source = rng(9)
    found = [stratified_bootstrap(list(one), mean_of_means, source, resamples=300) for one in draws]
    assert 0.90 <= np.mean([e.low <= 0 <= e.high for e in found]) <= 0.975


@pytest.mark.slow
def test_coverage_over_families_is_near_nominal_where_that_over_starts_fails():
    # A family of two problems each shares an effect, which the starts on these problems know nothing of.
    source, families, hits = rng(10), np.repeat(np.arange(20), 2), []
    for _ in range(300):
        effect = np.repeat(source.normal(size=20), 2)[:, None, None]
        problems = list(effect + source.normal(size=(40, 1, 9)))
        over = clustered_bootstrap(problems, families, lambda d: d.mean(axis=(-2, -1)), np.mean, source, resamples=300)
        within = stratified_bootstrap(problems, mean_of_means, source, resamples=300)
        hits.append([over.low <= 0 <= over.high, within.low <= 0 <= within.high])
    covered = np.mean(hits, axis=0)
    assert 0.91 <= covered[0] <= 0.985  # a little above nominal: drawing units within adds their spread again
    assert covered[1] < 0.5
