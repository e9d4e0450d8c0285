"""One basin, in any dimension: convex and nearly convex bowls, some of them without curvature at the bottom."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import between, fixed
from gdbench.problems.gallery.sources import surveyed
from gdbench.problems.guards import one_minus_exp
from gdbench.problems.settings import refuse, whole_number


def _partial_sums(x, data, parameters):
    return jnp.sum(jnp.cumsum(x) ** 2)


def _ends_of_partial_sums(dim: int) -> tuple[float, float]:
    """(m, L) of 2 A^T A with A the lower triangle of ones: the inverse of A A^T is a second-difference matrix."""
    smallest, largest = (math.sin((2 * k - 1) * math.pi / (4 * dim + 2)) for k in (dim, 1))
    return 0.5 / smallest**2, 0.5 / largest**2


@problem_family()
def schwefel_1_2(dim: int = 2) -> Problem:
    """Sum of squared partial sums: a quadratic along no axis, whose condition grows like 1.6 n^2.

    Eigenvalues are 1/(2 sin^2((2k - 1) pi/(4n + 2))), k = 1 ... n, so (m, L) is (0.76, 5.24) at n = 2.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("schwefel_1_2", "dim", dim, 1))
    return Problem(
        name="schwefel_1_2",
        objective=_partial_sums,
        dim=dim,
        formula="sum_i (sum_{j<=i} x_j)^2",
        source=surveyed("Schwefel, Numerical Optimization of Computer Models, Wiley, 1981, problem 1.2"),
        box=cube(dim, 100),
        start=np.full(dim, 50.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: _ends_of_partial_sums(dim),
        convex=True,
        separable=dim == 1,
        quadratic=True,
    )


def _sum_and_product(x, data, parameters):
    sizes = jnp.abs(x)
    return jnp.sum(sizes) + jnp.prod(sizes)


@problem_family()
def schwefel_2_22(dim: int = 2) -> Problem:
    """Sum of |x_i| and their product: a corner at the minimum, and far out a product that swamps the sum.

    Args:
        dim: number of coordinates, at most 30: beyond it the product leaves float32 at the corners.
    """
    refuse(whole_number("schwefel_2_22", "dim", dim, 1, 30))
    return Problem(
        name="schwefel_2_22",
        objective=_sum_and_product,
        dim=dim,
        formula="sum_i |x_i| + prod_i |x_i|",
        source=surveyed("Schwefel (1981), problem 2.22; box of Yao, Liu and Lin, IEEE Trans. Evol. Comp. 3 (1999)"),
        box=cube(dim, 10),
        start=np.full(dim, 5.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=dim == 1,
        separable=dim == 1,
        kinks=np.stack([np.zeros(dim), np.eye(dim)[0]]),
        notes="kinks wherever a coordinate is 0",
    )


def _square_of_sphere(x, data, parameters):
    return jnp.sum(x**2) ** 2


@problem_family()
def chung_reynolds(dim: int = 2) -> Problem:
    """(sum of x_i^2)^2: round and convex, flat to third order at the bottom; gradient descent slows to 1/k^2.

    Along a ray it is r^4: gradient descent converges if and only if rate * r(0)^2 < 1/2.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("chung_reynolds", "dim", dim, 1))
    return Problem(
        name="chung_reynolds",
        objective=_square_of_sphere,
        dim=dim,
        formula="(sum_i x_i^2)^2",
        source=surveyed("Chung and Reynolds, CAEP, 1998"),
        box=cube(dim, 100),
        start=np.full(dim, 50.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(0.0, 0.0),
        curvature_is_local=True,
        convex=True,
        separable=dim == 1,
    )


def _power(square, exponent):
    """square^(exponent + 1) with exponent >= 0, and a gradient at 0."""
    positive = square > 0
    return square * jnp.exp(exponent * jnp.log(jnp.where(positive, square, 1)))


def _neighbours_as_exponents(x, data, parameters):
    left, right = x[:-1] ** 2, x[1:] ** 2
    return jnp.sum(_power(left, right) + _power(right, left))


@problem_family()
def brown(dim: int = 2) -> Problem:
    """Squares raised to each other's power: round near 0, and 20 decades higher in the corner of its box.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("brown", "dim", dim, 2))
    return Problem(
        name="brown",
        objective=_neighbours_as_exponents,
        dim=dim,
        formula="sum_i (x_i^2)^(x_{i+1}^2 + 1) + (x_{i+1}^2)^(x_i^2 + 1), i = 1 ... n-1",
        source=surveyed("Begambre and Laier, Advances in Engineering Software 40 (2009)"),
        box=between(-1.0, 4.0, dim),
        start=np.full(dim, 1.5),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        # The first and the last coordinate lead or follow in one term, the others in two.
        curvature=fixed(2.0, 2.0 if dim == 2 else 4.0),
        curvature_is_local=True,
    )


def _well(x, data, parameters):
    return one_minus_exp(0.5 * jnp.sum(x**2))


@problem_family()
def exponential(dim: int = 2) -> Problem:
    """-exp(-|x|^2/2): a round well of curvature 1, whose slope dies out far from it.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("exponential", "dim", dim, 1))
    return Problem(
        name="exponential",
        objective=_well,
        dim=dim,
        formula="-exp(-1/2 sum_i x_i^2)",
        # The survey prints the minimum as 1.
        source=surveyed("Rahnamayan, Tizhoosh and Salama, Computers and Mathematics with Applications 53 (2007)"),
        box=cube(dim, 1),
        start=np.full(dim, 0.5),
        minimum=-1.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(1.0, 1.0),
        curvature_is_local=True,
        offset=-1.0,
        # Convex while |x| <= 1.
        convex=dim == 1,
        separable=dim == 1,
    )


BEST_OF_PAVIANI = 9.3502658330693851579
"""Each coordinate of Paviani's minimizer, polished to 20 digits by Newton's method in 40-digit arithmetic."""


def _paviani(x, data, parameters):
    return jnp.sum(jnp.log(x - 2) ** 2 + jnp.log(10 - x) ** 2) - jnp.exp(0.2 * jnp.sum(jnp.log(x)))


@problem_family()
def paviani() -> Problem:
    """Squared logarithms that wall off the cube from 2 to 10, less the fifth root of a product of ten."""
    return Problem(
        name="paviani",
        objective=_paviani,
        dim=10,
        formula="sum_i ln^2(x_i - 2) + ln^2(10 - x_i), - (prod_i x_i)^0.2, i = 1 ... 10",
        source=surveyed("Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972"),
        box=between(2.001, 9.999, 10),
        start=np.full(10, 9.0),
        minimum=-45.77846970744626875,
        minimizers=np.full((1, 10), BEST_OF_PAVIANI),
        all_minimizers=True,
        curvature=fixed(6.543594059356014441, 6.943594059356014441),
        curvature_is_local=True,
        notes="not a number outside of the cube from 2 to 10: a step over the edge ends a descent",
    )
