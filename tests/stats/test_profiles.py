"""Performance and data profiles, by hand and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad

from gdbench.stats.profiles import budgets, profile, profile_band, profile_score, ratios

COSTS = np.array([[1.0, 2.0], [4.0, 1.0], [3.0, np.inf], [np.inf, np.inf]])

costs_drawn = arrays(float, (6, 3), elements=st.one_of(st.floats(0.5, 100), st.just(np.inf)))


def test_ratios_by_hand():
    np.testing.assert_array_equal(ratios(COSTS), [[1, 2], [4, 1], [1, np.inf], [np.inf, np.inf]])


def test_a_problem_that_nobody_solves_stays_in_the_denominator():
    found = profile(ratios(COSTS), np.array([1.0, 2.0, 4.0, 1e9]))
    np.testing.assert_allclose(found, [[0.5, 0.25], [0.5, 0.5], [0.75, 0.5], [0.75, 0.5]])


def test_data_profile_counts_simplex_gradients():
    counted = budgets(np.array([[30.0, 60.0]]), np.array([2]))
    np.testing.assert_allclose(profile(counted, np.array([10.0, 20.0])), [[1, 0], [1, 1]])
    assert budgets(COSTS) is not None and (budgets(COSTS)[0] == [1, 2]).all()


@given(costs_drawn)
def test_profiles_are_monotone_and_end_at_the_share_solved(costs):
    at = np.geomspace(1, 1e4, 40)
    found = profile(ratios(costs), at)
    assert (np.diff(found, axis=0) >= 0).all()
    np.testing.assert_allclose(found[-1], np.isfinite(costs).mean(axis=0))


@given(costs_drawn)
def test_the_score_is_the_area_under_the_profile(costs):
    ratio = ratios(costs)
    for solver, score in enumerate(profile_score(ratio)):
        points = sorted({float(r) for r in ratio[:, solver] if 1 < r < 4})
        area = quad(lambda t, s=solver: float(profile(ratio, np.array([t]))[0, s]), 1, 4, points=points or None)[0]
        assert score == pytest.approx(area / 3, abs=1e-6)


@given(costs_drawn, st.permutations(range(3)), st.permutations(range(6)))
def test_order_of_solvers_and_problems_changes_nothing(costs, solvers, problems):
    again = costs[np.ix_(problems, solvers)]
    np.testing.assert_allclose(profile_score(ratios(costs))[list(solvers)], profile_score(ratios(again)))


def test_a_band_brackets_its_profile_and_families_widen_it():
    rng = np.random.default_rng(0)
    costs = np.repeat(np.exp(rng.normal(size=(8, 2))), 6, axis=0)
    at = np.array([1.0, 2.0, 4.0])
    found = profile(ratios(costs), at)
    wide = profile_band(costs, at, np.repeat(np.arange(8), 6), np.random.default_rng(1))
    narrow = profile_band(costs, at, np.arange(48), np.random.default_rng(1))
    assert (wide.low <= found).all() and (found <= wide.high).all()
    assert ((wide.high - wide.low) >= (narrow.high - narrow.low)).all()
    assert (wide.high - wide.low).max() > 1.5 * (narrow.high - narrow.low).max()
