"""Profiles by hand, by their properties, and as rliable draws the same share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.stats.profiles import budgets, profile, profile_band_over_units, profile_score, ratios
from tests.stats.drawn import QUICK, costs, strata

INF = np.inf
# Three solvers on four problems: a tie, a failure, a problem that nobody solves, a start at the minimizer.
COSTS = np.array([[10.0, 10.0, 40.0], [6.0, 3.0, INF], [INF, INF, INF], [0.0, 8.0, 24.0]])
AT = np.array([1.0, 2.0, 3.0, 4.0, 1e9])


def test_ratios_by_hand():
    assert ratios(COSTS).tolist() == [[1, 1, 4], [2, 1, INF], [INF] * 3, [1, 1, 3]]
    assert ratios(np.array([[0.0, 0.0]])).tolist() == [[1, 1]]
    assert ratios(np.array([[0.0, INF]])).tolist() == [[1, INF]]


def test_profile_by_hand():
    # A problem that nobody solves is in the denominator: no curve gets above 3/4.
    assert profile(ratios(COSTS), AT).T.tolist() == [[0.5, 0.75, 0.75, 0.75, 0.75], [0.75] * 5, [0, 0, 0.25, 0.5, 0.5]]


def test_data_profile_counts_simplex_gradients():
    dims = np.array([1, 2, 3, 4])
    assert budgets(COSTS)[:2].tolist() == COSTS[:2].tolist()
    assert budgets(COSTS, dims)[:2].tolist() == [[5, 5, 20], [2, 1, INF]]
    found = profile(budgets(COSTS, dims), np.array([0.0, 1.0, 5.0, 20.0]))
    assert found.T.tolist() == [[0.25, 0.25, 0.75, 0.75], [0, 0.25, 0.75, 0.75], [0, 0, 0.25, 0.5]]


def test_profile_score_by_hand():
    assert profile_score(ratios(COSTS)) == pytest.approx([(3 + 2 + 0 + 3) / 12, 9 / 12, (0 + 0 + 0 + 1) / 12])


@QUICK
@given(costs())
def test_profile_score_is_the_area_under_the_profile(drawn):
    ratio = ratios(drawn)
    knots = np.unique(np.concatenate([[1.0, 4.0], ratio[(ratio > 1) & (ratio < 4)]]))
    area = (profile(ratio, knots[:-1]) * np.diff(knots)[:, None]).sum(axis=0) / 3
    assert profile_score(ratio) == pytest.approx(area)


@QUICK
@given(costs())
def test_profiles_rise_from_the_wins_to_the_solved(drawn):
    ratio, at = ratios(drawn), np.geomspace(1, 1e12, 40)
    found = profile(ratio, at)
    assert (np.diff(found, axis=0) >= 0).all() and (found >= 0).all() and (found <= 1).all()
    assert (ratio >= 1).all() and not np.isnan(ratio).any()
    np.testing.assert_array_equal(found[-1], np.isfinite(drawn).mean(axis=0))
    solved = np.isfinite(drawn).any(axis=1)
    assert (ratio[solved].min(axis=1) == 1).all() and np.isinf(ratio[~solved]).all()


@QUICK
@given(costs(), st.randoms(use_true_random=False))
def test_order_of_problems_and_names_of_solvers_change_nothing(drawn, source):
    problems, solvers = (source.sample(range(n), n) for n in drawn.shape)
    found = profile(ratios(drawn), AT)
    np.testing.assert_allclose(profile(ratios(drawn[problems][:, solvers]), AT), found[:, solvers])


@QUICK
@given(costs(), st.integers(1, 5))
def test_units_of_cost_change_no_ratio(drawn, power):
    np.testing.assert_array_equal(ratios(drawn * 2.0**power), ratios(drawn))


def test_profile_is_the_share_that_rliable_draws():
    metrics = pytest.importorskip("rliable.metrics", reason="needs the extra oracles")
    # rliable's optimality gap of -r at -τ is the area between 0 and τ that the profile has not reached.
    ratio = ratios(np.random.default_rng(0).gamma(1.0, size=(50, 1)) + np.array([[0.1, 0.3, 0.6]]))[:, 2]
    gap = metrics.aggregate_optimality_gap(-np.minimum(ratio, 4.0)[None], -1.0)
    assert profile_score(ratio[:, None])[0] == pytest.approx(1 - gap / 3)


def test_band_over_units_is_drawn_in_pairs():
    # The second always costs twice the first on the same start, whatever starts are drawn.
    one = [np.random.default_rng(i).gamma(2.0, size=12) + 1 for i in range(5)]
    found = profile_band_over_units([np.stack([x, 2 * x]) for x in one], AT, np.random.default_rng(0), resamples=200)
    for part in found:
        np.testing.assert_array_equal(part, [[1, 0], [1, 1], [1, 1], [1, 1], [1, 1]])
    absolute = profile_band_over_units(
        [np.stack([x, 2 * x]) for x in one],
        AT,
        np.random.default_rng(0),
        relative=False,
        dims=np.ones(5),
        resamples=200,
    )
    typical = np.array([[np.median(x), 2 * np.median(x)] for x in one])
    np.testing.assert_array_equal(absolute.value, profile(typical / 2, AT))
    assert (absolute.low < absolute.high).any()


@QUICK
@given(strata())
def test_bands_hold_their_profile(drawn):
    problems, _ = drawn
    found = profile_band_over_units(problems, AT, np.random.default_rng(0), resamples=40)
    typical = np.stack([np.median(p, axis=-1) for p in problems])
    np.testing.assert_allclose(found.value, profile(ratios(typical), AT))
    assert (found.low <= found.value).all() and (found.value <= found.high).all()
    assert (found.low >= 0).all() and (found.high <= 1).all()
