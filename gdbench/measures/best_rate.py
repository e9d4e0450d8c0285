"""Which learning rate works best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pandas import DataFrame

from gdbench.measures.base import Measure
from gdbench.measures.usable_width import by_rate


def best(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """The learning rate with the largest share converged, then the lowest median cost; NaN where none converges.

    Chosen on all descents of the group, so it says where to look and not how well that does.
    """
    rates = by_rate(frame)
    if rates is None or not rates["share"].to_numpy().any():
        return float("nan")
    return float(rates.index.to_numpy(dtype=float)[rates.attrs["best"]])


best_rate = Measure("best_rate", "learning rate", None, "learning rate at which most converge, and then soonest", best)
