"""Old test functions of no common shape: Beale, Branin, Colville, Forrester, Goldstein-Price, Powell, Styblinski."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import between, ends, ends_of_squares, fixed, in_library
from gdbench.problems.settings import refuse, whole_number


def _beale(x, data, parameters):
    return sum(residual**2 for residual in _terms_of_beale(x))


def _terms_of_beale(x):
    return [constant - x[0] * (1 - x[1] ** i) for i, constant in ((1, 1.5), (2, 2.25), (3, 2.625))]


def _residuals_of_beale(x, data, parameters):
    return jnp.stack(_terms_of_beale(x))


@problem_family()
def beale() -> Problem:
    """Sum of (c_i - x (1 - y^i))^2: a curved valley with steep walls and a plateau around y = 1."""
    slopes = np.array([[-0.5, 3.0], [-0.75, 3.0], [-0.875, 2.25]])
    return Problem(
        name="beale",
        objective=_beale,
        residuals=_residuals_of_beale,
        dim=2,
        formula="(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
        source=in_library("Beale, Technical Report 25, Statistical Techniques Research Group, Princeton, 1958"),
        box=cube(2, 4.5),
        start=np.ones(2),
        minimum=0.0,
        minimizers=np.array([[3.0, 0.5]]),
        all_minimizers=True,
        curvature=fixed(*ends_of_squares(slopes)),
        curvature_is_local=True,
        convex=False,
    )


BEND, SLOPE, DEPTH = 5.1 / (4 * math.pi**2), 5 / math.pi, 10 * (1 - 1 / (8 * math.pi))
"""b, c and s (1 - t) of Branin's function."""


def _branin(x, data, parameters):
    # 1 + cos x = 2 cos^2(x/2): with it the minimum, s t, is left out.
    valley = x[1] - BEND * x[0] ** 2 + SLOPE * x[0] - 6
    return valley**2 + 2 * DEPTH * jnp.cos(x[0] / 2) ** 2


def _branin_curvature() -> tuple[float, float]:
    """Over the three minimizers, where the valley's term is 0 and cos x is -1."""
    slopes = [SLOPE - 2 * BEND * x for x in (-math.pi, math.pi, 3 * math.pi)]
    low, high = zip(*(ends([[2 * s**2 + DEPTH, 2 * s], [2 * s, 2]]) for s in slopes), strict=True)
    return min(low), max(high)


@problem_family()
def branin() -> Problem:
    """Branin's function: a parabolic valley with waves along it, three minima of the same depth in its box.

    They lie at x = -pi, pi and 3 pi, where the cosine is -1 and the valley has its floor, so f* = 10/(8 pi).
    """
    minimum = 10 / (8 * math.pi)
    return Problem(
        name="branin",
        objective=_branin,
        dim=2,
        formula="(y - 5.1 x^2/(4 pi^2) + 5 x/pi - 6)^2 + 10 (1 - 1/(8 pi)) cos(x) + 10",
        source=in_library("Branin, IBM Journal of Research and Development 16 (1972) 504-522"),
        box=(np.array([-5.0, 0.0]), np.array([10.0, 15.0])),
        start=np.array([5.5, 11.0]),
        minimum=minimum,
        minimizers=np.array([[-math.pi, 12.275], [math.pi, 2.275], [3 * math.pi, 2.475]]),
        all_minimizers=True,
        curvature=fixed(*_branin_curvature()),
        curvature_is_local=True,
        offset=minimum,
        convex=False,
    )


def _colville(x, data, parameters):
    u = x - 1
    # x_1^2 - x_2 and x_3^2 - x_4 in terms of u; 10.1 (p^2 + q^2) + 19.8 p q = 0.2 (p^2 + q^2) + 9.9 (p + q)^2.
    first, second = u[0] * (x[0] + 1) - u[1], u[2] * (x[2] + 1) - u[3]
    coupling = 0.2 * (u[1] ** 2 + u[3] ** 2) + 9.9 * (u[1] + u[3]) ** 2
    return 100 * first**2 + 90 * second**2 + u[0] ** 2 + u[2] ** 2 + coupling


def _residuals_of_colville(x, data, parameters):
    u = x - 1
    first, second = u[0] * (x[0] + 1) - u[1], u[2] * (x[2] + 1) - u[3]
    apart = math.sqrt(0.2) * jnp.stack([u[1], u[3]])
    valleys = jnp.stack([10 * first, math.sqrt(90) * second, u[0], u[2], math.sqrt(9.9) * (u[1] + u[3])])
    return jnp.append(valleys, apart)


@problem_family()
def colville() -> Problem:
    """Two of Rosenbrock's valleys, coupled: four coordinates, the minimum at (1, 1, 1, 1)."""
    hessian = [[802.0, -400, 0, 0], [-400, 220.2, 0, 19.8], [0, 0, 722, -360], [0, 19.8, -360, 200.2]]
    return Problem(
        name="colville",
        objective=_colville,
        residuals=_residuals_of_colville,
        dim=4,
        formula="100 (x_1^2 - x_2)^2 + (x_1 - 1)^2 + (x_3 - 1)^2 + 90 (x_3^2 - x_4)^2 "
        "+ 10.1 ((x_2 - 1)^2 + (x_4 - 1)^2) + 19.8 (x_2 - 1) (x_4 - 1)",
        source=in_library("Colville, Report 320-2949, IBM New York Scientific Center, 1968"),
        box=cube(4, 10),
        start=np.array([-3.0, -1.0, -3.0, -1.0]),
        minimum=0.0,
        minimizers=np.ones((1, 4)),
        all_minimizers=True,
        curvature=fixed(*ends(hessian)),
        curvature_is_local=True,
        convex=False,
    )


