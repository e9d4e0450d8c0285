"""Ravines and bad scales: the way to the minimum is narrow, winds, or is long in some coordinates only."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.guards import root
from gdbench.problems.settings import refuse, whole_number

MADE = "made for this catalogue"


def _between(first: float, second: float) -> tuple[float, float]:
    """(m, L) of two eigenvalues."""
    return min(first, second), max(first, second)


def _ravine(x, data, parameters):
    return 0.5 * (parameters["sharpness"] * (x[1] - x[0] ** 2) ** 2 + x[0] ** 2)


@problem_family(sharpness=100.0)
def ravine() -> Problem:
    """A ravine along y = x^2 of a chosen ``sharpness``: its walls steepen away from the minimum.

    At the minimum gradient descent is stable below 2/sharpness, but on the floor at x = c the larger eigenvalue is
    about sharpness (1 + 4 c^2): a rate that suits the end is too large on the way there, and the descent hops between
    the walls. Curved as it is, no fixed rescaling of the coordinates helps.
    """
    return Problem(
        name="ravine",
        objective=_ravine,
        dim=2,
        formula="1/2 (sharpness (y - x^2)^2 + x^2)",
        source=f"{MADE}, after Rosenbrock, The Computer Journal 3 (1960)",
        box=cube(2, 2),
        start=np.array([1.5, 1.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=lambda parameters: _between(1.0, parameters["sharpness"]),
        curvature_is_local=True,
        convex=False,
    )


def _spiral(x, data, parameters):
    angle = parameters["twist"] * root(jnp.sum(x**2))
    along = x[0] * jnp.cos(angle) + x[1] * jnp.sin(angle)
    across = x[1] * jnp.cos(angle) - x[0] * jnp.sin(angle)
    return 0.5 * (along**2 + parameters["condition"] * across**2)


@problem_family(condition=100.0, twist=2.0)
def spiral() -> Problem:
    """A quadratic of a chosen ``condition`` whose axes turn with the distance, by ``twist`` a unit: a spiral valley.

    The only point of rest is the minimum, where the Hessian is that of the quadratic; away from it the valley turns
    against every fixed direction. It breaks momentum, whose direction is out of date after half a turn, and rescaled
    coordinates: no axis stays the steep one.
    """
    return Problem(
        name="spiral",
        objective=_spiral,
        dim=2,
        formula="1/2 (u^2 + condition v^2), (u, v) = (x, y) turned by -twist sqrt(x^2 + y^2)",
        source=MADE,
        box=cube(2, 3),
        start=np.array([2.0, 1.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=lambda parameters: _between(1.0, parameters["condition"]),
        curvature_is_local=True,
        convex=False,
    )


def _badly_scaled(x, data, parameters):
    # exp rather than a power of 10, for one scale must not overflow before the other underflows.
    scales = jnp.exp(math.log(10) * parameters["decades"] * data["exponents"])
    return 0.5 * jnp.sum((scales * x) ** 2)


@problem_family(decades=5.0)
def badly_scaled(dim: int = 2) -> Problem:
    """A sphere seen in units that spread over so many ``decades``: its condition is 10^(2 decades), along the axes.

    Gradient descent is stable below 2/10^decades and takes 10^(2 decades) steps a factor of e. Whatever treats all
    coordinates alike breaks on it; dividing each by its own scale, as Adam nearly does, makes it a sphere again.

    Args:
        dim: number of coordinates; their scales run from 10^(-decades/2) to 10^(decades/2).
    """
    refuse(whole_number("badly_scaled", "dim", dim, 1))
    exponents = np.linspace(-0.5, 0.5, dim) if dim > 1 else np.zeros(1)

    def curvature(parameters):
        span = 10.0 ** parameters["decades"] if dim > 1 else 1.0
        return _between(1 / span, span)

    return Problem(
        name="badly_scaled",
        objective=_badly_scaled,
        dim=dim,
        formula="1/2 sum_i (10^(decades (i/(n-1) - 1/2)) x_i)^2, i = 0 ... n-1",
        source="textbook example of bad scaling (Nocedal and Wright, Numerical Optimization, 2006, section 2.2)",
        box=cube(dim, 1),
        start=np.full(dim, 0.5),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        convex=True,
        separable=True,
        quadratic=True,
        data={"exponents": exponents},
    )


def _abs_ravine(x, data, parameters):
    return parameters["steepness"] * jnp.abs(x[0] - x[1]) + jnp.abs(x[0] + x[1])


@problem_family(steepness=10.0)
def abs_ravine() -> Problem:
    """steepness |x - y| + |x + y|: a convex ravine with a crease for a floor, across both axes.

    Gradient descent ends up hopping across the crease: f stays between 0 and 2 rate (steepness^2 + 1), whatever the
    number of steps, so only falling rates converge. A search along the coordinates, one at a time, stops at any point
    of the crease where steepness > 1: every move along an axis leads up.
    """
    return Problem(
        name="abs_ravine",
        objective=_abs_ravine,
        dim=2,
        formula="steepness |x - y| + |x + y|",
        source="textbook example of a nonsmooth ravine (Shor, Minimization Methods for Non-Differentiable Functions)",
        box=cube(2, 2),
        start=np.array([1.5, 0.5]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        convex=True,
        kinks=np.array([[0.0, 0.0], [1.0, 1.0], [1.0, -1.0]]),
        notes="kinks along both diagonals",
    )
