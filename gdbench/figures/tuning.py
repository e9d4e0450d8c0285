"""Figure 16: what is tuning worth, and how many settings must be tried?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.choose import floats
from gdbench.figures.comparison import Comparison, comparison
from gdbench.figures.evidence import tried
from gdbench.figures.matrix import draw_matrix
from gdbench.figures.over_problems import CONFIDENCE, attributes, over_families, room, shown, solved_cases
from gdbench.figures.regimes import BEST, hyperparameter_axes
from gdbench.figures.scale import tick_plain
from gdbench.figures.steps import side_legend
from gdbench.figures.style import belongs, number
from gdbench.stats.aggregates import log_ratio
from gdbench.stats.tuning import best_of

GAIN, CURVE = "gain of tuning", "best of n settings"

FEWEST_SETTINGS = 3
"""Settings from which on a curve over their number says something."""

FURTHEST = 6.0
"""log2 of the gain at which the colours end."""


def cases(results: Results) -> list[dict[str, Any]]:
    """For each comparison the gain over each regime that is not tuned per problem, and the curves, where one tunes."""
    solved, found = solved_cases(results), []
    for best in (case for case in solved if case["regime"] == BEST):
        others = [case["regime"] for case in solved if {**case, "regime": BEST} == best and case["regime"] != BEST]
        base = {key: best[key] for key in ("experiment", "dtype")}
        found += [{**base, "over": over, "number": GAIN} for over in others]
        if _largest_grid(results, **base) >= FEWEST_SETTINGS:
            found.append({**base, "over": BEST, "number": CURVE})
    return found


def _largest_grid(results: Results, experiment: str, dtype: str) -> int:
    """The most settings that an optimizer of a comparison has."""
    axes = [
        hyperparameter_axes(cell).values() for cell in results.cells
        if (cell["experiment"], cell["dtype"]) == (experiment, dtype)
    ]  # fmt: skip
    return max(math.prod(len(axis["values"]) for axis in each) for each in axes)


def data(results: Results, experiment: str, dtype: str, over: str, number: str) -> DataFrame:
    """What tuning is worth, in costs to converge (medians), compared by ``log_ratio``.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        over: regime of the untuned, for the gain.
        number: "gain of tuning", or "best of n settings".

    Returns:
        A row an ordered pair: ``row`` (untuned), ``column`` (tuned per problem), ``gain`` (geometric mean over problems
        of the cost of the row over that of the column, with ``low`` and ``high``, 95% over families), ``value`` (its
        log2), ``text``, ``sure``. Or a row an optimizer and number of settings: ``optimizer``, ``settings``, ``cost``
        (expected log cost of the best of so many random settings, chosen and judged on different descents, over that of
        the cheapest optimizer tuned fully; geometric mean over problems).
    """
    told = comparison(results, experiment, dtype, BEST)
    kept = shown(-log_ratio(told.typical(), told.typical().min(axis=1, keepdims=True)).mean(axis=0))
    if number == GAIN:
        frame = _gains(told, kept, comparison(results, experiment, dtype, over))
        frame.attrs |= attributes(results, told, kept) | {"title": f"{BEST} over {over}"}
        frame.attrs["note"] = frame.attrs["few"].replace("\n", " ")
    else:
        frame = _curves(told, kept, tried(results, told))
        frame.attrs |= attributes(results, told, kept, number)
    frame.attrs |= {"number": number, "over": over}
    return frame


def _gains(told: Comparison, kept: list[int], untuned: Comparison) -> DataFrame:
    # A regime may have other optimizers, and so other problems that all of them can be applied to.
    both = [place for place in untuned.places if place in told.places]
    before = untuned.typical()[[untuned.places.index(place) for place in both]]
    after = told.typical()[[told.places.index(place) for place in both]]
    families = [place.family for place in both]
    rows = []
    for i in (untuned.optimizers.index(told.optimizers[k]) for k in kept if told.optimizers[k] in untuned.optimizers):
        mean, low, high = over_families(log_ratio(before[:, [i]], after), families)
        rows += [
            {"row": untuned.optimizers[i], "column": told.optimizers[k], "gain": 2 ** mean[k], "low": 2 ** low[k],
             "high": 2 ** high[k], "value": mean[k], "text": factor(2 ** mean[k]),
             "sure": bool(low[k] > 0 or high[k] < 0)} for k in kept
        ]  # fmt: skip
    return DataFrame(rows)


def factor(times: float) -> str:
    """A gain in words, two digits: ×3.2 cheaper, or ÷3.2 for as many times dearer."""
    larger = max(times, 1 / times)
    rounded = f"{larger:.2g}" if larger < 99.5 else f"{larger:.0f}"
    return ("×" if times >= 1 or rounded == "1" else "÷") + rounded


def _curves(told: Comparison, kept: list[int], costs: list[list[np.ndarray]]) -> DataFrame:
    # The first of a ranking is what the optimizer fully tuned costs.
    cheapest = [min(own[0] for own in row) for row in costs]
    log = [[log_ratio(own, least) for own in row] for least, row in zip(cheapest, costs, strict=True)]
    parts = []
    for k in kept:
        most = max(len(row[k]) for row in log)
        n = np.unique(np.geomspace(1, most, 40).round().astype(int))
        each = [best_of(np.arange(len(row[k])), row[k], np.minimum(n, len(row[k]))) for row in log]
        mean = np.mean(each, axis=0)
        parts.append(DataFrame({"optimizer": told.optimizers[k], "settings": n, "cost": 2**mean}))
    return pd.concat(parts, ignore_index=True)


def draw(ax: Axes, frame: DataFrame) -> None:
    """A matrix of gains, or curves that fall with the number of settings."""
    if frame.attrs["number"] == GAIN:
        draw_matrix(ax, frame.assign(value=-frame["value"]), (-FURTHEST, FURTHEST), f"untuned: {frame.attrs['over']}",
                    f"tuned: {BEST}")  # fmt: skip
        return
    most = frame["settings"].max()
    labels = {}
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        n, cost = floats(group, "settings"), floats(group, "cost")
        style = frame.attrs["styles"][label]
        # A full grid can be tried no further: its last value holds.
        n, cost = np.r_[n, most * 1.15], np.r_[cost, cost[-1]]
        belongs(ax.plot(n, cost, drawstyle="steps-post", label=str(label), **style), str(label))
        labels[str(label)] = f"{label}, ×{number(cost[-1])}"
    side_legend(ax, labels, frame, "whole grid")
    ax.set_xscale("log")
    values = floats(frame, "cost")
    ax.set_yscale("log" if values.max() > 3 * values.min() else "linear")
    ax.set(xlim=(1, most * 1.15), xlabel="settings tried (n)", ylabel="cost / cheapest tuned")
    tick_plain(ax.xaxis)
    tick_plain(ax.yaxis)


FIGURE = Figure(
    name="tuning",
    number=16,
    question="What is tuning worth, and how many settings must be tried?",
    caption=(
        "Gain of tuning: how many times cheaper the optimizer of the column, tuned for each problem, converges than "
        "that of the row without (at the library's default, or at one setting for all problems), ÷ how many times "
        "dearer; geometric mean over problems. On the diagonal stands what tuning is worth to an optimizer, its "
        f"tunability. Framed and bold: 1 lies outside the {CONFIDENCE} interval by bootstrap over families of "
        "problems, of which there must be six. Best of n: the expected cost of the best of n settings drawn at "
        "random from the grid, exactly by its order statistics, over that of the cheapest optimizer with its whole "
        "grid; settings are chosen on even-numbered starts and seeds and judged on odd ones, so a curve can rise. "
        "Costs are medians over descents; unsolved against solved counts as 1024 times as dear, two unsolved as "
        "equal (Schmidt, Schneider and Hennig, ICML 2021, arXiv 2007.01547; Dodge et al., EMNLP 2019, arXiv "
        "1909.03004)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(4.8, 3.5),
    columns=2,
    extra=room,
)
