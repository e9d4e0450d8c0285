"""What theory says of the largest stable learning rate in a map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench import catalogue
from gdbench.figures.choose import axes_of
from gdbench.theory.forms import ClosedForm

NEEDED = ("condition", "momentum")
"""Axes that move every boundary; a closed form names its further ones."""


def stability_boundary(cell: Mapping[str, Any], frame: DataFrame, at: Mapping[str, float]) -> np.ndarray:
    """The largest stable learning rate at each pixel, from the optimizer's closed form and the curvature.

    NaN throughout where there is none, or where something that it depends on is not held at one value.
    """
    nowhere = np.full(len(frame), np.nan)
    curvature, name = cell["problem"]["curvature"], cell["optimizer"]["theory"]
    form = catalogue.gather("gdbench.theory", ClosedForm).get(name) if name else None
    if form is None or curvature is None:
        return nowhere
    shown = {name: frame[name].to_numpy() for name in axes_of(cell) if name in frame.columns}
    known = {**_held(cell), **at, **shown}
    parameters = {axis["name"] for axis in cell["axes"] if axis["kind"] == "parameter"}
    # A quadratic's condition is its largest curvature; how another parameter bends a function is not stored.
    needed = (*NEEDED, *form.further)
    if parameters - {"condition"} or any(name in axes_of(cell) and name not in known for name in needed):
        return nowhere
    largest, momentum = known.get("condition", curvature[1]), known.get("momentum", 0.0)
    further = {name: known[name] for name in form.further}
    return np.broadcast_to(np.asarray(form.boundary(largest, momentum, **further), dtype=float), nowhere.shape).copy()


def _held(cell: Mapping[str, Any]) -> dict[str, float]:
    """Hyperparameters of a fixed value, and axes of one value."""
    fixed = {name: value for name, value in cell["optimizer"]["hyperparameters"].items() if value is not None}
    return fixed | {axis["name"]: axis["values"][0] for axis in cell["axes"] if len(axis["values"]) == 1}
