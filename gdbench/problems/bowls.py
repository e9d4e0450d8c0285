"""Bowls: Bohachevsky's three, the sphere and its stretched kin, sums of powers, and Trid."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends, fixed, in_library, numbers, one_minus_cos
from gdbench.problems.settings import refuse, whole_number

BOHACHEVSKY = in_library("Bohachevsky, Johnson and Stein, Technometrics 28 (1986) 209-217")
MOLGA = in_library("Molga and Smutnicki, Test functions for optimization needs, 2005")


def _bohachevsky1(x, data, parameters):
    waves = 0.3 * one_minus_cos(3 * math.pi * x[0]) + 0.4 * one_minus_cos(4 * math.pi * x[1])
    return x[0] ** 2 + 2 * x[1] ** 2 + waves


@problem_family()
def bohachevsky1() -> Problem:
    """x^2 + 2 y^2 with a wave along each coordinate added: a bowl that is rough near its minimum at 0."""
    return Problem(
        name="bohachevsky1",
        objective=_bohachevsky1,
        dim=2,
        formula="x^2 + 2 y^2 - 0.3 cos(3 pi x) - 0.4 cos(4 pi y) + 0.7",
        source=BOHACHEVSKY,
        box=cube(2, 100),
        start=np.array([50.2, 50.1]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(2 + 2.7 * math.pi**2, 4 + 6.4 * math.pi**2),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _bohachevsky2(x, data, parameters):
    # 1 - c d = (1 - c) + c (1 - d).
    first, second = 3 * math.pi * x[0], 4 * math.pi * x[1]
    wave = one_minus_cos(first) + jnp.cos(first) * one_minus_cos(second)
    return x[0] ** 2 + 2 * x[1] ** 2 + 0.3 * wave


@problem_family()
def bohachevsky2() -> Problem:
    """x^2 + 2 y^2 with a product of two waves: a bowl that is rough near its minimum at 0."""
    return Problem(
        name="bohachevsky2",
        objective=_bohachevsky2,
        dim=2,
        formula="x^2 + 2 y^2 - 0.3 cos(3 pi x) cos(4 pi y) + 0.3",
        source=BOHACHEVSKY,
        box=cube(2, 100),
        start=np.array([50.2, 50.1]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(2 + 2.7 * math.pi**2, 4 + 4.8 * math.pi**2),
        curvature_is_local=True,
        convex=False,
    )


def _bohachevsky3(x, data, parameters):
    return x[0] ** 2 + 2 * x[1] ** 2 + 0.3 * one_minus_cos(math.pi * (3 * x[0] + 4 * x[1]))


@problem_family()
def bohachevsky3() -> Problem:
    """x^2 + 2 y^2 with an oblique wave: a bowl that is rough along one direction, its minimum at 0."""
    wave = 0.3 * math.pi**2
    return Problem(
        name="bohachevsky3",
        objective=_bohachevsky3,
        dim=2,
        formula="x^2 + 2 y^2 - 0.3 cos(3 pi x + 4 pi y) + 0.3",
        source=BOHACHEVSKY,
        box=cube(2, 100),
        start=np.array([50.2, 50.1]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(*ends([[2 + 9 * wave, 12 * wave], [12 * wave, 4 + 16 * wave]])),
        curvature_is_local=True,
        convex=False,
    )


def _rotated_hyper_ellipsoid(x, data, parameters):
    return jnp.sum((x.shape[0] + 1 - numbers(x)) * x**2)


@problem_family()
def rotated_hyper_ellipsoid(dim: int = 2) -> Problem:
    """Sum of sums x_1^2 + ... + x_i^2: an ellipsoid along the axes, in spite of its name, of condition n.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("rotated_hyper_ellipsoid", "dim", dim, 1))
    return Problem(
        name="rotated_hyper_ellipsoid",
        objective=_rotated_hyper_ellipsoid,
        dim=dim,
        formula="sum_i sum_{j<=i} x_j^2 = sum_j (n + 1 - j) x_j^2",
        source=MOLGA,
        box=cube(dim, 65.536),
        start=np.full(dim, 40.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0, 2.0 * dim),
        convex=True,
        separable=True,
        quadratic=True,
        notes="the function with cross terms that some authors mean by this name is (sum_{j<=i} x_j)^2, summed over i",
    )


