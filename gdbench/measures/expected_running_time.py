"""What a method costs that is restarted until it succeeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas import DataFrame

from gdbench.measures.base import Measure, cost, cost_at_settle
from gdbench.stats.runtime import expected_running_time as of_runs


def running_time(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Cost of all descents up to convergence or their end, divided by the number that converged; infinite without one.

    NaN for no descents.
    """
    return float(of_runs(cost_at_settle(frame), cost(frame))) if len(frame) else float("nan")


expected_running_time = Measure(
    "expected_running_time", "evaluations", "low", "ERT: cost of all descents / number that converged", running_time
)
