"""Figure 17: does the curvature along a path stay below what the learning rate can bear?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from gdbench import catalogue
from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import (
    axes_of,
    cell_of,
    floats,
    heading,
    keep,
    known,
    parameter_values,
    place,
    ran,
    rows,
    where,
)
from gdbench.figures.style import DASHES, LINE_COLOURS, number, strip_above
from gdbench.theory.forms import ClosedForm

MOST_LINES = 4
STRIP = 0.9
"""Inches of the strip of values."""

LIMIT: dict[str, Any] = {"lw": 1.0, "ls": (0, (1, 1.5))}
FAR = 10.0
"""The axis ends at this multiple of the highest limit: what diverges leaves it."""


def cases(results: Results) -> list[dict[str, Any]]:
    """The cells with sharpness along their paths."""
    return [
        {"cell": cell["id"]} | ({"at": at} if at else {})
        for cell in ran(results)
        if cell.get("sharpness")
        for at in parameter_values(cell)
    ]


def data(results: Results, cell: str, at: Mapping[str, float] | None = None) -> DataFrame:
    """Value and largest Hessian eigenvalue along stored paths from the first start that has any.

    Args:
        results: a run.
        cell: id of the cell.
        at: values at which the problem's parameters are held.

    Returns:
        A row a stored step of at most four settings, evenly chosen of those with a path: the axes of hyperparameters,
        ``step``, ``f`` (the gap, where the minimum is known), ``sharpness``, and ``limit``, the largest curvature that
        the setting can bear on a quadratic (2/α for gradient descent; NaN where no closed form is known).
    """
    chosen = cell_of(results, cell)
    table = rows(results, chosen, ["path_f", "sharpness"], at)
    table = keep(table, known(table, "sharpness"))
    if table.empty:
        return DataFrame()
    for name in ("instance", "seed", "start"):
        table = where(table, {name: float(floats(table, name).min())})
    names = list(axes_of(chosen, "hyperparameter"))
    table = table.sort_values(names) if names else table
    shown = np.unique(np.linspace(0, len(table) - 1, min(MOST_LINES, len(table))).round().astype(int))
    floor = chosen["problem"]["minimum"] if chosen["problem"]["goal"] == "minimum" else None
    parts = []
    for i, row in enumerate(table.iloc[shown].to_dict("records")):
        setting = {name: float(row[name]) for name in names}
        line = {"line": i, **setting, "step": np.array(chosen["path_steps"])}
        line |= {"f": np.asarray(row["path_f"], float) - (floor or 0.0)}
        line |= {"sharpness": np.asarray(row["sharpness"], float), "limit": _limit(chosen, setting)}
        parts.append(DataFrame(line).dropna(subset=["sharpness"]))
    frame = pd.concat(parts, ignore_index=True)
    texts = [", ".join(f"{name.replace('_', ' ')} {number(part[name].iloc[0])}" for name in names) for part in parts]
    fixed = [f"{name.replace('_', ' ')} {number(value)}" for name, value in (at or {}).items()]
    frame.attrs = {
        "heading": heading(*place(chosen), *fixed),
        "title": chosen["optimizer"]["label"],
        "texts": texts,
        "value": "f" if floor is None else "gap",
    }
    return frame


def _limit(cell: Mapping[str, Any], setting: Mapping[str, float]) -> float:
    """The largest curvature at which a setting is stable."""
    name = cell["optimizer"]["theory"]
    form = catalogue.gather("gdbench.theory", ClosedForm).get(name) if name else None
    held = {**cell["optimizer"]["hyperparameters"], **setting}
    one = {axis["name"]: axis["values"][0] for axis in cell["axes"] if len(axis["values"]) == 1}
    held |= {name: value for name, value in one.items() if held.get(name) is None}
    if form is None or any(held.get(name) is None for name in ("learning_rate", *form.further)):
        return float("nan")
    further = {name: float(held[name]) for name in form.further}
    return form.largest_curvature(float(held["learning_rate"]), float(held.get("momentum") or 0.0), **further)


def draw(ax: Axes, frame: DataFrame) -> None:
    """Sharpness against the step with the limit of each setting, and the values in a strip above."""
    strip = strip_above(ax, STRIP)
    for i in range(len(frame.attrs["texts"])):
        line = keep(frame, frame["line"] == i)
        style: dict[str, Any] = {"color": LINE_COLOURS[i], "ls": DASHES[i % len(DASHES)], "lw": 1.3}
        step, limit = floats(line, "step") + 1, floats(line, "limit")
        ax.plot(step, line["sharpness"], gid="sharpness", **style)
        ax.axhline(limit[0] if len(limit) else np.nan, color=style["color"], gid="limit", **LIMIT)
        strip.plot(step, line["f"], **style)
    last = max(float(floats(frame, "step").max()), 1.0) + 1
    for part in (ax, strip):
        part.set(xscale="log", xlim=(1, last))
    sharp, limits = floats(frame, "sharpness"), np.unique(floats(frame, "limit"))
    limits = limits[np.isfinite(limits)]
    top = min(np.nanmax(sharp), FAR * limits.max()) if len(limits) else np.nanmax(sharp)
    top = max(top, *limits, 0.0)
    positive = sharp[sharp > 0]
    if len(positive) and len(positive) > 0.9 * len(sharp) and top > 30 * positive.min():
        ax.set(yscale="log", ylim=(0.7 * positive.min(), 1.5 * top))
    else:
        ax.set_ylim(min(0.0, float(np.nanmin(sharp))), 1.1 * top or 1.0)
    if (floats(frame, "f") > 0).any():
        strip.set_yscale("log")
    strip.set_ylabel(frame.attrs["value"])
    strip.tick_params(which="both", labelbottom=False)
    ax.set(xlabel="step + 1", ylabel="largest Hessian eigenvalue")
    handles = [
        Line2D([], [], color=LINE_COLOURS[i], ls=DASHES[i % len(DASHES)]) for i in range(len(frame.attrs["texts"]))
    ]
    ax.legend(handles, frame.attrs["texts"], loc="best", fontsize=7)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """What the dotted lines are."""
    if any(frame["limit"].notna().any() for frame in frames):
        text = "largest curvature that the setting is stable at"
        picture.legend(handles=[Line2D([], [], color="0.3", label=text, **LIMIT)], loc="outside lower center")


FIGURE = Figure(
    name="edge-of-stability",
    number=17,
    question="Does the curvature along a path stay below what the learning rate can bear?",
    caption=(
        "Largest eigenvalue of the Hessian at the stored points of single descents from one start, on all the data, "
        "and the value there above it. Dotted, in the colour of each setting: the largest curvature at which it is "
        "stable on a quadratic, 2/α for gradient descent and 2(1+β)/α for heavy ball. On a quadratic the eigenvalue is "
        "constant; elsewhere gradient descent may rise to its limit and hover there, the edge of stability (Cohen et "
        "al. 2021, arXiv 2103.00065)."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    panel=(3.9, 3.9),
    extra=lambda frames: STRIP + 0.1,
)
