"""Figure 8: how fast does the gap fall, by what it costs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import (
    RECORD,
    best_setting,
    cells_of,
    floats,
    heading,
    keep,
    known,
    parameter_values,
    places,
    ran,
    rows,
    setting_text,
    shown_on,
    trace_columns,
    where,
)
from gdbench.figures.lines import BAND, QUANTILES, case_title, extra_height, legend, log_limits, run_styles
from gdbench.figures.scale import tick_plain
from gdbench.figures.style import belongs
from gdbench.measures.area_over_curve import costs_of_trace

COSTS = 160
"""Costs at which descents whose steps cost differently are compared."""


def cases(results: Results) -> list[dict[str, Any]]:
    """One a problem of which traces are stored, and one a value of its parameter."""
    traced = [cell for cell in ran(results) if cell["trace_steps"] and _traces(results, cell)]
    found = []
    for where_ in places(traced):
        cell = next(cell for cell in traced if cell in cells_of(results, *where_))
        case = dict(zip(("experiment", "problem", "dtype"), where_, strict=True))
        found += [case | ({"at": at} if at else {}) for at in parameter_values(cell)]
    return found


def data(
    results: Results, experiment: str, problem: str, dtype: str, at: Mapping[str, float] | None = None
) -> DataFrame:
    """Best gap so far against cost, for each optimizer at its best setting, over held-out starts.

    Cost is evaluations of f + gradients + 2 Hessian-vector products; on mini-batches, their share of the data.

    Args:
        results: a run.
        experiment: name of the experiment.
        problem: label of the problem.
        dtype: 'float32' or 'float64'.
        at: values at which the problem's parameters are held.

    Returns:
        A row an optimizer and cost: ``optimizer``, ``cost``, ``low``, ``median``, ``high`` (20, 50 and 80% of the
        descents; infinite where that many have no value yet), ``descents``.
    """
    parts, texts, shown = [], {}, set()
    cells = [cell for cell in cells_of(results, experiment, problem, dtype) if cell["trace_steps"]]
    for cell in cells:
        table = rows(results, cell, [*RECORD, "trace_best", *trace_columns(cell)], at)
        setting = best_setting(table, cell)
        table = keep(table, known(table, "trace_best"))
        if table.empty:
            continue
        kept, words = shown_on(where(table, setting or {}))
        shown.add(words)
        label = cell["optimizer"]["label"]
        parts.append(_curve(kept, cell).assign(optimizer=label))
        texts[label] = setting_text(cell, setting or {})
    if not parts:
        return DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(0, "optimizer", frame.pop("optimizer"))
    has_minimum = cells[0]["problem"]["minimum"] is not None
    frame.attrs = {
        "heading": heading(experiment, problem, dtype, "best per problem", *sorted(shown)),
        "title": case_title(at),
        "texts": texts,
        "styles": run_styles(results),
        "value": "best gap so far" if has_minimum else "best value so far",
        "tolerance": cells[0]["problem"]["tolerance"] if has_minimum else None,
        "batches": cells[0]["problem"]["stochastic"],
    }
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """Steps, not slopes: between two stored points nothing is known but the last."""
    bottom, top, kind = log_limits(frame[["low", "median", "high"]].to_numpy(), frame.attrs["tolerance"])
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        style = frame.attrs["styles"][label]
        low, middle, high = (np.clip(group[name].to_numpy(), bottom, top * 1e3) for name in ("low", "median", "high"))
        belongs(ax.fill_between(group["cost"], low, high, step="post", color=style["color"], **BAND), str(label))
        belongs(ax.plot(group["cost"], middle, drawstyle="steps-post", label=label, **style), str(label))
    if frame.attrs["tolerance"]:
        ax.axhline(frame.attrs["tolerance"], color="0.5", lw=0.8, ls=":", zorder=0)
    ax.set_xscale("log")
    ax.set_yscale(**kind)
    unit = "evaluations of the full data" if frame.attrs["batches"] else "evaluations"
    costs = floats(frame, "cost")
    left, right = float(np.min(costs)), float(np.max(costs))
    right = right if right > left else 2 * left
    ax.set(xlabel=f"cost ({unit})", ylabel=frame.attrs["value"], xlim=(left, right), ylim=(bottom, top))
    tick_plain(ax.xaxis)
    tick_plain(ax.yaxis)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """One legend for all panels."""
    extra: list[Artist] = [Patch(fc="0.5", alpha=0.3, lw=0, label="20–80% of the descents")]
    if any(frame.attrs["tolerance"] for frame in frames):
        extra.append(Line2D([], [], color="0.5", lw=0.8, ls=":", label="tolerance"))
    legend(picture, frames, extra)


def _traces(results: Results, cell: Mapping[str, Any]) -> bool:
    return bool(known(results.table(columns=["trace_best"], cells=[cell["id"]]), "trace_best").any())


def _curve(table: DataFrame, cell: Mapping[str, Any]) -> DataFrame:
    """Quantiles over descents of the best gap so far, by cost."""
    best = np.array([np.asarray(trace, dtype=float) for trace in table["trace_best"]])
    best = np.where(np.isnan(best), np.inf, best)
    costs = costs_of_trace(table, cell)
    grid = costs[0]
    if not (costs == grid).all():
        positive = costs[costs > 0]
        grid = np.geomspace(positive.min(), costs.max(), COSTS)
        best = np.stack([_held(grid, cost, values) for cost, values in zip(costs, best, strict=True)])
    low, middle, high = np.quantile(best, QUANTILES, axis=0, method="inverted_cdf")
    frame = DataFrame({"cost": grid, "low": low, "median": middle, "high": high, "descents": len(best)})
    # A logarithmic axis has no place for the start itself, which cost nothing.
    return keep(frame, frame["cost"] > 0)


def _held(grid: np.ndarray, cost: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value last known at each cost of a grid; infinite before the first."""
    last = np.searchsorted(cost, grid, side="right") - 1
    return np.where(last >= 0, values[np.maximum(last, 0)], np.inf)


FIGURE = Figure(
    name="convergence",
    number=8,
    question="How fast does the gap fall, by what it costs?",
    caption=(
        "The best gap reached so far (the best value, where no minimum is known) against cost = evaluations of f + "
        "gradients + 2 x Hessian-vector products: median and the band from 20% to 80% of the descents. Every "
        "optimizer is at its best setting (best per problem: the highest share converged, then the lowest cost), "
        "chosen on even-numbered starts and seeds and drawn on odd ones. Lines are steps: between two stored points "
        "the last one holds. Dotted: the tolerance."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    extra=extra_height,
    panel=(4.2, 3.4),
)
