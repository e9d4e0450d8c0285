"""Figure 4: how rough is the boundary between settings that work and settings that do not?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from pandas import DataFrame

from gdbench.figures.base import Figure, Picture, Results
from gdbench.figures.choose import axes_of, cell_of, floats, heading, keep, parameter_values, place, ran, rows
from gdbench.figures.grids import stride
from gdbench.figures.scale import Scale, scale_of
from gdbench.figures.style import LINE_COLOURS, OUTCOME_COLOURS
from gdbench.measures.boundary_dimension import FEWEST_OF_ONE, FEWEST_OF_TWO, REPEATS, lost_map
from gdbench.stats.box_counting import boundary_cells, box_dimension, occupied

FINEST = 64
"""Steps of an axis below so many units in the last place show rounding and no boundary."""

MOST_CELLS = 400
"""Cells along one side of a drawing; a finer boundary is joined into fewer, so that no part of it falls out."""

PALE, DARK = 0.35, "black"
STRIP = 0.18
"""Share of the height that the outcomes take above the boxes of a line."""


class Edge(NamedTuple):
    """Where the lost descents begin: booleans over the grid, [x] or [y, x], and the scales of its axes."""

    lost: np.ndarray
    scales: tuple[Scale, ...]


def cases(results: Results) -> list[dict[str, Any]]:
    """Two panels a map of a cell that has a boundary and is no finer than its dtype resolves.

    A map is the learning rate (or the first hyperparameter) against another axis, at least 32 values each, or that
    rate alone from 256 values on. Other hyperparameters must have one value.
    """
    found = []
    for cell in ran(results):
        for x, y in _maps(cell):
            axes = {"x": x} | ({"y": y} if y else {})
            for at in parameter_values(cell, skip=axes.values()):
                case = {"cell": cell["id"], **axes} | ({"at": at} if at else {})
                if _has_boundary(results, case):
                    found += [{**case, "panel": panel} for panel in ("map", "counts")]
    return found


def data(
    results: Results,
    cell: str,
    x: str = "learning_rate",
    y: str | None = None,
    at: Mapping[str, float] | None = None,
    panel: str = "map",
) -> DataFrame:
    """The boundary of the diverged and nonfinite descents, or the boxes that it takes; of the first start and seed.

    Args:
        results: a run.
        cell: id of the cell.
        x: name of the horizontal axis.
        y: name of the vertical axis, None for a line.
        at: values at which the problem's parameters are held.
        panel: 'map' or 'counts'.

    Returns:
        For a map a row a cell of the boundary: ``row``, ``column`` and, between the neighbours, the values of the
        axes. For counts a row a box size: ``size`` (in grid steps), ``boxes``, ``fit``.
    """
    chosen = cell_of(results, cell)
    edge = edge_of(results, chosen, x, y, at)
    if edge is None:
        return DataFrame()
    words = [f"{name} {value:g}" for name, value in (at or {}).items()]
    frame = _boundary_frame(edge, x, y) if panel == "map" else _count_frame(edge)
    frame.attrs |= {"heading": heading(*place(chosen), *words), "panel": panel, "lost": edge.lost}
    if panel == "map":
        frame.attrs["title"] = chosen["optimizer"]["label"]
    return frame


def edge_of(
    results: Results, cell: Mapping[str, Any], x: str, y: str | None, at: Mapping[str, float] | None
) -> Edge | None:
    """The lost descents of the first instance, start and seed over a grid; None where the grid has gaps."""
    table = rows(results, cell, ["outcome"], at)
    if table.empty:
        return None
    first = np.ones(len(table), dtype=bool)
    for name in REPEATS:
        first &= (table[name] == table[name].min()).to_numpy(dtype=bool)
    table = keep(table, first)
    names = [name for name in (y, x) if name]
    lost = lost_map(table, names)
    if lost is None:
        return None
    axes = axes_of(cell)
    return Edge(lost, tuple(scale_of(np.unique(floats(table, name)), axes[name]["scale"]) for name in names))


def draw(ax: Axes, frame: DataFrame) -> None:
    """One of the two panels."""
    if frame.attrs["panel"] == "counts":
        _draw_counts(ax, frame)
    elif frame.attrs["lost"].ndim == 1:
        _draw_line(ax, frame)
    else:
        _draw_map(ax, frame)


def finish(picture: Picture, axes: list[Axes], frames: list[DataFrame]) -> None:
    """What the colours are."""
    handles = [
        Patch(fc=_pale("converged"), ec="0.4", lw=0.5, label="stays"),
        Patch(fc=_pale("diverged"), ec="0.4", lw=0.5, label="diverges"),
        Patch(fc=DARK, label="boundary"),
    ]
    picture.legend(handles=handles, loc="outside lower center", ncols=3)


def _maps(cell: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Pairs of axes that make a map, or the first axis alone."""
    settings, axes = list(axes_of(cell, "hyperparameter")), axes_of(cell, "hyperparameter", "parameter")
    fine = [n for n in axes if _resolved(axes[n]["values"], cell["dtype"]) and len(axes[n]["values"]) >= FEWEST_OF_TWO]
    leading = [name for name in ("learning_rate", *settings) if name in settings][:1]
    if not leading or leading[0] not in fine:
        return []
    x = leading[0]
    pairs: list[tuple[str, str | None]] = [(x, y) for y in fine if y != x and set(settings) <= {x, y}]
    alone = settings == [x] and len(axes[x]["values"]) >= FEWEST_OF_ONE
    return pairs or ([(x, None)] if alone else [])


