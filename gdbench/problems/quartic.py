"""The quartic x^4/4: convex, with no curvature at its minimum."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number


def _objective(x, data, parameters):
    return jnp.sum(x**4) / 4


@problem_family()
def quartic(dim: int = 1) -> Problem:
    """Sum of x_i^4/4: gradient descent converges if and only if rate * max x_i(0)^2 < 2, and only like 1/k^2.

    Its steps shrink with the gradient: x^2 falls like 1/(2 rate k), so the gap falls like 1/(16 rate^2 k^2).

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("quartic", "dim", dim, 1))
    return Problem(
        name="quartic",
        objective=_objective,
        dim=dim,
        formula="1/4 sum_i x_i^4",
        source="textbook example of a degenerate minimum",
        box=cube(dim, 2),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: (0.0, 0.0),
        curvature_is_local=True,
    )
