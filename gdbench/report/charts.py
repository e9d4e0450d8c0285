"""Figures 5 and 8 for the page's charts: the numbers of the pictures, a line an optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.figures import learning_rate
from gdbench.figures.base import Results
from gdbench.figures.choose import floats, keep
from gdbench.figures.lines import log_limits
from gdbench.report.maps import Panel, Shown

DIGITS = 5
"""Significant digits of a number in a chart; the CSV has more."""


def learning_rate_panels(results: Results, shown: Shown) -> list[Panel]:
    """The panels of one picture of figure 5."""
    return [_panel(case, frame, learning_rate.RATE, "learning rate") for case, frame in shown]


def convergence_panels(results: Results, shown: Shown) -> list[Panel]:
    """The panels of one picture of figure 8."""
    units = {True: "evaluations of the full data", False: "evaluations"}
    return [_panel(case, frame, "cost", f"cost ({units[bool(frame.attrs['batches'])]})") for case, frame in shown]


def _panel(case: dict[str, Any], frame: DataFrame, x: str, label: str) -> Panel:
    about = {name: case[name] for name in ("experiment", "problem", "dtype")}
    lines = [_line(frame, name, x) for name in dict.fromkeys(frame["optimizer"].astype(str))]
    bottom, top, scale = log_limits(frame[["low", "median", "high"]].to_numpy(), frame.attrs["tolerance"])
    data = {
        **about, "kind": "lines", "x": {"label": label, "range": short(np.quantile(floats(frame, x), [0, 1]))},
        "y": {"label": frame.attrs["value"], "range": short([bottom, top]), "scale": scale["value"],
              "threshold": scale.get("linthresh")},
        "tolerance": frame.attrs["tolerance"], "stepped": x == "cost", "lines": lines,
    }  # fmt: skip
    optimizers = [line["optimizer"] for line in lines]
    view = {**about, "title": frame.attrs["title"], "optimizers": optimizers, "x": label, "lines": [
        {"optimizer": line["optimizer"], "text": line["text"], "usable": line.get("usable")} for line in lines
    ]}  # fmt: skip
    return {"view": view, "data": data}


def _line(frame: DataFrame, optimizer: str, x: str) -> dict[str, Any]:
    group = keep(frame, (frame["optimizer"] == optimizer).to_numpy())
    line: dict[str, Any] = {"optimizer": optimizer, "text": frame.attrs["texts"][optimizer]}
    line |= {"x": short(floats(group, x))}
    line |= {name: short(floats(group, name)) for name in ("low", "median", "high")}
    if "failed" in group:
        line["failed"] = short(floats(group, "failed"))
        usable = [floats(group, f"usable_{end}")[0] for end in ("low", "high")]
        line["usable"] = None if np.isnan(usable).any() else short(usable)
    return line


def short(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Numbers with few digits; None for an infinite one, which JSON has no word for."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in np.asarray(values, dtype=float)]


def styles(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The line styles of a run's optimizers for a canvas: colour, and dashes in widths of the line."""
    dashes = {label: [] if style["linestyle"] == "-" else list(style["linestyle"][1]) for label, style in found.items()}
    return [{"label": label, "colour": style["color"], "dash": dashes[label]} for label, style in found.items()]
