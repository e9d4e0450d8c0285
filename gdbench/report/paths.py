"""Stored paths for the page, and the contours that they are drawn on (figure 7's surface)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.figures import trajectories
from gdbench.figures.base import Results
from gdbench.figures.choose import floats, keep, known, rows, surface_of
from gdbench.figures.grids import outcome_codes
from gdbench.figures.scale import Scale
from gdbench.report.maps import ticks
from gdbench.report.planes import fractions, pack

MOST_PATHS = 1024
"""Paths of one map; of more an even sample is kept."""

MARGIN = 0.04
"""How far beyond the box a path is drawn, as a share of its width."""


def drawable(cell: Mapping[str, Any]) -> bool:
    """Whether paths are stored for a cell, in a plane or on a line: others cannot be drawn."""
    return bool(cell["path_steps"]) and cell["problem"]["dim"] in (1, 2)


def stored_paths(results: Results, cell: Mapping[str, Any]) -> dict[str, Any] | None:
    """Every stored path of a cell's first instance, at most ``MOST_PATHS``; None where there is none to draw.

    Points are fractions of a view three times as wide as what is drawn, since they are only drawn; the last point,
    which is also told, has all the digits of the table.
    """
    dim = cell["problem"]["dim"]
    if not drawable(cell):
        return None
    names = [axis["name"] for axis in cell["axes"] if axis["kind"] in ("hyperparameter", "parameter")]
    ends = [f"end_{i}" for i in range(dim)]
    table = rows(results, cell, ["path", "outcome", "steps", "settle_step", *ends], None)
    table = keep(table, known(table, "path") & (table["instance"] == table["instance"].min()).to_numpy())
    if table.empty:
        return None
    chosen = np.unique(np.linspace(0, len(table) - 1, min(len(table), MOST_PATHS)).round().astype(int))
    table = table.iloc[chosen]
    points: np.ndarray = np.stack([np.asarray(path, dtype=float).reshape(-1, dim) for path in table["path"]])
    finite = np.all(np.isfinite(points), axis=2)
    # A path ends before its first point that is not finite: what comes after has no place.
    lengths = np.where(np.all(finite, axis=1), points.shape[1], np.argmin(finite, axis=1))
    last = points[np.arange(len(points)), np.maximum(lengths - 1, 0)]
    end = np.stack([floats(table, name) for name in ends], axis=1)
    whole = np.all(np.isfinite(end), axis=1)
    view = view_of(results, cell, points[:, 0])
    low, high = (np.array(edge) for edge in zip(*view, strict=True))
    indexed = {name: np.unique(floats(table, name), return_inverse=True) for name in names}
    wide = fractions(points, low - (high - low), high + (high - low))
    return {
        "count": len(table), "steps": list(cell["path_steps"])[: points.shape[1]], "dim": dim,
        "view": [list(edges) for edges in view], "optimizer": cell["optimizer"]["label"],
        "axes": {name: values.tolist() for name, (values, _) in indexed.items()},
        "ground": surface_of(cell), "minimizers": cell["problem"]["minimizers"] or [],
        "planes": pack({
            "outcome": ("u1", outcome_codes(table)), "length": ("u1", lengths), "whole": ("u1", whole),
            "executed": ("u4", table["steps"]), "on_ground": ("u1", _on_ground(cell, table)),
            "settled": ("u4", np.nan_to_num(floats(table, "settle_step"))),
            "start": ("u4", table["start"]), "seed": ("u4", table["seed"]), "points": ("u2", wide),
            "first": ("f8", points[:, 0]), "end": ("f8", np.where(whole[:, None], end, last)),
            **{f"axis_{name}": ("u4", index) for name, (_, index) in indexed.items()},
        }),
    }  # fmt: skip


def ground(results: Results, cell: Mapping[str, Any]) -> dict[str, Any] | None:
    """A problem's values over its box as levels of the logarithm of the gap; None where no surface is stored.

    Levels go from 0 (the lowest values) to 1; in one dimension they are the values themselves, with their range.
    """
    surface = results.surface(surface_of(cell))
    if surface is None or not drawable(cell):
        return None
    found = trajectories.ground_of(surface, cell["problem"])
    values = found.values
    if len(found.axes) == 1:
        finite = values[np.isfinite(values)]
        low, high = float(finite.min()), float(finite.max())
        reach = (low - 0.08 * (high - low), high + 0.03 * (high - low) or 1.0)
        return {"x": found.axes[0].tolist(), "f": [float(v) for v in values], "range": reach}
    positive = values[values > 0]
    if not len(positive) or positive.max() == positive.min():
        levels = np.zeros(values.shape)
    else:
        # Evenly spaced in the logarithm, as in figure 7: else a valley would be one empty area.
        top = np.log(positive.max())
        bottom = np.log(max(np.quantile(positive, 0.002), positive.max() * 1e-7))
        levels = (np.log(np.maximum(values, np.exp(bottom))) - bottom) / (top - bottom or 1.0)
    x, y = found.axes
    return {
        "columns": len(x), "rows": len(y), "box": [[x[0], x[-1]], [y[0], y[-1]]], "levels": trajectories.LEVELS,
        "planes": pack({"level": ("u2", np.round(65535 * np.clip(levels, 0, 1)))}),
    }  # fmt: skip


def stage(results: Results, cell: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What the template draws around the canvas that paths are played on: ticks in percent, and the aspect."""
    surface, view = ground(results, cell), told["view"]
    flat = told["dim"] == 1
    edges = [*view, surface["range"] if surface else (0.0, 1.0)] if flat else view
    marks = [[(100 * (t - a) / (b - a), text) for t, text in ticks(Scale("linear", (a, b)), a, b)] for a, b in edges]
    span = [b - a for a, b in edges]
    square = not flat and 0.6 < span[0] / span[1] < 1.7
    return {
        "x_ticks": marks[0], "y_ticks": [(100 - place, text) for place, text in marks[1]],
        "labels": ("x", "f(x)") if flat else ("x₀", "x₁"), "ratio": span[0] / span[1] if square else 1.25,
    }  # fmt: skip


def view_of(results: Results, cell: Mapping[str, Any], first: np.ndarray) -> list[tuple[float, float]]:
    """What is drawn of each coordinate: the start box, or what the starts span, with a margin."""
    box = cell["problem"]["box"]
    spans = list(zip(*box, strict=True)) if box else list(zip(first.min(axis=0), first.max(axis=0), strict=True))
    margins = [MARGIN * (high - low) or 1.0 for low, high in spans]
    return [(float(low - m), float(high + m)) for (low, high), m in zip(spans, margins, strict=True)]


def _on_ground(cell: Mapping[str, Any], table: DataFrame) -> np.ndarray:
    """Which descents ran on the very function of the surface: that of the parameters' defaults."""
    at = trajectories.surface_parameters(cell)
    if at is None:
        return np.zeros(len(table), dtype=bool)
    same = [np.isclose(floats(table, name), value, rtol=1e-6, atol=0.0) for name, value in at.items()]
    return np.all(same, axis=0) if same else np.ones(len(table), dtype=bool)
