"""Theory conformance: what is known exactly, measured with the kernels that run every suite.

Five kinds of check: trajectories on quadratics against closed forms; the learning rate at which ``rate`` changes sign
against the stability boundary; the same on functions that are no quadratics, against their local boundary; exact steps
against the bound that they attain; and the own kernels against optax, iterate by iterate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from gdbench.catalogue import gather
from gdbench.choices import resolve_optimizer
from gdbench.face import problem, sweep
from gdbench.grid import log_axis, starts
from gdbench.theory import steepest_descent
from gdbench.theory.forms import ClosedForm

HEADER = ["check", "setting", "measured", "exact", "error", "allowed", "holds"]

METHODS = {
    "gd": "gradient_descent", "momentum": "heavy_ball", "nesterov": "nesterov", "ema_momentum": "ema_momentum",
    "quasi_hyperbolic": "quasi_hyperbolic", "decayed_gd": "weight_decay", "newton": "newton",
}  # fmt: skip
"""An optimizer for each closed form."""
FULL = ("gd", "momentum", "nesterov")
"""Measured in every dimension and both precisions; the others, which are made of the same parts, in one."""
FURTHER = {"nu": [0.3, 1.0], "weight_decay": [0.5, 2.0], "damping": [0.0, 1.0]}
"""Values of what a closed form depends on beside learning rate and momentum."""
CONDITIONS = [1.0, 10.0, 1000.0]
MOMENTA = [0.0, 0.5, 0.9, 0.99]
SYMBOLS = {"momentum": "β", "nu": "ν", "weight_decay": "w", "damping": "d"}
DIMENSIONS = (2, 3, 5, 10, 20)
FEW_DIMENSIONS = (5,)
PER_DECADE = 256
TRAJECTORY_TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
SWING = {"float64": 1, "float32": 32}
"""Steps either side over which a gap is compared with the largest exact one. Where all coordinates of a momentum method
cross zero together a gap loses its digits: a few of them in float64, all in float32."""


def _row(check: str, setting: str, measured: str, exact: str, error: float, allowed: float) -> dict[str, Any]:
    holds = bool(error <= allowed)
    return {
        "check": check, "setting": setting, "measured": measured, "exact": exact, "error": f"{error:.2g}",
        "allowed": f"{allowed:.2g}", "holds": holds,
    }  # fmt: skip


def run_checks() -> list[dict[str, Any]]:
    """Every check, a row each: what was measured, what is exact, and whether they agree."""
    forms = gather("gdbench.theory", ClosedForm)
    rows: list[dict[str, Any]] = []
    for method, form in METHODS.items():
        for dtype in TRAJECTORY_TOLERANCE if method in FULL else ("float64",):
            rows += trajectories(method, forms[form], dtype, (2, 20) if method in FULL else FEW_DIMENSIONS)
    for method, form in METHODS.items():
        for dim in DIMENSIONS if method in FULL else FEW_DIMENSIONS:
            rows += boundaries(method, forms[form], dim)
    rows += list(local_boundaries())
    rows.append(exact_steps())
    rows += [across_blocks(name, dim) for name, dim in (("quadratic", 10), ("rosenbrock", 2), ("rastrigin", 10))]
    rows += [against_optax(own, name, settings) for own, name, settings in PAIRS]
    return rows


def _axes(method: str, form: ClosedForm, momenta: list[float]) -> dict[str, Any]:
    """The hyperparameters beside the learning rate, with the values at which a method is measured."""
    has_momentum = "momentum" in resolve_optimizer(method).hyperparameters
    return ({"momentum": momenta} if has_momentum else {}) | {name: FURTHER[name] for name in form.further}


def trajectories(
    method: str, form: ClosedForm, dtype: str, dimensions: Iterable[int], steps: int = 200
) -> Iterator[dict[str, Any]]:
    """Gap after every recorded step of a quadratic against the closed form, while it lies above 1e-30."""
    axes = _axes(method, form, [0.0, 0.5, 0.9])
    # None of these settings lies on a boundary: there the rounding of α itself grows with every step.
    for dim in dimensions:
        where = starts("box", 2)
        f = problem("quadratic", dim=dim)
        found = sweep(
            f, method, learning_rate=[5e-4, 1e-3, 0.01, 0.03, 0.1, 0.29, 1.0, 1.7], condition=CONDITIONS, starts=where,
            steps=steps, trace=steps, dtype=dtype, **axes,
        )  # fmt: skip
        at = found.results.cells[0]["trace_steps"]
        points = where.draw(f, 0)
        worst = max(_deviation(row, form, points, at, steps, dtype) for row in found.table.to_dict("records"))
        yield _row(
            "trajectory", f"{method}, {dtype}, dim {dim}, κ ≤ 1000, {len(found.table)} descents",
            f"{steps} steps", "closed form", worst, TRAJECTORY_TOLERANCE[dtype],
        )  # fmt: skip


def _deviation(row: Any, form: ClosedForm, points: np.ndarray, at: list[int], steps: int, dtype: str) -> float:
    """Largest relative difference of one descent's gap from the closed form for its rounded inputs."""
    real = np.dtype(dtype).type
    dim = points.shape[1]
    eigenvalues = (real(row["condition"]) ** np.linspace(0, 1, dim).astype(dtype)).astype(float)
    rate, momentum = float(real(row["learning_rate"])), float(real(row.get("momentum", 0.0)))
    further = {name: float(real(row[name])) for name in form.further}
    start = points[int(row["start"])].astype(dtype).astype(float)
    whole = form.gap(start, eigenvalues, rate, momentum, steps, **further)
    padded = np.pad(np.where(np.isfinite(whole), whole, np.inf), SWING[dtype], mode="edge")
    reference = np.lib.stride_tricks.sliding_window_view(padded, 2 * SWING[dtype] + 1).max(axis=1)
    exact, reference, measured = whole[at], reference[at], np.asarray(row["trace_gap"], float)
    # Until the gap underflows, or the lane is stopped as diverged.
    used = (exact > 1e-30) & np.isfinite(measured) & np.isfinite(reference)
    return float(np.max(np.abs(measured[used] - exact[used]) / reference[used]))


