"""The share of descents that converged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas import DataFrame

from gdbench.measures.base import Measure, converged


def share_converged(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Number converged / number of descents, between 0 and 1; NaN for no descents."""
    return float(converged(frame).mean()) if len(frame) else float("nan")


success_rate = Measure("success_rate", "share", "high", "share of descents that converged", share_converged)