def _resolved(values: list[float], dtype: str) -> bool:
    """Whether neighbouring values are at least ``FINEST`` units in the last place apart."""
    ordered = np.unique(np.asarray(values, dtype=float))
    least = FINEST * float(np.finfo(dtype).eps) * np.abs(ordered).max()
    return len(ordered) == len(values) and bool(np.diff(ordered).min() >= least)


def _has_boundary(results: Results, case: Mapping[str, Any]) -> bool:
    edge = edge_of(results, cell_of(results, case["cell"]), case["x"], case.get("y"), case.get("at"))
    return edge is not None and not edge.lost.all() and bool(edge.lost.any())


def _boundary_frame(edge: Edge, x: str, y: str | None) -> DataFrame:
    cells = boundary_cells(edge.lost)
    index = np.nonzero(cells if cells.ndim == 2 else cells[None])
    frame = DataFrame({"row": index[0], "column": index[1]})
    for name, scale, at in zip((x, y), edge.scales[::-1], index[::-1], strict=False):
        if name:
            values = np.array(scale.values)
            middle = (values[1:] + values[:-1]) / 2 if scale.kind != "log" else np.sqrt(values[1:] * values[:-1])
            frame[name] = middle[at]
    frame.attrs = {"scales": edge.scales, "labels": tuple(name.replace("_", " ") for name in (y, x) if name)}
    return frame


def _count_frame(edge: Edge) -> DataFrame:
    found = box_dimension(edge.lost)
    size, boxes = np.array(found.sizes), np.array(found.counts)
    middle = np.log2(boxes).mean() + found.dimension * np.log2(size).mean()
    frame = DataFrame({"size": size, "boxes": boxes, "fit": 2 ** (middle - found.dimension * np.log2(size))})
    # The number has no place in a title: it is told beside the line.
    text = f"dimension {found.dimension:.2f} ± {found.error:.2f},\nminus the slope"
    frame.attrs = {"title": "boxes that hold the boundary", "text": text, "dimension": found.dimension}
    return frame