def boundaries(method: str, form: ClosedForm, dim: int, steps: int = 2000) -> Iterator[dict[str, Any]]:
    """The grid step at which ``rate`` changes sign against the stability boundary, on 256 rates a decade or 64."""
    full = method in FULL
    low, high = 0.5 / max(CONDITIONS), (8.0 if full else 50.0) / min(CONDITIONS)
    per_decade = PER_DECADE if full else PER_DECADE // 4
    rates = log_axis(low, high, 1 + int(np.ceil(per_decade * np.log10(high / low))))
    axes = _axes(method, form, MOMENTA if full else [0.5, 0.9])
    table = sweep(
        problem("quadratic", dim=dim), method, learning_rate=rates, condition=CONDITIONS, steps=steps, dtype="float64",
        **axes,
    ).table  # fmt: skip
    step = np.log10(rates.values[1] / rates.values[0])
    for _, group in table.groupby(["condition", *axes]):
        condition, *values = (float(group[name].iloc[0]) for name in ("condition", *axes))
        found = dict(zip(axes, values, strict=True))
        told = ", ".join(f"{SYMBOLS.get(name, name)} {value:g}" for name, value in {"κ": condition, **found}.items())
        exact = float(form.boundary(condition, found.pop("momentum", 0.0), **found))
        off, measured = _sign_change(group, exact, step)
        yield _row("boundary", f"{method}, dim {dim}, {told}", f"{measured:.5g}", f"{exact:.5g}", off, 1.0)


def _sign_change(group: pd.DataFrame, exact: float, step: float) -> tuple[float, float]:
    """Distance in grid steps of the rate farthest from the boundary with the wrong sign, and the sign change itself."""
    ordered = group.sort_values("learning_rate")
    rate, alpha = ordered["rate"].to_numpy(float), ordered["learning_rate"].to_numpy(float)
    # A descent that stops before two points can be compared has no rate; its outcome says which side it is on.
    rate = np.where(np.isnan(rate), np.where(ordered["outcome"].isin(["diverged", "nonfinite"]), 1.0, -1.0), rate)
    wrong = (rate > 0) != (alpha > exact)
    off = np.max(np.abs(np.log10(alpha[wrong] / exact)) / step) if wrong.any() else 0.0
    positive = np.flatnonzero(rate > 0)
    return float(off), float(alpha[positive[0]]) if len(positive) else float("nan")


