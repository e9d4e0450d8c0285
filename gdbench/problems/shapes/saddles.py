"""Saddles: points of rest that are no minimum, and how long it takes to leave them."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed
from gdbench.problems.settings import refuse, whole_number

STRICT = "Lee, Simchowitz, Jordan and Recht, Gradient descent only converges to minimizers, COLT 2016"


def _saddle(x, data, parameters):
    return x[0] ** 2 - x[1] ** 2


@problem_family()
def saddle() -> Problem:
    """x^2 - y^2: a saddle with no way down that ends; y grows by 1 + 2 rate a step, so that it is left exponentially.

    Gradient descent leaves within log(r/|y_0|)/log(1 + 2 rate) steps a disc of radius r, and never from y_0 = 0. It
    breaks Newton's method, which steps onto the saddle at once, and every rule that takes a small gradient for an end.
    """
    return Problem(
        name="saddle",
        objective=_saddle,
        dim=2,
        formula="x^2 - y^2",
        source="textbook example of a strict saddle",
        box=cube(2, 2),
        start=np.array([1.0, 1e-3]),
        bounded=False,
        curvature=fixed(-2.0, 2.0),
        convex=False,
        separable=True,
        quadratic=True,
    )


def _bounded_saddle(x, data, parameters):
    y = x[-1]
    return 0.5 * jnp.sum(x[:-1] ** 2) + parameters["escape"] * ((y - 1) * (y + 1)) ** 2 / 4


@problem_family(escape=1.0)
def bounded_saddle(dim: int = 2) -> Problem:
    """A saddle between two minima; ``escape`` is the strength of its way out, -eigenvalue at the saddle.

    From x_n = y next to 0 gradient descent takes log(1/|y|)/log(1 + rate escape) steps to leave, and from y = 0 it
    ends on the saddle: almost no start does, but all of the plane through it is slow. Momentum leaves faster: heavy
    ball's factor is the larger root of z^2 - (1 + momentum + rate escape) z + momentum. Newton's method is drawn to
    the saddle.

    Args:
        dim: number of coordinates, at least 2; the last one leads out.
    """
    refuse(whole_number("bounded_saddle", "dim", dim, 2))

    def curvature(parameters):
        along = 2 * parameters["escape"]
        return min(1.0, along), max(1.0, along)

    minimizers = np.zeros((2, dim))
    minimizers[:, -1] = 1, -1
    start = np.ones(dim)
    start[-1] = 1e-3
    return Problem(
        name="bounded_saddle",
        objective=_bounded_saddle,
        dim=dim,
        formula="1/2 sum_{i<n} x_i^2 + escape (x_n^2 - 1)^2/4",
        source=f"the standard strict saddle; {STRICT}",
        box=cube(dim, 2),
        start=start,
        minimum=0.0,
        minimizers=minimizers,
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _degenerate_saddle(x, data, parameters):
    y = x[1]
    # y^4/4 + y^3/3 + 1/12, as a product.
    return 0.5 * x[0] ** 2 + (y + 1) ** 2 * (3 * y**2 - 2 * y + 1) / 12


@problem_family()
def degenerate_saddle() -> Problem:
    """x^2/2 + y^4/4 + y^3/3: a shelf at the origin where gradient descent from any y > 0 ends, not from a line only.

    Its Hessian there has an eigenvalue 0 and none below, so the theorem on strict saddles does not hold: y falls like
    1/(rate k) and never crosses 0 while rate y (y + 1) < 1 at the start. A larger rate steps over the shelf, and
    momentum coasts over it. The minimum is at (0, -1), stable below rate 2.
    """
    return Problem(
        name="degenerate_saddle",
        objective=_degenerate_saddle,
        dim=2,
        formula="x^2/2 + y^4/4 + y^3/3",
        source=f"an example of a saddle that is not strict ({STRICT})",
        box=cube(2, 2),
        start=np.array([1.0, 0.5]),
        minimum=-1 / 12,
        minimizers=np.array([[0.0, -1.0]]),
        all_minimizers=True,
        curvature=fixed(1.0, 1.0),
        curvature_is_local=True,
        offset=-1 / 12,
        convex=False,
        separable=True,
    )


def _monkey_saddle(x, data, parameters):
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2


@problem_family()
def monkey_saddle() -> Problem:
    """x^3 - 3 x y^2: three ways down and three up from a point without curvature; no minimum.

    On the three rays that lead up gradient descent creeps into the origin like 1/(3 rate k); beside them it turns
    away, and falls without bound faster than exponentially.
    """
    return Problem(
        name="monkey_saddle",
        objective=_monkey_saddle,
        dim=2,
        formula="x^3 - 3 x y^2",
        source="textbook example of a degenerate saddle (Hilbert and Cohn-Vossen, Anschauliche Geometrie, 1932)",
        box=cube(2, 1),
        start=np.array([0.5, 1e-3]),
        bounded=False,
        convex=False,
    )
