"""Measures of targets and traces: cost to target, expected running time, area over the curve."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench.contracts import OUTCOMES
from gdbench.measures.area_over_curve import area_over_curve, costs_of_trace, gaps_looked_at
from gdbench.measures.base import cost, cost_at_hits
from gdbench.measures.cost_to_target import cost_to_target
from gdbench.measures.expected_running_time import expected_running_time

INF = math.inf
PROBLEM = {"minimum": 0.0, "scale": 1e2, "tolerance": 1e-6, "target_unit": None, "batch_share": 0.5}
CELL = {
    "problem": PROBLEM, "targets": [1e-2, 1e-6, 1e-4], "trace_steps": [0, 2, 4],
    "optimizer": {"cost": [1, 1, 0], "init_cost": [2, 0, 0]},
}  # fmt: skip


def rows(outcomes, spent=100.0, settle=None, **columns):
    """Descents that spent ``spent`` gradients in all and settled after ``settle`` of them."""
    settle = np.full(len(outcomes), np.nan) if settle is None else np.array(settle, dtype=float)
    return pd.DataFrame(
        {
            "outcome": pd.Categorical(outcomes, categories=list(OUTCOMES)),
            "f_evals": 0.0, "g_evals": spent, "hvp_evals": 0.0,
            "settle_f_evals": 0.0, "settle_g_evals": settle, "settle_hvp_evals": 0.0, **columns,
        }
    )  # fmt: skip


def hits(*each, f=0.0):
    """Columns of what each descent had spent at each target: gradients, and as many values as named; -1 for never."""
    g = [np.array(one, dtype=float) for one in each]
    nothing = [np.where(one < 0, -1.0, 0.0) for one in g]
    return {"hits_f_evals": [np.where(one < 0, -1.0, f) for one in g], "hits_g_evals": g, "hits_hvp_evals": nothing}


def test_costs_at_hits_weigh_evaluations_and_keep_misses():
    frame = rows(["converged", "diverged"], **hits([5, 50, 20], [7, -1, -1], f=3.0))
    assert cost_at_hits(frame).tolist() == [[8, 53, 23], [10, INF, INF]]
    assert cost_at_hits(frame, gradient=10.0)[0].tolist() == [53, 503, 203]
    assert cost_at_hits(rows(["converged"])) is None
    # The columns of a run in which another experiment has targets.
    assert cost_at_hits(rows(["converged"], **{name: [None] for name in hits([1])})) is None


def test_cost_to_target_takes_the_hardest_and_counts_misses():
    spent = [[5, 50, 20], [5, 60, 20], [5, -1, -1]]
    assert cost_to_target.compute(rows(["converged"] * 3, **hits(*spent)), CELL) == 60
    assert cost_to_target.compute(rows(["diverged"] * 4, **hits(*spent, [-1, -1, -1])), CELL) == INF
    assert math.isnan(cost_to_target.compute(rows(["converged"]), CELL))


def test_expected_running_time_of_targets_and_of_convergence():
    frame = rows(["converged", "trapped", "diverged"], [100.0, 100.0, 40.0], [70, None, None])
    assert expected_running_time.compute(frame, CELL) == 70 + 100 + 40
    # One that reached the target and then diverged has succeeded.
    frame = frame.assign(**hits([5, 50, 20], [5, -1, 20], [5, 30, 20]))
    assert expected_running_time.compute(frame, CELL) == (50 + 100 + 30) / 2
    assert expected_running_time.compute(rows(["trapped", "diverged"]), CELL) == INF


def test_costs_of_a_trace():
    # Batches of half the data: (2 at the start + 2 a step) / 2.
    assert costs_of_trace(rows(["converged"] * 2), CELL).tolist() == [[1, 3, 5]] * 2
    counts = {"trace_f_evals": [np.array([0, 4, 9.0])], "trace_g_evals": [np.array([0, 1, 2.0])]}
    frame = rows(["converged"], **counts, trace_hvp_evals=[np.array([0, 0, 1.0])])
    assert costs_of_trace(frame, CELL | {"optimizer": {"cost": None}}).tolist() == [[0, 5, 13]]


def test_gaps_looked_at():
    assert gaps_looked_at(CELL) == pytest.approx((1e-4, 1.0))  # of targets relative to S
    assert gaps_looked_at(CELL | {"problem": PROBLEM | {"target_unit": 1.0}}) == (1e-6, 1e-2)
    assert gaps_looked_at(CELL | {"targets": []}) == (1e-6, 1e2)


def test_area_over_the_curve_by_hand():
    cell = CELL | {"targets": []}  # from S = 1e2 to the tolerance 1e-6: 8 decades
    best = [np.array([1e2, 1e-2, 1e-6]), np.array([1e2, 1e-2, np.nan])]
    frame = rows(["converged", "diverged"], [10.0, 3.0], trace_best=best)
    # Costs 1, 3, 5 of a budget of 10: heights 1 until 3, 1/2 until 5, then 0; one that was lost keeps its best gap.
    assert area_over_curve.compute(frame, cell) == pytest.approx(1 - ((3 + 1) + (3 + 3.5)) / 20)
    assert math.isnan(area_over_curve.compute(frame.drop(columns="trace_best"), cell))
    assert math.isnan(area_over_curve.compute(frame, cell | {"problem": PROBLEM | {"minimum": None}}))


@pytest.mark.slow
def test_on_descents_that_ran():
    found = gd.sweep(
        gd.problem("quadratic", dim=2, condition=4), "gd", learning_rate=[0.1, 0.3, 0.9], steps=60,
        starts=gd.starts("sobol", 4), targets=[1e-1, 1e-3], trace=2000, dtype="float64",
    )  # fmt: skip
    cell, frame = found.results.cells[0], found.results.table()
    gaps = np.stack(list(frame["trace_gap"]))
    assert cell["trace_steps"] == list(range(61))
    # The first step at which the gap is at most τ S, in gradients.
    reached = gaps <= 1e-3 * cell["problem"]["scale"]
    costs = np.where(reached.any(axis=1), reached.argmax(axis=1), INF)
    np.testing.assert_array_equal(cost_at_hits(frame)[:, 1], costs)
    assert cost_to_target.compute(frame, cell) == np.median(costs)
    spent = np.where(np.isfinite(costs), costs, cost(frame))
    assert expected_running_time.compute(frame, cell) == pytest.approx(spent.sum() / np.isfinite(costs).sum())
    # By summing over every evaluation up to 60, as IOHinspector does; the value after evaluation i holds from i on.
    low, high = np.log10(np.array([1e-3, 1e-1]) * cell["problem"]["scale"])
    best = np.clip(np.log10(np.fmin.accumulate(gaps, axis=1)), low, high)[:, :60]
    assert area_over_curve.compute(frame, cell) == pytest.approx(1 - ((best - low) / (high - low)).mean())
