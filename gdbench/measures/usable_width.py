"""How wide the range of learning rates is within which an optimizer works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import Measure, converged, cost_at_settle, stored

RATE = "learning_rate"
ENOUGH = 0.5
"""A rate is usable when at least this share of its descents converges."""


class UsableRates(NamedTuple):
    """The usable learning rates around the best one.

    Attributes:
        low: smallest usable rate; None when no rate is usable.
        high: largest usable rate.
        width: log10(high / low), decades; 0 for one usable rate or none.
        open: whether the range reaches an end of the grid, so that the true one may be wider.
    """

    low: float | None
    high: float | None
    width: float
    open: bool


def by_rate(frame: DataFrame) -> DataFrame | None:
    """Share converged and median cost at each learning rate, ascending; None without a learning rate or descents.

    ``attrs["best"]`` is the place of the best one: the largest share converged, then the lowest median cost.
    """
    if not stored(frame, RATE):
        return None
    data = DataFrame({RATE: frame[RATE].to_numpy(), "share": converged(frame), "cost": cost_at_settle(frame)})
    found = data.groupby(RATE).agg({"share": "mean", "cost": "median"}).sort_index()
    found.attrs["best"] = int(np.lexsort((found["cost"].to_numpy(), -found["share"].to_numpy()))[0])
    return found


def usable_rates(frame: DataFrame) -> UsableRates | None:
    """The contiguous usable rates around the best one, None without a learning rate or descents.

    Best: the largest share converged, then the lowest median cost. Usable: at least half of the descents at that rate
    converge (Wortsman et al. 2023, arXiv 2309.14322, measure the same as a sensitivity).
    """
    found = by_rate(frame)
    if found is None:
        return None
    rates, best = found.index.to_numpy(dtype=float), found.attrs["best"]
    usable = found["share"].to_numpy() >= ENOUGH
    if not usable[best]:
        return UsableRates(None, None, 0.0, False)
    failing = np.flatnonzero(~usable)
    first = int(failing[failing < best].max(initial=-1)) + 1
    last = int(failing[failing > best].min(initial=len(rates))) - 1
    with np.errstate(divide="ignore"):
        width = float(np.log10(rates[last]) - np.log10(rates[first])) if last > first else 0.0
    return UsableRates(rates[first], rates[last], width, first == 0 or last == len(rates) - 1)


def decades(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """log10(high / low) of the usable rates; NaN for a group without a learning rate or descents."""
    found = usable_rates(frame)
    return float("nan") if found is None else found.width


usable_width = Measure(
    "usable_width", "decades", "high", "decades of learning rate around the best where half or more converge", decades
)
