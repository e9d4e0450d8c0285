"""Plates: functions that are flat along some direction: Booth, Matyas, McCormick, power sums and Zakharov."""

from __future__ import annotations

import itertools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import between, ends_of_squares, fixed, in_library, numbers, one_minus_cos
from gdbench.problems.settings import refuse, whole_number

HEDAR = in_library("Hedar, Test functions for unconstrained global optimization, Kyoto University, 2005")


def _booth(x, data, parameters):
    u, v = x[0] - 1, x[1] - 3
    return (u + 2 * v) ** 2 + (2 * u + v) ** 2


def _residuals_of_booth(x, data, parameters):
    u, v = x[0] - 1, x[1] - 3
    return jnp.stack([u + 2 * v, 2 * u + v])


@problem_family()
def booth() -> Problem:
    """(x + 2 y - 7)^2 + (2 x + y - 5)^2: a quadratic of condition 9, its long axis along a diagonal."""
    return Problem(
        name="booth",
        objective=_booth,
        residuals=_residuals_of_booth,
        dim=2,
        formula="(x + 2 y - 7)^2 + (2 x + y - 5)^2",
        source=HEDAR,
        box=cube(2, 10),
        start=np.array([-4.0, -6.0]),
        minimum=0.0,
        minimizers=np.array([[1.0, 3.0]]),
        all_minimizers=True,
        curvature=fixed(2.0, 18.0),
        convex=True,
        quadratic=True,
    )


def _matyas(x, data, parameters):
    return 0.02 * jnp.sum(x**2) + 0.24 * (x[0] - x[1]) ** 2


@problem_family()
def matyas() -> Problem:
    """0.26 (x^2 + y^2) - 0.48 x y: a quadratic of condition 25, nearly flat along a diagonal."""
    return Problem(
        name="matyas",
        objective=_matyas,
        dim=2,
        formula="0.26 (x^2 + y^2) - 0.48 x y",
        source=HEDAR,
        box=cube(2, 10),
        start=np.array([8.0, -3.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(0.04, 1.0),
        convex=True,
        quadratic=True,
    )


def _mccormick(x, data, parameters):
    # With p = x + y and q = x - y: sin p + p/2 + (q - 1)^2, lowest where cos p = -1/2.
    step = (x[0] - (0.5 - math.pi / 3)) + (x[1] + (0.5 + math.pi / 3))
    wave = 0.5 * math.sqrt(3) * one_minus_cos(step) + 0.5 * (step - jnp.sin(step))
    return wave + (x[0] - x[1] - 1) ** 2


@problem_family()
def mccormick() -> Problem:
    """sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1: a wavy gutter that falls for ever below its box."""
    minimum = -math.sqrt(3) / 2 - math.pi / 3
    return Problem(
        name="mccormick",
        objective=_mccormick,
        dim=2,
        formula="sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1",
        source=in_library("Adorio and Diliman, MVF: Multivariate test functions library in C, 2005"),
        box=(np.array([-1.5, -3.0]), np.array([4.0, 4.0])),
        start=np.array([2.0, 1.5]),
        minimum=minimum,
        minimizers=np.array([[0.5 - math.pi / 3, -0.5 - math.pi / 3]]),
        all_minimizers=True,
        curvature=fixed(math.sqrt(3), 4.0),
        curvature_is_local=True,
        offset=minimum,
        convex=False,
        within_box=True,
    )


ROOTS = (1.0, 2.0, 2.0, 3.0)
"""Numbers whose sums of powers 1 ... 4 are 8, 18, 44, 114."""


def _power_sum(x, data, parameters):
    return jnp.sum(_residuals_of_power_sum(x, data, parameters) ** 2)


def _residuals_of_power_sum(x, data, parameters):
    return jnp.stack([jnp.sum(x**i) for i in (1, 2, 3, 4)]) - data["sums"]


@problem_family()
def power_sum() -> Problem:
    """Squared errors of the first four sums of powers: 12 minima, the orders of 1, 2, 2, 3, each singular.

    Sums of powers determine the numbers but not their order. Where two of them are equal, the Hessian is singular.
    """
    powers = np.arange(1.0, 5)
    roots = np.array(ROOTS)
    _, sharpest = ends_of_squares(powers[:, None] * roots[None, :] ** (powers[:, None] - 1))
    return Problem(
        name="power_sum",
        objective=_power_sum,
        residuals=_residuals_of_power_sum,
        dim=4,
        formula="sum_i (sum_j x_j^i - b_i)^2, b = (8, 18, 44, 114)",
        source=in_library("Neumaier, Global optimization test problems, University of Vienna"),
        box=between(0, 4, 4),
        start=np.array([0.5, 1.2, 3.1, 3.6]),
        minimum=0.0,
        minimizers=np.array(sorted(set(itertools.permutations(ROOTS)))),
        all_minimizers=True,
        curvature=fixed(0.0, sharpest),
        curvature_is_local=True,
        convex=False,
        data={"sums": np.array([8.0, 18.0, 44.0, 114.0])},
    )


def _zakharov(x, data, parameters):
    s = 0.5 * jnp.sum(numbers(x) * x)
    return jnp.sum(x**2) + s**2 + s**4


def _residuals_of_zakharov(x, data, parameters):
    s = 0.5 * jnp.sum(numbers(x) * x)
    return jnp.append(x, jnp.stack([s, s**2]))


@problem_family()
def zakharov(dim: int = 2) -> Problem:
    """Sum of x_i^2 + s^2 + s^4, s = sum i x_i/2: a flat bowl with walls of fourth order, no local minima.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("zakharov", "dim", dim, 1))
    sharpest = 2 + dim * (dim + 1) * (2 * dim + 1) / 12
    return Problem(
        name="zakharov",
        objective=_zakharov,
        residuals=_residuals_of_zakharov,
        dim=dim,
        formula="sum_i x_i^2 + s^2 + s^4, s = sum_i i x_i/2",
        source=HEDAR,
        box=between(-5, 10, dim),
        start=np.full(dim, 4.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0 if dim > 1 else sharpest, sharpest),
        curvature_is_local=True,
        convex=True,
        separable=dim == 1,
    )
