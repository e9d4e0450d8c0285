"""What tuning gains over the library's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure
from gdbench.measures.settings import axes_of_settings, by_setting


def gain(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """log2(median cost to converge at the default / at the best setting of the grid).

    Infinite where the default does not converge (for half of the descents) and the best setting does; NaN where the
    grid does not hold the default, or neither converges. Source of the idea: P. Probst, A.-L. Boulesteix and B. Bischl,
    Tunability, JMLR 20 (2019), 53.
    """
    table, names = by_setting(frame, cell), axes_of_settings(frame, cell)
    defaults = cell["optimizer"]["defaults"]
    if not len(table) or any(defaults.get(name) is None for name in names):
        return float("nan")
    there = np.ones(len(table), dtype=bool)
    for name in names:
        there &= np.isclose(table[name].to_numpy(dtype=float), defaults[name], rtol=1e-6, atol=0)
    best = float(table["_cost"].iloc[0])
    if not there.any() or not np.isfinite(best):
        return float("nan")
    return float(np.log2(max(table["_cost"].to_numpy()[there][0], 1e-9) / max(best, 1e-9)))


tunability = Measure(
    "tunability", "log2 of cost", "low", "factor of cost (log2) between the default and the best setting", gain
)
