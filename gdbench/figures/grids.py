"""From a row a descent to a pixel a pair of coordinates: majorities, medians, outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke
from pandas import DataFrame
from scipy import ndimage

from gdbench.contracts import OUTCOMES

MOST_PIXELS = 512
"""Pixels along one side of a map; a finer grid is reduced, since the eye cannot and the file need not hold it."""

CROWDED = 0.25
"""Pixel edges on an outline, a pixel of the map, from which on the lines are drawn thin."""

Extent = tuple[float, float, float, float]


def stride(count: int, most: int = MOST_PIXELS) -> int:
    """How many neighbouring values share a pixel so that at most ``most`` are left."""
    return -(-count // most)


def outcome_codes(table: DataFrame) -> np.ndarray:
    """Outcomes as places in OUTCOMES, int8; -1 for none."""
    outcome = pd.Categorical(table["outcome"])
    place_of = np.array([*(OUTCOMES.index(name) for name in outcome.categories), -1], np.int8)
    return place_of[outcome.codes]


def pixels(code: np.ndarray, rate: np.ndarray, row: np.ndarray, column: np.ndarray) -> DataFrame:
    """Majority outcome and median rate of each pixel.

    Args:
        code: outcome of each descent, a place in OUTCOMES.
        rate: its signed rate, NaN for none.
        row: its pixel row.
        column: its pixel column.

    Returns:
        A row a pixel that has descents: ``row``, ``column``, ``outcome`` (the most frequent; of equals the one
        decided first), ``share`` of it, number of ``descents``, and ``rate``, the median over the descents of that
        outcome that have one (a median over all would be a rate that no descent has).
    """
    width = int(column.max()) + 1
    flat = row.astype(np.int64) * width + column
    majority, most, total, typical = majorities(code, rate, flat, (int(row.max()) + 1) * width)
    used = np.flatnonzero(total)
    return DataFrame(
        {
            "row": used // width,
            "column": used % width,
            "outcome": pd.Categorical.from_codes(majority[used], categories=list(OUTCOMES)),
            "share": most[used] / total[used],
            "descents": total[used],
            "rate": typical[used],
        }
    )


def majorities(
    code: np.ndarray, rate: np.ndarray, flat: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each of ``size`` pixels: the most frequent outcome (-1 without descents), how many descents ended so, how many
    there are, and the median rate of those that ended so.

    ``flat`` is the pixel of each descent.
    """
    majority, most, total = np.full(size, -1, np.int8), np.zeros(size, np.int32), np.zeros(size, np.int32)
    if len(code) <= size and np.bincount(flat, minlength=1).max(initial=0) <= 1:  # a descent a pixel is its majority
        majority[flat], most[flat], medians = code, 1, np.full(size, np.nan, rate.dtype)
        medians[flat] = rate
        return majority, most, most, medians
    for k in range(len(OUTCOMES)):
        count = np.bincount(flat[code == k], minlength=size).astype(np.int32)
        total += count
        more = count > most
        majority[more], most[more] = k, count[more]
    typical = (code == majority[flat]) & ~np.isnan(rate)
    return majority, most, total, grouped_median(rate[typical], flat[typical], size)


