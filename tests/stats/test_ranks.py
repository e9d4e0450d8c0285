"""Tests of pairs against scipy, scikit-posthocs and signs counted one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from gdbench.stats.ranks import holm, mean_ranks, pairwise, signed_rank
from tests.stats.drawn import QUICK, costs

INF = np.inf
LOGS = np.random.default_rng(0).normal(size=(14, 4)) + np.array([0.0, 0.2, 1.5, 1.6])


def by_enumeration(differences):
    """Two-sided p of the signed-rank sum over all 2^n signs, ties at mid-rank."""
    ranks = scipy.stats.rankdata(np.abs(differences))
    centre = ranks.sum() / 2
    seen = abs(ranks[np.asarray(differences) > 0].sum() - centre)
    sums = [ranks @ np.array(signs) for signs in itertools.product([0, 1], repeat=len(ranks))]
    return np.mean(np.abs(np.array(sums) - centre) >= seen - 1e-9)


@pytest.mark.parametrize(
    "differences",
    [[1.5, -0.5, 2.0, 3.0, 4.0, 5.5], [1.0, 1.0, 1.0, 2.0, -2.0, 3.0, 3.0], [0.5], [1.0, -1.0], [-1.0] * 4 + [2.0] * 5],
)
def test_signed_rank_is_exact_for_few(differences):
    assert signed_rank(np.array(differences)) == pytest.approx(by_enumeration(differences))


def test_signed_rank_agrees_with_scipy():
    for n in (1, 2, 5, 14, 50):
        one = np.random.default_rng(n).normal(0.3, size=n)
        assert signed_rank(one) == pytest.approx(scipy.stats.wilcoxon(one, method="exact").pvalue)
    many = np.random.default_rng(1).normal(0.3, size=80)
    assert signed_rank(many) == pytest.approx(scipy.stats.wilcoxon(many, method="asymptotic").pvalue)


def test_zeros_are_left_out_and_infinities_are_the_largest():
    six = [0.1, -0.2, 0.3, 0.4, 0.5, 0.7]
    assert signed_rank(np.array([*six, 0.0, 0.0])) == signed_rank(np.array(six))
    assert signed_rank(np.array([0.1, -0.2, 0.3, 0.4, 0.5, INF])) == signed_rank(np.array([*six[:5], 100.0]))
    assert signed_rank(np.array([-INF, INF, INF])) == pytest.approx(by_enumeration([-1, 1, 1]))
    assert signed_rank(np.zeros(5)) == signed_rank(np.array([])) == 1.0


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    found = holm(np.array([0.02, math.nan, 0.01]))
    assert found[[0, 2]] == pytest.approx([0.02, 0.02]) and math.isnan(found[1])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@QUICK
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p):
    p = np.array(p)
    found = holm(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert (found >= p).all() and (found <= np.minimum(p * len(p), 1) + 1e-15).all()


@pytest.mark.slow
def test_pairs_agree_with_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs", reason="needs the extra oracles")
    theirs = posthocs.posthoc_wilcoxon(list(LOGS.T), p_adjust="holm").to_numpy()
    ours = pairwise(LOGS)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(ours[off], theirs[off])
    assert np.isnan(np.diag(ours)).all()


def test_unsolved_by_both_is_a_tie_and_by_one_the_worst():
    values = np.array([[1.0, 2.0], [3.0, 3.5], [INF, INF], [4.0, INF], [5.0, 5.1], [6.0, 6.3], [7.0, 7.2]])
    assert pairwise(values)[0, 1] == pytest.approx(by_enumeration([1.0, 0.5, 100.0, 0.1, 0.3, 0.2]))


@QUICK
@given(costs())
def test_pairs_are_symmetric_and_need_no_names_or_order(drawn):
    found = pairwise(drawn)
    np.testing.assert_array_equal(found, found.T)
    assert ((found >= 0) & (found <= 1))[~np.eye(len(found), dtype=bool)].all()
    solvers, problems = np.arange(drawn.shape[1])[::-1], np.arange(len(drawn))[::-1]
    np.testing.assert_allclose(pairwise(drawn[problems][:, solvers]), found[np.ix_(solvers, solvers)])


def test_mean_ranks_by_hand():
    values = np.array([[1.0, 2.0, 2.0], [INF, 5.0, INF], [3.0, 2.0, 1.0]])
    assert mean_ranks(values) == pytest.approx([(1 + 2.5 + 3) / 3, (2.5 + 1 + 2) / 3, (2.5 + 2.5 + 1) / 3])


@QUICK
@given(costs())
def test_mean_ranks_add_up(drawn):
    n = drawn.shape[1]
    assert mean_ranks(drawn).sum() == pytest.approx(n * (n + 1) / 2)


@pytest.mark.slow
def test_equal_solvers_are_told_apart_no_more_often_than_allowed():
    rng = np.random.default_rng(3)
    claims = [np.nanmin(pairwise(rng.normal(size=(20, 4)))) < 0.05 for _ in range(300)]
    assert np.mean(claims) <= 0.08  # family-wise 0.05, within two and a half standard errors
