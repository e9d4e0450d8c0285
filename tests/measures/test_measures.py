"""Each measure on tables small enough to reckon by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdbench.catalogue import gather
from gdbench.contracts import OUTCOMES
from gdbench.measures.base import Measure, cost, cost_at_settle
from gdbench.measures.basin_share import basin_share
from gdbench.measures.cost_to_converge import cost_to_converge
from gdbench.measures.final_gap import final_gap
from gdbench.measures.outcome_shares import outcome_shares, share_diverged
from gdbench.measures.success_rate import success_rate
from gdbench.measures.usable_width import usable_rates, usable_width

CELL = {"problem": {"minimum": 0.0}}
MEASURES = gather("gdbench.measures", Measure)


def rows(outcomes, settle=None, **columns):
    """A table of descents of 100 steps, one gradient a step, that settled at step 50 where they converged."""
    n = len(outcomes)
    settle = settle or [50 if o == "converged" else None for o in outcomes]
    return pd.DataFrame(
        {
            "outcome": pd.Categorical(outcomes, categories=list(OUTCOMES)),
            "steps": 100,
            "settle_step": pd.array(settle, dtype="Int64"),
            "f_evals": 0,
            "g_evals": 100,
            "hvp_evals": 0,
            "settle_f_evals": 0.0,
            "settle_g_evals": [math.nan if step is None else float(step) for step in settle],
            "settle_hvp_evals": 0.0,
            "gap_final": np.arange(n, dtype=float),
            "f_final": np.arange(n, dtype=float) + 5,
            **columns,
        }
    )


def test_catalogue_names_each_measure_once():
    assert set(MEASURES) == {
        "area_over_curve", "basin_share", "best_rate", "boundary_dimension", "boundary_error", "cost_to_converge",
        "cost_to_target", "expected_running_time", "final_gap", "robustness", "share_diverged", "share_nonfinite",
        "share_oscillating", "share_trapped", "share_unfinished", "success_rate", "tunability", "usable_width",
    }  # fmt: skip


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_no_descents_give_nan(measure):
    assert measure.better in ("low", "high", None)
    assert math.isnan(measure.compute(rows([]).assign(learning_rate=[]), CELL))


def test_success_rate_counts_every_row():
    assert success_rate.compute(rows(["converged", "diverged", "nonfinite", "converged"]), CELL) == 0.5


def test_costs_weigh_the_kinds_of_evaluation():
    frame = rows(["converged"], f_evals=10, hvp_evals=3)
    assert cost(frame).tolist() == [10 + 100 + 6]
    assert cost(frame, gradient=4, hessian=1).tolist() == [10 + 400 + 3]


def test_cost_at_settle_is_infinite_unless_converged():
    # The fourth settled, but too late to be called converged; the last converged with nothing known of the minimum.
    frame = rows(["converged", "trapped", "diverged", "unfinished", "converged"], [20, None, None, 99, None])
    assert cost_at_settle(frame).tolist() == [20, math.inf, math.inf, math.inf, 100]


def test_a_start_at_the_minimizer_costs_nothing():
    assert cost_at_settle(rows(["converged"], [0], steps=0, g_evals=0)).tolist() == [0]


def test_median_cost_counts_censored_descents():
    assert cost_to_converge.compute(rows(["converged"] * 3 + ["trapped"] * 2, [10, 20, 30, None, None]), CELL) == 30
    assert cost_to_converge.compute(rows(["converged"] + ["trapped"] * 2), CELL) == math.inf


def test_final_gap_counts_lost_descents_as_infinite():
    frame = rows(
        ["converged", "converged", "nonfinite", "diverged", "trapped"], gap_final=[1.0, 3.0, math.nan, 0.5, 2.0]
    )
    assert final_gap.compute(frame, CELL) == 3.0
    assert final_gap.compute(rows(["diverged"]), CELL) == math.inf
    assert math.isnan(final_gap.compute(frame, {"problem": {"minimum": None}}))


def test_outcome_shares_name_all_six_and_add_up():
    shares = outcome_shares(rows(["diverged", "nonfinite", "trapped", "trapped"]))
    assert list(shares) == list(OUTCOMES)
    assert sum(shares.values()) == 1.0
    assert shares["trapped"] == 0.5
    assert share_diverged.compute(rows(["diverged", "nonfinite", "trapped", "trapped"]), CELL) == 0.5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12))
def test_every_descent_is_in_one_share(outcomes):
    named = ("share_diverged", "share_trapped", "share_oscillating", "share_unfinished", "success_rate")
    values = {name: MEASURES[name].compute(rows(outcomes), CELL) for name in (*named, "share_nonfinite")}
    assert sum(values[name] for name in named) == pytest.approx(1.0)
    assert values["share_trapped"] == outcomes.count("trapped") / len(outcomes)
    assert values["share_nonfinite"] == outcomes.count("nonfinite") / len(outcomes)


def at_rates(shares, rates):
    """Four descents a rate, of which the given number converges, in a shuffled order."""
    outcomes = [o for k in shares for o in ["converged"] * k + ["diverged"] * (4 - k)]
    return rows(outcomes, learning_rate=np.repeat(rates, 4)).sample(frac=1, random_state=0)


def test_usable_width_is_contiguous_around_the_best():
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]
    found = usable_rates(at_rates([2, 1, 2, 4, 3, 0], rates))
    assert (found.low, found.high, found.open) == (1e-2, 1.0, False)
    assert usable_width.compute(at_rates([2, 1, 2, 4, 3, 0], rates), CELL) == pytest.approx(2.0)


def test_usable_width_says_when_the_grid_ends_first():
    found = usable_rates(at_rates([0, 2, 4], [0.01, 0.1, 1.0]))
    assert found.open
    assert found.width == pytest.approx(1.0)


def test_usable_width_without_a_usable_or_any_rate():
    assert usable_rates(at_rates([1, 1], [0.1, 1.0])) == (None, None, 0.0, False)
    assert usable_rates(rows(["converged"])) is None
    assert math.isnan(usable_width.compute(rows(["converged"]), CELL))
    # In a run where other optimizers have a rate, the column is there and empty.
    assert usable_rates(rows(["converged"], learning_rate=[math.nan])) is None


def test_basin_share_counts_global_minimizers():
    frame = rows(["converged", "converged", "trapped", "diverged"], basin=[0, 2, -1, -1])
    known = {"problem": {"minimizers": [[0.0], [1.0], [2.0]]}}
    assert basin_share.compute(frame, known) == 0.5
    # Without known ones the run numbers what it finds, the lowest first; without end points it finds nothing.
    unknown = {"problem": {"minimizers": None}}
    assert basin_share.compute(frame.assign(end_0=0.0), unknown) == 0.25
    assert math.isnan(basin_share.compute(frame, unknown))