def _sphere(x, data, parameters):
    return jnp.sum(x**2)


@problem_family()
def sphere(dim: int = 2) -> Problem:
    """Sum of x_i^2: the easiest problem there is; gradient descent is stable below rate 1, and exact at 1/2.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("sphere", "dim", dim, 1))
    return Problem(
        name="sphere",
        objective=_sphere,
        dim=dim,
        formula="sum_i x_i^2",
        source=in_library("De Jong, dissertation, University of Michigan, 1975"),
        box=cube(dim, 5.12),
        start=np.full(dim, 3.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0, 2.0),
        convex=True,
        separable=True,
        quadratic=True,
    )


def _sum_different_powers(x, data, parameters):
    # |x|^(i+1) as x^2 |x|^(i-1), whose second derivative is right at 0 as well. The general rule for a power would
    # give NaN there for those of order 0 and 1, so the first two stand apart.
    square, size = x**2, jnp.abs(x)
    further = square[2:] * size[2:] ** (numbers(x)[2:] - 1)
    return jnp.sum(square[:1]) + jnp.sum(square[1:2] * size[1:2]) + jnp.sum(further)


@problem_family()
def sum_different_powers(dim: int = 2) -> Problem:
    """Sum of |x_i|^(i+1): convex, and flatter at the minimum with every coordinate, so that rates differ widely.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("sum_different_powers", "dim", dim, 1))
    return Problem(
        name="sum_different_powers",
        objective=_sum_different_powers,
        dim=dim,
        formula="sum_i |x_i|^(i + 1)",
        source=MOLGA,
        box=cube(dim, 1),
        start=np.full(dim, 0.8),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0 if dim == 1 else 0.0, 2.0),
        curvature_is_local=True,
        convex=True,
        separable=True,
    )


def _sum_squares(x, data, parameters):
    return jnp.sum(numbers(x) * x**2)


@problem_family()
def sum_squares(dim: int = 2) -> Problem:
    """Sum of i x_i^2: a quadratic along the axes of condition n, also known as the axis-parallel hyper-ellipsoid.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("sum_squares", "dim", dim, 1))
    return Problem(
        name="sum_squares",
        objective=_sum_squares,
        dim=dim,
        formula="sum_i i x_i^2",
        source=in_library("Hedar, Test functions for unconstrained global optimization, Kyoto University, 2005"),
        box=cube(dim, 10),
        start=np.full(dim, 6.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0, 2.0 * dim),
        convex=True,
        separable=True,
        quadratic=True,
    )


def _trid_minimizer(i, dim: int):
    return i * (dim + 1 - i)


def _trid(x, data, parameters):
    # A quadratic about its minimizer, as a sum of squares.
    e = x - _trid_minimizer(numbers(x), x.shape[0])
    return 0.5 * (e[0] ** 2 + e[-1] ** 2 + jnp.sum((e[1:] - e[:-1]) ** 2))


@problem_family()
def trid(dim: int = 2) -> Problem:
    """Sum of (x_i - 1)^2 minus sum of x_i x_{i-1}: a quadratic with a tridiagonal matrix, of condition 0.4 n^2.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("trid", "dim", dim, 2))
    angle = math.pi / (2 * (dim + 1))
    minimum = -dim * (dim + 4) * (dim - 1) / 6
    return Problem(
        name="trid",
        objective=_trid,
        dim=dim,
        formula="sum_i (x_i - 1)^2 - sum_{i>=2} x_i x_{i-1}",
        source=in_library("Neumaier, Global optimization test problems, University of Vienna"),
        box=cube(dim, dim**2),
        start=np.zeros(dim),
        minimum=minimum,
        minimizers=_trid_minimizer(np.arange(1.0, dim + 1), dim)[None, :],
        all_minimizers=True,
        # The eigenvalues are 4 sin^2(k pi/(2 (n + 1))), k = 1 ... n.
        curvature=fixed(4 * math.sin(angle) ** 2, 4 * math.sin(dim * angle) ** 2),
        offset=minimum,
        convex=True,
        quadratic=True,
    )
