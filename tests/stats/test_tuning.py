"""The best of n random settings: against every subset of a small grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdbench.stats.tuning import best_of, quantile_of_best


@given(arrays(float, 6, elements=st.integers(0, 9)), arrays(float, 6, elements=st.floats(0, 10)))
def test_expectation_over_every_subset(chosen_by, judged):
    for n in range(1, 7):
        subsets = [list(s) for s in itertools.combinations(range(6), n)]
        expected = np.mean([judged[s[int(np.argmin(chosen_by[s]))]] for s in subsets])
        assert best_of(chosen_by, judged, np.array([n]))[0] == pytest.approx(expected)


@given(arrays(float, 5, elements=st.integers(0, 9), unique=True), arrays(float, 5, elements=st.floats(0, 10)))
def test_median_over_every_subset(chosen_by, judged):
    for n in range(1, 6):
        subsets = [list(s) for s in itertools.combinations(range(5), n)]
        drawn = sorted(judged[s[int(np.argmin(chosen_by[s]))]] for s in subsets)
        found = quantile_of_best(chosen_by, judged, np.array([n]))[0]
        # The smallest value that half of the subsets do not exceed.
        assert found == pytest.approx(drawn[(len(drawn) + 1) // 2 - 1])


def test_all_settings_give_the_chosen_one():
    chosen_by, judged = np.array([3.0, 1.0, 2.0]), np.array([10.0, np.inf, 5.0])
    assert best_of(chosen_by, judged, np.array([3]))[0] == np.inf
    assert best_of(chosen_by, np.array([10.0, 7.0, 5.0]), np.array([3]))[0] == 7
    assert quantile_of_best(chosen_by, np.array([10.0, 7.0, np.inf]), np.array([1]))[0] == 10


def test_large_grids_stay_exact():
    m = 100_000
    values = np.arange(m, dtype=float)
    # The least of n of 0 ... m-1 is (m - n)/(n + 1) on average.
    n = np.array([1, 10, 1000, m])
    np.testing.assert_allclose(best_of(values, values, n), (m - n) / (n + 1), rtol=1e-6, atol=1e-6)
