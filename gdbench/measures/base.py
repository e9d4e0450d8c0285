"""What a measure is, and the costs that several of them share.

A measure takes the rows of one group of descents (a cell, or one setting of it) and gives one number. Nothing is ever
left out of the group: a descent that did not converge has an infinite cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

CONVERGED = "converged"
LOST = ("diverged", "nonfinite")
"""The outcomes of a descent that left: too far, or to NaN or infinity."""

GRADIENT_WEIGHT = 1.0
"""Cost of a joint value-and-gradient evaluation in value evaluations (reverse mode: a small constant)."""

HESSIAN_WEIGHT = 2.0
"""Cost of a Hessian-vector product in value evaluations."""


@dataclass(frozen=True)
class Measure:
    """A number that says something about a group of descents.

    Attributes:
        name: name in the catalogue.
        unit: unit of the number.
        better: "low", "high", or None where neither is better.
        summary: one line.
        compute: (rows of the group, its cell) -> the number; NaN where the measure does not apply or the group is
            empty.
    """

    name: str
    unit: str
    better: str | None
    summary: str
    compute: Callable[[DataFrame, Mapping[str, Any]], float]


def converged(frame: DataFrame) -> np.ndarray:
    """Which descents converged, shape [rows], bool."""
    return (frame["outcome"] == CONVERGED).to_numpy(dtype=bool)


def cost(frame: DataFrame, gradient: float = GRADIENT_WEIGHT, hessian: float = HESSIAN_WEIGHT) -> np.ndarray:
    """What each descent spent: f_evals + gradient * g_evals + hessian * hvp_evals, shape [rows]."""
    counts = [frame[name].to_numpy(dtype=float) for name in ("f_evals", "g_evals", "hvp_evals")]
    return counts[0] + gradient * counts[1] + hessian * counts[2]


def cost_at_settle(frame: DataFrame, gradient: float = GRADIENT_WEIGHT, hessian: float = HESSIAN_WEIGHT) -> np.ndarray:
    """What each descent had spent when it settled, shape [rows]; infinite where it did not converge.

    settle_step / steps * cost, which is exact where every step costs the same and uses the average cost of a step
    where it varies. A descent that converged without a settle step (nothing is known of the minimum) counts all it
    spent, an upper bound.
    """
    steps = frame["steps"].to_numpy(dtype=float)
    settled = frame["settle_step"].to_numpy(dtype=float, na_value=np.nan)
    share = np.divide(settled, steps, out=np.ones_like(steps), where=steps > 0)
    share = np.where(np.isnan(share), 1.0, share)
    return np.where(converged(frame), share * cost(frame, gradient, hessian), np.inf)


def final_gaps(frame: DataFrame) -> np.ndarray:
    """f(x) - f* at the end, or f(x) where no minimum is known, shape [rows].

    Infinite for a descent that diverged or became nonfinite: where it was stopped means nothing.
    """
    gap = frame["gap_final"].to_numpy(dtype=float, na_value=np.nan)
    value = frame["f_final"].to_numpy(dtype=float, na_value=np.nan)
    final = value if np.isnan(gap).all() else gap
    return np.where(np.isnan(final) | frame["outcome"].isin(LOST), np.inf, final)
