"""How rough the boundary is between settings that work and settings that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import LOST, Measure
from gdbench.stats.box_counting import box_dimension

FEWEST_OF_TWO, FEWEST_OF_ONE = 32, 256
"""Values along each of two axes, or along a single one, from which on a dimension is taken."""

REPEATS = ("instance", "start", "seed")
"""What tells descents at the same place of the map apart."""


def lost_map(frame: DataFrame, axes: Sequence[str]) -> np.ndarray | None:
    """Which settings diverged or became nonfinite, over the grid of these axes in ascending order.

    Returns:
        Booleans, an axis of the array for each axis of the grid; None unless every place has exactly one descent.
    """
    places = [np.unique(frame[name].to_numpy(dtype=float), return_inverse=True) for name in axes]
    shape = tuple(len(values) for values, _ in places)
    flat = np.ravel_multi_index([index for _, index in places], shape)
    if len(flat) != np.prod(shape) or len(np.unique(flat)) != len(flat):
        return None
    found = np.zeros(shape, dtype=bool)
    found.flat[flat] = frame["outcome"].isin(LOST).to_numpy(dtype=bool)
    return found


def grid_axes(frame: DataFrame, cell: Mapping[str, Any]) -> list[str]:
    """The axes whose map has a dimension, [] where the group's grid is none: too small, or of three axes and more.

    Two axes of at least 32 values, hyperparameters or parameters of the problem, or one hyperparameter of at least 256.
    """
    kinds = {a["name"]: a["kind"] for a in cell["axes"] if a["kind"] in ("hyperparameter", "parameter")}
    counts = {name: len(np.unique(frame[name].to_numpy(dtype=float))) for name in kinds}
    varying = [name for name, count in counts.items() if count > 1]
    if len(varying) == 2 and all(counts[name] >= FEWEST_OF_TWO for name in varying):
        return varying
    alone = len(varying) == 1 and kinds[varying[0]] == "hyperparameter" and counts[varying[0]] >= FEWEST_OF_ONE
    return varying if alone else []


def dimension(frame: DataFrame, cell: Mapping[str, Any]) -> float:
    """Median over starts, seeds and instances of the box-counting dimension of the boundary of the lost descents.

    In a plane 1 is a smooth curve and 2 fills it; on a line 0 is a few separate rates and 1 fills it. NaN where the
    grid is too small (``grid_axes``), has gaps, or holds no boundary.
    """
    axes = grid_axes(frame, cell) if len(frame) else []
    if not axes:
        return float("nan")
    names = [name for name in REPEATS if name in frame]
    groups = [group for _, group in frame.groupby(names, observed=True)] if names else [frame]
    maps = [lost_map(group, axes) for group in groups]
    found = np.array([box_dimension(map_).dimension for map_ in maps if map_ is not None])
    found = found[np.isfinite(found)]
    return float(np.median(found)) if len(found) else float("nan")


boundary_dimension = Measure(
    "boundary_dimension", "dimension", None, "box-counting dimension of the boundary of the lost descents", dimension
)
