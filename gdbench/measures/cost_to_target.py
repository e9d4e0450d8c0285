"""What it costs to reach a target that a suite names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, EVALUATIONS
from gdbench.measures.base import Measure


def cost_at_hits(
    frame: DataFrame, gradient: float = COST_OF_GRADIENT, hessian: float = COST_OF_HVP
) -> np.ndarray | None:
    """What each descent had spent when it first reached each target, shape [rows, targets]; infinite where it did not.

    None where no targets were recorded.
    """
    if "hits" not in frame or not len(frame) or bool(frame["hits"].isna().any()):
        return None
    counts = [np.stack(list(frame[f"hits_{name}"])).astype(float) for name in EVALUATIONS]
    spent = counts[0] + gradient * counts[1] + hessian * counts[2]
    return np.where(np.stack(list(frame["hits"])) < 0, np.inf, spent)


def median_cost(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Median over all descents of the cost at the first hit of the hardest target; one that misses it is infinite.

    NaN without targets.
    """
    costs = cost_at_hits(frame)
    if costs is None or not cell["targets"]:
        return float("nan")
    return float(np.median(costs[:, int(np.argmin(cell["targets"]))]))


cost_to_target = Measure(
    "cost_to_target", "evaluations", "low", "median cost to the hardest recorded target, unreached = inf", median_cost
)
