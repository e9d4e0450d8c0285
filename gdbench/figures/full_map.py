"""A region map of any size with a pixel of its own for every point of the grid, as a palette PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gdbench.contracts import OUTCOMES
from gdbench.errors import GdbenchError
from gdbench.figures.base import Results
from gdbench.figures.choose import heading
from gdbench.figures.choose import place as place_of
from gdbench.figures.grids import CROWDED, majorities
from gdbench.figures.placed import Placed, place
from gdbench.figures.region_map import halfrange
from gdbench.figures.style import OUTCOME_COLOURS, RATE_LABEL, RATE_MAP

NOTHING = EDGE = len(OUTCOMES)
"""The palette's white: no descent, and the lines between outcomes."""

FIRST = EDGE + 1
LEVELS = 256 - FIRST
"""Colours of the rate."""


def full_map(
    results: Results, cell: Mapping[str, Any], x: str, y: str, at: Mapping[str, float] | None = None
) -> Image.Image:
    """The map of a cell, one pixel a pair of values: colour is the signed rate, the outcome's own where there is none.

    A pixel shows its most frequent outcome and the median rate of the descents that ended so; white lines part the
    outcomes, but where they would cover a quarter of the map. Of 4096 by 4096 descents the arrays take about 0.6 GiB.

    Args:
        results: a run.
        cell: one of its cells.
        x: name of the horizontal axis.
        y: name of the vertical axis, upwards.
        at: values at which other axes are held.

    Raises:
        GdbenchError: there is no descent.
    """
    placed = place(results, cell, x, y, at or {})
    if placed is None:
        raise GdbenchError(f"{cell['optimizer']['label']} on {cell['problem']['label']} has no descents to draw")
    image = Image.fromarray(_plane(placed))
    image.putpalette(_palette())
    return image


def write_full_map(
    results: Results, path: Path, cell: Mapping[str, Any], x: str, y: str, at: Mapping[str, float] | None = None
) -> Path:
    """Write ``full_map`` as PNG, with a line that says what it shows."""
    image = full_map(results, cell, x, y, at)
    told = PngInfo()
    told.add_text("Title", heading(*place_of(cell), cell["optimizer"]["label"]))
    told.add_text("Description", f"{RATE_LABEL} over {x} (to the right) and {y} (upwards), a pixel a pair of values")
    try:
        # Level 1 takes a fifth of the time of the usual 6, and a few hundredths more room.
        image.save(path, "PNG", pnginfo=told, compress_level=1)
    except OSError as error:
        raise GdbenchError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _plane(placed: Placed) -> np.ndarray:
    """Places in the palette, uint8 [rows, columns], the largest value of the vertical axis first."""
    height, width = len(placed.scales[1].values), len(placed.scales[0].values)
    flat = placed.y.astype(np.int64) * width + placed.x
    code, _, _, rate = majorities(placed.code, placed.rate, flat, height * width)
    known = ~np.isnan(rate)
    plane = np.where(code < 0, NOTHING, code).astype(np.uint8)
    half = halfrange(rate)
    levels = np.clip((rate[known] / half + 1) * (LEVELS / 2), 0, LEVELS - 1)
    plane[known] = FIRST + levels.astype(np.uint8)
    code, plane = code.reshape(height, width), plane.reshape(height, width)
    edges = np.zeros(code.shape, bool)
    edges[:, 1:] = code[:, 1:] != code[:, :-1]
    edges[1:] |= code[1:] != code[:-1]
    if edges.mean() <= CROWDED:
        plane[edges] = EDGE
    return plane[::-1]


def _palette() -> list[int]:
    """Outcomes, white, and the rates from the fastest convergence to the fastest divergence, as RGB octets."""
    outcomes = [to_rgb(OUTCOME_COLOURS[name]) for name in OUTCOMES]
    rates = colormaps[RATE_MAP]((np.arange(LEVELS) + 0.5) / LEVELS)[:, :3]
    return np.rint(255 * np.vstack([outcomes, [(1.0, 1.0, 1.0)], rates])).astype(int).ravel().tolist()
