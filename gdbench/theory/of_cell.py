"""What the closed forms say of a cell: from its optimizer, its setting, and the curvature of its problem.

Exact where the Hessian is the same everywhere; else local, about a minimizer: where all eigenvalues of the Jacobian of
the update map there have modulus below 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from gdbench import catalogue
from gdbench.theory.forms import ClosedForm

FLAT = 1e-12
"""Eigenvalues below this share of the largest one are 0: along them a closed form says nothing of the gap."""

MOVES_ALL = ("momentum",)
"""Hyperparameters beside the learning rate that every closed form takes; it names its further ones."""


class Known(NamedTuple):
    """A closed form with what it is asked at: ends of the spectrum, momentum and further hyperparameters, arrays of
    one shape or numbers.
    """

    form: ClosedForm
    smallest: np.ndarray
    largest: np.ndarray
    momentum: np.ndarray
    further: dict[str, np.ndarray]

    def boundary(self) -> np.ndarray:
        """The largest stable learning rate; NaN where the curvature is negative or 0."""
        good = (self.smallest >= -FLAT * self.largest) & (self.largest > 0)
        return np.where(
            good, self.form.boundary(np.where(good, self.largest, 1.0), self.momentum, **self.further), np.nan
        )

    def rate(self, learning_rate: ArrayLike) -> np.ndarray:
        """Decades of gap per step in the long run; NaN where an eigenvalue is 0 or negative."""
        good = self.smallest > FLAT * self.largest
        ends = np.stack(np.broadcast_arrays(self.smallest, self.largest), axis=-1)
        return np.where(good, self.form.rate(learning_rate, ends, self.momentum, **self.further), np.nan)

    def best_rate(self) -> float:
        """The learning rate with the fastest rate at this momentum, all of them single numbers; NaN where none is."""
        edge = float(self.boundary())
        if not (np.isfinite(edge) and float(self.smallest) > FLAT * float(self.largest)):
            return float("nan")
        # Searched for in the logarithm, over as many decades as the best rate can lie below the boundary: 1/L at least.
        found: Any = minimize_scalar(
            lambda decades: float(self.rate(edge * 10**decades)), bounds=(-3.0, 0.0), method="bounded",
            options={"xatol": 1e-9},
        )  # fmt: skip
        return edge * 10 ** float(found.x)


def known_of(cell: Mapping[str, Any], values: Mapping[str, ArrayLike]) -> Known | None:
    """The closed form of a cell at these values of its axes (beside its fixed hyperparameters).

    None where there is none, where no curvature is known, or where an axis that it depends on has no value here.
    """
    name = cell["optimizer"]["theory"]
    form = catalogue.gather("gdbench.theory", ClosedForm).get(name) if name else None
    ends = None if form is None else _ends(cell, values)
    if form is None or ends is None:
        return None
    axes = {axis["name"] for axis in cell["axes"] if len(axis["values"]) > 1}
    held = {**_held(cell), **values}
    if any(name in axes and name not in held for name in (*MOVES_ALL, *form.further)):
        return None
    momentum = np.asarray(held.get("momentum", 0.0), float)
    return Known(form, *ends, momentum, {name: np.asarray(held[name], float) for name in form.further})


def is_local(cell: Mapping[str, Any]) -> bool:
    """Whether the curvature that theory uses is that at a minimizer alone."""
    return bool(cell["problem"]["curvature_is_local"])


def boundary_error(learning_rate: np.ndarray, settles: np.ndarray, boundary: float) -> tuple[float, float]:
    """Where descents stop settling, and how many decades above theory's boundary that is.

    Args:
        learning_rate: ascending, shape [n].
        settles: share of the descents that settle at each, shape [n].
        boundary: the largest stable learning rate in theory.

    Returns:
        The geometric mean of the last rate before half or more cease to settle for the first time, and of the next one
        (beyond, a chaotic descent may look settled by chance); and the logarithm to base 10 of its quotient by
        ``boundary``; NaN where all rates settle, or none does.
    """
    good = settles >= 0.5
    ends = np.flatnonzero(good[:-1] & ~good[1:])
    if not len(ends):
        return float("nan"), float("nan")
    measured = float(np.sqrt(learning_rate[ends[0]] * learning_rate[ends[0] + 1]))
    return measured, float(np.log10(measured / boundary))


def _held(cell: Mapping[str, Any]) -> dict[str, float]:
    """Hyperparameters of a fixed value, and axes of one value."""
    fixed = {name: value for name, value in cell["optimizer"]["hyperparameters"].items() if value is not None}
    return fixed | {axis["name"]: axis["values"][0] for axis in cell["axes"] if len(axis["values"]) == 1}


def _ends(cell: Mapping[str, Any], values: Mapping[str, ArrayLike]) -> tuple[np.ndarray, np.ndarray] | None:
    """Smallest and largest eigenvalue at these values of the problem's parameters; None where not known."""
    problem = cell["problem"]
    axes = [axis for axis in cell["axes"] if axis["kind"] == "parameter" and len(axis["values"]) > 1]
    if any(axis["name"] not in values for axis in axes):
        return None
    if axes and "curvatures" in problem:
        places = [_place(np.asarray(axis["values"], float), values[axis["name"]]) for axis in axes]
        flat = np.ravel_multi_index(places, [len(axis["values"]) for axis in axes])
        each = [[np.nan, np.nan] if ends is None else ends for ends in problem["curvatures"]]
        smallest, largest = np.array(each, float).T
        return smallest[flat], largest[flat]
    if problem["curvature"] is None or any(axis["name"] != "condition" for axis in axes):
        return None
    # Runs of earlier versions name no curvatures: a quadratic's condition is its largest one.
    smallest, largest = problem["curvature"]
    return np.asarray(smallest, float), np.asarray(values["condition"] if axes else largest, float)


def _place(axis: np.ndarray, value: ArrayLike) -> np.ndarray:
    """Index of the nearest value of an axis."""
    different, back = np.unique(np.asarray(value, float), return_inverse=True)
    return np.abs(axis - different[:, None]).argmin(axis=1)[back].reshape(np.shape(value))
