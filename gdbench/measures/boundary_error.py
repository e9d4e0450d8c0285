"""How far the largest learning rate at which descents settle lies from what theory says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from pandas import DataFrame

from gdbench import catalogue
from gdbench.measures.base import CONVERGED, Measure, hyperparameter_names
from gdbench.measures.usable_width import ENOUGH, RATE
from gdbench.theory.forms import ClosedForm


def settles(frame: DataFrame) -> np.ndarray:
    """Which descents came to rest, or were still on their way down when the budget ended, shape [rows], bool."""
    falling = (frame["outcome"] == "unfinished") & (frame["rate"].astype(float) < 0)
    return (frame["outcome"].isin([CONVERGED, "trapped"]) | falling).to_numpy(dtype=bool)


def in_theory(frame: DataFrame, cell: Mapping[str, Any]) -> np.ndarray | None:
    """The largest stable learning rate at each descent's setting, shape [rows]; None where no closed form is exact.

    Exact where the optimizer has one and the Hessian of the problem is the same everywhere and known.
    """
    problem = cell["problem"]
    form = catalogue.gather("gdbench.theory", ClosedForm).get(cell["optimizer"]["theory"] or "")
    parameters = {axis["name"] for axis in cell["axes"] if axis["kind"] == "parameter" and len(axis["values"]) > 1}
    # A quadratic's condition is its largest curvature; how another parameter bends a function is not stored.
    if form is None or problem["curvature"] is None or problem["curvature_is_local"] or parameters - {"condition"}:
        return None
    fixed = {name: value for name, value in cell["optimizer"]["hyperparameters"].items() if value is not None}
    values = fixed | {name: frame[name].to_numpy(dtype=float) for name in hyperparameter_names(cell)}
    largest = frame["condition"].to_numpy(dtype=float) if parameters else problem["curvature"][1]
    if any(name not in values for name in form.further):
        return None
    found = form.boundary(largest, values.get("momentum", 0.0), **{name: values[name] for name in form.further})
    return np.broadcast_to(np.asarray(found, dtype=float), len(frame))


def errors(frame: DataFrame, cell: Mapping[str, Any]) -> np.ndarray:
    """log10(measured / theory) at each value of the other axes, where either boundary lies within the grid of rates.

    Measured is the geometric mean of the largest rate at which at least half of the descents settle and of the next. If
    all rates settle, or none does, it lies beyond the end of the grid, and the error is at least the one given.
    """
    if not len(frame) or RATE not in hyperparameter_names(cell):
        return np.zeros(0)
    # A rate of 0 moves nothing and lies at no distance in decades.
    frame = cast(DataFrame, frame[frame[RATE].to_numpy(dtype=float) > 0])
    theory = in_theory(frame, cell)
    if theory is None:
        return np.zeros(0)
    others = [a["name"] for a in cell["axes"] if a["kind"] in ("hyperparameter", "parameter") and a["name"] != RATE]
    rates, column = np.unique(frame[RATE].to_numpy(dtype=float), return_inverse=True)
    keys = frame[[*others, "instance"]].to_numpy(dtype=float)
    lines, line = np.unique(keys, axis=0, return_inverse=True)
    count, good, edge = np.zeros((len(lines), len(rates))), np.zeros((len(lines), len(rates))), np.zeros(len(lines))
    np.add.at(count, (line, column), 1)
    np.add.at(good, (line, column), settles(frame))
    edge[line] = theory
    usable = good >= np.maximum(ENOUGH * count, 1)
    last = np.where(usable.any(axis=1), len(rates) - 1 - usable[:, ::-1].argmax(axis=1), -1)
    beyond = (last == -1) | (last == len(rates) - 1)
    measured = np.sqrt(rates[np.maximum(last, 0)] * rates[np.where(beyond, np.maximum(last, 0), last + 1)])
    counts = np.isfinite(edge) & (~beyond | ((rates[0] < edge) & (edge < rates[-1])))
    return np.log10(measured[counts] / edge[counts])


def median_error(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Median over the other axes of the distance between measured and theoretical boundary, decades.

    No finer than half the step of the grid of learning rates. NaN where theory knows no exact boundary, or both lie
    outside of the grid.
    """
    found = np.abs(errors(frame, cell))
    return float(np.median(found)) if len(found) else float("nan")


boundary_error = Measure(
    "boundary_error", "decades", "low", "distance of the measured stability boundary from theory's", median_error
)
