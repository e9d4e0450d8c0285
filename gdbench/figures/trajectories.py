"""Figure 7: which way do optimizers go from the same start?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.lines import Line2D
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import (
    RECORD,
    axes_of,
    cells_of,
    heading,
    keep,
    known,
    places,
    ran,
    ranking,
    rows,
    setting_text,
    surface_of,
)
from gdbench.figures.lines import case_title, extra_height, legend, run_styles
from gdbench.figures.style import belongs, halo

LEVELS = 18
# The lower half of the greys: paths must stand out on every level.
GREYS = ListedColormap(colormaps["Greys"](np.linspace(0.04, 0.5, 256)))


@dataclass(frozen=True, eq=False)
class Ground:
    """What paths are drawn on: a problem's values on a regular grid.

    Attributes:
        axes: coordinates along each dimension.
        values: f - (the smallest value known), shape [len(x1), len(x0)], or f itself, shape [len(x0)].
    """

    axes: tuple[np.ndarray, ...]
    values: np.ndarray


def cases(results: Results) -> list[dict[str, Any]]:
    """One a problem of one or two dimensions that has a surface and stored paths."""
    found = []
    for where_ in places(ran(results)):
        cells = [cell for cell in cells_of(results, *where_) if cell["path_steps"]]
        if not cells or cells[0]["problem"]["dim"] > 2 or results.surface(surface_of(cells[0])) is None:
            continue
        at = surface_parameters(cells[0])
        if at is None or not any(len(_sampled(results, cell, at)) for cell in cells):
            continue
        case = dict(zip(("experiment", "problem", "dtype"), where_, strict=True))
        found.append(case | ({"at": at} if at else {}))
    return found


def data(
    results: Results,
    experiment: str,
    problem: str,
    dtype: str,
    at: Mapping[str, float] | None = None,
    start: int | None = None,
) -> DataFrame:
    """One stored path an optimizer, all from one start: that of its best setting of which one is stored.

    Args:
        results: a run.
        experiment: name of the experiment.
        problem: label of the problem.
        dtype: 'float32' or 'float64'.
        at: values at which the problem's parameters are held; must be those of the surface.
        start: the start; by default the one from which most optimizers, at the best settings, have a path.

    Returns:
        A row an optimizer and stored step: ``optimizer``, ``start``, ``step``, ``x0``[, ``x1``].
    """
    cells = [cell for cell in cells_of(results, experiment, problem, dtype) if cell["path_steps"]]
    sampled = [_sampled(results, cell, at or {}) for cell in cells]
    chosen = _common_start(sampled) if start is None else start
    parts, texts = [], {}
    for cell, table in zip(cells, sampled, strict=True):
        here = keep(table, table["start"] == chosen)
        if here.empty:
            continue
        row = here.iloc[int(np.argmin(here["_rank"]))]
        label = cell["optimizer"]["label"]
        parts.append(_iterates(row["path"], cell).assign(start=chosen, optimizer=label))
        texts[label] = setting_text(cell, {name: float(row[name]) for name in axes_of(cell, "hyperparameter")})
    if not parts:
        return DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    for column in ("start", "optimizer"):
        frame.insert(0, column, frame.pop(column))
    facts = cells[0]["problem"]
    frame.attrs = {
        "heading": heading(experiment, problem, dtype, f"start {chosen}"),
        "title": case_title(at),
        "texts": texts,
        "styles": run_styles(results),
        "minimizers": facts["minimizers"] or [],
        "ground": ground_of(results.surface(surface_of(cells[0])), facts),
    }
    return frame


def draw(ax: Axes, frame: DataFrame) -> None:
    """Contours (the curve itself in one dimension) with a line an optimizer."""
    ground: Ground = frame.attrs["ground"]
    flat = len(ground.axes) == 1
    (_draw_curve if flat else _draw_contours)(ax, ground)
    for label, group in frame.groupby("optimizer", sort=False, observed=True):
        x = group["x0"].to_numpy()
        y = np.interp(x, ground.axes[0], ground.values, np.nan, np.nan) if flat else group["x1"].to_numpy()
        style = frame.attrs["styles"][label]
        belongs(ax.plot(x, y, lw=1.3, path_effects=halo(2.4, "white"), gid="path", **_thin(style)), str(label))
        # The halo of points is drawn as points: as an effect it would write each one out in full.
        for size, colour in ((5.0, "white"), (2.6, style["color"])):
            belongs(ax.plot(x, y, ls="", marker="o", ms=size, mew=0, color=colour), str(label))
        end = ax.plot(x[-1:], y[-1:], marker="s", ms=5, mec="white", mew=0.7, ls="", color=style["color"], zorder=6)
        belongs(end, str(label))
    first = frame.iloc[0]
    y0 = np.interp(first["x0"], ground.axes[0], ground.values) if flat else first["x1"]
    ax.plot(
        [first["x0"]], [y0], marker="o", ms=8, mfc="none", mec="black", mew=1.4, gid="start", clip_on=False, zorder=5
    )
    for point in frame.attrs["minimizers"]:
        y = np.interp(point[0], ground.axes[0], ground.values) if flat else point[1]
        ax.plot([point[0]], [y], marker="P", ms=9, mfc="white", mec="black", mew=0.9, gid="minimum", zorder=4)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """One legend for all panels."""
    plain: dict[str, Any] = {"ls": "", "mec": "black"}
    extra: list[Artist] = [
        Line2D([], [], marker="o", ms=7, mfc="none", mew=1.4, label="start", **plain),
        Line2D([], [], marker="s", ms=5, mfc="0.5", label="end", ls="", mec="white"),
    ]
    if any(frame.attrs["minimizers"] for frame in frames):
        extra.append(Line2D([], [], marker="P", ms=7, mfc="white", mew=0.9, label="minimizer", **plain))
    legend(picture, frames, extra)


def _thin(style: Mapping[str, Any]) -> dict[str, Any]:
    return {"color": style["color"], "linestyle": style["linestyle"]}


def surface_parameters(cell: Mapping[str, Any]) -> dict[str, float] | None:
    """Values of the parameter axes for which the surface holds: their defaults; None where these are not known.

    The one default that results tell is the condition of a quadratic, whose largest curvature it is.
    """
    names = list(axes_of(cell, "parameter"))
    if not names:
        return {}
    curvature = cell["problem"]["curvature"]
    if names != ["condition"] or curvature is None:
        return None
    return {"condition": float(curvature[1])}


def _sampled(results: Results, cell: Mapping[str, Any], at: Mapping[str, float]) -> DataFrame:
    """Descents with a stored path, with ``_rank``, the place of their setting (0 is best)."""
    table = rows(results, cell, [*RECORD, "path"], at)
    ranked = ranking(table, cell)
    names = [name for name in ranked.columns if not name.startswith("_")]
    # The surface is that of the first instance.
    sampled = keep(table, known(table, "path") & (table["instance"] == table["instance"].min()).to_numpy())
    if not names:
        return sampled.assign(_rank=0)
    return sampled.merge(ranked[names].assign(_rank=np.arange(len(ranked))), on=names, how="left")


def _common_start(sampled: list[DataFrame]) -> int:
    """The start with paths of most optimizers; of equals, that whose paths have the best settings."""
    best = pd.concat([table.groupby("start", as_index=False).agg({"_rank": "min"}) for table in sampled])
    starts = best.groupby("start").agg(paths=("_rank", "size"), rank=("_rank", "sum")).reset_index()
    ordered = starts.sort_values(["paths", "rank", "start"], ascending=[False, True, True])
    return int(ordered["start"].to_numpy()[0])


def _iterates(path: Any, cell: Mapping[str, Any]) -> DataFrame:
    """A stored path as a row a step; it ends before the first point that is not finite."""
    dim = cell["problem"]["dim"]
    points = np.asarray(path, dtype=float).reshape(-1, dim)
    finite = np.isfinite(points).all(axis=1)
    kept = len(points) if finite.all() else int(finite.argmin())
    frame = DataFrame(points[:kept], columns=[f"x{i}" for i in range(dim)])
    frame.insert(0, "step", np.asarray(cell["path_steps"])[:kept])
    return frame


def ground_of(surface: DataFrame | None, problem: Mapping[str, Any]) -> Ground:
    """What paths are drawn on, from a problem's surface and its facts."""
    assert surface is not None, "cases() names only problems with a surface"
    x0, f = np.unique(surface["x0"]), surface["f"].to_numpy()
    if problem["dim"] == 1:
        return Ground((x0,), f)
    lowest = f.min() if problem["minimum"] is None else problem["minimum"]
    x1 = np.unique(surface["x1"])
    return Ground((x0, x1), (f - lowest).reshape(len(x0), len(x1)).T)


