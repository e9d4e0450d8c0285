"""What theory says in a map: the largest stable learning rate, the rate at each pixel, the best setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.figures.choose import axes_of, floats
from gdbench.theory.of_cell import Known, is_local, known_of

RATE = "learning_rate"


def known(cell: Mapping[str, Any], frame: DataFrame, at: Mapping[str, float]) -> Known | None:
    """The closed form of a cell at the axes of each row, where ``at`` holds others."""
    shown = {name: floats(frame, name) for name in axes_of(cell, "hyperparameter", "parameter") if name in frame}
    return known_of(cell, {**at, **shown})


def stability_boundary(cell: Mapping[str, Any], frame: DataFrame, at: Mapping[str, float]) -> np.ndarray:
    """The largest stable learning rate at each pixel, from the optimizer's closed form and the curvature.

    NaN throughout where there is none, or where something that it depends on is not held at one value.
    """
    found = known(cell, frame, at)
    return np.full(len(frame), np.nan) if found is None else np.broadcast_to(found.boundary(), len(frame)).copy()


def rate_in_theory(cell: Mapping[str, Any], frame: DataFrame, at: Mapping[str, float]) -> np.ndarray:
    """Decades of gap per step in the long run at each pixel; NaN where ``stability_boundary`` is, and where the
    learning rate is summarised.
    """
    found = known(cell, frame, at)
    held = {**cell["optimizer"]["hyperparameters"], **at}
    rate = floats(frame, RATE) if RATE in frame else held.get(RATE)
    if found is None or rate is None:
        return np.full(len(frame), np.nan)
    return np.broadcast_to(found.rate(rate), len(frame)).copy()


def theory_words(cell: Mapping[str, Any]) -> str:
    """What stands beside the line of the boundary."""
    return "stability boundary" + (", local" if is_local(cell) else "")


def best_in_theory(cell: Mapping[str, Any], y: str, at: Mapping[str, float]) -> list[dict[str, float]]:
    """The setting with the fastest rate in the long run on a quadratic: learning rate and momentum where ``y`` is the
    momentum; else the learning rate, at each value of a parameter of the problem ``y``.

    Empty where theory is local: away from a minimizer another setting may be faster.
    """
    if is_local(cell):
        return []
    if y == "momentum":
        found = known_of(cell, {**at, y: 0.0})
        if found is None or found.form.best is None or not found.boundary() > 0 or not found.smallest > 0:
            return []
        further = {name: float(value) for name, value in found.further.items()}
        best = found.form.best(float(found.smallest), float(found.largest), **further)
        return [{RATE: best.alpha, y: best.momentum}]
    axis = axes_of(cell, "parameter").get(y)
    held = [{**at, y: float(value)} for value in axis["values"]] if axis else [dict(at)]
    settings = [(one, known_of(cell, one)) for one in held]
    rates = [(one, found.best_rate()) for one, found in settings if found is not None]
    return [{**one, RATE: rate} for one, rate in rates if np.isfinite(rate)]
