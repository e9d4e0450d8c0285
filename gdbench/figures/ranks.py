"""Figure 15: which optimizer is better than which other, pair by pair?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.comparison import comparison
from gdbench.figures.matrix import draw_matrix
from gdbench.figures.over_problems import attributes, room, shown, solved_cases
from gdbench.stats.aggregates import log_ratio
from gdbench.stats.bands import cluster_means
from gdbench.stats.ranks import of_pairs

LEVEL = 0.05


def cases(results: Results) -> list[dict[str, Any]]:
    """One a comparison and regime with at least two problems."""
    return solved_cases(results, fewest_places=2)


def data(results: Results, experiment: str, dtype: str, regime: str) -> DataFrame:
    """Wins, losses and ties of each optimizer against each other over the problems, and Wilcoxon's test of each pair.

    A problem is one pair of median costs to converge; unsolved is infinite, unsolved by both is a tie.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: tuning regime.

    Returns:
        A row an ordered pair: ``row``, ``column``, ``wins``, ``losses``, ``ties`` (problems on which the row is
        cheaper, dearer, equal), ``p`` (``pairs``, over all optimizers, shown or not), ``value`` ((losses - wins) /
        problems), ``text`` and ``sure`` (p at most 0.05).
    """
    told = comparison(results, experiment, dtype, regime)
    typical = told.typical()
    cheaper = (typical[:, :, None] < typical[:, None, :]).sum(axis=0)
    p = pairs(typical, told.families)
    kept = shown(cheaper.sum(axis=1) - cheaper.sum(axis=0))
    rows = [_pair(told.optimizers, i, j, cheaper, p, len(typical)) for i in kept for j in kept]
    frame = DataFrame(rows)
    frame.attrs |= attributes(results, told, kept)
    frame.attrs["note"] = frame.attrs["few"].replace("\n", " ").replace("no intervals", "no test")
    return frame


def pairs(costs: np.ndarray, families: Sequence[str]) -> np.ndarray:
    """p of Wilcoxon's test of each pair of optimizers over families of problems, corrected by Holm.

    A family's difference is the mean over its problems of ``log_ratio``; two infinite costs are a tie.

    Args:
        costs: shape [places, optimizers].
        families: family of each place.

    Returns:
        Symmetric, shape [optimizers, optimizers], NaN on the diagonal.
    """
    first, second = np.triu_indices(costs.shape[1], 1)
    each = cluster_means(log_ratio(costs[:, first], costs[:, second]), families)
    return of_pairs(each, costs.shape[1])


def _pair(labels: tuple[str, ...], i: int, j: int, cheaper: np.ndarray, p: np.ndarray, problems: int) -> dict[str, Any]:
    wins, losses = int(cheaper[i, j]), int(cheaper[j, i])
    return {
        "row": labels[i], "column": labels[j], "wins": wins, "losses": losses, "ties": problems - wins - losses,
        "p": 1.0 if i == j else float(p[i, j]), "value": np.nan if i == j else (losses - wins) / problems,
        "text": "" if i == j else f"{wins}:{losses}", "sure": bool(i != j and p[i, j] <= LEVEL),
    }  # fmt: skip


def draw(ax: Axes, frame: DataFrame) -> None:
    """Wins to losses of the row's optimizer against the column's."""
    draw_matrix(ax, frame, (-1, 1), "first number: problems won by", "second number: won by")


FIGURE = Figure(
    name="ranks",
    number=15,
    question="Which optimizer is better than which other, pair by pair?",
    caption=(
        "Wins to losses over the problems: on how many the optimizer of the row costs less to converge than that of "
        "the column, and on how many more (median over the descents; unsolved counts as infinite, unsolved by both "
        "as a tie). Orange: the row wins more often, purple: the column does. Framed and bold: the difference is "
        "significant at 5% by Wilcoxon's signed-rank test on the logarithms of the costs, averaged over the variants "
        "of one function, which are not independent, with Holm's correction over all pairs. Whether one optimizer "
        "beats another does not depend on which others take part, but for that correction; mean ranks would "
        "(Benavoli, Corani and Mangili, JMLR 17 (2016) 5)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(4.2, 3.7),
    columns=2,
    extra=room,
)
