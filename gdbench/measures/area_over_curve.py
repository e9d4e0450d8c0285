"""How good a descent is at any budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, EVALUATIONS
from gdbench.measures.base import Measure, cost, stored
from gdbench.stats.aocc import area_over_curve as area


def costs_of_trace(frame: DataFrame, cell: Mapping[str, Any]) -> np.ndarray:
    """What each descent had spent at each stored step of its trace, shape [rows, stored steps]."""
    weights = np.array([1.0, COST_OF_GRADIENT, COST_OF_HVP])
    if cell["optimizer"]["cost"] is None:
        return np.stack([np.stack(list(frame[f"trace_{name}"])) for name in EVALUATIONS], axis=-1) @ weights
    each = np.asarray(cell["optimizer"]["cost"], dtype=float) @ weights
    first = np.asarray(cell["optimizer"]["init_cost"], dtype=float) @ weights
    spent = first + np.asarray(cell["trace_steps"], dtype=float) * each
    return np.tile(spent * cell["problem"]["batch_share"], (len(frame), 1))


def gaps_looked_at(cell: Mapping[str, Any]) -> tuple[float, float]:
    """The gaps between which a curve counts: the targets that a suite records, else the tolerance and S."""
    problem = cell["problem"]
    if len(cell["targets"]) > 1:
        unit = problem["target_unit"] or problem["scale"]
        return min(cell["targets"]) * unit, max(cell["targets"]) * unit
    return problem["tolerance"], problem["scale"]


def mean_area(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Mean over all descents of the area over the curve of log10(best gap so far), normalised to 0 … 1.

    See ``stats.aocc.area_over_curve``. The budget is the most that a descent of the group spent; one that ended before
    keeps its best gap. NaN without traces, a known minimum or descents.
    """
    if not stored(frame, "trace_best") or cell["problem"]["minimum"] is None:
        return float("nan")
    best = np.stack(list(frame["trace_best"])).astype(float)
    # Where nothing was spent at all, any budget gives the height at the start.
    budget = float(cost(frame).max()) or 1.0
    return float(area(costs_of_trace(frame, cell), best, budget, *gaps_looked_at(cell)).mean())


area_over_curve = Measure(
    "area_over_curve", "share", "high", "mean area over the convergence curve of the log gap (AOCC)", mean_area
)
