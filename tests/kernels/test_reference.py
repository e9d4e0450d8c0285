"""The record of the compiled kernel against a plain loop that keeps everything."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from reference import PARABOLA, QUADRATIC, ROSENBROCK, Function, margin, record, simulate

import gdbench as gd

WHOLE = ("steps", "settle_step", "overshoots", "f_evals", "g_evals", "hvp_evals", "outcome")
REAL = ("f_start", "f_final", "gap_final", "gap_best", "grad_norm_final", "rate", "trace_gap", "trace_best", "path")


class Setting(NamedTuple):
    """A program of the kernel; rates run between two that converge slowly and diverge."""

    function: Function
    optimizer: str
    steps: int
    dtype: str
    rates: tuple[float, float]


QUICK = [
    Setting(PARABOLA, "gd", 2, "float32", (0.03, 1.4)),
    Setting(QUADRATIC, "momentum", 7, "float64", (0.01, 0.5)),
    Setting(QUADRATIC, "momentum", 97, "float32", (0.01, 0.5)),
    Setting(ROSENBROCK, "gd", 100, "float64", (1e-4, 5e-3)),
    Setting(PARABOLA, "momentum", 500, "float64", (0.01, 2.5)),
]
MORE = [
    Setting(PARABOLA, "gd", 1, "float64", (0.03, 1.4)),
    Setting(ROSENBROCK, "momentum", 2, "float32", (1e-4, 5e-3)),
    Setting(QUADRATIC, "gd", 50, "float64", (0.01, 0.3)),
    Setting(QUADRATIC, "momentum", 64, "float32", (0.01, 0.5)),
    Setting(PARABOLA, "gd", 97, "float64", (0.01, 1.2)),
    Setting(ROSENBROCK, "momentum", 100, "float64", (1e-4, 5e-3)),
    Setting(QUADRATIC, "gd", 500, "float32", (1e-3, 0.3)),
    Setting(ROSENBROCK, "gd", 997, "float64", (1e-4, 5e-3)),
    Setting(PARABOLA, "momentum", 997, "float32", (1e-4, 2.5)),
]


def _name(setting: Setting) -> str:
    return f"{setting.function.name}-{setting.optimizer}-{setting.steps}-{setting.dtype}"


@pytest.mark.parametrize(
    "setting",
    [pytest.param(s, id=_name(s)) for s in QUICK]
    + [pytest.param(s, id=_name(s), marks=pytest.mark.slow) for s in MORE],
)
def test_record_equals_the_reference(setting: Setting) -> None:
    sweep = _sweep(setting)
    cell, table = sweep.results.cells[0], sweep.table
    compared = 0
    for _, row in table.iterrows():
        settings = {"learning_rate": row["learning_rate"], "momentum": row.get("momentum", 0.0)}
        start = [row[f"start_{i}"] for i in range(cell["problem"]["dim"])]
        history = simulate(setting.function, start, settings, setting.steps, setting.dtype, cell["problem"])
        if margin(history, setting.steps, setting.dtype, cell["problem"]) < 1e-3:
            continue
        compared += 1
        _compare(row, record(history, setting.steps, setting.dtype, cell["problem"], cell), setting.dtype)
    assert compared >= len(table) / 2


def _sweep(setting: Setting) -> gd.Sweep:
    random = np.random.default_rng([setting.steps, len(setting.function.name)])
    low, high = setting.rates
    rates = low * (high / low) ** random.random(4)
    problem = gd.problem(setting.function.name, **setting.function.settings)
    assert problem.box is not None
    starts = problem.box[0] + (problem.box[1] - problem.box[0]) * random.random((4, problem.dim))
    if setting.dtype == "float32":
        starts = starts.astype(np.float32).astype(float)
    more: dict[str, Any] = {"momentum": [0.5, 0.9]} if setting.optimizer == "momentum" else {}
    return gd.sweep(
        problem, setting.optimizer, learning_rate=rates.tolist(), x0=starts, steps=setting.steps, dtype=setting.dtype,
        trace=12, paths=1000, targets=[1.0, 1e-2, 1e-4], **more,
    )  # fmt: skip


def _compare(row: pd.Series, want: dict[str, Any], dtype: str) -> None:
    for name in WHOLE:
        found = None if pd.isna(row[name]) else row[name]
        assert found == want[name], name
    assert list(row["hits"]) == want["hits"]
    # Rounding differs in order and fused products; both grow along a descent, and more so along one that diverges.
    tolerance = {"float32": 2e-3, "float64": 1e-6}[dtype]
    for name in REAL:
        np.testing.assert_allclose(row[name], want[name], rtol=tolerance, atol=1e-30, err_msg=name)


@pytest.mark.parametrize(("steps", "rate"), [(97, 0.3), (100, 0.9), (500, 0.05), (64, 1.1)])
def test_rate_on_a_parabola_is_the_closed_form(steps: int, rate: float) -> None:
    row = gd.sweep("parabola", "gd", learning_rate=rate, steps=steps, dtype="float64").table.iloc[0]
    assert row["rate"] == pytest.approx(2 * math.log10(abs(1 - 2 * rate)), rel=1e-9)


def test_a_descent_that_diverges_with_its_last_step_keeps_its_whole_path() -> None:
    # gap 4 1.44^k passes 1e6 max(S, 4) at step 40 or before; with a budget that ends there, the last point is the stop.
    long = gd.sweep("parabola", "gd", learning_rate=1.1, steps=64, dtype="float64").table.iloc[0]
    stop = int(long["steps"])
    row = gd.sweep("parabola", "gd", learning_rate=1.1, steps=stop, dtype="float64", paths=1, trace=5).table.iloc[0]
    assert (row["outcome"], row["steps"]) == ("diverged", stop)
    assert row["trace_gap"][-1] == pytest.approx(4 * 1.44**stop)
    assert abs(row["path"][-1]) == pytest.approx(2 * 1.2**stop)


def test_evaluations_of_a_search_without_gradients_and_no_gradient_norm_of_a_nonfinite_start() -> None:
    sweep = gd.sweep(lambda x: x[0] - np.log(2) * x[0] ** 0.5, "trial_and_error", x0=[[-1.0]], steps=4, minimum=-1.0)
    row = sweep.table.iloc[0]
    assert (row["outcome"], row["steps"], row["f_evals"]) == ("nonfinite", 0, 1)
    assert pd.isna(row["grad_norm_final"]), "no gradient was known there: 0 would say that it is at rest"
