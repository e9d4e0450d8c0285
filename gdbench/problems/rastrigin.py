"""Rastrigin's function: a bowl with a regular grid of local minima."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number


def _objective(x, data, parameters):
    # 10 (1 - cos 2 pi x) = 20 sin^2 pi x, which loses no digits near the minimum.
    return jnp.sum(x**2 + 20 * jnp.sin(math.pi * x) ** 2)


@problem_family()
def rastrigin(dim: int = 2) -> Problem:
    """Sum of x_i^2 + 10 (1 - cos 2 pi x_i): 11 minima a coordinate in its box, one of them global, at 0.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("rastrigin", "dim", dim, 1))
    sharpest = 2 + 40 * math.pi**2
    return Problem(
        name="rastrigin",
        objective=_objective,
        dim=dim,
        formula="10 n + sum_i x_i^2 - 10 cos(2 pi x_i)",
        source="Rastrigin, Systems of Extremal Control, Nauka, 1974; in n dimensions Mühlenbein et al. (1991)",
        box=cube(dim, 5.12),
        # In the basin of a local minimum and away from every point where the gradient vanishes.
        start=np.full(dim, 2.2),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: (sharpest, sharpest),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )
