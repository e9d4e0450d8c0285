"""Functions of one coordinate without a minimum: unbounded below, or with an infimum that is not attained."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube

TEXTBOOK = "textbook example of a function without a minimum"


def _cubic(x, data, parameters):
    return x[0] ** 3


@problem_family()
def cubic() -> Problem:
    """x^3: from the right gradient descent creeps to the inflection at 0 and looks converged; left of it it falls.

    From x > 0 it stays right of 0, like 1/(3 rate k), if and only if 3 rate x <= 1 at the start; a larger rate steps
    over, and the fall that follows is faster than exponential.
    """
    return Problem(
        name="cubic",
        objective=_cubic,
        dim=1,
        formula="x^3",
        source=TEXTBOOK,
        box=cube(1, 2),
        start=np.ones(1),
        bounded=False,
        convex=False,
        separable=True,
    )


def _endless_descent(x, data, parameters):
    return -0.5 * jnp.log1p(x[0] ** 2)


@problem_family()
def endless_descent() -> Problem:
    """-log(1 + x^2)/2: falls without bound while its slope vanishes; x grows like sqrt(2 rate k).

    A rule that stops at a small gradient takes any far point for a minimum, and f, which falls like a logarithm,
    seems to settle.
    """
    return Problem(
        name="endless_descent",
        objective=_endless_descent,
        dim=1,
        formula="-1/2 log(1 + x^2)",
        source=TEXTBOOK,
        box=cube(1, 5),
        start=np.ones(1),
        bounded=False,
        convex=False,
        separable=True,
    )


def _exponential_tail(x, data, parameters):
    return jnp.exp(-x[0])


@problem_family()
def exponential_tail() -> Problem:
    """exp(-x): convex, and its infimum 0 is not attained; gradient descent brings it to 1/(rate k + exp(x_0)).

    So is the loss of a classifier on separable data: no minimizer to be near, no curvature left, and no linear rate
    for any constant rate. A target counts instead of a minimum.
    """
    return Problem(
        name="exponential_tail",
        objective=_exponential_tail,
        dim=1,
        formula="exp(-x)",
        source="the loss of one separable example (Soudry et al., Journal of Machine Learning Research 19, 2018)",
        box=cube(1, 3),
        start=np.zeros(1),
        target=1e-3,
        target_origin="a thousandth of the value at the default start, 0; the infimum is 0 and is not attained",
        convex=True,
        separable=True,
    )
