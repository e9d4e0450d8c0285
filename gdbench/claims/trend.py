"""Does something rise or fall along an axis?"""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import DataFrame
from scipy.stats import rankdata

from gdbench.claims.base import Asked, Evidence, Rule, Setting, beyond, grid_of, label, over_starts
from gdbench.figures.choose import axes_of
from gdbench.measures.base import CONVERGED, LOST, SPENT, cost_at_settle, final_gaps
from gdbench.measures.usable_width import by_rate
from gdbench.theory.of_cell import known_of

MEASURES = {
    "overshoots": "share of the steps that overshoot",
    "trapped": "share trapped, of the descents that came to rest",
    "lost": "share diverged or nonfinite",
    "cost": "cost to converge",
    "gap": "final gap",
}
"""What may rise or fall; the first three are means over the starts, the others medians."""

SIDES = {
    "all": "",
    "stable": "the rate lies below the stability boundary",
    "below": "the rate lies below the best one",
    "above": "the rate lies above the best one",
}  # fmt: skip


def _values(frame: DataFrame, measure: str) -> np.ndarray:
    """The measure of each descent; NaN for one that it says nothing of."""
    outcome = frame["outcome"].to_numpy()
    if measure == "overshoots":
        return frame["overshoots"].to_numpy(float, na_value=np.nan) / np.maximum(frame["steps"].to_numpy(float), 1)
    if measure == "trapped":
        rested = (outcome == "trapped") | (outcome == CONVERGED)
        return np.where(rested, outcome == "trapped", np.nan)
    if measure == "lost":
        return np.isin(outcome, LOST).astype(float)
    return cost_at_settle(frame) if measure == "cost" else final_gaps(frame)


def _correlation(values: np.ndarray, mean: bool) -> np.ndarray:
    """Spearman's rank correlation of the summaries over starts with their places, [..., starts, places] -> [...]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if mean:
            known = ~np.isnan(values)
            middle = np.where(known, values, 0).sum(axis=-2) / known.sum(axis=-2)
        else:
            # Infinite costs cannot be interpolated: the lower of two middle values.
            middle = np.sort(values, axis=-2)[..., (values.shape[-2] - 1) // 2, :]
        # A place where no drawn start says anything takes no part: it has the middle rank.
        known = ~np.isnan(middle)
        ranks = rankdata(np.where(known, middle, np.inf), axis=-1)
        centre = (known * ranks).sum(axis=-1, keepdims=True) / known.sum(axis=-1, keepdims=True)
        ranks = np.where(known, ranks - centre, 0.0)
        place = np.where(known, np.arange(values.shape[-1], dtype=float), np.nan)
        place = np.where(known, place - np.nanmean(place, axis=-1, keepdims=True), 0.0)
        norm = np.sqrt((ranks**2).sum(axis=-1) * (place**2).sum(axis=-1))
        # The same everywhere: it neither rises nor falls.
        return np.where(norm > 0, (ranks * place).sum(axis=-1) / np.where(norm > 0, norm, 1.0), 0.0)


def _taking_part(cell: dict[str, Any], frame: DataFrame, places: np.ndarray, side: str) -> np.ndarray:
    """Which places of the axis take part; none where theory does not know the boundary that the side is of."""
    if side in ("below", "above"):
        found = by_rate(frame)
        if found is None or not (found["share"].to_numpy(float) >= 0.5).any():
            return np.zeros(len(places), dtype=bool)  # no rate is the best where none works
        best = float(found.index[found.attrs["best"]])
        return places <= best * (1 + 1e-9) if side == "below" else places >= best * (1 - 1e-9)
    if side == "stable":
        known = known_of(cell, {})
        return places < (float(known.boundary()) if known is not None else -np.inf)
    return np.ones(len(places), dtype=bool)


def _weigh(asked: Asked) -> list[Evidence]:
    measure, axis, side = (asked.settings[name] for name in ("measure", "axis", "side"))
    rising, found = asked.settings["rises"], []
    for cell in asked.cells:
        if axis not in axes_of(cell):
            continue
        extra = ["overshoots"] if measure == "overshoots" else []
        frame = asked.table(cell, "outcome", "steps", "settle_step", "gap_final", "f_final", *SPENT, *extra)
        places, values = grid_of(frame, axis, _values(frame, measure))
        values = values[:, _taking_part(cell, frame, places, side)]
        values = values[:, ~np.isnan(values).all(axis=0)]
        if values.shape[1] < FEWEST:
            continue
        told = over_starts(values, lambda drawn: _correlation(drawn, measure in ("overshoots", "trapped", "lost")))
        up = beyond(told.low, told.high, 0.0)
        # What does not change at all does not rise.
        up = False if told.low == told.high == 0.0 else up
        holds = up if rising or up is None else not up and told.high < 0
        where = f"{label(cell)}{', ' + SIDES[side] if SIDES[side] else ''}"
        when = SIDES[side] if asked.settings["group"] == "side" else where
        found.append(Evidence(when, where, *told, holds=holds))
    return found


FEWEST = 4
"""Places from which on one may speak of a trend."""

RULE = Rule(
    name="trend",
    number="rank correlation of {measure} with {axis}",
    decides=(
        "The measure's summary over the starts rises (or falls, as the claim says) along the axis: Spearman's rank "
        "correlation between them lies above (below) 0 with its 95% bootstrap interval over the starts."
    ),
    weigh=_weigh,
    settings={
        "measure": Setting((str,), "what is said to rise or fall", choices=tuple(MEASURES)),
        "axis": Setting((str,), "along which axis", "learning_rate"),
        "rises": Setting((bool,), "whether it is said to rise", True),
        "side": Setting((str,), "which part of the axis", "all", tuple(SIDES)),
        "group": Setting((str,), "whether a condition is a cell or a side", "cell", ("cell", "side")),
    },
)
