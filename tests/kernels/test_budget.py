"""A budget of evaluations: no step is begun once so much is spent."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench.choices import ProblemChoice, choose_optimizer
from gdbench.contracts import Cost, Hyperparameter, Optimizer, Oracle, Problem, Step
from gdbench.forms import OutcomeSettings
from gdbench.grid import as_starts
from gdbench.kernels.descent import Descent
from gdbench.optimizers.rules import host_method
from gdbench.plan import descent_of
from gdbench.suite import Trial

NONE = Cost()
RATE = {"learning_rate": Hyperparameter(0.1, "here")}


def descending(cost: Cost | None, init_cost: Cost = NONE) -> Optimizer:
    """Gradient descent that says a cost of its own; None for one gradient that is counted as the descent goes."""

    def step(oracle: Oracle, x: Any, state: Any, h: Any, k: Any) -> Step:
        value, gradient = oracle.value_and_grad(x)
        return Step(x - h.learning_rate * gradient, state, value, gradient, cost or Cost(g=jnp.int32(1)))

    return Optimizer("descending", lambda oracle, x, h: (), step, RATE, init_cost=init_cost)


COUNTED = descending(None)


def rows_with_batches(batch: int) -> Problem:
    """A mean over 20 rows of which a step sees some."""
    rows = np.linspace(-1, 1, 20)[:, None]
    return gd.problem(lambda x, data: jnp.mean((x - data) ** 2), x0=[3.0], data=rows, batch=batch, name="rows")


# Steps of one cost: the budget is one of steps


def planned(problem: Problem, optimizer: Any, evaluations: float, steps: int = 1000) -> Descent:
    choice = choose_optimizer({"name": optimizer} if isinstance(optimizer, Optimizer) else optimizer, None)
    trial = Trial(
        "budget", (ProblemChoice((problem,), {}),), (choice,), steps, as_starts({"kind": "default"}), 1, None, 0, 0,
        OutcomeSettings(), evaluations,
    )  # fmt: skip
    return descent_of(trial, problem, choice)


@pytest.mark.parametrize(
    "cost, init_cost, evaluations, steps",
    [
        (Cost(g=1), Cost(), 37, 37),
        (Cost(g=1), Cost(), 36.5, 37),
        (Cost(g=2), Cost(), 37, 19),
        (Cost(f=1, g=1), Cost(), 36, 18),
        (Cost(g=1, h=1), Cost(), 37, 13),  # a product with the Hessian counts twice
        (Cost(h=1), Cost(g=3), 37, 17),
        (Cost(g=5), Cost(f=2), 3, 1),  # too little for one step: it is begun all the same
        (Cost(g=1), Cost(), 1e9, 1000),  # never more than the steps
    ],
)
def test_steps_of_one_cost(cost: Cost, init_cost: Cost, evaluations: float, steps: int) -> None:
    descent = planned(gd.problem("quadratic"), descending(cost, init_cost), evaluations)
    assert descent.shape.steps == steps and not descent.counted and descent.shape.budget == 0
    assert descent.shape.cut == (steps < 1000)


@pytest.mark.parametrize(
    "batch, evaluations, steps", [(5, 3, 12), (2, 1.1, 11), (2, 0.7, 7), (4, 0.3, 2), (20, 7, 7), (2, 0.05, 1)]
)
def test_a_mini_batch_costs_its_share(batch: int, evaluations: float, steps: int) -> None:
    # 1.1 / 0.1 is a little above 11 in floating point: the rounding buys no step.
    assert planned(rows_with_batches(batch), {"name": "gd", "learning_rate": 0.1}, evaluations).shape.steps == steps


def test_what_the_beginning_has_spent_leaves_no_step() -> None:
    for evaluations in (4, 5):
        descent = planned(gd.problem("quadratic"), descending(Cost(g=1), Cost(g=5)), evaluations)
        assert descent.counted and descent.shape.budget == pytest.approx(evaluations)
    assert planned(gd.problem("quadratic"), descending(Cost(g=1), Cost(g=5)), 6).shape.steps == 1


def test_the_budget_of_steps_is_what_a_method_is_told() -> None:
    told = []

    def init(oracle: Oracle, x: Any, h: Any) -> Any:
        told.append(oracle.steps)
        return ()

    rule = Optimizer("told", init, descending(Cost(g=1)).step, RATE)
    descent = planned(gd.problem("quadratic"), rule, 37)
    assert descent.facts
    assert told[-1] == 37


@pytest.mark.slow
def test_a_budget_is_the_sweep_with_fewer_steps() -> None:
    options = {"learning_rate": [0.01, 0.19, 0.9], "schedule": "cosine", "starts": gd.starts("sobol", 4), "trace": 5}
    few = gd.sweep("quadratic", "gd", steps=37, **options).table
    spent = gd.sweep("quadratic", "gd", steps=500, evaluations=37, **options).table
    # 'spent' is said where more steps would have followed.
    assert set(spent.loc[spent["outcome"] == "unfinished", "flag"]) == {"spent"}
    assert set(few["flag"]) == {""} and {"unfinished", "diverged"} <= set(few["outcome"])
    for name in ("outcome", "steps", "f_final", "g_evals", "rate", "settle_step"):
        pd.testing.assert_series_equal(few[name], spent[name], check_exact=True)
    np.testing.assert_array_equal(np.stack(few["trace_gap"]), np.stack(spent["trace_gap"]))


@pytest.mark.slow
def test_nothing_is_begun_after_a_beginning_that_spent_it_all() -> None:
    rule = descending(Cost(g=1), Cost(g=5))
    row = gd.sweep("parabola", rule, x0=[2.0], steps=100, evaluations=5, dtype="float64", targets=[1e-3]).table.iloc[0]
    assert (row["steps"], row["g_evals"], row["f_final"], row["outcome"], row["flag"]) == (
        0,
        5,
        4,
        "unfinished",
        "spent",
    )
    assert list(row["hits"]) == [-1]


# Steps that differ in cost


@functools.cache
def trying(evaluations: float | None) -> pd.DataFrame:
    """Trial and error spends one or two values a coordinate."""
    return gd.sweep(
        "quadratic", "trial_and_error", increment=[0.05, 0.3], starts=gd.starts("sobol", 6), steps=60, trace=10_000,
        targets=[0.3, 0.1, 0.03, 1e-2], dtype="float64", paths=99, evaluations=evaluations, outcomes={"scale": 10.0},
    ).table  # fmt: skip


BUDGET = 50
SLOW = pytest.mark.slow


@SLOW
def test_a_step_is_begun_while_less_is_spent_and_none_after() -> None:
    whole, short = trying(None), trying(BUDGET)
    assert short["f_evals"].nunique() > 1 and short["steps"].nunique() > 1
    for (_, free), (_, bound) in zip(whole.iterrows(), short.iterrows(), strict=True):
        by_then = np.asarray(free["trace_f_evals"])  # before each step, and at the end
        last = int(np.argmax(by_then >= BUDGET))
        assert by_then[last - 1] < BUDGET <= by_then[last]
        assert bound["steps"] == last and bound["f_evals"] == by_then[last]
        path = np.reshape(free["path"], (-1, 2))
        kept = np.reshape(bound["path"], (-1, 2))
        np.testing.assert_array_equal(kept[-1], [bound["end_0"], bound["end_1"]])
        gaps, held = np.asarray(free["trace_gap"]), np.asarray(bound["trace_gap"])
        np.testing.assert_array_equal(held[: last + 1], gaps[: last + 1])
        # What follows stands still, the record of the best value too.
        np.testing.assert_array_equal(held[last:], gaps[last])
        assert bound["gap_best"] == gaps[: last + 1].min() and bound["gap_final"] == gaps[last]
        np.testing.assert_array_equal(np.asarray(bound["trace_f_evals"])[last:], by_then[last])
        assert path.shape == kept.shape


@SLOW
def test_hits_before_the_end_of_the_budget_are_what_they_were() -> None:
    whole, short = trying(None), trying(BUDGET)
    hits, kept = np.stack(whole["hits"]), np.stack(short["hits"])
    reached = (hits >= 0) & (hits <= short["steps"].to_numpy()[:, None])
    assert reached.any() and (~reached & (hits >= 0)).any()
    np.testing.assert_array_equal(kept[reached], hits[reached])
    assert (kept[~reached] == -1).all()
    np.testing.assert_array_equal(np.stack(short["hits_f_evals"])[reached], np.stack(whole["hits_f_evals"])[reached])


@SLOW
def test_outcomes_of_what_was_spent() -> None:
    short, whole = trying(BUDGET), trying(None)
    spent = short["flag"] == "spent"
    assert spent.any() and (short.loc[spent, "outcome"] == "unfinished").all()
    # Without a budget a lane ends trapped at its last grid point; one that stands still for want of evaluations is not.
    assert (whole["outcome"] == "trapped").any() and not (short["outcome"] == "trapped").any()


@SLOW
def test_what_is_reached_before_the_budget_is_spent_counts() -> None:
    options = {"x0": [2.0], "learning_rate": [0.1, 0.4, 1.1], "dtype": "float64", "steps": 2000, "evaluations": 30}
    slow, fast, wild = gd.sweep("parabola", COUNTED, **options).table.to_dict("records")
    assert (slow["outcome"], slow["flag"], slow["steps"], slow["g_evals"]) == ("unfinished", "spent", 30, 30)
    assert slow["f_final"] == pytest.approx(4 * 0.64**30, rel=1e-12)
    # The rate is that of the steps that were taken, however many more the sweep allows.
    assert slow["rate"] == pytest.approx(np.log10(0.64), rel=1e-9)
    assert (fast["outcome"], fast["flag"], fast["steps"], fast["settle_step"]) == ("converged", "", 30, 7)
    assert fast["settle_g_evals"] == 7 and fast["g_evals"] == 30
    # x_k = 2 (-1.2)^k passes 1e3 widths of the box only later.
    assert (wild["outcome"], wild["flag"], wild["g_evals"]) == ("unfinished", "spent", 30)


@SLOW
def test_the_point_that_is_judged_stands_still_too() -> None:
    """Judged at the mean of the iterates, which would go on moving were the state not kept."""

    def step(oracle: Oracle, x: Any, state: Any, h: Any, k: Any) -> Step:
        x = x - h.learning_rate * oracle.value_and_grad(x)[1]
        n = k.astype(x.dtype) + 1
        return Step(x, state + (x - state) / n, cost=Cost(g=jnp.int32(1)))

    rule = Optimizer("mean", lambda oracle, x, h: x, step, RATE, judge=lambda x, state, h: state)
    row = gd.sweep("parabola", rule, x0=[2.0], steps=200, evaluations=10, dtype="float64").table.iloc[0]
    mean = np.mean(2 * 0.8 ** np.arange(1, 11))
    assert row["f_final"] == pytest.approx(mean**2, rel=1e-12) and row["steps"] == 10
    assert row["f_best"] == row["f_final"]


@SLOW
def test_counted_steps_on_mini_batches_spend_their_share() -> None:
    row = gd.sweep(rows_with_batches(5), COUNTED, steps=100, evaluations=3).table.iloc[0]
    assert (row["steps"], row["g_evals"], row["flag"]) == (12, 3.0, "spent")
    exact = gd.sweep(rows_with_batches(5), descending(Cost(g=1)), steps=12).table.iloc[0]
    assert row["f_final"] == exact["f_final"]


@SLOW
def test_a_method_on_the_host_stops_at_its_budget() -> None:
    asked = []

    def walk(oracle: Any, x0: Any, h: Any) -> None:
        x = x0
        while True:
            asked.append(1)
            x = x - h.learning_rate * oracle.value_and_grad(x)[1]
            oracle.value(x)
            oracle.visit(x)

    rule = host_method("walk", walk, hyperparameters=RATE)
    row = gd.sweep("parabola", rule, x0=[2.0], steps=100, evaluations=15, dtype="float64").table.iloc[0]
    assert (row["steps"], row["f_evals"], row["g_evals"], row["flag"]) == (8, 8, 8, "spent") and len(asked) == 8
    assert row["f_final"] == pytest.approx(4 * 0.64**8, rel=1e-12)


def test_a_budget_in_a_suite_is_a_positive_number() -> None:
    from gdbench.errors import SuiteError
    from gdbench.suite import build_suite

    for given in (0, -1.0, "many"):
        table = {
            "suite": {"name": "s"},
            "experiment": [{"problems": ["parabola"], "optimizers": ["gd"], "steps": 9, "evaluations": given}],
        }
        with pytest.raises(SuiteError, match="evaluations"):
            build_suite(table)
        with pytest.raises(SuiteError, match="evaluations"):
            gd.sweep("parabola", "gd", learning_rate=0.1, evaluations=given)
