"""Area over the convergence curve by hand, by summing over every evaluation, and by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.stats.aocc import area_over_curve
from tests.stats.drawn import QUICK


def test_by_hand():
    # Gap 1e-3 from cost 2 on, 1e-8 from cost 6 on, until 10: heights 1, 1/2, 0.
    costs, best = np.array([2.0, 6.0]), np.array([1e-3, 1e-8])
    assert area_over_curve(costs, best, 10.0) == pytest.approx(1 - (2 * 1 + 4 * 0.5 + 4 * 0) / 10)
    assert area_over_curve(costs, best, 4.0) == pytest.approx(1 - (2 + 2 * 0.5) / 4)
    assert area_over_curve(costs, best, 1.0) == 0.0


@pytest.mark.parametrize(("gap", "wanted"), [(1e-8, 1), (0.0, 1), (1e2, 0), (np.inf, 0), (np.nan, 0), (1e-3, 0.5)])
def test_constant_curves(gap, wanted):
    assert area_over_curve(np.array([0.0]), np.array([gap]), 7.0) == pytest.approx(wanted)


def test_the_sum_over_every_evaluation_as_iohinspector_has_it():
    # Its area is the mean over evaluations 1 … B of the clipped logarithm of the best value after each.
    rng, budget = np.random.default_rng(0), 200
    values = np.minimum.accumulate(10.0 ** rng.uniform(-9, 3, budget))
    logs = np.clip(np.log10(values), -8, 2)
    wanted = 1 - np.mean((logs + 8) / 10)
    # Here the value after evaluation i holds from cost i - 1 on.
    assert area_over_curve(np.arange(budget), values, budget) == pytest.approx(wanted)
    # Only the knots where it falls are needed.
    knots = np.flatnonzero(np.diff(values, prepend=np.inf))
    assert area_over_curve(knots, values[knots], budget) == pytest.approx(wanted)


@QUICK
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(-10, 4)), min_size=1, max_size=8), st.floats(0.5, 60),
)  # fmt: skip
def test_area_is_a_share_and_falls_with_the_gap(knots, budget):
    costs = np.sort([c for c, _ in knots])
    best = np.minimum.accumulate([10.0**g for _, g in knots])
    found = area_over_curve(costs, best, budget)
    assert -1e-12 <= found <= 1 + 1e-12
    assert area_over_curve(costs, best / 10, budget) >= found - 1e-12
    assert area_over_curve(costs + 1.0, best, budget) <= found + 1e-12
    # A knot that is no fall changes nothing.
    twice = np.repeat(costs, 2), np.repeat(best, 2)
    assert area_over_curve(*twice, budget) == pytest.approx(float(found))


def test_a_descent_that_ended_keeps_its_best():
    # As they are stored: nothing after the end, and no evaluations.
    costs, best = np.array([0.0, 2.0, 6.0, 0.0, 0.0]), np.array([1e2, 1e-3, np.nan, np.nan, np.nan])
    assert area_over_curve(costs, best, 10.0) == pytest.approx(1 - (2 * 1 + 8 * 0.5) / 10)
    # A gap that rises again is not the best so far.
    assert area_over_curve(costs[:3], np.array([1e2, 1e-3, 1e5]), 10.0) == pytest.approx(0.4)


def test_curves_of_any_shape_and_budgets_of_their_own():
    costs = np.array([0.0, 1.0, 2.0])
    best = np.minimum.accumulate(10.0 ** np.random.default_rng(1).uniform(-9, 3, (4, 5, 3)), axis=-1)
    found = area_over_curve(costs, best, 3.0)
    assert found.shape == (4, 5)
    assert found[2, 3] == pytest.approx(area_over_curve(costs, best[2, 3], 3.0))
    own = area_over_curve(np.tile(costs, (2, 1)), best[:2, 0], np.array([2.0, 30.0]))
    assert own == pytest.approx([float(area_over_curve(costs, best[i, 0], b)) for i, b in enumerate((2.0, 30.0))])
    assert area_over_curve(costs, best[0, 0], 3.0, low=1e-4, high=1.0) != found[0, 0]
