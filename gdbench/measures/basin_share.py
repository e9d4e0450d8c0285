"""How often descents find a global minimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas import DataFrame

from gdbench.measures.base import Measure


def share_of_global(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Share of the descents that reach a global minimizer: a known one, or else the lowest of those found by the run.

    A descent that ends anywhere else counts as a miss. NaN where minimizers are neither known nor can be found (end
    points are stored up to three dimensions), and for no descents.
    """
    if not len(frame):
        return float("nan")
    basin = frame["basin"].to_numpy()
    if cell["problem"]["minimizers"] is not None:
        return float((basin >= 0).mean())
    # The run's own are numbered by their value, the lowest first; without end points there are none.
    found = "end_0" in frame and frame["end_0"].notna().to_numpy(dtype=bool).any()
    return float((basin == 0).mean()) if found else float("nan")


basin_share = Measure(
    "basin_share", "share", "high", "share of descents that reach a global minimizer (or the lowest found)",
    share_of_global,
)  # fmt: skip
