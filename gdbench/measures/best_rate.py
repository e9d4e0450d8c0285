"""Which learning rate works best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas import DataFrame

from gdbench.measures.base import Measure
from gdbench.measures.settings import by_setting
from gdbench.measures.usable_width import RATE


def rate(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """The learning rate of the best setting (``settings.by_setting``).

    NaN without an axis of learning rates, or where nothing converges.
    """
    table = by_setting(frame, cell)
    if RATE not in table or not len(table) or table["_share"].iloc[0] == 0:
        return float("nan")
    return float(table[RATE].iloc[0])


best_rate = Measure(
    "best_rate", "learning rate", None, "learning rate with the highest share converged, then the lowest cost", rate
)
