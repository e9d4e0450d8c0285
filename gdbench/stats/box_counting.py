"""Box counting: the dimension of a set of cells, and of the boundary between regions of a map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FEWEST_SIZES = 4
"""Box sizes that a slope is taken over; fewer leave no residual to judge it by."""


class BoxCount(NamedTuple):
    """A box-counting dimension and the counts behind it.

    Attributes:
        dimension: slope of log N(s) against log 1/s; NaN where there is a ``reason``.
        error: standard error of that slope. The counts are nested, so it says how straight the line is and is no
            confidence interval.
        sizes: sides s of the boxes in cells, 1, 2, 4, ….
        counts: N(s), boxes of that side with a cell of the set in them.
        reason: why there is no dimension, "" where there is one.
    """

    dimension: float
    error: float
    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    reason: str = ""


def boundary_cells(labels: np.ndarray) -> np.ndarray:
    """Where a map changes: between neighbours in one dimension, inside a block of 2 by 2 in two.

    Args:
        labels: shape [n] or [rows, columns], of a type whose equal values compare equal (no NaN).

    Returns:
        Booleans of shape [n - 1] or [rows - 1, columns - 1].

    Raises:
        ValueError: another number of dimensions.

    Source: J. Sohl-Dickstein, arXiv 2402.06184, for the blocks of 2 by 2.
    """
    labels = np.asarray(labels)
    if labels.ndim == 1:
        return np.not_equal(labels[1:], labels[:-1])
    if labels.ndim == 2:
        corner = labels[:-1, :-1]
        return (labels[1:, :-1] != corner) | (labels[:-1, 1:] != corner) | (labels[1:, 1:] != corner)
    raise ValueError(f"a map has one or two dimensions, not {labels.ndim}")


def occupied(cells: np.ndarray, times: int = 1) -> np.ndarray:
    """Which boxes hold a cell of the set, after joining pairs (or blocks of 2 by 2) so many times.

    A side of odd length is filled up with an empty cell.
    """
    for _ in range(times):
        cells = np.pad(cells, [(0, side % 2) for side in cells.shape])
        halved = [n for side in cells.shape for n in (side // 2, 2)]
        cells = np.logical_or.reduce(cells.reshape(halved), axis=tuple(range(1, 2 * cells.ndim, 2)))
    return cells


def set_dimension(cells: np.ndarray) -> BoxCount:
    """The box-counting dimension of a set of cells.

    N(s) ~ s^-D: D is the slope of log2 N(s) against log2 1/s by least squares over s = 1, 2, 4, … up to a quarter of
    the shorter side, where boxes are still many.

    Args:
        cells: booleans of shape [n] or [rows, columns].

    Returns:
        The dimension with its counts; NaN and the reason for a map of fewer than 31 cells a side or an empty set.

    Raises:
        ValueError: another number of dimensions, or a type other than bool.

    Source: K. Falconer, Fractal Geometry, Wiley, 2014, chapter 2.
    """
    cells = np.asarray(cells)
    if cells.ndim not in (1, 2) or cells.dtype != bool:
        raise ValueError(f"cells must be booleans in one or two dimensions, not {cells.dtype} in {cells.ndim}")
    # A map of 2^k + 1 labels has 2^k cells, one of 2^k has a cell less: both are given the same sizes.
    largest = (min(cells.shape) + 1) // 4
    sizes = tuple(2**k for k in range(largest.bit_length()))
    if len(sizes) < FEWEST_SIZES:
        reason = f"a side of {min(cells.shape)} cells gives {len(sizes)} box sizes, fewer than {FEWEST_SIZES}"
        return BoxCount(np.nan, np.nan, sizes, (), reason)
    counts = []
    for _ in sizes:
        counts.append(int(cells.sum()))
        cells = occupied(cells)
    if not counts[0]:
        return BoxCount(np.nan, np.nan, sizes, tuple(counts), "the set is empty")
    return BoxCount(*_slope(-np.log2(sizes), np.log2(counts)), sizes, tuple(counts))


def box_dimension(labels: np.ndarray) -> BoxCount:
    """The box-counting dimension of the boundary in a map of labels, shape [n] or [rows, columns].

    A smooth curve in a plane has dimension 1, a few separate points on a line have dimension 0. The reason is "no
    boundary" where all labels are equal; see ``boundary_cells`` and ``set_dimension``.
    """
    found = set_dimension(boundary_cells(labels))
    return found._replace(reason="no boundary") if found.counts and not found.counts[0] else found


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of y against x by least squares, and its standard error."""
    x = x - x.mean()
    spread = np.sum(x**2)
    slope = np.sum(x * y) / spread
    residual = y - y.mean() - slope * x
    return float(slope), float(np.sqrt(np.sum(residual**2) / (len(x) - 2) / spread))
