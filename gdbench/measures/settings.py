"""Settings of a group of descents side by side: what several measures choose from.

All is judged on the descents of the group itself. A number for a chosen setting that is to be compared with others must
come from descents that had no say in the choice; the answer tables of a report hold these out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import converged, cost_at_settle


def axes_of_settings(frame: DataFrame, cell: Mapping[str, Any]) -> list[str]:
    """Names of the hyperparameters that are axes of the cell."""
    return [axis["name"] for axis in cell["axes"] if axis["kind"] == "hyperparameter" and axis["name"] in frame]


def by_setting(frame: DataFrame, cell: Mapping[str, Any]) -> DataFrame:
    """A row a setting, best first: its hyperparameters, ``_share`` converged, ``_cost`` (median to converge).

    Best is the highest share converged, then the lowest median cost. Empty for no descents or no axis.
    """
    names = axes_of_settings(frame, cell)
    if not names or not len(frame):
        return DataFrame(columns=[*names, "_share", "_cost"])
    data = frame[names].reset_index(drop=True).assign(_share=converged(frame), _cost=cost_at_settle(frame))
    table = data.groupby(names, observed=True).agg({"_share": "mean", "_cost": "median"}).reset_index()
    return table.iloc[np.lexsort((table["_cost"], -table["_share"]))].reset_index(drop=True)