def _forrester(x, data, parameters):
    t = 6 * x[0] - 2
    return t**2 * jnp.sin(2 * t)


@problem_family()
def forrester() -> Problem:
    """(6 x - 2)^2 sin(12 x - 4) in one dimension: one global and one local minimum and a zero slope between them.

    Outside of its box the wave grows and f goes lower.
    """
    return Problem(
        name="forrester",
        objective=_forrester,
        dim=1,
        formula="(6 x - 2)^2 sin(12 x - 4)",
        source=in_library(
            "Forrester, Sobester and Keane, Engineering Design via Surrogate Modelling, Wiley, 2008; minimum polished"
        ),
        box=between(0, 1, 1),
        start=np.array([0.5]),
        minimum=-6.0207400557670827866,
        minimizers=np.array([[0.75724875784185587005]]),
        all_minimizers=True,
        curvature=fixed(1068.008151378748, 1068.008151378748),
        curvature_is_local=True,
        convex=False,
        separable=True,
        within_box=True,
    )


def _goldstein_price(x, data, parameters):
    # In z = x + y + 1 and w = 2 x - 3 (y + 1) the two factors are 1 + a and 3 + b with a, b >= 0.
    z, w = x[0] + (x[1] + 1), 2 * x[0] - 3 * (x[1] + 1)
    a = z**2 * (3 * z**2 - 20 * z + 36)
    b = w**2 * (3 * w**2 + 20 * w + 36)
    return 3 * a + b + a * b


@problem_family()
def goldstein_price() -> Problem:
    """A product of two quartic valleys that spans six decades; four minima, the best, 3, at (0, -1)."""
    return Problem(
        name="goldstein_price",
        objective=_goldstein_price,
        dim=2,
        formula="(1 + (x + y + 1)^2 (19 - 14 x + 3 x^2 - 14 y + 6 x y + 3 y^2)) "
        "(30 + (2 x - 3 y)^2 (18 - 32 x + 12 x^2 + 48 y - 36 x y + 27 y^2))",
        source=in_library("Goldstein and Price, Mathematics of Computation 25 (1971) 569-574"),
        box=cube(2, 2),
        start=np.array([1.0, 1.5]),
        minimum=3.0,
        minimizers=np.array([[0.0, -1.0]]),
        all_minimizers=True,
        curvature=fixed(*ends([[504.0, -216.0], [-216.0, 864.0]])),
        curvature_is_local=True,
        offset=3.0,
        convex=False,
    )


def _powell(x, data, parameters):
    a, b, c, d = x.reshape(-1, 4).T
    return jnp.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def _residuals_of_powell(x, data, parameters):
    a, b, c, d = x.reshape(-1, 4).T
    return jnp.concatenate([a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) ** 2, math.sqrt(10) * (a - d) ** 2])


@problem_family()
def powell(dim: int = 4) -> Problem:
    """Powell's singular function: convex, with a Hessian at its minimum, 0, that is singular in half of all directions.

    Args:
        dim: number of coordinates, a multiple of 4.
    """
    faults = whole_number("powell", "dim", dim, 4)
    if not faults and dim % 4:
        faults = [f"problem 'powell': dim must be a multiple of 4, received {dim!r}"]
    refuse(faults)
    return Problem(
        name="powell",
        objective=_powell,
        residuals=_residuals_of_powell,
        dim=dim,
        formula="sum_i (x_{4i-3} + 10 x_{4i-2})^2 + 5 (x_{4i-1} - x_{4i})^2 "
        "+ (x_{4i-2} - 2 x_{4i-1})^4 + 10 (x_{4i-3} - x_{4i})^4, i = 1 ... n/4",
        source=in_library("Powell, The Computer Journal 5 (1962) 147-151; start (3, -1, 0, 1) repeated"),
        box=between(-4, 5, dim),
        start=np.tile([3.0, -1.0, 0.0, 1.0], dim // 4),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(0.0, 202.0),
        curvature_is_local=True,
        convex=True,
    )


VALLEY = -2.9035340277711770951
"""The lowest of the three zeros of 4 x^3 - 32 x + 5, polished to all digits."""

DEEPEST = -39.166165703771415464
"""(x^4 - 16 x^2 + 5 x)/2 there."""


def _styblinski_tang(x, data, parameters):
    # The quartic less its minimum has the minimizer as a double zero; the other factor is positive.
    return 0.5 * jnp.sum((x - VALLEY) ** 2 * (x**2 + 2 * VALLEY * x + (3 * VALLEY**2 - 16)))


@problem_family()
def styblinski_tang(dim: int = 2) -> Problem:
    """Sum of (x_i^4 - 16 x_i^2 + 5 x_i)/2: 2^n minima, all signs near 2.8; the best has all coordinates at -2.9035.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("styblinski_tang", "dim", dim, 1))
    sharpness = 6 * VALLEY**2 - 16
    return Problem(
        name="styblinski_tang",
        objective=_styblinski_tang,
        dim=dim,
        formula="1/2 sum_i x_i^4 - 16 x_i^2 + 5 x_i",
        source=in_library("Styblinski and Tang, Neural Networks 3 (1990) 467-483; minimum polished to all digits"),
        box=cube(dim, 5),
        start=np.full(dim, 1.0),
        minimum=DEEPEST * dim,
        minimizers=np.full((1, dim), VALLEY),
        all_minimizers=True,
        curvature=fixed(sharpness, sharpness),
        curvature_is_local=True,
        offset=DEEPEST * dim,
        convex=False,
        separable=True,
    )
