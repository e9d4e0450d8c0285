"""How low a descent was at any budget, in one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, EVALUATIONS
from gdbench.measures.base import Measure
from gdbench.stats.aocc import area_over_curve as area


def trace_costs(frame: DataFrame, cell: Mapping[str, Any]) -> np.ndarray:
    """What each descent had spent at each stored step of its trace, shape [rows, steps]."""
    steps = np.asarray(cell["trace_steps"], dtype=float)
    each = cell["optimizer"]["cost"]
    if each is not None:
        weight = each[0] + COST_OF_GRADIENT * each[1] + COST_OF_HVP * each[2]
        return np.tile(steps * weight * cell["problem"]["batch_share"], (len(frame), 1))
    f, g, h = (np.stack(list(frame[f"trace_{name}"])).astype(float) for name in EVALUATIONS)
    return f + COST_OF_GRADIENT * g + COST_OF_HVP * h


def mean_area(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Mean area over the convergence curve of best gap so far, over the costliest descent's budget (``stats.aocc``).

    NaN without traces, or where no minimum is known.
    """
    if not cell["trace_steps"] or "trace_best" not in frame or not len(frame) or cell["problem"]["minimum"] is None:
        return float("nan")
    if bool(np.any(frame["trace_best"].isna())):
        return float("nan")
    costs = trace_costs(frame, cell)
    best = np.stack(list(frame["trace_best"])).astype(float)
    return float(np.mean(area(costs, best, float(costs.max()))))


area_over_curve = Measure(
    "area_over_curve",
    "share",
    "high",
    "AOCC: area over the curve of log10 best gap, 1e2 to 1e-8; 1 is best",
    mean_area,
)
