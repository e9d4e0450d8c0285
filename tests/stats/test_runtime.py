"""Expected running time, simulated restarts, area over the curve: by hand, and by laws they must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdbench.stats.aocc import area_over_curve
from gdbench.stats.runtime import attained, expected_running_time, simulated_restarts


def test_expected_running_time_by_hand():
    costs, spent = np.array([10.0, np.inf, 30.0]), np.array([10.0, 50.0, 30.0])
    assert expected_running_time(costs, spent) == (10 + 50 + 30) / 2
    # A run goes on after its target: only what it had spent by then counts.
    assert expected_running_time(np.array([10.0, 20.0]), np.array([99.0, 99.0])) == 15
    assert expected_running_time(np.full(3, np.inf), spent) == np.inf


def test_expected_running_time_is_cocopps():
    toolsstats = pytest.importorskip("cocopp.toolsstats", reason="cocopp is not installed (extra: coco)")
    costs = np.array([10.0, np.inf, 30.0, np.inf, 5.0])
    spent = np.array([10.0, 50.0, 30.0, 70.0, 5.0])
    evaluations = np.where(np.isfinite(costs), costs, spent)
    assert expected_running_time(costs, spent) == toolsstats.sp(evaluations, issuccessful=np.isfinite(costs))[0]


def test_restarts_have_the_expected_running_time():
    rng = np.random.default_rng(0)
    costs = np.array([10.0, np.inf, 30.0, np.inf, np.inf])
    spent = np.array([10.0, 50.0, 30.0, 70.0, 60.0])
    times = simulated_restarts(costs, spent, rng, n=200_000)
    assert times.mean() == pytest.approx(expected_running_time(costs, spent), rel=0.01)
    assert times.min() == 10


def test_without_failures_the_runs_themselves_are_drawn():
    times = simulated_restarts(np.array([1.0, 2.0, 3.0]), np.array([9.0, 9, 9]), np.random.default_rng(0), n=500)
    assert set(times) == {1.0, 2.0, 3.0}


def test_without_a_success_there_is_no_time():
    costs = np.array([[1.0, np.inf], [np.inf, np.inf]])
    times = simulated_restarts(costs, np.array([5.0, 5.0]), np.random.default_rng(0), n=50)
    assert np.isfinite(times[:, 0]).all() and np.isinf(times[:, 1]).all()
    assert set(np.unique((times[:, 0] - 1) % 5)) == {0.0}


@given(arrays(float, st.integers(1, 30), elements=st.one_of(st.integers(0, 50), st.just(np.inf))))
def test_attained_is_a_distribution_function(times):
    at = np.arange(-1.0, 60.0)
    found = attained(times, at)
    assert found[0] == 0 and (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(np.isfinite(times).mean())
    assert found[11] == pytest.approx((times <= 10).mean())


def test_area_over_the_curve_by_hand():
    # At 1e2 for a quarter of the budget, at 1e-3 (half way down on the logarithm) for a half, then at 1e-8.
    costs, best = np.array([0.0, 25.0, 75.0]), np.array([1e3, 1e-3, 1e-12])
    assert area_over_curve(costs, best, 100.0) == pytest.approx(1 - (0.25 * 1 + 0.5 * 0.5))
    assert area_over_curve(np.array([0.0]), np.array([1e-9]), 10.0) == 1
    assert area_over_curve(np.array([0.0]), np.array([np.nan]), 10.0) == 0
    # What happens after the budget does not matter; before the first stored value nothing is known.
    assert area_over_curve(np.array([50.0, 200.0]), np.array([1e-8, 1e-8]), 100.0) == pytest.approx(0.5)


@given(arrays(float, 5, elements=st.floats(1e-9, 1e3)), st.floats(1e-9, 1e3))
def test_a_lower_curve_has_a_larger_area(best, other):
    costs = np.arange(5.0) * 10
    descending = np.minimum.accumulate(best)
    lower = np.minimum(descending, other)
    assert 0 <= area_over_curve(costs, descending, 60.0) <= area_over_curve(costs, lower, 60.0) + 1e-12 <= 1 + 2e-12
