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

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, EVALUATIONS

CONVERGED = "converged"
LOST = ("diverged", "nonfinite")
"""The outcomes of a descent that left: too far, or to NaN or infinity."""

SPENT = (*EVALUATIONS, *(f"settle_{name}" for name in EVALUATIONS))
"""The columns that costs are read from."""


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


def cost(
    frame: DataFrame, gradient: float = COST_OF_GRADIENT, hessian: float = COST_OF_HVP, when: str = ""
) -> np.ndarray:
    """What each descent spent: f_evals + gradient * g_evals + hessian * hvp_evals, shape [rows].

    ``when`` is "settle_" for what was spent by the settle step, NaN where there is none.
    """
    counts = [frame[when + name].to_numpy(dtype=float, na_value=np.nan) for name in EVALUATIONS]
    return counts[0] + gradient * counts[1] + hessian * counts[2]


def cost_at_settle(frame: DataFrame, gradient: float = COST_OF_GRADIENT, hessian: float = COST_OF_HVP) -> np.ndarray:
    """What each descent had spent when it settled, shape [rows]; infinite where it did not converge.

    A descent that converged without a settle step (nothing is known of the minimum) counts all it spent, an upper
    bound.
    """
    spent, settled = cost(frame, gradient, hessian), cost(frame, gradient, hessian, "settle_")
    return np.where(converged(frame), np.where(np.isnan(settled), spent, settled), np.inf)


def cost_at_hits(
    frame: DataFrame, gradient: float = COST_OF_GRADIENT, hessian: float = COST_OF_HVP
) -> np.ndarray | None:
    """What each descent had spent when it first reached each target, shape [rows, targets]; infinite where it did not.

    None where no targets were recorded.
    """
    names = [f"hits_{name}" for name in EVALUATIONS]
    if not stored(frame, *names):
        return None
    f, g, h = (np.stack(list(frame[name])).astype(float) for name in names)
    return np.where(f < 0, np.inf, f + gradient * g + hessian * h)


def stored(frame: DataFrame, *names: str) -> bool:
    """Whether there are descents, and every one has all these columns."""
    held = (name in frame and bool(frame[name].notna().to_numpy(dtype=bool).all()) for name in names)
    return len(frame) > 0 and all(held)


def hyperparameter_names(cell: Mapping[str, Any]) -> list[str]:
    """The axes that a setting is made of."""
    return [axis["name"] for axis in cell["axes"] if axis["kind"] == "hyperparameter"]


def default_setting(cell: Mapping[str, Any]) -> dict[str, float] | None:
    """The library's default as a setting, None where there is none or it does not lie on the grid.

    Empty where no hyperparameter is an axis and all have their defaults.
    """
    defaults = cell["optimizer"]["defaults"]
    for name, value in cell["optimizer"]["hyperparameters"].items():
        if value is not None and value != defaults.get(name):
            return None
    setting = {}
    for axis in cell["axes"]:
        if axis["kind"] != "hyperparameter":
            continue
        name, values = axis["name"], np.asarray(axis["values"], dtype=float)
        default = defaults.get(name)
        if default is None:
            return None
        close = np.isclose(values, default, rtol=1e-6, atol=0)
        if not close.any():
            return None
        setting[name] = float(values[close][0])
    return setting


def halves(frame: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Descents to choose a setting on (even starts and seeds) and to judge it on (odd ones), two masks.

    None is held out where there is one start and one seed.
    """
    varying = [name for name in ("start", "seed") if len(np.unique(frame[name].to_numpy(dtype=int))) > 1]
    odd = frame[varying].to_numpy(dtype=int) % 2 == 1
    return ~odd.any(axis=1), odd.all(axis=1) & (len(varying) > 0)


def final_gaps(frame: DataFrame) -> np.ndarray:
    """f(x) - f* at the end, or f(x) where no minimum is known, shape [rows].

    Infinite for a descent that diverged or became nonfinite: where it was stopped means nothing.
    """
    gap = frame["gap_final"].to_numpy(dtype=float, na_value=np.nan)
    value = frame["f_final"].to_numpy(dtype=float, na_value=np.nan)
    final = value if np.isnan(gap).all() else gap
    return np.where(np.isnan(final) | frame["outcome"].isin(LOST), np.inf, final)
