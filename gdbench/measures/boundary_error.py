"""How far the largest learning rate at which descents settle lies from what theory says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import CONVERGED, Measure, hyperparameter_names
from gdbench.measures.usable_width import ENOUGH, RATE
from gdbench.theory.of_cell import is_local, known_of


def settles(frame: DataFrame) -> np.ndarray:
    """Which descents came to rest, or were still on their way down when the budget ended, shape [rows], bool."""
    falling = (frame["outcome"] == "unfinished") & (frame["rate"].astype(float) < 0)
    return (frame["outcome"].isin([CONVERGED, "trapped"]) | falling).to_numpy(dtype=bool)


def in_theory(frame: DataFrame, cell: Mapping[str, Any]) -> np.ndarray | None:
    """The largest stable learning rate at each descent's setting, shape [rows]; None where no closed form is exact.

    Exact where the optimizer has one and the Hessian of the problem is the same everywhere and known.
    """
    axes = [axis["name"] for axis in cell["axes"] if axis["kind"] in ("hyperparameter", "parameter")]
    known = None if is_local(cell) else known_of(cell, {name: frame[name].to_numpy(dtype=float) for name in axes})
    return None if known is None else np.broadcast_to(np.asarray(known.boundary(), dtype=float), len(frame))


def errors(frame: DataFrame, cell: Mapping[str, Any]) -> np.ndarray:
    """log10(measured / theory) at each value of the other axes, where either boundary lies within the grid of rates.

    Measured is the geometric mean of the last rate before half or more of the descents cease to settle for the first
    time, and of the next. If all rates settle, or none does, it lies beyond the end of the grid, and the error is at
    least the one given.
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
    ends = np.column_stack([usable[:, :-1] & ~usable[:, 1:], usable[:, -1]])
    last = np.where(ends.any(axis=1), ends.argmax(axis=1), -1)
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
