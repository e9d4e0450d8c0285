"""The double well x^4/4 - x^2/2: two minima, with a maximum (in more dimensions also saddles) between them."""

from __future__ import annotations

import itertools

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number

LISTED = 4
"""Up to this dimension all 2^dim minimizers are listed."""


def _objective(x, data, parameters):
    # (x - 1)(x + 1) is resolved near both minima, x^2 - 1 is not.
    return jnp.sum(((x - 1) * (x + 1)) ** 2) / 4


@problem_family()
def double_well(dim: int = 1) -> Problem:
    """Sum of x_i^4/4 - x_i^2/2: minima at all signs of 1; a minimum is stable below rate 1, where the period doubles.

    Args:
        dim: number of coordinates. All minimizers are listed up to dimension 4, beyond that the one of all ones.
    """
    refuse(whole_number("double_well", "dim", dim, 1))
    signs = list(itertools.product((-1.0, 1.0), repeat=dim)) if dim <= LISTED else [(1.0,) * dim]
    return Problem(
        name="double_well",
        objective=_objective,
        dim=dim,
        formula="sum_i x_i^4/4 - x_i^2/2 = sum_i (x_i^2 - 1)^2/4 - n/4",
        source="textbook example of two basins",
        box=cube(dim, 2),
        start=np.full(dim, 0.5),
        minimum=-dim / 4,
        minimizers=np.array(signs),
        all_minimizers=dim <= LISTED,
        curvature=lambda parameters: (2.0, 2.0),
        curvature_is_local=True,
        offset=-dim / 4,
    )
