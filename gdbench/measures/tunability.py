"""What tuning is worth to an optimizer on a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame, Series

from gdbench.measures.base import Measure, cost_at_settle, halves, hyperparameter_names


def gain(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """log10 of the median cost to converge at the default setting over that at the best setting, decades.

    The best setting has the lowest median cost on even-numbered starts and seeds; both are judged on odd ones. Infinite
    where only the best converges, 0 where neither does, negative where the choice did not hold. NaN where the default
    does not lie on the grid, or nothing can be held out.
    """
    names = hyperparameter_names(cell) if len(frame) else []
    usual = default_setting(cell, names) if names else None
    if usual is None:
        return float("nan")
    values, costs = frame[names].to_numpy(dtype=float), cost_at_settle(frame)
    even, odd = halves(frame)
    if not (even.any() and odd.any()):
        return float("nan")
    _, which = np.unique(values, axis=0, return_inverse=True)
    typical = Series(costs[even]).groupby(which[even]).median()
    best = typical.index[int(typical.to_numpy().argmin())]
    at_best = _median(costs[odd & (which == best)])
    at_default = _median(costs[odd & np.isclose(values, usual, rtol=1e-6, atol=0).all(axis=1)])
    if at_default == at_best:
        return 0.0
    with np.errstate(divide="ignore"):
        return float(np.log10(at_default) - np.log10(at_best))


def default_setting(cell: Mapping[str, Any], names: list[str]) -> list[float] | None:
    """The library's defaults of these hyperparameters; None where one has none, or another one is held elsewhere."""
    defaults, held = cell["optimizer"]["defaults"], cell["optimizer"]["hyperparameters"]
    elsewhere = any(value is not None and value != defaults.get(name) for name, value in held.items())
    values = [defaults.get(name) for name in names]
    return None if elsewhere or None in values else values


def _median(costs: np.ndarray) -> float:
    """The median, NaN of none."""
    return float(np.median(costs)) if len(costs) else float("nan")


tunability = Measure(
    "tunability", "decades", None, "decades of cost that the best setting saves over the default, held out", gain
)
