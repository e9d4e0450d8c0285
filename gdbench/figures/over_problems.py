"""What the figures over problems (9 to 16) share: their cases, what is said above them, and who is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import REGIMES
from gdbench.figures.base import Results
from gdbench.figures.choose import heading
from gdbench.figures.comparison import FEWEST, Comparison, compared, comparison
from gdbench.figures.lines import run_styles
from gdbench.figures.regimes import ONE
from gdbench.stats.bands import mean_band
from gdbench.stats.bootstrap import Band, stratified_band

MOST = 12
"""Optimizers in one panel: of more, the best by the panel's own number are shown, and the others are counted."""

CONFIDENCE = "95%"

BANDS = f"Bands, or bars at the right edge of many curves: {CONFIDENCE} by bootstrap over families of problems."

FEWEST_FAMILIES = 6
"""Families of problems from which on something is said of others: a two-sided signed-rank test of fewer cannot fall
below 0.05, and an interval that draws fewer says little."""


def regime_cases(results: Results, fewest_places: int = 1) -> list[dict[str, Any]]:
    """One a comparison and tuning regime of at least two optimizers over so many problems.

    A regime is left out where it chooses what one before it has chosen; on one problem, the best setting for all is
    the best one for it.
    """
    found = []
    for experiment, dtype in compared(results):
        seen: list[Any] = []
        for regime in REGIMES:
            if regime == ONE and len(comparison(results, experiment, dtype).places) < 2:
                continue
            told = comparison(results, experiment, dtype, regime)
            chosen = told.optimizers, [[dict(held.setting) for held in row] for row in told.held]
            if len(told.optimizers) >= FEWEST and len(told.places) >= fewest_places and chosen not in seen:
                seen.append(chosen)
                found.append({"experiment": experiment, "dtype": dtype, "regime": regime})
    return found


def solved_cases(results: Results, fewest_places: int = 1) -> list[dict[str, Any]]:
    """``regime_cases`` in which at least one descent converged."""
    return [
        case for case in regime_cases(results, fewest_places)
        if any(np.isfinite(cost).any() for cost in comparison(results, **case).costs())
    ]  # fmt: skip


def shown(numbers: Sequence[float] | np.ndarray, most: int = MOST) -> list[int]:
    """Indices of the optimizers to show, highest number first, NaN last; ties in the order of the suite."""
    values = np.asarray(numbers, dtype=float)
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[:most].tolist()


def attributes(results: Results, told: Comparison, kept: Sequence[int], title: str = "") -> dict[str, Any]:
    """What ``draw`` and ``render`` need beside the numbers: heading, title, styles and how many are not shown."""
    count = len(told.places)
    words = [f"{count} problem{'s' if count > 1 else ''}"]
    words += [f"{len(told.dropped)} dropped: not for every optimizer"] if told.dropped else []
    words += ["held-out starts" if told.evaluated else "not evaluated on held-out starts"]
    hidden = len(told.optimizers) - len(kept)
    few = len(set(told.families)) < FEWEST_FAMILIES
    return {
        "heading": heading(told.experiment, ", ".join(words[:-1]), told.dtype, words[-1]),
        "title": ": ".join(filter(None, [title, told.regime])),
        "styles": run_styles(results),
        "problems": {place.title: place.label for place in told.places},
        "hidden": f"and {hidden} more, not shown" if hidden else "",
        "few": f"(fewer than {FEWEST_FAMILIES} families\nof problems: no intervals)" if few else "",
    }


def room(frames: list[DataFrame]) -> float:
    """Inches that two columns of panels need beyond their own for many optimizers with long names."""
    names = [name for frame in frames for name in frame["optimizer" if "optimizer" in frame.columns else "row"]]
    rows = -(-len(frames) // 2)
    return rows * (0.12 * max(len(set(names)) - 8, 0) + 0.03 * max(max(map(len, names)) - 12, 0))


def generator() -> np.random.Generator:
    """The randomness of a panel's intervals: the same run gives the same picture."""
    return np.random.default_rng(0)


def over_families(values: np.ndarray, families: Sequence[str]) -> Band:
    """Mean over the problems of values [places, ...] with its interval over their families; NaN for too few."""
    mean = values.mean(axis=0)
    if len(set(families)) < FEWEST_FAMILIES:
        return Band(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
    return mean_band(values, families, generator())


def over_starts(values: Sequence[np.ndarray]) -> Band:
    """Mean over the problems of means over descents, with its interval over n; one matrix [optimizers, n] a place."""
    return stratified_band(values, lambda *drawn: np.mean([own.mean(axis=-1) for own in drawn], axis=0), generator())
