"""Which minima a group of descents comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure


def basin_shares(frame: DataFrame) -> dict[int, float]:
    """Share of the descents that came to each minimum, by its number in the column ``basin``; -1 stands for none."""
    basins = frame["basin"].to_numpy(dtype=float, na_value=-1)
    numbers, counts = np.unique(np.nan_to_num(basins, nan=-1).astype(int), return_counts=True)
    return {int(n): float(count / len(basins)) for n, count in zip(numbers, counts, strict=True)}


def largest(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Share that came to the minimum most often reached; NaN where no descent came to one."""
    shares = {n: share for n, share in basin_shares(frame).items() if n >= 0} if "basin" in frame else {}
    return max(shares.values(), default=float("nan"))


basin_share = Measure(
    "basin_share", "share", None, "share of descents that come to the minimum most often reached", largest
)
