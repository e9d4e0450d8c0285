"""Systems of two or three equations as sums of squares: the minimum is 0, and the Hessian there is 2 J^T J."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends_of_squares, fixed
from gdbench.problems.gallery.sources import collected
from gdbench.problems.guards import root


def _freudenstein_roth(x, data, parameters):
    a, b = x[0], x[1]
    return (a - 13 + ((5 - b) * b - 2) * b) ** 2 + (a - 29 + ((b + 1) * b - 14) * b) ** 2


def _terms_of_freudenstein_roth(x, data, parameters):
    a, b = x[0], x[1]
    return jnp.stack([a - 13 + ((5 - b) * b - 2) * b, a - 29 + ((b + 1) * b - 14) * b])


@problem_family()
def freudenstein_roth() -> Problem:
    """Two cubics squared: the start of the literature leads into a local minimum of 48.98 at (11.41, -0.8968)."""
    return Problem(
        name="freudenstein_roth",
        objective=_freudenstein_roth,
        residuals=_terms_of_freudenstein_roth,
        dim=2,
        formula="(x - 13 + ((5 - y) y - 2) y)^2 + (x - 29 + ((y + 1) y - 14) y)^2",
        source=collected(2, "Freudenstein and Roth, Journal of the ACM 10 (1963) 550-556"),
        box=cube(2, 12),
        start=np.array([0.5, -2.0]),
        minimum=0.0,
        minimizers=np.array([[5.0, 4.0]]),
        all_minimizers=True,
        curvature=lambda parameters: ends_of_squares(np.array([[1.0, -10.0], [1.0, 42.0]])),
        curvature_is_local=True,
        convex=False,
    )


BEST_OF_POWELL = (1.0981593296998174557e-5, 9.1061467398665240109)
"""Polished to 20 digits; exchanging the two gives the other zero."""


def _powell_badly_scaled(x, data, parameters):
    return (1e4 * x[0] * x[1] - 1) ** 2 + (jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001) ** 2


def _terms_of_powell(x, data, parameters):
    return jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])


@problem_family()
def powell_badly_scaled() -> Problem:
    """10^4 xy = 1 and exp(-x) + exp(-y) = 1.0001: condition 7e17 at the two minima, beyond what float64 resolves."""
    a, b = BEST_OF_POWELL
    return Problem(
        name="powell_badly_scaled",
        objective=_powell_badly_scaled,
        residuals=_terms_of_powell,
        dim=2,
        formula="(1e4 x y - 1)^2 + (exp(-x) + exp(-y) - 1.0001)^2",
        source=collected(3, "Powell, 1970"),
        box=cube(2, 10),
        start=np.array([0.0, 1.0]),
        minimum=0.0,
        minimizers=np.array([[a, b], [b, a]]),
        all_minimizers=True,
        # The smaller one from 40-digit arithmetic.
        curvature=fixed(2.4101361339573036639e-8, 16584381691.620419896),
        curvature_is_local=True,
        convex=False,
        notes="moving by 1e-9 along the valley changes f by less than rounding",
    )


def _brown_badly_scaled(x, data, parameters):
    return (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2) ** 2


def _terms_of_brown(x, data, parameters):
    return jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


@problem_family()
def brown_badly_scaled() -> Problem:
    """Minimizers of 10^6 and 2 10^-6 in one vector: the same rate and tolerance cannot serve both coordinates."""
    return Problem(
        name="brown_badly_scaled",
        objective=_brown_badly_scaled,
        residuals=_terms_of_brown,
        dim=2,
        formula="(x - 1e6)^2 + (y - 2e-6)^2 + (x y - 2)^2",
        source=collected(4, "Brown"),
        box=(np.array([0.0, -1.0]), np.array([2e6, 1.0])),
        start=np.ones(2),
        minimum=0.0,
        minimizers=np.array([[1e6, 2e-6]]),
        all_minimizers=True,
        curvature=lambda parameters: ends_of_squares(np.array([[1.0, 0.0], [0.0, 1.0], [2e-6, 1e6]])),
        curvature_is_local=True,
        convex=False,
    )


def _off_the_helix(x):
    """How far a point is from the height of the helix, and its distance to the axis from 1."""
    square = x[0] ** 2 + x[1] ** 2
    apart = square > 0
    # The angle counts from the negative y axis, where it jumps by a whole turn; on the z axis it is put to 0.
    turns = jnp.arctan2(jnp.where(apart, -x[0], -1), jnp.where(apart, x[1], 0)) / (2 * math.pi) + 0.25
    return x[2] - 10 * turns, root(square) - 1


def _helical_valley(x, data, parameters):
    height, distance = _off_the_helix(x)
    return 100 * (height**2 + distance**2) + x[2] ** 2


def _terms_of_helical_valley(x, data, parameters):
    height, distance = _off_the_helix(x)
    return jnp.stack([10 * height, 10 * distance, x[2]])


@problem_family()
def helical_valley() -> Problem:
    """A valley that winds once around the z axis and down to (1, 0, 0), with a cliff behind the negative y axis."""
    jacobian = np.array([[0.0, -50 / math.pi, 10.0], [10.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return Problem(
        name="helical_valley",
        objective=_helical_valley,
        residuals=_terms_of_helical_valley,
        dim=3,
        formula="100 ((z - 10 t)^2 + (sqrt(x^2 + y^2) - 1)^2) + z^2, 2 pi t the angle of (x, y) in (-pi/2, 3 pi/2)",
        source=collected(7, "Fletcher and Powell, The Computer Journal 6 (1963) 163-168"),
        box=cube(3, 10),
        start=np.array([-1.0, 0.0, 0.0]),
        minimum=0.0,
        minimizers=np.array([[1.0, 0.0, 0.0]]),
        all_minimizers=True,
        curvature=lambda parameters: ends_of_squares(jacobian),
        curvature_is_local=True,
        convex=False,
        kinks=np.array([[0.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
        notes="not continuous where x = 0 and y <= 0",
    )
