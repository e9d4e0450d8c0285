"""A number with its interval an optimizer, one below the other, and the problems it is made of as faint points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame

from gdbench.figures.choose import floats, keep
from gdbench.figures.comparison import Comparison
from gdbench.figures.style import belongs
from gdbench.stats.bootstrap import Band

ALL = "all problems"


def draw_forest(ax: Axes, frame: DataFrame, label: str) -> None:
    """One row an optimizer, in the order of the frame.

    Args:
        ax: axes to draw on.
        frame: columns ``optimizer``, ``problem``, ``value``, ``low``, ``high``: a row a problem, and one with
            ``ALL`` for the number over all of them, which has the interval.
        label: name of the number.
    """
    labels = list(dict.fromkeys(frame["optimizer"]))
    for row, name in enumerate(labels):
        group, colour = keep(frame, frame["optimizer"] == name), frame.attrs["styles"][name]["color"]
        whole = group["problem"].to_numpy() == ALL
        single = floats(keep(group, ~whole), "value")
        # Equal values lie beside each other, not one upon the other.
        spread = np.linspace(-0.22, 0.22, len(single)) if len(single) > 1 else np.zeros(len(single))
        faint: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 3, "mew": 0, "color": colour, "alpha": 0.35}
        for title, at, down in zip(group["problem"][~whole], single, row + spread, strict=True):
            belongs(ax.plot(at, down, gid="problems", **faint), name, problem=frame.attrs["problems"][title])
        value, low, high = (floats(keep(group, whole), column)[0] for column in ("value", "low", "high"))
        belongs(ax.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="butt", gid="interval"), name)
        belongs(ax.plot(value, row, marker="D", ms=5, mfc=colour, mec="white", mew=0.6, zorder=4, gid="value"), name)
    ax.set_yticks(range(len(labels)), labels)
    for name, text in zip(labels, ax.get_yticklabels(), strict=True):
        belongs(text, name)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(axis="x", lw=0.4, color="0.9")
    ax.tick_params(axis="y", length=0)
    notes = [frame.attrs["hidden"]] if frame.attrs["hidden"] else []
    notes += [frame.attrs["few"].replace("\n", " ")] if np.isnan(floats(frame, "low")).all() else []
    ax.set_xlabel("\n".join([label, *notes]))


def forest_frame(told: Comparison, kept: Sequence[int], values: np.ndarray, whole: Band) -> DataFrame:
    """The rows that ``draw_forest`` takes.

    Args:
        told: the comparison.
        kept: indices of the optimizers to show, in their order.
        values: the number of each problem, [places, optimizers]; NaN for none.
        whole: the number over all of them with the ends of its interval, [optimizers] each.

    Returns:
        A row an optimizer and problem: ``optimizer``, ``problem``, ``value``, ``low``, ``high``; the number over all
        problems first, the interval only there.
    """
    rows = []
    for k in kept:
        name = told.optimizers[k]
        value, low, high = (float(part[k]) for part in whole)
        rows.append({"optimizer": name, "problem": ALL, "value": value, "low": low, "high": high})
        rows += [
            {"optimizer": name, "problem": place.title, "value": float(own), "low": np.nan, "high": np.nan}
            for place, own in zip(told.places, values[:, k], strict=True)
        ]
    return DataFrame(rows)
