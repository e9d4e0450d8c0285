"""The record of the compiled kernel against a plain loop that keeps everything."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from reference import PARABOLA, QUADRATIC, ROSENBROCK, Function, record, resolved, simulate

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
    Setting(ROSENBROCK, "gd", 100, "float64", (1e-4, 5e-3)),
]
MORE = [
    Setting(QUADRATIC, "momentum", 97, "float32", (0.01, 0.5)),
    Setting(QUADRATIC, "momentum", 7, "float64", (0.01, 0.5)),
    Setting(PARABOLA, "gd", 1, "float64", (0.03, 1.4)),
    Setting(QUADRATIC, "gd", 50, "float64", (0.01, 0.3)),
    Setting(QUADRATIC, "momentum", 64, "float32", (0.01, 0.5)),
    Setting(QUADRATIC, "gd", 500, "float32", (1e-3, 0.3)),
    Setting(ROSENBROCK, "gd", 997, "float64", (1e-4, 5e-3)),
    Setting(PARABOLA, "momentum", 997, "float32", (1e-4, 2.5)),
]


def _name(setting: Setting) -> str:
    return f"{setting.function.name}-{setting.optimizer}-{setting.steps}-{setting.dtype}"


@pytest.mark.usefixtures("compiled_for_users")
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
        start = np.array([row[f"start_{i}"] for i in range(cell["problem"]["dim"])], float)
        want, beside = (_reference(setting, start * scale, settings, cell) for scale in (1, 1 + NUDGE[setting.dtype]))
        if want is None or beside is None or _differences(want, beside, setting.dtype, 0.2):
            continue  # chaotic, or on the edge of a decision: there rounding may decide
        compared += 1
        found = {name: None if name == "settle_step" and pd.isna(row[name]) else row[name] for name in want}
        assert _differences(found, want, setting.dtype) == {}
    assert compared >= len(table) / 2


NUDGE = {"float32": 1e-6, "float64": 1e-12}


def _reference(s: Setting, start: np.ndarray, settings: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any] | None:
    history = simulate(s.function, start.tolist(), settings, s.steps, s.dtype, cell["problem"])
    return record(history, s.steps, s.dtype, cell["problem"], cell) if resolved(history, s.dtype) else None


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
        trace=12, paths=1000, targets=[1.0, 1e-2, 1e-4], record="full", **more,
    )  # fmt: skip


def _differences(found: dict[str, Any], want: dict[str, Any], dtype: str, share: float = 1.0) -> dict[str, Any]:
    """The columns that disagree: whole numbers exactly, real ones to what rounding leaves of them (times ``share``)."""
    wrong = {n: (found[n], want[n]) for n in WHOLE if found[n] != want[n]}
    if list(found["hits"]) != want["hits"]:
        wrong["hits"] = (found["hits"], want["hits"])
    # Rounding differs in order and in fused products; both grow along a descent.
    tolerance = share * {"float32": 2e-3, "float64": 1e-7}[dtype]
    for name in REAL:
        a, b = np.atleast_1d(np.array(found[name], float)), np.atleast_1d(np.array(want[name], float))
        allowed = tolerance * (_envelope(b, 2 if name == "path" else 1) + (1e-3 if name == "rate" else 0))
        allowed += float(np.finfo(dtype).tiny)  # below it, hardware may flush to zero
        if not np.array_equal(np.isnan(a), np.isnan(b)) or (np.abs(a - b) > allowed).any():
            wrong[name] = (a, b)
    return wrong


def _envelope(series: np.ndarray, coordinates: int) -> np.ndarray:
    """The size of a series that swings through zero: the smaller of the largest before and the largest after."""
    size = np.nan_to_num(np.abs(series))
    columns = size.reshape(-1, coordinates) if len(size) % coordinates == 0 else size[:, None]
    before, after = np.maximum.accumulate(columns), np.maximum.accumulate(columns[::-1])[::-1]
    return np.minimum(before, after).ravel()


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "rate"), [(97, 0.9), (64, 1.1)])
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


def test_a_search_without_gradients_that_ends_at_its_start() -> None:
    sweep = gd.sweep(lambda x: x[0] - np.log(2) * x[0] ** 0.5, "trial_and_error", x0=[[-1.0]], steps=4, minimum=-1.0)
    row = sweep.table.iloc[0]
    assert (row["outcome"], row["steps"], row["f_evals"]) == ("nonfinite", 0, 1)
    assert pd.isna(row["grad_norm_final"]), "no gradient was known there: 0 would say that it is at rest"
