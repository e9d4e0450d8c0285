"""Every optimizer against every other: a matrix of coloured cells with their numbers in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from pandas import DataFrame

from gdbench.figures.choose import floats
from gdbench.figures.style import belongs

COLOURS = "PuOr"
"""Orange for the row, purple for the column; told apart under every common colour blindness."""


def draw_matrix(ax: Axes, frame: DataFrame, limits: tuple[float, float], row: str, column: str) -> None:
    """Colour a cell by its ``value`` within these limits, write its ``text``, and frame it where it is ``sure``.

    Args:
        ax: axes to draw on.
        frame: columns ``row``, ``column``, ``value``, ``text`` and ``sure``, a row a cell, rows in their order.
        limits: values of the two ends of the colours.
        row: what the rows are.
        column: what the columns are; below it stand ``attrs`` "hidden" and "note".
    """
    rows, columns = (list(dict.fromkeys(frame[name])) for name in ("row", "column"))
    shape = len(rows), len(columns)
    image = np.full(shape, np.nan)
    down = frame["row"].map(rows.index).to_numpy()
    across = frame["column"].map(columns.index).to_numpy()
    image[down, across] = floats(frame, "value")
    palette, norm = colormaps[COLOURS].with_extremes(bad="0.93"), Normalize(*limits, clip=True)
    colours = palette(norm(np.ma.masked_invalid(image)))
    size = float(np.clip(62 / max(shape), 4.5, 8.5))
    for i, j, text, sure in zip(down, across, frame["text"], frame["sure"], strict=True):
        near_end = abs(norm(image[i, j]) - 0.5) > 0.3 if np.isfinite(image[i, j]) else False
        style: dict[str, Any] = {"color": "white" if near_end else "black", "weight": "bold" if sure else "normal"}
        # A patch each, so that a cell can be hidden by itself; a white edge where neighbours meet, in every browser.
        cell: list[Artist] = [
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fc=colours[i, j], ec="white", lw=0.4, gid="cell")),
            ax.text(j, i, text, ha="center", va="center", fontsize=size, **style),
        ]
        if sure:
            cell.append(ax.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, lw=1.1, gid="sure")))
        belongs(cell, rows[i], columns[j])
    ax.set(xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    ax.set_xticks(range(shape[1]), columns, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    ax.set_yticks(range(shape[0]), rows, fontsize=7)
    for name, text in zip([*columns, *rows], [*ax.get_xticklabels(), *ax.get_yticklabels()], strict=True):
        belongs(text, name)
    ax.tick_params(length=0)
    ax.set_ylabel(row)
    notes = [frame.attrs[name] for name in ("hidden", "note") if frame.attrs.get(name)]
    ax.set_xlabel("\n".join([column, *notes]))
