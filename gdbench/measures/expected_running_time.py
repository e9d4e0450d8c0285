"""What it costs to succeed once, failures included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure, cost, cost_at_hits, cost_at_settle
from gdbench.stats.runtime import expected_running_time as ert


def cost_of_a_success(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Cost of all descents up to success or their end, divided by the number of successes; infinite without one.

    A success is the hardest target that the suite records, or convergence where it records none. NaN for no descents.
    """
    if not len(frame):
        return float("nan")
    hits = cost_at_hits(frame)
    costs = cost_at_settle(frame) if hits is None else hits[:, np.argmin(cell["targets"])]
    return float(ert(costs, cost(frame)))


expected_running_time = Measure(
    "expected_running_time", "evaluations", "low", "cost of all descents over the number of successes (ERT)",
    cost_of_a_success,
)  # fmt: skip