def grouped_median(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """The median of the values of each group, float64, NaN for an empty one; the values are no NaN.

    In float32 group and value are sorted as one whole number, many times as fast as a sort by two keys.
    """
    count = np.bincount(group, minlength=groups)
    medians = np.full(groups, np.nan)
    if count.max(initial=0) <= 1:
        medians[group] = values
        return medians
    if values.dtype == np.float32:
        bits = np.ascontiguousarray(values).view(np.uint32)
        # Floats are ordered as their bits are, once those of negative ones are all turned over.
        ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
        keys = (group.astype(np.uint64) << np.uint64(32)) | ordered
        keys.sort()
        bits = keys.astype(np.uint32)
        values = np.where(bits >> 31, bits & np.uint32((1 << 31) - 1), ~bits).view(np.float32)
    else:
        values = values[np.lexsort((values, group))]
    some, first = count > 0, np.cumsum(count) - count
    low, high = (first + half // 2 for half in (count - 1, count))
    medians[some] = (values[low[some]].astype(float) + values[high[some]]) / 2
    return medians


def image(frame: DataFrame, values: np.ndarray, empty: float) -> np.ndarray:
    """Values of a frame with ``row`` and ``column`` as a matrix, rows upwards."""
    row, column = frame["row"].to_numpy(dtype=int), frame["column"].to_numpy(dtype=int)
    matrix = np.full((row.max() + 1, column.max() + 1), empty, dtype=np.asarray(values).dtype)
    matrix[row, column] = values
    return matrix


def outline(codes: np.ndarray, extent: Extent, width: float = 0.8) -> LineCollection:
    """Lines along the pixel edges where neighbouring codes [rows, columns] differ."""
    left, right, bottom, top = extent
    x = np.linspace(left, right, codes.shape[1] + 1)
    y = np.linspace(bottom, top, codes.shape[0] + 1)
    r, c = np.nonzero(codes[:, 1:] != codes[:, :-1])
    upright = np.stack([np.stack([x[c + 1], y[r]], -1), np.stack([x[c + 1], y[r + 1]], -1)], 1)
    r, c = np.nonzero(codes[1:] != codes[:-1])
    level = np.stack([np.stack([x[c], y[r + 1]], -1), np.stack([x[c + 1], y[r + 1]], -1)], 1)
    segments = np.concatenate([upright, level])
    if len(segments) > CROWDED * codes.size:
        width /= 2
    lines = LineCollection(list(segments), colors="white", capstyle="projecting", linewidths=width)
    # White alone is lost on the light ends of the colours.
    lines.set_path_effects([withStroke(linewidth=2.4 * width, foreground="black", alpha=0.45)])
    lines.set_rasterized(True)
    return lines


@dataclass(frozen=True)
class RegionName:
    """A word to write into a map: where, and whether upright along a narrow region."""

    x: float
    y: float
    text: str
    upright: bool


def region_names(codes: np.ndarray, extent: Extent, letter: tuple[float, float] = (0.024, 0.031)) -> list[RegionName]:
    """Where to write each outcome into a map: deep inside its largest region, if it has room for the word.

    Args:
        codes: outcome codes [rows, columns], -1 for none.
        extent: left, right, bottom, top.
        letter: length of a letter as a share of the map's width, and of its height when written upright.
    """
    left, right, bottom, top = extent
    height, width = codes.shape
    found = []
    for code, name in enumerate(OUTCOMES):
        region = _largest_region(codes == code)
        if region is None:
            continue
        row, column = _deep_point(region)
        across = _run(region[row], column) / width
        along = _run(region[:, column], row) / height
        flat = across >= letter[0] * (len(name) + 1) and along >= 2 * letter[1]
        upright = not flat and along >= letter[1] * (len(name) + 1) and across >= 2 * letter[0]
        if flat or upright:
            x = left + (column + 0.5) * (right - left) / width
            y = bottom + (row + 0.5) * (top - bottom) / height
            found.append(RegionName(x, y, name, upright))
    return found


def _largest_region(mask: np.ndarray) -> np.ndarray | None:
    labelled: Any = ndimage.label(mask)
    sizes = np.bincount(labelled[0].ravel())[1:]
    return labelled[0] == 1 + sizes.argmax() if len(sizes) else None


def _deep_point(region: np.ndarray) -> tuple[int, int]:
    """The point nearest to a region's middle among those almost as far from its edge as any."""
    height, width = region.shape
    depth: Any = ndimage.distance_transform_edt(np.pad(region, 1), sampling=(1 / height, 1 / width))
    depth = depth[1:-1, 1:-1]
    row, column = np.nonzero(depth >= 0.85 * depth.max())
    middle_row, middle_column = (index.mean() for index in np.nonzero(region))
    nearest = np.hypot((row - middle_row) / height, (column - middle_column) / width).argmin()
    return int(row[nearest]), int(column[nearest])


def _run(line: np.ndarray, place: int) -> int:
    """Length of the run of true values around a place, counted evenly to both sides."""
    gaps = np.flatnonzero(~line)
    before = place - gaps[gaps < place].max(initial=-1)
    after = gaps[gaps > place].min(initial=len(line)) - place
    return int(2 * min(before, after) - 1)
