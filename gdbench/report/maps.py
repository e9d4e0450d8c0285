"""Figures 1 and 2 for the page's canvases: the same numbers as in the pictures, as planes of one value a pixel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import AutoLocator, ScalarFormatter
from pandas import DataFrame

from gdbench.contracts import OUTCOMES
from gdbench.figures import basins, region_map
from gdbench.figures.base import Results
from gdbench.figures.choose import RECORD, best_setting, cell_of, floats, place, rows
from gdbench.figures.grids import image, outcome_codes, region_names
from gdbench.figures.placed import place as place_descents
from gdbench.figures.scale import Scale, scale_of
from gdbench.report.planes import pack
from gdbench.report.words import number

Panel = dict[str, Any]
"""What one canvas needs: ``data`` goes to its script as JSON, ``view`` is drawn by the template."""


Shown = list[tuple[dict[str, Any], DataFrame]]
"""The panels of a picture: each a case of its figure, with the frame that was drawn."""


def region_panels(results: Results, shown: Shown) -> list[Panel]:
    """The panels of one picture of figure 1."""
    return [_region(results, case, frame) for case, frame in shown]


def basin_panels(results: Results, shown: Shown) -> list[Panel]:
    """The panels of one picture of figure 2."""
    return [_basins(results, case, frame) for case, frame in shown]


def panel(cell: Mapping[str, Any], setting: str, view: Mapping[str, Any], data: Mapping[str, Any]) -> Panel:
    """What every panel says of itself, for filters and headings; ``setting`` is what it holds fixed, in words."""
    experiment, problem, dtype = place(cell)
    own = {"optimizer": cell["optimizer"]["label"], "experiment": experiment, "problem": problem, "dtype": dtype}
    return {"view": {**own, "setting": setting, **view}, "data": {"cell": cell["id"], **own, **data}}


def _region(results: Results, case: Mapping[str, Any], frame: DataFrame) -> Panel:
    cell, at = cell_of(results, case["cell"]), case.get("at") or {}
    (x, y), (x_scale, y_scale) = (frame.attrs["x"], frame.attrs["y"]), frame.attrs["scales"]
    steps, starts = _steps_and_starts(results, cell, frame, at)
    codes = image(frame, outcome_codes(frame), -1)
    height, width = codes.shape
    agreeing = np.round(frame["share"].to_numpy() * frame["descents"].to_numpy())
    data = {
        "kind": "region", "rows": height, "columns": width, "at": at, "halfrange": frame.attrs["halfrange"],
        "x": _axis(x, x_scale, frame.attrs["labels"][0], width), "starts": starts,
        "y": _axis(y, y_scale, frame.attrs["labels"][1], height), "theory": frame.attrs["theory"],
        "planes": pack({
            "outcome": ("u1", np.where(codes < 0, len(OUTCOMES), codes)),
            "agree": ("u4", image(frame, agreeing, 0)),
            "descents": ("u4", image(frame, frame["descents"].to_numpy(), 0)),
            "steps": ("u4", steps), "rate": ("bf", image(frame, frame["rate"].to_numpy(), np.nan)),
            "theory": ("bf", image(frame, frame["rate_in_theory"].to_numpy(), np.nan)),
            "boundary": ("f4", image(frame, frame["boundary"].to_numpy(), np.nan)),
        }),
    }  # fmt: skip
    return panel(cell, "", _region_view(frame, codes), data)


def _steps_and_starts(
    results: Results, cell: Mapping[str, Any], frame: DataFrame, at: Mapping[str, float]
) -> tuple[np.ndarray, list[int]]:
    """Median steps of each pixel's most frequent outcome (until settled, for converged), and starts by place.

    The second is empty where starts are no axis of the map.
    """
    names, scales = (frame.attrs["x"], frame.attrs["y"]), frame.attrs["scales"]
    placed = place_descents(results, cell, *names, at)
    assert placed is not None, "a frame with pixels has descents"
    index = (placed.x, placed.y)
    table = rows(results, cell, ["steps", "settle_step", "outcome"], at)
    codes = image(frame, outcome_codes(frame), -1)
    strides = [-(-len(scale.values) // n) for scale, n in zip(scales, codes.shape[::-1], strict=True)]
    column, row = (i // n for i, n in zip(index, strides, strict=True))
    mine, settled = outcome_codes(table), floats(table, "settle_step")
    spent = np.where(np.isfinite(settled) & (table["outcome"] == "converged"), settled, floats(table, "steps"))
    typical = mine == codes[row, column]
    flat = row[typical] * codes.shape[1] + column[typical]
    steps = np.zeros(codes.size)
    median = DataFrame({"flat": flat, "steps": spent[typical]}).groupby("flat")["steps"].median()
    steps[median.index.to_numpy(dtype=int)] = median.to_numpy()
    starts: list[int] = []
    if "start" in names:
        places = index[names.index("start")]
        starts = table["start"].to_numpy(dtype=int)[np.unique(places, return_index=True)[1]].tolist()
    return np.round(steps), starts


def _axis(name: str, scale: Scale, label: str, pixels: int) -> dict[str, Any]:
    """An axis of a map: its values, and how many of them share a pixel."""
    return {"name": name, "label": label, "values": list(scale.values), "stride": -(-len(scale.values) // pixels)}


def _region_view(frame: DataFrame, codes: np.ndarray) -> dict[str, Any]:
    """What lies over the pixels, in percent of the map's width and height from its upper left corner."""
    left, right, bottom, top = frame.attrs["extent"]

    def across(x: float) -> float:
        return round(100 * (x - left) / (right - left), 3)

    def down(y: float | None) -> float:
        return 4.5 if y is None else round(100 * (top - y) / (top - bottom), 3)

    marks = [(kind, across(x), down(y)) for kind in ("default", "optimum", "best") for x, y in frame.attrs[kind]]
    names = [(across(n.x), down(n.y), n.text, n.upright) for n in region_names(codes, frame.attrs["extent"])]
    line = [f"{across(x)},{down(y)}" for x, y in zip(*_theory_line(frame), strict=True)]
    return {
        "labels": frame.attrs["labels"], "marks": marks, "names": names, "line": " ".join(line),
        "theory": frame.attrs["theory"] if line else "", "outcomes": outcomes_in(frame),
        "halfrange": frame.attrs["halfrange"],
        "x_ticks": [(across(t), text) for t, text in ticks(frame.attrs["scales"][0], left, right)],
        "y_ticks": [(down(t), text) for t, text in ticks(frame.attrs["scales"][1], bottom, top)],
    }  # fmt: skip