def _pale(outcome: str) -> tuple[float, float, float]:
    """An outcome's colour on white, so that a black boundary stands out."""
    colour = [int(OUTCOME_COLOURS[outcome][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (1 - PALE + PALE * channel for channel in colour)
    return red, green, blue


COLOURS = ListedColormap([_pale("converged"), _pale("diverged"), DARK])


def _drawn(cells: np.ndarray) -> np.ndarray:
    """Booleans with at most ``MOST_CELLS`` along a side; a joined cell is true where one of its own is."""
    times = (stride(max(cells.shape), MOST_CELLS) - 1).bit_length()
    return occupied(cells, times)


def _draw_map(ax: Axes, frame: DataFrame) -> None:
    lost, (y, x) = frame.attrs["lost"], frame.attrs["scales"]
    flat: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "rasterized": True}
    flat |= {"cmap": COLOURS, "vmin": 0, "vmax": 2}
    ax.imshow(lost.astype(int), extent=(*x.extent(), *y.extent()), **flat)
    cells = _drawn(boundary_cells(lost))
    ax.imshow(np.ma.masked_equal(2 * cells, 0), extent=(*_between(x), *_between(y)), **flat)
    ax.set(xlabel=frame.attrs["labels"][1], ylabel=frame.attrs["labels"][0], xlim=x.extent(), ylim=y.extent())
    for scale, axis in ((x, ax.xaxis), (y, ax.yaxis)):
        scale.tick(axis)


def _between(scale: Scale) -> tuple[float, float]:
    """Ends of the cells of a boundary, which lie between the values."""
    return float(scale.places[0]), float(scale.places[-1])


def _draw_line(ax: Axes, frame: DataFrame) -> None:
    """Outcomes as a strip, and below it the boxes that hold the boundary: a row a size, doubling downwards."""
    lost, (x,) = frame.attrs["lost"], frame.attrs["scales"]
    sizes = box_dimension(lost).sizes
    cells = boundary_cells(lost)
    flat: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "rasterized": True}
    flat |= {"cmap": COLOURS, "vmin": 0, "vmax": 2}
    ax.imshow(lost[None].astype(int), extent=(*x.extent(), 1 - STRIP, 1), **flat)
    height = (1 - STRIP) / len(sizes)
    low, high = _between(x)
    step = (high - low) / len(cells)
    for i, size in enumerate(sizes):
        boxes = occupied(cells, i)
        shown = _drawn(boxes)
        top = 1 - STRIP - i * height
        # The last box may reach beyond the grid, and a joined cell of the drawing beyond the last box.
        end = low + step * size * len(boxes) * (len(shown) * _joined(boxes)) / len(boxes)
        ax.imshow(np.ma.masked_equal(2 * shown[None], 0), extent=(low, end, top - 0.8 * height, top), **flat)
    ax.set(xlabel=frame.attrs["labels"][0], ylabel="box size in grid steps", xlim=x.extent(), ylim=(0, 1))
    x.tick(ax.xaxis)
    middles = [1 - STRIP - (i + 0.4) * height for i in range(len(sizes))]
    ax.set_yticks(middles[::2], [str(size) for size in sizes[::2]])


def _joined(cells: np.ndarray) -> int:
    """How many cells along a side share one of the drawing."""
    return 2 ** (stride(max(cells.shape), MOST_CELLS) - 1).bit_length()


def _draw_counts(ax: Axes, frame: DataFrame) -> None:
    ax.plot(frame["size"], frame["boxes"], "o", ms=4.5, color="black", zorder=3)
    ax.plot(frame["size"], frame["fit"], color=LINE_COLOURS[0], label=frame.attrs["text"], zorder=2)
    ax.set(xscale="log", yscale="log", xlabel="box size in grid steps", ylabel="boxes")
    sizes, boxes = frame["size"].to_numpy(), frame["boxes"].to_numpy()
    low, high = max(boxes.min() / 2, 0.7), boxes.max() * 2
    ladder = [m * 10**d for d in range(7) for m in (1, 2, 5)]
    ticks = [n for n in ladder[:: 1 if high / low < 100 else 3] if low <= n <= high]
    ax.set_ylim(low, high)
    ax.set_yticks(ticks, [str(n) for n in ticks])
    shown = sizes[:: 1 if len(frame) <= 7 else 2]
    ax.set_xticks(shown, [str(size) for size in shown])
    ax.minorticks_off()
    ax.legend()


FIGURE = Figure(
    name="boundary-dimension",
    number=4,
    question="How rough is the boundary?",
    caption=(
        "The boundary between descents that diverged or became nonfinite and all others, for the first start, seed "
        "and instance: a cell belongs to it where that changes inside a block of 2 by 2 of the grid, or between "
        "neighbours on a line. Beside it, how many boxes of each size hold a part of the boundary; the slope is minus "
        "its box-counting dimension: 1 for a smooth curve in a plane and 0 for single points on a line, more where "
        "the boundary is fractal. The error is that of the straight line. Grids finer than 64 units in the last place "
        "are not shown: they would show rounding."
    ),
    cases=cases,
    data=data,
    draw=draw,
    finish=finish,
    columns=2,
)
