"""Figure 19: what does a derivative say, and how well does a difference quotient measure it?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.base import Figure, Results
from gdbench.figures.choose import floats, keep, ran
from gdbench.figures.style import DASHES, LINE_COLOURS, number

SPREAD = 2.0
"""Distance from the minimizer of the outer tangents, where the box has room for it."""


def cases(results: Results) -> list[dict[str, Any]]:
    """One a one-dimensional problem with a surface, one more where difference quotients came with it, and one where
    slopes were measured along directions.
    """
    found = []
    for label in dict.fromkeys(cell["problem"]["label"] for cell in ran(results)):
        if results.directions(label) is not None:
            found.append({"problem": label, "panel": "directions"})
    for label in dict.fromkeys(cell["problem"]["label"] for cell in ran(results) if cell["problem"]["dim"] == 1):
        surface = results.surface(label)
        if surface is None or surface.empty:
            continue
        found.append({"problem": label})
        quotients = surface.attrs.get("quotients")
        if quotients is not None and len(quotients):
            found.append({"problem": label, "panel": "quotients"})
    return found


def data(results: Results, problem: str, panel: str = "tangents", points: Sequence[float] | None = None) -> DataFrame:
    """The function with its tangents, or the error of its difference quotient.

    Args:
        results: a run.
        problem: label of a one-dimensional problem.
        panel: 'tangents', 'quotients' or 'directions'.
        points: where tangents touch; by default the minimizer and one point on each side of it.

    Returns:
        For tangents a row a point: ``kind`` ('curve' or 'tangent'), ``x``, ``f``, ``slope``. For quotients a row a
        step: ``dtype``, ``h``, ``error``. For directions a row a unit vector: ``kind`` ('random', 'partial',
        'gradient', 'opposite'), ``cosine`` of its angle to the gradient, ``slope`` along it by a difference quotient,
        as a share of the gradient's length.
    """
    if panel == "directions":
        measured = results.directions(problem)
        assert measured is not None, "cases() names only problems with directions"
        size = np.maximum(floats(measured, "norm"), 1e-300)
        shares = {name: floats(measured, of) / size for name, of in (("cosine", "slope"), ("slope", "quotient"))}
        frame = DataFrame({"kind": measured["kind"].astype(str), **shares})
        frame.attrs = {"heading": problem, "panel": panel, "title": "slopes along all directions"}
        return frame
    surface = results.surface(problem)
    assert surface is not None, "cases() names only problems with a surface"
    known = next(cell["problem"] for cell in results.cells if cell["problem"]["label"] == problem)
    shared: dict[Hashable, Any] = {
        "heading": f"{problem}:  f(x) = {known['formula']}" if known["formula"] else problem,
        "panel": panel,
    }
    if panel == "quotients":
        frame = DataFrame({name: surface.attrs["quotients"][name].array for name in ("dtype", "h", "error")})
        frame.attrs = shared | {"title": "error of the difference quotient"}
        return frame
    x, f, g = (floats(surface, name) for name in ("x0", "f", "g0"))
    touch = np.array(points if points is not None else _points(known, x), dtype=float)
    spread = np.ptp(touch) / 2 or SPREAD
    near = (x >= touch.min() - 0.75 * spread) & (x <= touch.max() + 0.75 * spread)
    curve = DataFrame({"kind": "curve", "x": x[near], "f": f[near], "slope": g[near]})
    tangents = {"kind": "tangent", "x": touch, "f": np.interp(touch, x, f), "slope": np.interp(touch, x, g)}
    frame = pd.concat([curve, DataFrame(tangents)], ignore_index=True)
    frame.attrs = shared | {"title": "tangents and their slopes"}
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """One of the panels."""
    drawers = {"tangents": _draw_tangents, "quotients": _draw_quotients, "directions": _draw_directions}
    drawers[frame.attrs["panel"]](ax, frame)


def _draw_directions(ax: Axes, frame: DataFrame) -> None:
    """Along the gradient f rises fastest; along any other direction by the cosine of the angle between them."""
    styles = {
        "random": {"s": 6, "color": "0.55", "marker": "o", "linewidths": 0, "rasterized": True},
        "partial": {"s": 34, "color": LINE_COLOURS[0], "marker": "x"},
        "gradient": {"s": 46, "color": LINE_COLOURS[1], "marker": "^"},
        "opposite": {"s": 46, "color": LINE_COLOURS[2], "marker": "v"},
    }
    names = {"random": "a random direction", "partial": "along one parameter", "gradient": "along the gradient",
             "opposite": "against it"}  # fmt: skip
    for kind, style in styles.items():
        part = keep(frame, frame["kind"] == kind)
        ax.scatter(part["cosine"], part["slope"], label=names[kind], gid=kind, **style)
    ax.set(xlabel="cosine of the angle to the gradient", ylabel="slope / length of the gradient")
    ax.legend(fontsize=7.5)


def _points(problem: Mapping[str, Any], x: np.ndarray) -> list[float]:
    """The minimizer (the middle, where none is known) and a point on each side within the box."""
    middle = problem["minimizers"][0][0] if problem["minimizers"] else (x[0] + x[-1]) / 2
    spread = min(SPREAD, 0.8 * (middle - x[0]), 0.8 * (x[-1] - middle))
    return [middle - spread, middle, middle + spread]


def _draw_tangents(ax: Axes, frame: DataFrame) -> None:
    curve, tangents = (keep(frame, frame["kind"] == kind) for kind in ("curve", "tangent"))
    ax.plot(curve["x"], curve["f"], color="0.25", lw=2.2)
    low, high = curve["f"].min(), curve["f"].max()
    margin = 0.14 * (high - low) or 1.0
    ax.set(xlabel="x", ylabel="f(x)", xlim=(curve["x"].min(), curve["x"].max()), ylim=(low - margin, high + margin))
    for i, (x, f, slope) in enumerate(zip(tangents["x"], tangents["f"], tangents["slope"], strict=True)):
        # Equal length on the paper, however steep.
        half = 0.22 / np.hypot(1 / np.ptp(ax.get_xlim()), slope / np.ptp(ax.get_ylim()))
        colour = LINE_COLOURS[i % len(LINE_COLOURS)]
        ends = np.array([x - half, x + half])
        ax.plot(ends, f + slope * (ends - x), color=colour, lw=2.2, solid_capstyle="round", gid="tangent", zorder=3)
        ax.plot([x], [f], "o", ms=5.5, color=colour, mec="white", mew=0.9, zorder=4)
        _name_slope(ax, x, f, slope, colour)


def _name_slope(ax: Axes, x: float, f: float, slope: float, colour: str) -> None:
    """The slope beside its point, on the side towards the middle, where a valley has room."""
    flat = abs(slope) * np.ptp(ax.get_xlim()) < 0.3 * np.ptp(ax.get_ylim())
    side = -np.sign(slope) if not flat else 0.0
    words: dict[str, Any] = {"ha": {-1.0: "right", 0.0: "center", 1.0: "left"}[float(side)], "color": colour}
    words |= {"xytext": (9 * side, 9 if flat else 4), "textcoords": "offset points", "fontweight": "bold"}
    ax.annotate(f"slope {number(slope)}" if abs(slope) > 1e-9 else "slope 0", (x, f), fontsize=8.5, **words)


def _draw_quotients(ax: Axes, frame: DataFrame) -> None:
    for i, (dtype, group) in enumerate(frame.groupby("dtype", observed=True, sort=True)):
        ordered = group.sort_values("h")
        # An error of exactly 0 has no place on a logarithmic axis: the line has a gap there.
        error = ordered["error"].where(ordered["error"] > 0)
        ax.plot(ordered["h"], error, color=LINE_COLOURS[i], ls=DASHES[i], label=str(dtype), marker="o", ms=2.5)
    ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="|(f(x+h) − f(x)) / h − f′(x)|")
    ax.legend()


FIGURE = Figure(
    name="slopes",
    number=19,
    question="What does a derivative say?",
    caption=(
        "Left, the function with its tangents; the slope's sign says which way is down, and a slope of zero marks the "
        "minimum. Right, where difference quotients were computed, their error against the step h: it falls with h "
        "until rounding takes over, sooner in float32. Where slopes were measured along directions: the central "
        "difference quotient along random unit vectors, along each parameter (a partial derivative), along the "
        "gradient and against it, at some points of the box, over the cosine of the angle to the gradient by jax.grad."
    ),
    cases=cases,
    data=data,
    draw=draw,
    panel=(4.2, 3.3),
)
