"""Rosenbrock's valley: easy to reach its floor, hard to follow it."""

from __future__ import annotations

import functools

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number


def _objective(x, data, parameters):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _residuals(x, data, parameters):
    return jnp.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


@functools.cache
def curvature_at_minimizer(dim: int) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian at (1, ..., 1), a tridiagonal matrix."""
    from scipy.linalg import eigvalsh_tridiagonal  # imported here because building a problem seldom needs it

    # 802 from the term a coordinate leads, 200 from the one it follows in: both, but at the two ends.
    diagonal = np.full(dim, 1002.0)
    diagonal[0], diagonal[-1] = 802.0, 200.0
    ends = [eigvalsh_tridiagonal(diagonal, np.full(dim - 1, -400.0), "i", (i, i))[0] for i in (0, dim - 1)]
    return float(ends[0]), float(ends[1])


@problem_family()
def rosenbrock(dim: int = 2) -> Problem:
    """Sum of 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2: a curved valley; gradient descent is stable at 1 below 1.997e-3.

    From dimension 4 there is a second, local minimum with a negative first coordinate.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("rosenbrock", "dim", dim, 2))
    start = np.ones(dim)
    start[::2] = -1.2
    return Problem(
        name="rosenbrock",
        objective=_objective,
        residuals=_residuals,
        dim=dim,
        formula="sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2, i = 1 ... n-1",
        source="Rosenbrock, The Computer Journal 3 (1960) 175-184; start (-1.2, 1) repeated",
        box=cube(dim, 2.048),
        start=start,
        minimum=0.0,
        minimizers=np.ones((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: curvature_at_minimizer(dim),
        curvature_is_local=True,
        convex=False,
    )