def exact_steps(condition: float = 50.0, steps: int = 40) -> dict[str, Any]:
    """What is left of the gap after exact steps from the slowest start, against the bound that it attains."""
    start = steepest_descent.slowest_start([1.0, condition])
    row = sweep(
        "quadratic", "steepest_descent", condition=condition, x0=[start.tolist()], steps=steps, dtype="float64"
    ).table.iloc[0]  # fmt: skip
    left = (row["gap_final"] / (0.5 * np.sum([1.0, condition] * start**2))) ** (1 / steps)
    exact = float(steepest_descent.most_left(1.0, condition))
    setting = f"steepest_descent, κ {condition:g}, {steps} steps from the slowest start"
    return _row("exact step", setting, f"{left:.8g}", f"{exact:.8g}", abs(left / exact - 1), 1e-12)


LOCAL = [
    ("slope_fit", [[1.0], [3.0]], 3 / 14, "2/L, L = 28/3"),
    ("quartic", [[1.0]], 2.0, "α x0² = 2"),
    ("double_well", [[1.001]], 1.0, "α f''(1) = 2, where period doubling begins"),
    ("rosenbrock", [[1.0001, 1.0001]], 2 / 1001.6006, "2/L at the minimizer"),
]


def local_boundaries(steps: int = 4000) -> Iterator[dict[str, Any]]:
    """Gradient descent beyond the quadratic family: the largest rate that does not leave the minimizer."""
    for name, points, exact, why in LOCAL:
        rates = log_axis(exact / 2, exact * 2, 2 * PER_DECADE)
        table = sweep(
            name, "gd", learning_rate=rates, starts={"kind": "points", "points": points}, steps=steps, dtype="float64"
        ).table
        step = np.log10(rates.values[1] / rates.values[0])
        # Next to the boundary a descent neither arrives nor leaves within the budget: what counts is its direction.
        leaves = (table["gap_final"] > table["f_start"] - table["f_final"] + table["gap_final"]) | table[
            "outcome"
        ].isin(["diverged", "nonfinite"])
        first = float(table.loc[leaves, "learning_rate"].min())
        last = float(table.loc[~leaves, "learning_rate"].max())
        off = max(abs(np.log10(first / exact)), abs(np.log10(last / exact))) / step
        yield _row("local boundary", f"gd on {name}: {why}", f"{first:.5g}", f"{exact:.5g}", float(off), 1.0)


def across_blocks(name: str, dim: int, blocks: tuple[int, ...] = (64, 256, 1024)) -> dict[str, Any]:
    """Share of outcomes that change between block sizes, in float32: rounding may differ, conclusions may not."""
    tables = [
        sweep(
            problem(name, dim=dim), "adam", learning_rate=log_axis(1e-3, 1e1, 64), starts=starts("sobol", 64),
            steps=500, block=block,
        ).table
        for block in blocks
    ]  # fmt: skip
    changed = np.zeros(len(tables[0]), bool)
    for table in tables[1:]:
        changed |= (table["outcome"] != tables[0]["outcome"]).to_numpy()
    setting = f"adam on {name}, dim {dim}, float32, blocks of {', '.join(map(str, blocks))}"
    measured = f"{changed.sum()} of {len(changed)} outcomes changed"
    return _row("block size", setting, measured, "0", float(changed.mean()), 0.02)


PAIRS: list[tuple[str, str, dict[str, Any]]] = [
    ("gd", "sgd", {}),
    ("momentum", "sgd", {"momentum": 0.9}),
    ("nesterov", "sgd", {"momentum": 0.9, "nesterov": True}),
    ("adagrad", "adagrad", {}),
    ("rmsprop", "rmsprop", {}),
    ("adam", "adam", {}),
]
"""Own kernel, optax's function, and the hyperparameters that make them the same rule."""


def against_optax(own: str, name: str, settings: dict[str, Any], steps: int = 200) -> dict[str, Any]:
    """Largest relative difference of the recorded iterates of an own kernel from optax's on Rosenbrock, float64."""
    shared = {k: v for k, v in settings.items() if k in resolve_optimizer(own).hyperparameters}
    common: dict[str, Any] = {"steps": steps, "dtype": "float64", "paths": 10, "learning_rate": [1e-4, 5e-4]}
    ours = sweep("rosenbrock", own, **common, **shared).table["path"]
    theirs = sweep("rosenbrock", f"optax/{name}", **common, **settings).table["path"]
    a, b = (np.array(paths.tolist()) for paths in (ours, theirs))
    error = float(np.max(np.abs(a - b) / np.abs(b)))
    return _row("own kernel", f"{own} against optax.{name}, {steps} steps", "iterates", "optax", error, 1e-12)
