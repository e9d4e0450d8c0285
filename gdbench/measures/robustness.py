"""How much of its grid an optimizer works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure
from gdbench.measures.settings import by_setting
from gdbench.measures.usable_width import ENOUGH


def share_of_settings(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Share of the settings of the grid at which half or more of the descents converge; NaN without an axis."""
    table = by_setting(frame, cell)
    return float(np.mean(table["_share"].to_numpy() >= ENOUGH)) if len(table) else float("nan")


robustness = Measure(
    "robustness", "share of settings", "high", "share of settings where half or more converge", share_of_settings
)
