"""How far above the minimum descents end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure, final_gaps


def median_gap(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Median of f(x) - f* at the end, a lost descent (diverged, nonfinite) counted as infinite.

    NaN where there are no descents or no gap is known at all.
    """
    if cell["problem"]["minimum"] is None or not len(frame):
        return float("nan")
    return float(np.median(final_gaps(frame)))


final_gap = Measure("final_gap", "f", "low", "median gap to the known minimum at the end", median_gap)
