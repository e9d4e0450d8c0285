"""Figure 20: how do the cost to converge and the time of an evaluation grow with the dimension?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import RECORD, best_setting, floats, keep, ran, rows, shown_on, surface_of, where
from gdbench.figures.lines import QUANTILES, extra_height, legend, log_limits, run_styles
from gdbench.figures.scale import tick_plain
from gdbench.figures.style import belongs
from gdbench.measures.base import converged, cost_at_settle

FEWEST = 3
"""Dimensions that make a line."""


class Measure(NamedTuple):
    """What grows: title of its panel, and label of its axis."""

    title: str
    axis: str


MEASURES = {
    "cost": Measure("cost to converge", "cost to converge (evaluations)"),
    "time": Measure("time of an evaluation", "seconds at one point"),
}

TIMES: dict[str, dict[str, Any]] = {
    "a value": {"color": "0.55", "linestyle": (0, (4, 2))}, "a gradient": {"color": "black", "linestyle": "-"},
}  # fmt: skip
"""The lines of the panel of times."""

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
    """The cost of each problem that an experiment ran in at least three dimensions, and the time of an evaluation where
    three were clocked; experiments with one tolerance share a picture.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for cell in ran(results):
        groups.setdefault((*family(cell), cell["experiment"]), []).append(cell)
    tolerances = {e["name"]: (e.get("outcomes") or {}).get("tolerance") for e in results.suite.get("experiment", ())}
    alike: dict[Any, list[str]] = {}
    for (name, dtype, experiment), cells in groups.items():
        if len({cell["problem"]["dim"] for cell in cells}) >= FEWEST:
            alike.setdefault((name, dtype, tolerances.get(experiment)), []).append(experiment)
    found = []
    for (name, dtype, _), experiments in alike.items():
        cells = [cell for experiment in experiments for cell in groups[name, dtype, experiment]]
        case = {"problem": name, "dtype": dtype, "experiments": experiments}
        wanted = ["time"] if len(_clocks(results, cells)) >= FEWEST else []
        # Where too few steps were made for any cost the time is the picture.
        if not wanted or any(converged(results.table(["outcome"], [cell["id"]])).any() for cell in cells):
            wanted.insert(0, "cost")
        found += [case | {"measure": measure} for measure in wanted]
    return found


def data(
    results: Results, problem: str, dtype: str, experiments: Sequence[str], measure: str = "cost"
) -> DataFrame:  # fmt: skip
    """Cost to converge of every optimizer in every dimension, at its best setting there, or the time of an evaluation.

    Args:
        results: a run.
        problem: the problem without its dimension, as ``family`` names it.
        dtype: 'float32' or 'float64'.
        experiments: those that are put together.
        measure: 'cost', or 'time': seconds of a value and of a gradient, which stand in the column ``optimizer`` then.

    Returns:
        A row an optimizer and dimension: ``optimizer``, ``dim``, ``low``, ``median``, ``high`` (20%, 50% and 80% of the
        cost on held-out starts, infinite where that many did not converge; of a time all three are that time),
        ``converged`` (share), ``descents``.
    """
    cells = [cell for cell in ran(results) if family(cell) == (problem, dtype) and cell["experiment"] in experiments]
    if measure == "time":
        found = [
            (f"a {what}", n, seconds, seconds, seconds, math.nan, 0)
            for n, told in _clocks(results, cells).items() for what, seconds in told.items()
        ]  # fmt: skip
    else:
        found = [(*_who(cell), *_cost(results, cell)) for cell in cells]
    names = ["optimizer", "dim", "low", "median", "high", "converged", "descents"]
    frame = DataFrame(found, columns=names).sort_values(["optimizer", "dim"], kind="stable", ignore_index=True)
    order = list(dict.fromkeys(label for label, *_ in found))
    lines = {label: keep(frame, frame["optimizer"] == label) for label in order}
    if not lines:
        return frame
    frame = pd.concat(list(lines.values()), ignore_index=True)
    texts = {label: growth(line) for label, line in lines.items()}
    frame.attrs = {
        "heading": f"{problem} · {dtype}", "title": MEASURES[measure].title, "texts": texts, "measure": measure,
        "styles": run_styles(results) | TIMES,
        "labels": list(dict.fromkeys(cell["problem"]["label"] for cell in cells)),
    }  # fmt: skip
    return frame


def _clocks(results: Results, cells: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Seconds of a value and of a gradient, by dimension."""
    found = {}
    for cell in cells:
        told = results.clock(surface_of(cell))
        if told is not None:
            found[cell["problem"]["dim"]] = dict(zip(told["what"], floats(told, "seconds"), strict=True))
    return dict(sorted(found.items()))


def _who(cell: Mapping[str, Any]) -> tuple[str, int]:
    return cell["optimizer"]["label"], cell["problem"]["dim"]


def _cost(results: Results, cell: Mapping[str, Any]) -> tuple[float, float, float, float, int]:
    """Quantiles of the cost at a cell's best setting, the share converged, and the number of descents."""
    table = rows(results, cell, RECORD, None)
    best, shown = best_setting(table, cell), shown_on(table)[0]
    if best is None:
        return math.inf, math.inf, math.inf, 0.0, len(shown)
    shown = where(shown, best)
    low, middle, high = np.quantile(cost_at_settle(shown), QUANTILES, method="inverted_cdf")
    return low, middle, high, float(converged(shown).mean()), len(shown)


def growth(line: DataFrame) -> str:
    """How a cost grows with the dimension: the better fit of a power n^p and of an exponential b^n, in words."""
    cost, n = floats(line, "median"), floats(line, "dim")
    known = np.isfinite(cost) & (cost > 0)
    if known.sum() < FEWEST:
        return "too few dimensions"
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
    ax.set(xlabel="dimension n", ylabel=MEASURES[frame.attrs["measure"]].axis)
    tick_plain(ax.xaxis)
    tick_plain(ax.yaxis)


def _together(frames: list[DataFrame]) -> DataFrame:
    """One frame with the lines of all of them in words: how each grows."""
    told = {label: f"{label}: {words}" for frame in frames for label, words in frame.attrs["texts"].items()}
    whole = frames[0].copy()
    whole.attrs = frames[0].attrs | {"texts": told}
    return whole


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """One legend, with how each of them grows."""
    legend(picture, [_together(frames)], [])


FIGURE = Figure(
    name="dimension",
    number=20,
    question="How do the cost to converge and the time of an evaluation grow with the dimension?",
    caption=(
        "Evaluations (values + gradients + 2 Hessian-vector products) until the gap stays within the tolerance, "
        "against the dimension, each optimizer at its best setting in each dimension (chosen on even-numbered starts "
        "and shown on odd ones): medians, with bars from 20% to 80%. A line leaves through the top where fewer than "
        "half of the descents converged within the budget. Where an experiment asks for it (clock), beside it the "
        "seconds of a value and of a gradient of f at one point, of many evaluated at once. The legend says how they "
        "grow: a power nᵖ or an exponential bⁿ, whichever fits better (least squares of the logarithm, from n = 4 on). "
        "Experiments with the same problem and tolerance share a picture, whatever their budgets."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    extra=lambda frames: extra_height([_together(frames)]),
    panel=(5.2, 3.8),
)
