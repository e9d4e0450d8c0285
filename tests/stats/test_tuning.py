"""Best of n by drawing all samples there are, and gains by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.stats.tuning import best_of, chances, gains, quantile_of_best
from tests.stats.drawn import QUICK

INF = np.inf
CHOSEN = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
JUDGED = np.array([30.0, 25.0, 7.0, 90.0, 11.0])


def all_samples(chosen_by, judged, n, replacement):
    """Mean held-out value of the best over every sample of n settings, equals sharing."""
    settings = range(len(chosen_by))
    samples = itertools.product(settings, repeat=n) if replacement else itertools.combinations(settings, n)
    found = []
    for sample in samples:
        least = min(chosen_by[i] for i in sample)
        found.append(np.mean([judged[i] for i in sample if chosen_by[i] == least]))
    return np.mean(found)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("chosen_by", [CHOSEN, np.array([1.0, 2.0, 1.0, 2.0, INF])])
def test_best_of_n_is_the_mean_over_all_samples(replacement, chosen_by):
    n = np.arange(1, 6)
    wanted = [all_samples(chosen_by, JUDGED, k, replacement) for k in n]
    np.testing.assert_allclose(best_of(chosen_by, JUDGED, n, replacement), wanted)


def test_the_formula_of_dodge():
    # With the value itself as what is judged: Σ_v v (P(V ≥ v)^n - P(V > v)^n).
    ordered, m, n = np.sort(JUDGED), 5, 7
    wanted = sum(v * (((m - i) / m) ** n - ((m - i - 1) / m) ** n) for i, v in enumerate(ordered))
    assert best_of(JUDGED, JUDGED, np.array([n]), replacement=True)[0] == pytest.approx(wanted)


def test_the_best_of_all_is_the_best_chosen_not_the_best_judged():
    assert best_of(CHOSEN, JUDGED, np.array([5]))[0] == 25.0
    assert best_of(CHOSEN, JUDGED, np.array([10_000]), replacement=True)[0] == pytest.approx(25.0)
    assert best_of(CHOSEN, JUDGED, np.array([1]))[0] == pytest.approx(JUDGED.mean())


def test_unsolved_settings():
    judged = np.array([1.0, INF, 4.0])
    chosen_by = np.array([1.0, INF, 2.0])
    # Without replacement two of three cannot both be unsolved; with it they can.
    assert np.isinf(best_of(chosen_by, judged, np.array([2]), replacement=True)[0])
    assert best_of(chosen_by, judged, np.array([2]))[0] == pytest.approx((1 + 1 + 4) / 3)
    assert quantile_of_best(chosen_by, judged, np.array([1, 2, 3]), 0.5).tolist() == [4.0, 1.0, 1.0]
    assert quantile_of_best(chosen_by, judged, np.array([1, 20]), 0.9, replacement=True).tolist() == [INF, 1.0]


@QUICK
@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, INF]), min_size=1, max_size=7), st.booleans())
def test_chances_add_up_favour_the_better_and_need_no_order(chosen_by, replacement):
    chosen_by = np.array(chosen_by)
    n = np.arange(1, len(chosen_by) + 1)
    found = chances(chosen_by, n, replacement)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    by_value = found[:, np.argsort(chosen_by, kind="stable")]
    assert (np.diff(by_value, axis=1) <= 1e-9).all()
    np.testing.assert_allclose(chances(chosen_by[::-1], n, replacement), found[:, ::-1])


@QUICK
@given(st.lists(st.floats(0, 100), min_size=2, max_size=7))
def test_more_tries_are_no_worse_where_choice_and_judgement_agree(values):
    curve = best_of(np.array(values), np.array(values), np.arange(1, 12), replacement=True)
    assert (np.diff(curve) <= 1e-9).all() and curve[0] == pytest.approx(np.mean(values))
    assert curve[-1] >= min(values) - 1e-9


def test_refusals():
    with pytest.raises(ValueError, match="at least 1"):
        best_of(CHOSEN, JUDGED, np.array([0]))
    with pytest.raises(ValueError, match="at most 5"):
        best_of(CHOSEN, JUDGED, np.array([6]))


def test_many_settings_keep_their_digits():
    values = np.arange(4096.0)
    found = best_of(values, values, np.array([1, 64, 4096]))
    # The least of n of 0 … m - 1 drawn without replacement has mean (m - n)/(n + 1).
    np.testing.assert_allclose(found, [(4096 - n) / (n + 1) for n in (1, 64, 4096)], atol=1e-6)


def test_gains_by_hand():
    untuned, tuned = np.array([[8.0, 32.0], [INF, 4.0]]), np.array([[4.0, 8.0], [16.0, INF]])
    # Of the first tuned over itself: 8/4 and unsolved/16; of the second over the first: 8/8 and both unsolved.
    assert gains(untuned, tuned).tolist() == [[(1 + 10) / 2, (0 + 0) / 2], [(3 - 2) / 2, (2 - 10) / 2]]


@QUICK
@given(st.integers(0, 50))
def test_gains_follow_the_names_of_optimizers(seed):
    untuned, tuned = np.random.default_rng(seed).gamma(2.0, 50.0, (2, 6, 3))
    order = [2, 0, 1]
    np.testing.assert_allclose(gains(untuned[:, order], tuned[:, order]), gains(untuned, tuned)[np.ix_(order, order)])
    np.testing.assert_allclose(gains(untuned, untuned), -gains(untuned, untuned).T, atol=1e-12)