def _draw_curve(ax: Axes, ground: Ground) -> None:
    ax.plot(ground.axes[0], ground.values, color="0.6", lw=2.2, zorder=1)
    ax.set(xlabel="x", ylabel="f(x)", xlim=(ground.axes[0][0], ground.axes[0][-1]))
    low, high = np.nanmin(ground.values), np.nanmax(ground.values)
    ax.set_ylim(low - 0.08 * (high - low), high + 0.03 * (high - low))


def _draw_contours(ax: Axes, ground: Ground) -> None:
    """Contours evenly spaced in the logarithm of the gap: else a valley would be one empty area."""
    positive = ground.values[ground.values > 0]
    if len(positive) and positive.max() > positive.min():
        low, high = np.quantile(positive, 0.002), positive.max()
        levels = np.geomspace(max(low, high * 1e-7), high * 1.0001, LEVELS)
        shown = np.maximum(ground.values, levels[0])
        filled = ax.contourf(*ground.axes, shown, levels, cmap=GREYS, norm=LogNorm(levels[0], levels[-1]))
        filled.set_rasterized(True)
        ax.contour(*ground.axes, shown, levels[1:-1], colors="white", linewidths=0.5, alpha=0.8)
    x, y = ground.axes
    ax.set(xlabel="x₀", ylabel="x₁", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.set_aspect("equal" if 0.6 < np.ptp(x) / np.ptp(y) < 1.7 else "auto")


FIGURE = Figure(
    name="trajectories",
    number=7,
    question="Which way do optimizers go from the same start?",
    caption=(
        "Stored paths of descents from one start, each optimizer at the best of its settings of which a path is "
        "stored (best per problem, by the even-numbered starts). Points are stored steps, evenly spaced in the "
        "logarithm of the step; contours are evenly spaced in the logarithm of the gap, dark is high. A path that "
        "leaves the box is cut at its edge. In one dimension points lie on the function."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    extra=extra_height,
    panel=(3.8, 3.8),
)
