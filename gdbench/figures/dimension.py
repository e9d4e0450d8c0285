"""Figure 20: how does the cost to converge grow with the dimension?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import RECORD, best_setting, floats, keep, ran, rows, shown_on, where
from gdbench.figures.lines import QUANTILES, extra_height, legend, log_limits, run_styles
from gdbench.figures.scale import tick_plain
from gdbench.figures.style import belongs
from gdbench.measures.base import converged, cost_at_settle

FEWEST = 3
"""Dimensions that make a line."""

SMALL = 4
"""Growth is read off from here on, where a line has enough dimensions: n + 1 grows slower than n where n is small."""


def family(cell: Mapping[str, Any]) -> tuple[str, str]:
    """What cells of one problem in several dimensions share: its label without the dimension, and the dtype."""
    problem = cell["problem"]
    rest = {k: v for k, v in {**problem["settings"], **problem["parameters"]}.items() if k not in ("dim", "instance")}
    axes = [axis["name"] for axis in cell["axes"] if axis["kind"] == "parameter"]
    words = [f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in rest.items() if k not in axes and v != []]
    return f"{problem['name']}" + (f" ({', '.join(words)})" if words else ""), cell["dtype"]


def cases(results: Results) -> list[dict[str, Any]]:
    """One a problem that ran in at least three dimensions, over all experiments of the run."""
    dims: dict[tuple[str, str], set[int]] = {}
    for cell in ran(results):
        dims.setdefault(family(cell), set()).add(cell["problem"]["dim"])
    return [{"problem": name, "dtype": dtype} for (name, dtype), found in dims.items() if len(found) >= FEWEST]


def data(results: Results, problem: str, dtype: str) -> DataFrame:
    """Cost to converge of every optimizer in every dimension, each at its best setting there.

    Args:
        results: a run.
        problem: the problem without its dimension, as ``family`` names it.
        dtype: 'float32' or 'float64'.

    Returns:
        A row an optimizer and dimension: ``optimizer``, ``dim``, ``low``, ``median``, ``high`` (20%, 50% and 80% of the
        cost on held-out starts, infinite where that many did not converge), ``converged`` (share), ``descents``.
    """
    found, labels = [], []
    for cell in ran(results):
        if family(cell) != (problem, dtype):
            continue
        labels.append(cell["problem"]["label"])
        table = rows(results, cell, RECORD, None)
        best = best_setting(table, cell)
        shown = shown_on(table)[0]
        shown = where(shown, best) if best else shown
        spent = cost_at_settle(shown)
        low, middle, high = np.quantile(spent, QUANTILES, method="inverted_cdf")
        share = float(converged(shown).mean())
        row = (cell["optimizer"]["label"], cell["problem"]["dim"], low, middle, high, share, len(shown))
        found.append(row if best is not None else (*row[:2], math.inf, math.inf, math.inf, 0.0, len(shown)))
    names = ["optimizer", "dim", "low", "median", "high", "converged", "descents"]
    frame = DataFrame(found, columns=names).sort_values(["optimizer", "dim"], kind="stable", ignore_index=True)
    order = list(dict.fromkeys(label for label, *_ in found))
    lines = {label: keep(frame, frame["optimizer"] == label) for label in order}
    frame = pd.concat(list(lines.values()), ignore_index=True)
    texts = {label: f"{label}: {growth(line)}" for label, line in lines.items()}
    frame.attrs = {"heading": f"{problem} · {dtype}", "title": "", "texts": texts, "styles": run_styles(results)}
    frame.attrs["labels"] = list(dict.fromkeys(labels))
    return frame


def growth(line: DataFrame) -> str:
    """How a cost grows with the dimension: the better fit of a power n^p and of an exponential b^n, in words."""
    cost, n = floats(line, "median"), floats(line, "dim")
    known = np.isfinite(cost) & (cost > 0)
    if known.sum() < FEWEST:
        return "too few dimensions solved"
    if (known & (n >= SMALL)).sum() >= FEWEST:
        known &= n >= SMALL
    y, n = np.log(cost[known]), n[known]
    fits = {}
    for kind, x in (("power", np.log(n)), ("exponential", n)):
        slope, offset = np.polyfit(x, y, 1)
        fits[kind] = (float(np.sum((y - slope * x - offset) ** 2)), float(slope))
    # An exponential must earn its name: over few dimensions everything is nearly a power.
    if fits["exponential"][0] < 0.5 * fits["power"][0] and fits["exponential"][1] > math.log(1.2):
        return f"{math.exp(fits['exponential'][1]):.2g}ⁿ"
    return f"n^{fits['power'][1]:.2f}"


def draw(ax: Axes, frame: DataFrame) -> None:
    """Medians with markers, and bars from 20% to 80%."""
    bottom, top, kind = log_limits(frame[["low", "median", "high"]].to_numpy(), None)
    ax.set_xscale("log")
    ax.set_yscale(**kind)
    ax.set_ylim(bottom, top)
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        style = frame.attrs["styles"][label]
        low, middle, high = (np.clip(floats(group, name), bottom, top * 1e3) for name in ("low", "median", "high"))
        belongs(ax.plot(group["dim"], middle, **{**style, "marker": "o", "ms": 3.5}), str(label))
        belongs(ax.vlines(group["dim"], low, high, color=style["color"], lw=1, alpha=0.5), str(label))
    ax.set(xlabel="dimension n", ylabel="cost to converge (evaluations)")
    tick_plain(ax.xaxis)
    tick_plain(ax.yaxis)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """One legend, with how each cost grows."""
    legend(picture, frames, [])


FIGURE = Figure(
    name="dimension",
    number=20,
    question="How does the cost to converge grow with the dimension?",
    caption=(
        "Evaluations (values + gradients + 2 Hessian-vector products) until the gap stays within the tolerance, "
        "against the dimension, each optimizer at its best setting in each dimension (chosen on even-numbered starts "
        "and shown on odd ones): medians, with bars from 20% to 80%. A line leaves through the top where fewer than "
        "half of the descents converged within the budget. The legend says how the medians grow: a power nᵖ or an "
        "exponential bⁿ, whichever fits better (least squares of the logarithm, from 4 dimensions on). Experiments of "
        "the run with the same problem share a picture, whatever their budgets."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    extra=extra_height,
    panel=(5.2, 3.8),
)
