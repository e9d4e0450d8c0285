"""What a descent costs until it has converged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure, cost_at_settle


def median_cost(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Median over all descents of the cost at the settle step; one that did not converge costs infinitely much.

    So the median is infinite as soon as more than half of them fail, and no failure flatters it. NaN for no
    descents.
    """
    return float(np.median(cost_at_settle(frame))) if len(frame) else float("nan")


cost_to_converge = Measure(
    "cost_to_converge", "evaluations", "low", "median cost to converge over all descents, unsolved = inf", median_cost
)
