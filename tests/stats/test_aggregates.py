"""Aggregates against rliable, scipy and pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from gdbench.stats.aggregates import interquartile_mean, log_ratio, optimality_gap, probability_of_improvement
from tests.stats.drawn import COST, QUICK

SCORES = np.random.default_rng(3).gamma(2.0, size=(8, 6))
OTHERS = np.random.default_rng(4).gamma(2.2, size=(8, 6)).round(1)


def test_iqm_is_the_trimmed_mean_where_four_divides():
    np.testing.assert_allclose(interquartile_mean(SCORES, axis=0), scipy.stats.trim_mean(SCORES, 0.25, axis=0))
    assert interquartile_mean(SCORES.ravel()) == pytest.approx(scipy.stats.trim_mean(SCORES, 0.25, axis=None))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([5.0], 5.0),
        ([1.0, 3.0], 2.0),
        ([0.0, 6.0, 100.0], (0.25 * 0 + 1 * 6 + 0.25 * 100) / 1.5),
        ([0.0, 1.0, 2.0, 3.0, 100.0], (0.75 * 1 + 2 + 0.75 * 3) / 2.5),
        ([-np.inf, 1.0, 3.0, np.inf], 2.0),
        ([1.0, 2.0, np.inf, np.inf], np.inf),
    ],
)
def test_iqm_weighs_the_values_at_its_ends_in_part(values, wanted):
    assert interquartile_mean(np.array(values)[::-1]) == pytest.approx(wanted)


@QUICK
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9))
def test_iqm_of_four_copies_is_that_of_one(values):
    # Fractional weights make it a function of the distribution alone; whole ones do not.
    assert interquartile_mean(np.repeat(values, 4)) == pytest.approx(float(interquartile_mean(np.array(values))))


def test_aggregates_agree_with_rliable():
    metrics = pytest.importorskip("rliable.metrics", reason="needs the extra oracles")
    assert interquartile_mean(SCORES.ravel()) == pytest.approx(metrics.aggregate_iqm(SCORES))
    assert optimality_gap(SCORES.mean(axis=0), best=2.0) != 0
    assert optimality_gap(SCORES.ravel(), best=2.0) == pytest.approx(metrics.aggregate_optimality_gap(SCORES, 2.0))
    # rliable takes high scores for good.
    ours = probability_of_improvement(SCORES.T, OTHERS.T).mean()
    assert ours == pytest.approx(metrics.probability_of_improvement(-SCORES, -OTHERS))


def test_optimality_gap_by_hand():
    assert optimality_gap(np.array([[0.0, 1.0], [2.0, 0.5]])).tolist() == [0.5, 0.25]


@QUICK
@given(st.lists(COST, min_size=1, max_size=6), st.lists(COST, min_size=1, max_size=6))
def test_probability_of_improvement_counts_all_pairs(one, other):
    pairs = [1.0 if x < y else 0.5 if x == y else 0.0 for x in one for y in other]
    found = probability_of_improvement(np.array(one), np.array(other))
    assert found == pytest.approx(np.mean(pairs))
    assert found + probability_of_improvement(np.array(other), np.array(one)) == pytest.approx(1.0)


def test_probability_of_improvement_keeps_leading_axes():
    one, other = SCORES.reshape(2, 4, 6), OTHERS.reshape(2, 4, 6)[..., :5]
    found = probability_of_improvement(one, other)
    assert found.shape == (2, 4)
    assert found[1, 2] == pytest.approx(probability_of_improvement(one[1, 2], other[1, 2]))


def test_log_ratio_caps_and_ties():
    one, other = np.array([8.0, 1.0, np.inf, np.inf, 1.0, 0.0]), np.array([2.0, 4096.0, 3.0, np.inf, np.inf, 1.0])
    assert log_ratio(one, other).tolist() == [2.0, -10.0, 10.0, 0.0, -10.0, 0.0]
