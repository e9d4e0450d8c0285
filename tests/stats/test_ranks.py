"""Signed ranks and Holm's correction, against SciPy and scikit-posthocs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gdbench.stats.ranks import holm, mean_ranks, pairwise, signed_rank


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.5])), [1.0, 1.0])
    np.testing.assert_array_equal(np.isnan(holm(np.array([np.nan, 0.5]))), [True, False])
    assert holm(np.array([np.nan, 0.5]))[1] == 0.5


@given(arrays(float, st.integers(1, 8), elements=st.floats(0, 1)))
def test_holm_never_lowers_and_keeps_the_order(p):
    corrected = holm(p)
    assert (corrected >= p - 1e-15).all() and (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(p)]) >= -1e-15).all()


def test_pairs_against_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs", reason="scikit-posthocs is not installed (extra: oracles)")
    values = np.random.default_rng(0).normal(size=(14, 4)) + np.array([0, 0.4, 0.8, 0.9])
    expected = posthocs.posthoc_wilcoxon(list(values.T), p_adjust="holm").to_numpy()
    found = pairwise(values)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found[off], expected[off])


def test_signed_rank_is_scipys():
    x = np.random.default_rng(1).normal(0.3, 1, size=20)
    assert signed_rank(x) == stats.wilcoxon(x).pvalue
    assert signed_rank(np.append(x, [0.0, 0.0])) == stats.wilcoxon(x).pvalue


def test_nothing_differs():
    assert signed_rank(np.zeros(9)) == 1.0
    assert signed_rank(np.array([])) == 1.0


def test_unsolved_by_both_is_a_tie_and_by_one_the_largest_difference():
    one = np.array([1.0, 2, 3, 4, 5, 6, np.inf, np.inf])
    other = np.array([2.0, 4, 6, 8, 10, 12, np.inf, 7])
    difference = np.array([-1.0, -2, -3, -4, -5, -6, 100])
    assert pairwise(np.stack([one, other], 1))[0, 1] == pytest.approx(signed_rank(difference))


@given(arrays(float, (9, 3), elements=st.integers(0, 5)), st.permutations(range(3)))
def test_relabelling_changes_nothing_else(values, order):
    np.testing.assert_allclose(pairwise(values)[np.ix_(order, order)], pairwise(values[:, order]))
    np.testing.assert_allclose(mean_ranks(values)[list(order)], mean_ranks(values[:, order]))


def test_mean_ranks_by_hand():
    np.testing.assert_allclose(mean_ranks(np.array([[1.0, 2, 2], [5, np.inf, np.inf], [3, 2, 1]])), [5 / 3, 7 / 3, 2])
