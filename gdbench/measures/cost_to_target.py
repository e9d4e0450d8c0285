"""What a descent costs until it has come near the minimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure, cost_at_hits


def median_cost(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Median over all descents of the cost at which the hardest target was first reached; infinite where never.

    The hardest is the lowest of the targets that the suite records. NaN without targets or descents.
    """
    costs = cost_at_hits(frame)
    return float("nan") if costs is None else float(np.median(costs[:, np.argmin(cell["targets"])]))


cost_to_target = Measure(
    "cost_to_target", "evaluations", "low", "median cost to reach the hardest recorded target, never = inf", median_cost
)
