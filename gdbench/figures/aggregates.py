"""Figure 14: how well does an optimizer do over all problems, and how likely does it beat another?"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame
from scipy.stats import rankdata

from gdbench.figures.base import Figure, Results
from gdbench.figures.comparison import Comparison, comparison
from gdbench.figures.evidence import scores
from gdbench.figures.forest import draw_forest, forest_frame
from gdbench.figures.matrix import draw_matrix
from gdbench.figures.over_problems import CONFIDENCE, attributes, generator, regime_cases, shown
from gdbench.stats.aggregates import interquartile_mean, optimality_gap, probability_of_improvement
from gdbench.stats.bootstrap import Estimate, stratified_bootstrap

IQM, GAP, BETTER = "interquartile mean", "optimality gap", "probability of improvement"
NUMBERS = (IQM, GAP, BETTER)


def cases(results: Results) -> list[dict[str, Any]]:
    """Three panels for each comparison and regime in which descents differ."""
    found = regime_cases(results)
    return [
        {**case, "number": number} for case in found if _differ(comparison(results, **case)) for number in NUMBERS
    ]  # fmt: skip


def data(results: Results, experiment: str, dtype: str, regime: str, number: str) -> DataFrame:
    """Aggregates of the scores of all held-out descents, with intervals over starts and seeds on these problems.

    A score is the share of the decades from S to the tolerance (``evidence.score``).

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.
        number: "interquartile mean" (of all scores), "optimality gap" (mean shortfall from 1), or "probability of
            improvement" (that a descent of the row does better than one of the column on the same problem, mean over
            problems: it converges and the other does not, or costs less, or neither converges and it ends lower).

    Returns:
        Rows as ``forest_frame`` makes them, or a row an ordered pair: ``row``, ``column``, ``value``, ``low``,
        ``high``, ``text``, ``sure`` (0.5 lies outside the interval).
    """
    told = comparison(results, experiment, dtype, regime)
    each = scores(told)
    middle = interquartile_mean(np.concatenate(each, axis=-1))
    # Of equal middles, as where most converge, the smaller shortfall stands first.
    short = optimality_gap(np.concatenate(each, axis=-1))
    kept = shown(middle - 1e-6 * short)
    frame = _pairs(told, kept) if number == BETTER else _aggregate(told, kept, each, number)
    frame.attrs = attributes(results, told, kept, number) | {"number": number}
    return frame


def _aggregate(told: Comparison, kept: list[int], each: list[np.ndarray], number: str) -> DataFrame:
    reduce = interquartile_mean if number == IQM else optimality_gap

    def over_all(*resampled: np.ndarray) -> np.ndarray:
        return reduce(np.concatenate(resampled, axis=-1))

    whole = np.full((3, len(told.optimizers)), np.nan)
    for k in kept:
        whole[:, k] = stratified_bootstrap([own[k] for own in each], over_all, generator())
    return forest_frame(told, kept, np.array([reduce(own) for own in each]), (whole[0], whole[1], whole[2]))


def ranked(told: Comparison) -> list[np.ndarray]:
    """Rank of each descent among all of its problem, [optimizers, n] a place, low is good; equals share theirs.

    What converged comes first, by its cost; what did not by its final gap, the lost ones last.
    """
    found = []
    for cost, row in zip(told.costs(), told.held, strict=True):
        gap = np.stack([held.gap for held in row])
        unsolved = np.isinf(cost)
        # Two keys as one: the order among costs, then, behind them all, the order among gaps.
        first, second = rankdata(cost, "dense", axis=None), rankdata(gap, "dense", axis=None)
        key = np.where(unsolved.ravel(), cost.size + second, first)
        found.append(rankdata(key, "dense").reshape(cost.shape))
    return found


def _pairs(told: Comparison, kept: list[int]) -> DataFrame:
    ranks, rows = ranked(told), []
    for i in kept:
        for j in kept:
            found = Estimate(np.nan, np.nan, np.nan) if i == j else _better([own[[i, j]] for own in ranks])
            text = "" if i == j else f"{100 * found.value:.0f}"
            rows.append({
                "row": told.optimizers[i], "column": told.optimizers[j], **found._asdict(), "text": text,
                "sure": found.low > 0.5 or found.high < 0.5,
            })  # fmt: skip
    return DataFrame(rows)


def _better(strata: list[np.ndarray]) -> Estimate:
    def mean(*resampled: np.ndarray) -> np.ndarray:
        each = [probability_of_improvement(own[..., 0:1, :], own[..., 1:2, :])[..., 0] for own in resampled]
        return np.mean(each, axis=0)

    return stratified_bootstrap(strata, mean, generator(), resamples=PAIR_RESAMPLES)


PAIR_RESAMPLES = 500
"""Resamples for each of up to 132 pairs."""


def _differ(told: Comparison) -> bool:
    return any(len(np.unique(ranks)) > 1 for ranks in ranked(told))


def draw(ax: Axes, frame: DataFrame) -> None:
    """A forest of numbers, or a matrix of pairs."""
    number = frame.attrs["number"]
    if number == BETTER:
        draw_matrix(ax, frame.assign(value=1 - frame["value"]), (0, 1), "does better, in % …", "… than")
    else:
        better = "higher" if number == IQM else "lower"
        draw_forest(ax, frame, f"{number} of the score ({better} is better)")
        ax.set_xlim(-0.03, 1.03)


FIGURE = Figure(
    name="aggregates",
    number=14,
    question="How well does an optimizer do over all problems, and how likely does it beat another?",
    caption=(
        "The score of a held-out descent is the share of the way to the tolerance in decades, log(S/gap)/log(S/"
        "tolerance) within 0…1; 1 if it converged. Interquartile mean: of the middle half of all scores. Optimality "
        "gap: mean shortfall from 1. Probability of improvement: how likely a descent of the row's optimizer does "
        "better than one of the column's on the same problem (it alone converges, or costs less, or neither converges "
        "and it ends lower; equal counts half), mean over problems; orange favours the row; framed and bold where the "
        f"interval excludes 50%. Small points: single problems; bars: {CONFIDENCE} by bootstrap of starts and seeds "
        "within each problem, so they speak of these problems only (Agarwal et al., NeurIPS 2021, arXiv 2108.13264)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(3.9, 3.2),
    columns=3,
)