def _theory_line(frame: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The stability boundary within the map, as places along both axes; empty where it is not drawn."""
    if not region_map.theory_is_drawn(frame):
        return np.empty(0), np.empty(0)
    upright = frame.attrs["x"] == "learning_rate"
    scale = frame.attrs["scales"][0 if upright else 1]
    left, right, bottom, top = frame.attrs["extent"]
    low, high = (bottom, top) if upright else (left, right)
    rate = scale.position(frame.groupby("row" if upright else "column")["boundary"].first().to_numpy())
    middles = low + (np.arange(len(rate)) + 0.5) * (high - low) / len(rate)
    other, rate = np.r_[low, middles, high], np.r_[rate[0], rate, rate[-1]]
    # What lies far beyond the edge is cut there; the overlay hides it.
    ends = (left, right) if upright else (bottom, top)
    span = ends[1] - ends[0]
    known = np.isfinite(rate)
    rate = np.clip(rate, ends[0] - span, ends[1] + span)[known]
    return (rate, other[known]) if upright else (other[known], rate)


def ticks(scale: Scale, low: float, high: float) -> list[tuple[float, str]]:
    """Places and labels of the ticks on an axis from ``low`` to ``high``, as matplotlib puts them in the pictures."""
    axis = _ruler()
    axis.set_major_locator(AutoLocator())
    axis.set_major_formatter(ScalarFormatter())
    axis.axes.set_xlim(low, high)
    scale.tick(axis)
    places = list(axis.get_majorticklocs())
    labels = axis.get_major_formatter().format_ticks(places)
    return [(float(t), _plain(text)) for t, text in zip(places, labels, strict=True) if low <= t <= high]


@cache
def _ruler() -> Axis:
    """An axis as long as those of the page's maps; making one takes ten times as long as its ticks."""
    return Canvas(figsize=(2.6, 2.6)).add_subplot().xaxis


def _plain(label: str) -> str:
    """A label without matplotlib's mathematics."""
    return re.sub(r"\\mathdefault\{([^}]*)\}", r"\1", label.replace("$", ""))


def _basins(results: Results, case: Mapping[str, Any], frame: DataFrame) -> Panel:
    cell, at = cell_of(results, case["cell"]), case.get("at") or {}
    table = rows(results, cell, RECORD, at)
    setting = {**(best_setting(table, cell) or basins.middle_setting(cell)), **at}
    grid = basins.start_grid(frame)
    scales = [scale_of(values, "linear") for values in grid] if grid else None
    (left, right), (bottom, top) = [s.extent() for s in scales] if scales else basins.start_bounds(frame)
    if grid:
        # Pixels go through the rows of the map from below; so must what is known of them.
        frame = frame.sort_values(["start_1", "start_0"])
    rgb = np.round(255 * basins.colours(frame, *frame.attrs["range"]))
    values = {name: floats(frame, name) for name in ("start_0", "start_1", "end_0", "end_1", "settle_step")}
    data = {
        "kind": "basins", "rows": len(grid[1]) if grid else 0, "columns": len(grid[0]) if grid else 0, "at": setting,
        "extent": [left, right, bottom, top],
        "planes": pack({
            "outcome": ("u1", outcome_codes(frame)), "basin": ("u2", frame["basin"].to_numpy() + 1),
            "steps": ("u4", np.nan_to_num(values["settle_step"])), "rgb": ("u1", rgb),
            **{name: ("f4" if cell["dtype"] == "float32" else "f8", values[name])
               for name in ("start_0", "start_1", "end_0", "end_1")},
        }),
    }  # fmt: skip
    view = _plane_view((left, right), (bottom, top), frame.attrs["minima"]) | {"outcomes": outcomes_in(frame)}
    words = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in setting.items())
    return panel(cell, words, view, data)


def outcomes_in(frame: DataFrame) -> list[str]:
    """The outcomes that a map shows, for its legend."""
    return sorted(frame["outcome"].astype(str).unique())


def _plane_view(
    x: tuple[float, float], y: tuple[float, float], minima: Mapping[int, tuple[float, float]]
) -> dict[str, Any]:
    """Ticks of a plane of starts, and its minima with their numbers."""
    points = [
        (round(100 * (a - x[0]) / (x[1] - x[0]), 3), round(100 * (y[1] - b) / (y[1] - y[0]), 3), str(basin))
        for basin, (a, b) in minima.items()
    ]
    flat = Scale("linear", (0.0, 1.0))
    return {
        "labels": ("start x₀", "start x₁"), "ratio": round((x[1] - x[0]) / (y[1] - y[0]), 3),
        "minima": [(a, b, text) for a, b, text in points if 0 <= a <= 100 and 0 <= b <= 100],
        "x_ticks": [(round(100 * (t - x[0]) / (x[1] - x[0]), 3), text) for t, text in ticks(flat, *x)],
        "y_ticks": [(round(100 * (y[1] - t) / (y[1] - y[0]), 3), text) for t, text in ticks(flat, *y)],
    }  # fmt: skip
