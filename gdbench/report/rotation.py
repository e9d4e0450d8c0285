"""Rotation sensitivity: what an optimizer loses when a separable problem is rotated.

A method that works on each coordinate by itself (Adam's step sizes, sign descent) is favoured by separable problems.
Suites that rank pair each of these with a rotated twin; the gap between twins says how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gdbench.figures.comparison import Comparison

ROTATION = "rotate"


@dataclass(frozen=True)
class Sensitivity:
    """What rotation does to one optimizer.

    Attributes:
        optimizer: its label.
        twins: number of pairs of a problem and its rotated twin.
        solved: mean share converged on the problems as they are.
        rotated: mean share converged on their rotated twins.
        slower: geometric mean of cost on the twin over cost, of the pairs solved both ways; NaN where there is none.
    """

    optimizer: str
    twins: int
    solved: float
    rotated: float
    slower: float


def twins(told: Comparison) -> list[tuple[int, int]]:
    """Places that differ by a rotation alone: (as it is, rotated)."""
    found = []
    for i, place in enumerate(told.places):
        for j, other in enumerate(told.places):
            without = tuple(name for name in other.transforms if name != ROTATION)
            same = (place.family, place.dim, dict(place.at)) == (other.family, other.dim, dict(other.at))
            if i != j and same and ROTATION not in place.transforms and without == place.transforms != other.transforms:
                found.append((i, j))
    return found


def rotation_sensitivity(told: Comparison) -> list[Sensitivity]:
    """Of each optimizer of a comparison; empty without twins."""
    pairs = np.array(twins(told), dtype=int).reshape(-1, 2)
    if not len(pairs):
        return []
    solved, cost = told.solved(), told.typical()
    found = []
    for k, label in enumerate(told.optimizers):
        before, after = cost[pairs[:, 0], k], cost[pairs[:, 1], k]
        both = np.isfinite(before) & np.isfinite(after)
        slower = float(np.exp(np.mean(np.log(after[both] / np.maximum(before[both], 1))))) if both.any() else np.nan
        straight, rotated = (float(solved[pairs[:, side], k].mean()) for side in (0, 1))
        found.append(Sensitivity(label, len(pairs), straight, rotated, slower))
    return found
