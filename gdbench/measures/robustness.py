"""How much of its grid an optimizer works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas import DataFrame

from gdbench.measures.base import Measure
from gdbench.measures.settings import by_setting
from gdbench.measures.usable_width import ENOUGH


def share_of_settings(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Share of the settings of the grid at which half or more of the descents converge; NaN without an axis."""
    table = by_setting(frame, cell)
    return float((table["_share"] >= ENOUGH).mean()) if len(table) else float("nan")


robustness = Measure(
    "robustness", "share of settings", "high", "share of the grid's settings where half or more of the descents converge",
    share_of_settings,
)  # fmt: skip
