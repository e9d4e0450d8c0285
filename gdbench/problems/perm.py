"""Perm functions: squared errors of weighted sums of powers, polynomials of degree 2 n, very badly conditioned."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends_of_squares, in_library, numbers
from gdbench.problems.settings import refuse, whole_number

SOURCE = in_library("Neumaier, Global optimization test problems, University of Vienna")

NOTES = (
    "there are further global minimizers, which depend on beta (two in all in dimension 2); "
    "in float32 the corners of the box overflow from dimension 15 on"
)


def power_differences(x: Any, a: Any) -> Any:
    """x_j^i - a_j^i for i = 1 ... n, shape [n, n], resolved near x = a.

    By x^(i+1) - a^(i+1) = x (x^i - a^i) + a^i (x - a), where x - a is a factor of every term.
    """

    def following(carry, _):
        difference, power = carry
        return (x * difference + power * (x - a), power * a), difference

    return jax.lax.scan(following, (x - a, a), length=x.shape[0])[1]


def _perm(x, data, parameters):
    j = numbers(x)
    # (j^i + beta) ((x/j)^i - 1) = (1 + beta/j^i) (x^i - j^i).
    weights = 1 + parameters["beta"] * (1 / j)[None, :] ** j[:, None]
    return jnp.sum(jnp.sum(weights * power_differences(x, j), axis=1) ** 2)


@problem_family(beta=0.5)
def perm(dim: int = 2) -> Problem:
    """Sum over i of (sum over j of (j^i + beta) ((x_j/j)^i - 1))^2: a minimum at (1, 2, ..., n) in a long flat valley.

    The smaller beta > 0, the harder. The published minimizer is not the only one: in dimension 2, d = (x_1 - 1,
    x_2/2 - 1) with (1 + beta) d_1 = -(2 + beta) d_2, d_2 = -4/((2 + beta)^2/(1 + beta) + 4 + beta), is another.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("perm", "dim", dim, 2))
    i, j = np.arange(1.0, dim + 1)[:, None], np.arange(1.0, dim + 1)[None, :]
    return Problem(
        name="perm",
        objective=_perm,
        dim=dim,
        formula="sum_i (sum_j (j^i + beta) ((x_j/j)^i - 1))^2",
        source=SOURCE,
        box=cube(dim, dim),
        start=np.full(dim, -0.5),
        minimum=0.0,
        minimizers=j.copy(),
        curvature=lambda parameters: ends_of_squares((1 + parameters["beta"] * j**-i) * i * j ** (i - 1)),
        curvature_is_local=True,
        convex=False,
        notes=NOTES,
    )


def _perm0(x, data, parameters):
    j = numbers(x)
    weights = (j + parameters["beta"])[None, :]
    return jnp.sum(jnp.sum(weights * power_differences(x, 1 / j), axis=1) ** 2)


@problem_family(beta=10.0)
def perm0(dim: int = 2) -> Problem:
    """Sum over i of (sum over j of (j + beta) (x_j^i - 1/j^i))^2: a minimum at (1, 1/2, ..., 1/n) in a flat valley.

    The published minimizer is not the only one: in dimension 2, (a, 1/2 + a) with a = (1 + beta)/(3 + 2 beta) is
    another.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("perm0", "dim", dim, 2))
    i, j = np.arange(1.0, dim + 1)[:, None], np.arange(1.0, dim + 1)[None, :]
    return Problem(
        name="perm0",
        objective=_perm0,
        dim=dim,
        formula="sum_i (sum_j (j + beta) (x_j^i - 1/j^i))^2",
        source=SOURCE,
        box=cube(dim, dim),
        start=np.full(dim, -0.5),
        minimum=0.0,
        minimizers=1 / j,
        curvature=lambda parameters: ends_of_squares((j + parameters["beta"]) * i * j ** (1 - i)),
        curvature_is_local=True,
        convex=False,
        notes=NOTES,
    )
