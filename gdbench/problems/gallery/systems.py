"""Systems of equations in any number of unknowns as sums of squares, with all the zeros that are known."""

from __future__ import annotations

import functools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends_of_squares, fixed, numbers, one_minus_cos
from gdbench.problems.gallery.sources import collected
from gdbench.problems.settings import refuse, whole_number


def over_zeros(*jacobians: np.ndarray) -> tuple[float, float]:
    """Smallest and largest eigenvalue of 2 J^T J over the Jacobians [equations, dim] of the residuals at all zeros."""
    smallest, largest = zip(*map(ends_of_squares, jacobians), strict=True)
    return min(smallest), max(largest)


def _terms_of_trigonometric(x, data, parameters):
    i = numbers(x)
    dips = one_minus_cos(x)
    return jnp.sum(dips) + i * (dips - jnp.sin(x))


def _trigonometric(x, data, parameters):
    return jnp.sum(_terms_of_trigonometric(x, data, parameters) ** 2)


@functools.cache
def second_zero_of_trigonometric(dim: int) -> np.ndarray:
    """The zero beside the origin, shape [dim]: with c the sum of 1 - cos x_j, each sin x_i + cos x_i is 1 + c/i.

    That has two solutions in [0, pi/2]; the first coordinate takes the larger one and the others the smaller, for
    1 - cos x_i of the larger is above the greatest possible c = sqrt(2) - 1 from i = 2 on. c is found by bisection.
    """
    i = np.arange(1.0, dim + 1)
    signs = np.where(i == 1, 1, -1)

    def at(c: float) -> np.ndarray:
        return math.pi / 4 + signs * np.arccos(np.minimum((1 + c / i) / math.sqrt(2), 1))

    low, high = 0.0, math.sqrt(2) - 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.sum(1 - np.cos(at(middle))) > middle else (low, middle)
    return at(low)


@functools.cache
def _curvature_of_trigonometric(dim: int) -> tuple[float, float]:
    """(m, L) over both zeros."""
    i = np.arange(1.0, dim + 1)

    def jacobian(x: np.ndarray) -> np.ndarray:
        return np.tile(np.sin(x), (dim, 1)) + np.diag(i * (np.sin(x) - np.cos(x)))

    return over_zeros(jacobian(np.zeros(dim)), jacobian(second_zero_of_trigonometric(dim)))


@problem_family()
def trigonometric(dim: int = 2) -> Problem:
    """Equations of sines and cosines that all coordinates share: two zeros in its box, not one.

    Besides the origin, which the literature states alone, (0.9000, 0.2311) is a zero in two dimensions, and there is
    one such point in every other.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("trigonometric", "dim", dim, 1))
    return Problem(
        name="trigonometric",
        objective=_trigonometric,
        residuals=_terms_of_trigonometric,
        dim=dim,
        formula="sum_i (n - sum_j cos x_j + i (1 - cos x_i - sin x_i))^2",
        source=collected(26, "Spedicato, 1975"),
        box=cube(dim, math.pi),
        start=np.full(dim, 1 / dim),
        minimum=0.0,
        minimizers=np.stack([np.zeros(dim), second_zero_of_trigonometric(dim)]),
        all_minimizers=True,
        curvature=lambda parameters: _curvature_of_trigonometric(dim),
        curvature_is_local=True,
        convex=False,
    )


def _variably_dimensioned(x, data, parameters):
    away = x - 1
    weighted = jnp.sum(numbers(x) * away)
    return jnp.sum(away**2) + weighted**2 + weighted**4


def _terms_of_variably_dimensioned(x, data, parameters):
    away = x - 1
    weighted = jnp.sum(numbers(x) * away)
    return jnp.append(away, jnp.stack([weighted, weighted**2]))


@problem_family()
def variably_dimensioned(dim: int = 2) -> Problem:
    """A sphere with a quartic wall across one direction: curvature 2, but 2 + n^3/1.5 along (1, 2, ..., n).

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("variably_dimensioned", "dim", dim, 1))
    sharpest = 2 + dim * (dim + 1) * (2 * dim + 1) / 3
    return Problem(
        name="variably_dimensioned",
        objective=_variably_dimensioned,
        residuals=_terms_of_variably_dimensioned,
        dim=dim,
        formula="sum_i (x_i - 1)^2 + s^2 + s^4, s = sum_i i (x_i - 1)",
        source=collected(25, "from the collection itself"),
        box=cube(dim, 2),
        start=1 - np.arange(1.0, dim + 1) / dim,
        minimum=0.0,
        minimizers=np.ones((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0 if dim > 1 else sharpest, sharpest),
        curvature_is_local=True,
        convex=True,
        separable=dim == 1,
    )


def _brown_almost_linear(x, data, parameters):
    total = jnp.sum(x) - (x.size + 1)
    return jnp.sum((x[:-1] + total) ** 2) + (jnp.prod(x) - 1) ** 2


def _terms_of_brown_almost_linear(x, data, parameters):
    return jnp.append(x[:-1] + (jnp.sum(x) - (x.size + 1)), jnp.prod(x) - 1)


@functools.cache
def zeros_of_brown(dim: int) -> np.ndarray:
    """All zeros, shape [n, dim]: (a, ..., a, n + 1 - n a) with a real and a^(n-1) (n + 1 - n a) = 1.

    The first n - 1 equations make those coordinates equal. a = 1 is one solution; Newton's method gives the others
    their digits.
    """
    n = dim
    polynomial = np.zeros(n + 1)
    polynomial[:2], polynomial[-1] = (n, -(n + 1)), 1
    roots = np.roots(polynomial)
    real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)[::-1]
    for _ in range(4):
        real = real - np.polyval(polynomial, real) / np.polyval(np.polyder(polynomial), real)
    real[np.abs(real - 1) < 1e-9] = 1
    return np.array([[*[a] * (n - 1), n + 1 - n * a] for a in real])


