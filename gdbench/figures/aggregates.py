"""Figure 14: how well does an optimizer do over all problems, and how likely does it beat another?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame
from scipy.stats import rankdata

from gdbench.figures.base import Figure, Results
from gdbench.figures.choose import floats, keep
from gdbench.figures.comparison import Comparison, comparison
from gdbench.figures.evidence import scores
from gdbench.figures.forest import draw_forest, forest_frame
from gdbench.figures.matrix import draw_matrix
from gdbench.figures.over_problems import CONFIDENCE, attributes, generator, regime_cases, room, shown
from gdbench.figures.style import belongs
from gdbench.stats.aggregates import interquartile_mean, optimality_gap, probability_of_improvement
from gdbench.stats.bootstrap import Band, Estimate, Statistic, stratified_bootstrap

SCORE, BETTER = "score", "improvement"
GAP = "optimality gap"


def cases(results: Results) -> list[dict[str, Any]]:
    """Two panels for each comparison of at least two problems and each regime in which descents differ."""
    found = regime_cases(results, fewest_places=2)
    differ = [case for case in found if any(len(np.unique(own)) > 1 for own in ranked(comparison(results, **case)))]
    return [{**case, "number": number} for case in differ for number in (SCORE, BETTER)]


def data(results: Results, experiment: str, dtype: str, regime: str, number: str) -> DataFrame:
    """Aggregates over problems of each one's mean score, with intervals over starts and seeds on these problems.

    A score is the share of the decades from S to the tolerance (``evidence.score``).

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.
        number: "score" (interquartile mean and optimality gap), or "improvement" (the probability that a descent of the
            row does better than one of the column on the same problem, mean over problems: it converges and the other
            does not, or costs less, or neither converges and it ends lower).

    Returns:
        Rows as ``forest_frame`` makes them of the interquartile mean, and one an optimizer whose ``problem`` is
        "optimality gap". Or a row an ordered pair: ``row``, ``column``, ``value``, ``low``, ``high``, ``text``,
        ``sure`` (0.5 lies outside the interval).
    """
    told = comparison(results, experiment, dtype, regime)
    each = scores(told)
    single = np.stack([one.mean(axis=-1) for one in each])
    # Of equal middles, as where most converge, the smaller shortfall stands first.
    kept = shown(interquartile_mean(single, axis=0) - 1e-6 * optimality_gap(single, axis=0))
    frame = _pairs(told, kept) if number == BETTER else _scores(told, kept, each, single)
    frame.attrs |= attributes(results, told, kept, number) | {"number": number}
    return frame


def _scores(told: Comparison, kept: list[int], each: list[np.ndarray], single: np.ndarray) -> DataFrame:
    whole, rows = np.full((3, len(told.optimizers)), np.nan), []
    for k in kept:
        own = [one[k] for one in each]
        whole[:, k] = _over_starts(own, interquartile_mean)
        gap = _over_starts(own, optimality_gap)
        rows.append({"optimizer": told.optimizers[k], "problem": GAP, **gap._asdict()})
    return pd.concat([forest_frame(told, kept, single, Band(*whole)), DataFrame(rows)], ignore_index=True)


def _over_starts(own: list[np.ndarray], reduce: Statistic) -> Estimate:
    """A statistic over problems of each problem's mean; starts and seeds are no problems, but what is drawn within."""
    return stratified_bootstrap(
        own, lambda *drawn: reduce(np.stack([one.mean(axis=-1) for one in drawn], axis=-1), axis=-1), generator()
    )  # fmt: skip


def ranked(told: Comparison) -> list[np.ndarray]:
    """Rank of each descent among all of its problem, [optimizers, n] a place, low is good; equals share theirs.

    What converged comes first, by its cost; what did not by its final gap, the lost ones last.
    """
    found = []
    for cost, row in zip(told.costs(), told.held, strict=True):
        gap = np.stack([held.gap for held in row])
        # Two keys as one: the order among costs, then, behind them all, the order among gaps.
        key = np.where(np.isinf(cost), cost.size + rankdata(gap, "dense", axis=None).reshape(gap.shape),
                       rankdata(cost, "dense", axis=None).reshape(cost.shape))  # fmt: skip
        found.append(key.astype(float))
    return found


def _pairs(told: Comparison, kept: list[int]) -> DataFrame:
    ranks = ranked(told)
    found = {(i, j): _better([own[[i, j]] for own in ranks]) for i in kept for j in kept if i < j}
    rows = []
    for i in kept:
        for j in kept:
            value, low, high = found.get((i, j)) or (1 - np.array(found.get((j, i), [np.nan] * 3)))[[0, 2, 1]]
            rows.append({
                "row": told.optimizers[i], "column": told.optimizers[j], "value": value, "low": low, "high": high,
                "text": "" if i == j else f"{100 * value:.0f}", "sure": bool(low > 0.5 or high < 0.5),
            })  # fmt: skip
    return DataFrame(rows)


def _better(ranks: list[np.ndarray]) -> Estimate:
    def mean(*drawn: np.ndarray) -> np.ndarray:
        return np.mean([probability_of_improvement(own[..., 0, :], own[..., 1, :]) for own in drawn], axis=0)

    return stratified_bootstrap(ranks, mean, generator())


def draw(ax: Axes, frame: DataFrame) -> None:
    """A forest of the two numbers, or a matrix of pairs."""
    if frame.attrs["number"] == BETTER:
        # Orange is for the row in every matrix, and the low end of the colours.
        draw_matrix(ax, frame.assign(value=1 - frame["value"]), (0, 1), "how often this one does better (%)",
                    "than this one")  # fmt: skip
        return
    gaps = frame["problem"].to_numpy() == GAP
    draw_forest(ax, keep(frame, ~gaps), "share of the decades to the tolerance")
    gap = keep(frame, gaps)
    names, value, low, high = gap["optimizer"], *(1 - floats(gap, part) for part in ("value", "low", "high"))
    for row, name in enumerate(names):
        colour = frame.attrs["styles"][name]["color"]
        belongs(ax.plot([low[row], high[row]], [row + 0.28] * 2, color=colour, lw=1, gid="gap interval"), name)
        belongs(ax.plot(value[row], row + 0.28, marker="o", ms=4, mfc="white", mec=colour, ls="none", gid="gap"), name)
    ax.set_xlim(-0.03, 1.03)
    # In words: on the axes there is no room that every run leaves free.
    ax.set_xlabel(f"◆ interquartile mean   ○ 1 − {GAP}\n{ax.get_xlabel()}")


FIGURE = Figure(
    name="aggregates",
    number=14,
    question="How well does an optimizer do over all problems, and how likely does it beat another?",
    caption=(
        "The score of a held-out descent is the share of the way to the tolerance in decades, "
        "log(S/gap)/log(S/tolerance) within 0…1; 1 if it converged. Small points: the mean score on single problems. "
        "Diamond: their interquartile mean, that of the middle half of the problems; circle: 1 − the optimality gap, "
        "their mean shortfall from 1. Matrix: the probability of improvement, how likely a descent of the row's "
        "optimizer does better than one of the column's on the same problem (it alone converges, or costs less, or "
        "neither converges and it ends lower; equal counts half), mean over problems; orange favours the row; framed "
        f"and bold where the interval excludes 50%. Intervals: {CONFIDENCE} by bootstrap of starts and seeds within "
        "each problem, so they speak of these problems only (Agarwal et al., NeurIPS 2021, arXiv 2108.13264)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(4.8, 3.6),
    columns=2,
    extra=room,
)
