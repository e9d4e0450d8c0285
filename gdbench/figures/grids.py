"""From a row a descent to a pixel a pair of coordinates: majorities, medians, outlines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from pandas import DataFrame
from scipy import ndimage

from gdbench.contracts import OUTCOMES
from gdbench.figures.choose import floats

MOST_PIXELS = 512
"""Pixels along one side of a map; a finer grid is reduced, since the eye cannot and the file need not hold it."""

Extent = tuple[float, float, float, float]


def stride(count: int, most: int = MOST_PIXELS) -> int:
    """How many neighbouring values share a pixel so that at most ``most`` are left."""
    return -(-count // most)


def outcome_codes(table: DataFrame) -> np.ndarray:
    """Outcomes as places in OUTCOMES."""
    return pd.Categorical(table["outcome"].astype(str), categories=list(OUTCOMES)).codes.astype(int)


def pixels(table: DataFrame, row: np.ndarray, column: np.ndarray) -> DataFrame:
    """Majority outcome and median rate of each pixel.

    Args:
        table: descents, with ``outcome`` and ``rate``.
        row: pixel row of each descent.
        column: pixel column of each descent.

    Returns:
        A row a pixel that has descents: ``row``, ``column``, ``outcome`` (the most frequent; of equals the one
        decided first), ``share`` of it, number of ``descents``, and ``rate``, the median over the descents of that
        outcome that have one (a median over all would be a rate that no descent has).
    """
    height, width = row.max() + 1, column.max() + 1
    flat, codes = row * width + column, outcome_codes(table)
    counts = np.bincount(flat * len(OUTCOMES) + codes, minlength=height * width * len(OUTCOMES))
    counts = counts.reshape(height * width, len(OUTCOMES))
    majority, total = counts.argmax(axis=1), counts.sum(axis=1)
    typical = codes == majority[flat]
    rate = pd.Series(floats(table, "rate")[typical]).groupby(flat[typical]).median()
    used = np.flatnonzero(total)
    return DataFrame(
        {
            "row": used // width,
            "column": used % width,
            "outcome": pd.Categorical.from_codes(majority[used], categories=list(OUTCOMES)),
            "share": counts[used, majority[used]] / total[used],
            "descents": total[used],
            "rate": rate.reindex(used).to_numpy(dtype=float),
        }
    )


def image(frame: DataFrame, values: np.ndarray, empty: float) -> np.ndarray:
    """Values of a frame with ``row`` and ``column`` as a matrix, rows upwards."""
    row, column = frame["row"].to_numpy(dtype=int), frame["column"].to_numpy(dtype=int)
    matrix = np.full((row.max() + 1, column.max() + 1), empty, dtype=np.asarray(values).dtype)
    matrix[row, column] = values
    return matrix


def outline(codes: np.ndarray, extent: Extent, **style: object) -> LineCollection:
    """Lines along the pixel edges where neighbouring codes [rows, columns] differ."""
    left, right, bottom, top = extent
    x = np.linspace(left, right, codes.shape[1] + 1)
    y = np.linspace(bottom, top, codes.shape[0] + 1)
    r, c = np.nonzero(codes[:, 1:] != codes[:, :-1])
    upright = np.stack([np.stack([x[c + 1], y[r]], -1), np.stack([x[c + 1], y[r + 1]], -1)], 1)
    r, c = np.nonzero(codes[1:] != codes[:-1])
    level = np.stack([np.stack([x[c], y[r + 1]], -1), np.stack([x[c + 1], y[r + 1]], -1)], 1)
    segments = np.concatenate([upright, level])
    lines = LineCollection(list(segments), capstyle="projecting", **style)  # pyright: ignore[reportArgumentType]
    lines.set_rasterized(True)
    return lines


def measure_regions(mask: np.ndarray) -> np.ndarray:
    """Connected regions of a mask, numbered from 1; 0 outside."""
    labelled: Any = ndimage.label(mask)
    return labelled[0]


def region_names(codes: np.ndarray, extent: Extent, least: float = 0.06) -> list[tuple[float, float, str]]:
    """Where to write the outcome into a map: deep inside the largest region of each.

    Args:
        codes: outcome codes [rows, columns], -1 for none.
        extent: left, right, bottom, top.
        least: share of the map below which a region is too small for its name.

    Returns:
        (x, y, outcome) of each name.
    """
    left, right, bottom, top = extent
    height, width = codes.shape
    found = []
    for code, name in enumerate(OUTCOMES):
        parts = np.asarray(measure_regions(codes == code))
        sizes = np.bincount(parts.ravel())[1:]
        if sizes.max(initial=0) < max(least * codes.size, 1):
            continue
        region = np.pad(parts == 1 + sizes.argmax(), 1)
        # A name is wide and flat: distance along a row counts less.
        depth = ndimage.distance_transform_edt(region, sampling=(1 / height, 0.35 / width))
        deep = np.asarray(depth)
        row, column = np.unravel_index(deep.argmax(), deep.shape)
        x = left + (column - 0.5) * (right - left) / width
        y = bottom + (row - 0.5) * (top - bottom) / height
        found.append((float(x), float(y), name))
    return found
