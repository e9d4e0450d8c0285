"""Is an optimizer the cheapest?"""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import Series

from gdbench.claims.base import RESAMPLES, Asked, Evidence, Rule, Setting, at_best, within
from gdbench.figures.choose import RECORD, parameter_values, ranking, rows
from gdbench.measures.base import cost_at_settle

DESCENT = ["instance", "start", "seed"]


def _costs(asked: Asked, cell: dict[str, Any], at: dict[str, float]) -> tuple[float, Series]:
    """Costs at the best setting: the median on the starts that it was chosen on, and each held-out descent's."""
    table = rows(asked.results, cell, RECORD, at)
    shown, ranked = at_best(table, cell), ranking(table, cell)
    chosen = float(ranked["_cost"].iloc[0]) if len(ranked) else np.inf
    return chosen, Series(cost_at_settle(shown), shown.set_index(DESCENT).index)


def _weigh(asked: Asked) -> list[Evidence]:
    """The optimizer that is said to be the best against the cheapest of the others, on each problem."""
    name, places = asked.settings["best"], {}
    for cell in asked.cells:
        for at in parameter_values(cell):
            key = (cell["problem"]["label"], tuple(at.items()))
            places.setdefault(key, {})[cell["optimizer"]["label"]] = _costs(asked, cell, at)
    found = []
    for (problem, at), costs in places.items():
        # The rival is chosen on other starts than it is judged on, as its setting is.
        rivals = {rival: chosen for rival, (chosen, _) in costs.items() if rival != name and np.isfinite(chosen)}
        if name not in costs or not rivals:
            continue
        rival = min(rivals, key=lambda other: rivals[other])
        mine, other = costs[name][1].align(costs[rival][1], join="inner")
        if not len(mine):
            continue
        where = f"{problem}{''.join(f', {parameter} {value:g}' for parameter, value in at)}"
        ratio, low, high = _ratio(mine.to_numpy(), other.to_numpy())
        case = f"{where}: cost of {name} over that of {rival}"
        found.append(Evidence(f"on {where}", case, ratio, low, high, within((low, high), None, 1.0)))
    return found


def _ratio(mine: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """The ratio of two medians over the same starts, with its 95% bootstrap interval; two that are infinite tie."""
    rng = np.random.default_rng(0)
    picks = np.concatenate([np.arange(len(mine))[None], rng.integers(len(mine), size=(RESAMPLES, len(mine)))])
    with np.errstate(invalid="ignore"):
        drawn = np.median(mine[picks], axis=1) / np.median(other[picks], axis=1)
    drawn = np.where(np.isnan(drawn), 1.0, drawn)
    low, high = np.quantile(drawn[1:], [0.025, 0.975], method="inverted_cdf")
    return float(drawn[0]), float(low), float(high)


RULE = Rule(
    name="cheapest",
    number="cost to converge over that of the cheapest other optimizer",
    decides=(
        "The ratio of the medians over held-out starts, each optimizer at its best setting, is at most 1 with its 95% "
        "bootstrap interval. The other optimizer is the cheapest one on the starts that settings are chosen on."
    ),
    weigh=_weigh,
    settings={"best": Setting((str,), "the optimizer that is said to be the cheapest")},
)