@functools.cache
def _curvature_of_brown(dim: int) -> tuple[float, float]:
    """(m, L) over all zeros."""

    def jacobian(x: np.ndarray) -> np.ndarray:
        return np.concatenate([np.eye(dim)[:-1] + 1, 1 / x[None, :]])  # the product is 1 there

    return over_zeros(*map(jacobian, zeros_of_brown(dim)))


@problem_family()
def brown_almost_linear(dim: int = 2) -> Problem:
    """Linear equations but for one, a product: two zeros in even dimensions, three in odd ones, far apart.

    Args:
        dim: number of coordinates, from 2 to 40: beyond it the product leaves float32 at the corners.
    """
    refuse(whole_number("brown_almost_linear", "dim", dim, 2, 40))
    high = np.full(dim, 2.0)
    high[-1] = 2 * dim + 2
    return Problem(
        name="brown_almost_linear",
        objective=_brown_almost_linear,
        residuals=_terms_of_brown_almost_linear,
        dim=dim,
        formula="sum_{i<n} (x_i + sum_j x_j - (n + 1))^2 + (prod_j x_j - 1)^2",
        source=collected(27, "Brown, SIAM Journal on Numerical Analysis 6 (1969) 560-569"),
        box=(np.full(dim, -2.0), high),
        start=np.full(dim, 0.5),
        minimum=0.0,
        minimizers=zeros_of_brown(dim),
        all_minimizers=True,
        curvature=lambda parameters: _curvature_of_brown(dim),
        curvature_is_local=True,
        convex=False,
        notes="a local minimum of 1 at (0, ..., 0, n + 1)",
    )


def _terms_of_broyden_tridiagonal(x, data, parameters):
    before, after = jnp.pad(x[:-1], (1, 0)), jnp.pad(x[1:], (0, 1))
    return (3 - 2 * x) * x - before - 2 * after + 1


def _broyden_tridiagonal(x, data, parameters):
    return jnp.sum(_terms_of_broyden_tridiagonal(x, data, parameters) ** 2)


def _jacobian_of_broyden(x: np.ndarray) -> np.ndarray:
    return np.diag(3 - 4 * x) - np.eye(len(x), k=-1) - 2 * np.eye(len(x), k=1)


@functools.cache
def zeros_of_broyden(dim: int) -> np.ndarray:
    """Two zeros, shape [2, dim], by Newton's method: one near -0.7 throughout, one that begins near 1.8."""
    from scipy.linalg import solve_banded  # imported here because building a problem seldom needs it

    zeros = []
    for first in (-0.6, 1.8):
        x = np.full(dim, -0.7)
        x[0] = first
        for _ in range(30):
            bands = np.zeros((3, dim))
            bands[0, 1:], bands[1], bands[2, :-1] = -2, 3 - 4 * x, -1
            value = (3 - 2 * x) * x - np.append(0, x[:-1]) - 2 * np.append(x[1:], 0) + 1
            x = x - solve_banded((1, 1), bands, value)
        zeros.append(x)
    return np.array(zeros)


@functools.cache
def _curvature_of_broyden(dim: int) -> tuple[float, float]:
    """(m, L) over both zeros."""
    return over_zeros(*map(_jacobian_of_broyden, zeros_of_broyden(dim)))


@problem_family()
def broyden_tridiagonal(dim: int = 10) -> Problem:
    """Quadratic equations that each couple three neighbours: well conditioned in any dimension, with two zeros.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("broyden_tridiagonal", "dim", dim, 1))
    return Problem(
        name="broyden_tridiagonal",
        objective=_broyden_tridiagonal,
        residuals=_terms_of_broyden_tridiagonal,
        dim=dim,
        formula="sum_i ((3 - 2 x_i) x_i - x_{i-1} - 2 x_{i+1} + 1)^2, x_0 = x_{n+1} = 0",
        source=collected(30, "Broyden, Mathematics of Computation 19 (1965) 577-593"),
        box=cube(dim, 2),
        start=-np.ones(dim),
        minimum=0.0,
        minimizers=zeros_of_broyden(dim),
        curvature=lambda parameters: _curvature_of_broyden(dim),
        curvature_is_local=True,
        convex=False,
        notes="no third zero was found from 200 random starts in dimensions 1 to 10",
    )
