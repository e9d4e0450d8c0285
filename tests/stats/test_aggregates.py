"""Interquartile mean, optimality gap, probability of improvement: against SciPy, by hand, by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gdbench.stats.aggregates import interquartile_mean, optimality_gap, probability_of_improvement, pseudomedian

numbers = st.floats(-1e3, 1e3)


@given(arrays(float, st.integers(1, 10).map(lambda k: 4 * k), elements=numbers))
def test_the_trimmed_mean_of_scipy_where_four_divides_n(values):
    np.testing.assert_allclose(interquartile_mean(values), stats.trim_mean(values, 0.25), rtol=1e-9, atol=1e-9)


def test_interquartile_mean_by_hand():
    assert interquartile_mean(np.array([5.0])) == 5
    assert interquartile_mean(np.array([1.0, 3.0])) == 2
    # Of three values 3/4 of a value is cut at each end: 1/4 of the outer ones and all of the middle one count.
    assert interquartile_mean(np.array([0.0, 3.0, 9.0])) == pytest.approx((0.25 * 0 + 3 + 0.25 * 9) / 1.5)
    assert interquartile_mean(np.array([-np.inf, 1.0, 2.0, np.inf])) == 1.5
    table = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_allclose(interquartile_mean(table, axis=1), table.mean(axis=1))


@given(arrays(float, st.integers(1, 13), elements=numbers), st.randoms(use_true_random=False))
def test_the_order_does_not_matter_and_the_range_bounds(values, random):
    shuffled = values.tolist()
    random.shuffle(shuffled)
    found = interquartile_mean(np.array(shuffled))
    assert found == pytest.approx(float(interquartile_mean(values)))
    assert values.min() - 1e-9 <= found <= values.max() + 1e-9


def test_optimality_gap_by_hand():
    assert optimality_gap(np.array([0.0, 0.5, 1.0, 7.0])) == pytest.approx(1.5 / 4)


@given(arrays(float, (2, 5), elements=st.integers(0, 4)), arrays(float, (2, 7), elements=st.integers(0, 4)))
def test_probability_of_improvement_is_the_mann_whitney_statistic(x, y):
    for p, a, b in zip(probability_of_improvement(x, y), x, y, strict=True):
        assert p == pytest.approx(1 - stats.mannwhitneyu(a, b).statistic / 35)
    np.testing.assert_allclose(probability_of_improvement(x, y) + probability_of_improvement(y, x), 1)


def test_two_unsolved_runs_are_equal():
    unsolved = np.full((1, 3), np.inf)
    assert probability_of_improvement(unsolved, unsolved) == 0.5
    assert probability_of_improvement(np.array([[1.0, np.inf]]), unsolved) == pytest.approx(0.75)


def test_pseudomedian_by_hand():
    # Means of pairs of 1, 2, 9: 1, 1.5, 5, 2, 5.5, 9.
    assert pseudomedian(np.array([1.0, 2.0, 9.0])) == pytest.approx((2 + 5) / 2)
    assert pseudomedian(np.array([4.0])) == 4
    np.testing.assert_allclose(pseudomedian(np.array([[1.0, 2.0], [3.0, 8.0]]), axis=0), [2, 5])


@given(arrays(float, st.integers(2, 12), elements=numbers))
def test_pseudomedian_is_where_the_signed_ranks_balance(values):
    centre = float(pseudomedian(values))
    ranks = stats.rankdata(np.abs(values - centre))
    up, down = ranks[values > centre + 1e-9].sum(), ranks[values < centre - 1e-9].sum()
    # Moving past the next pair's mean would turn the balance: it is off by at most the ranks at the centre itself.
    assert abs(up - down) <= ranks.sum() / 2 + 1e-9
    assert pseudomedian(-values) == pytest.approx(-centre, abs=1e-9)
