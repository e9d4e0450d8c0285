"""Is an optimizer the cheapest?"""

from __future__ import annotations

import numpy as np

from gdbench.claims.base import RESAMPLES, Asked, Evidence, Rule, Setting, beyond
from gdbench.figures.choose import parameter_values
from gdbench.measures.base import cost_at_settle
from gdbench.stats.proportion import Interval


def _weigh(asked: Asked) -> list[Evidence]:
    """Each optimizer that is said to be the best, against the cheapest of the others, on each problem."""
    name, places = asked.settings["best"], {}
    for cell in asked.cells:
        for at in parameter_values(cell):
            key = (cell["problem"]["label"], tuple(at.items()))
            places.setdefault(key, {})[cell["optimizer"]["label"]] = cost_at_settle(asked.at_best(cell, at=at))
    found = []
    for (problem, at), costs in places.items():
        rivals = {rival: own for rival, own in costs.items() if rival != name and np.isfinite(np.median(own))}
        if name not in costs or not rivals:
            continue
        rival = min(rivals, key=lambda other: float(np.median(rivals[other])))
        where = f"{problem}{''.join(f', {parameter} {value:g}' for parameter, value in at)}"
        ratio, interval = _ratio(costs[name], rivals[rival])
        worse = beyond(*interval, 1.0)
        # Equal for certain is not worse.
        holds = True if interval.low == interval.high == 1.0 else None if worse is None else not worse
        found.append(Evidence(f"on {where}", f"{where}: cost of {name} over that of {rival}", ratio, *interval, holds))
    return found


def _ratio(mine: np.ndarray, other: np.ndarray) -> tuple[float, Interval]:
    """The ratio of two medians, with its 95% bootstrap interval over starts that both have."""
    rng = np.random.default_rng(0)
    n = min(len(mine), len(other))
    picks = rng.integers(n, size=(RESAMPLES, n))
    with np.errstate(invalid="ignore"):
        drawn = np.median(mine[:n][picks], axis=1) / np.median(other[:n][picks], axis=1)
        value = float(np.median(mine) / np.median(other))
    drawn = np.where(np.isnan(drawn), np.inf, drawn)
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return value, Interval(float(low), float(high))


RULE = Rule(
    name="cheapest",
    number="cost to converge over that of the cheapest other optimizer",
    decides=(
        "The ratio of the medians over held-out starts, each optimizer at its best setting, lies below 1 with its 95% "
        "bootstrap interval, or is exactly 1."
    ),
    weigh=_weigh,
    settings={"best": Setting((str,), "the optimizer that is said to be the cheapest")},
)
