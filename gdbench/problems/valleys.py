"""Valleys: the camels with three and six humps, and Dixon and Price's chain. Rosenbrock's has a file of its own."""

from __future__ import annotations

import functools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed, in_library
from gdbench.problems.settings import refuse, whole_number


def _three_hump_camel(x, data, parameters):
    square = x[0] ** 2
    return square * (2 - 1.05 * square + square**2 / 6) + x[0] * x[1] + x[1] ** 2


@problem_family()
def three_hump_camel() -> Problem:
    """2 x^2 - 1.05 x^4 + x^6/6 + x y + y^2: a minimum at 0 between two local ones, at +-(1.748, -0.874)."""
    return Problem(
        name="three_hump_camel",
        objective=_three_hump_camel,
        dim=2,
        formula="2 x^2 - 1.05 x^4 + x^6/6 + x y + y^2",
        source=in_library("Dixon and Szego, Towards Global Optimisation 2, North-Holland, 1978"),
        box=cube(2, 5),
        start=np.array([3.0, -2.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(3 - math.sqrt(2), 3 + math.sqrt(2)),
        curvature_is_local=True,
        convex=False,
    )


CAMEL = (0.089842013100318062422, -0.7126564030207396334)
"""A minimizer of the six-hump camel, polished to all digits; the other one is its negative."""


@functools.cache
def _taylor(coefficients: tuple[float, ...], at: float) -> tuple[float, ...]:
    """Coefficients of the polynomial in powers of x - at, without those of order 0 and 1, lowest order first."""
    shifted = np.polynomial.Polynomial(coefficients)(np.polynomial.Polynomial([at, 1.0]))
    return tuple(map(float, shifted.coef[2:]))


def _above_tangent(coefficients: tuple[float, ...], at: float, step):
    """p(at + step) - p(at) - p'(at) step for the polynomial p with these coefficients, lowest order first."""
    total = 0.0
    for coefficient in reversed(_taylor(coefficients, at)):
        total = coefficient + step * total
    return step**2 * total


def _six_hump_camel(x, data, parameters):
    # Even in (x, y): the half where y <= 0 tells all, and there Taylor's polynomial about the minimizer, where the
    # terms of first order vanish, is the gap.
    u, v = jnp.where(x[1] > 0, -1, 1) * x
    u, v = u - CAMEL[0], v - CAMEL[1]
    along_x = _above_tangent((0.0, 0.0, 4.0, 0.0, -2.1, 0.0, 1 / 3), CAMEL[0], u)
    along_y = _above_tangent((0.0, 0.0, -4.0, 0.0, 4.0), CAMEL[1], v)
    return along_x + along_y + u * v


@problem_family()
def six_hump_camel() -> Problem:
    """(4 - 2.1 x^2 + x^4/3) x^2 + x y + (4 y^2 - 4) y^2: six minima, two of them global, at +-(0.0898, -0.7127)."""
    minimum = -1.0316284534898773504
    return Problem(
        name="six_hump_camel",
        objective=_six_hump_camel,
        dim=2,
        formula="(4 - 2.1 x^2 + x^4/3) x^2 + x y + (4 y^2 - 4) y^2",
        source=in_library(
            "Dixon and Szego, Towards Global Optimisation 2, North-Holland, 1978; minima polished to all digits"
        ),
        box=(np.array([-3.0, -2.0]), np.array([3.0, 2.0])),
        start=np.array([2.0, 1.0]),
        minimum=minimum,
        minimizers=np.array([CAMEL, CAMEL]) * np.array([[1.0], [-1.0]]),
        all_minimizers=True,
        curvature=fixed(7.682251413369076, 16.49319523222773),
        curvature_is_local=True,
        offset=minimum,
        convex=False,
    )


def _dixon_price(x, data, parameters):
    i = jnp.arange(2, x.shape[0] + 1, dtype=x.dtype)
    return (x[0] - 1) ** 2 + jnp.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2)


def _residuals_of_dixon_price(x, data, parameters):
    i = jnp.arange(2, x.shape[0] + 1, dtype=x.dtype)
    return jnp.append(jnp.sqrt(i) * (2 * x[1:] ** 2 - x[:-1]), x[0] - 1)


@functools.cache
def _dixon_price_curvature(dim: int) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian at either minimizer, a tridiagonal matrix."""
    from scipy.linalg import eigvalsh_tridiagonal  # imported here because building a problem seldom needs it

    i, x = np.arange(2.0, dim + 1), _dixon_price_minimizer(dim)[1:]
    diagonal = np.concatenate([[2.0], 32 * i * x**2])
    diagonal[:-1] += 2 * i
    low, high = (eigvalsh_tridiagonal(diagonal, -8 * i * x, "i", (k, k))[0] for k in (0, dim - 1))
    return float(low), float(high)


def _dixon_price_minimizer(dim: int) -> np.ndarray:
    """The one with all coordinates positive: x_1 = 1 and 2 x_i^2 = x_{i-1}."""
    return 2 ** (-1 + 2.0 ** (1 - np.arange(1, dim + 1)))


@problem_family()
def dixon_price(dim: int = 2) -> Problem:
    """(x_1 - 1)^2 + sum of i (2 x_i^2 - x_{i-1})^2: a curved valley with two ends, x_n being of either sign.

    From dimension 3, many descents end at (1/3, 0, ..., 0), of value 2/3: a saddle so flat that it holds them.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("dixon_price", "dim", dim, 2))
    minimizers = np.stack([_dixon_price_minimizer(dim)] * 2)
    minimizers[1, -1] *= -1
    return Problem(
        name="dixon_price",
        objective=_dixon_price,
        residuals=_residuals_of_dixon_price,
        dim=dim,
        formula="(x_1 - 1)^2 + sum_{i>=2} i (2 x_i^2 - x_{i-1})^2",
        source=in_library("Dixon and Price, Journal of Optimization Theory and Applications 60 (1989) 261-275"),
        box=cube(dim, 10),
        start=np.full(dim, 3.0),
        minimum=0.0,
        minimizers=minimizers,
        all_minimizers=True,
        curvature=lambda parameters: _dixon_price_curvature(dim),
        curvature_is_local=True,
        convex=False,
    )
