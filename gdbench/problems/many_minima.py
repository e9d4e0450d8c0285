"""Functions of many local minima, in any dimension: Ackley, Griewank, Levy and Schwefel."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed, in_library, numbers, one_minus_cos
from gdbench.problems.guards import root
from gdbench.problems.settings import refuse, whole_number


def _ackley(x, data, parameters):
    a, b, c = parameters["a"], parameters["b"], parameters["c"]
    radius = root(jnp.mean(x**2))
    return -a * jnp.expm1(-b * radius) - math.e * jnp.expm1(-jnp.mean(one_minus_cos(c * x)))


@problem_family(a=20.0, b=0.2, c=2 * math.pi)
def ackley(dim: int = 2) -> Problem:
    """A funnel under a regular grid of minima; its minimum, at 0, is the tip of a cone with the slope a b/sqrt(n).

    Gradient descent at a fixed rate cannot come to rest on a cone. The parameters a and b must be positive.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("ackley", "dim", dim, 1))
    return Problem(
        name="ackley",
        objective=_ackley,
        dim=dim,
        formula="a + e - a exp(-b sqrt(sum_i x_i^2/n)) - exp(sum_i cos(c x_i)/n)",
        source=in_library("Ackley, A Connectionist Machine for Genetic Hillclimbing, Kluwer, 1987"),
        box=cube(dim, 32.768),
        start=np.full(dim, 20.3),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=False,
        separable=dim == 1,
        kinks=np.zeros((1, dim)),
        notes="the minimum is a kink: there the gradient is stated as 0",
    )


def _griewank(x, data, parameters):
    angles = x / jnp.sqrt(numbers(x))
    # 1 - c_1 c_2 ... c_n = sum_i (1 - c_i) c_1 ... c_{i-1}: small terms of one sign near the minimum.
    before = jnp.concatenate([jnp.ones_like(x[:1]), jnp.cumprod(jnp.cos(angles))[:-1]])
    return jnp.sum(x**2) / 4000 + jnp.sum(one_minus_cos(angles) * before)


@problem_family()
def griewank(dim: int = 2) -> Problem:
    """A shallow bowl with ripples of height 1, thousands of local minima in its box; the global one is at 0.

    In more dimensions the product of cosines is almost always near 0, and the function becomes easier.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("griewank", "dim", dim, 1))
    return Problem(
        name="griewank",
        objective=_griewank,
        dim=dim,
        formula="1 + sum_i x_i^2/4000 - prod_i cos(x_i/sqrt(i))",
        source=in_library("Griewank, Journal of Optimization Theory and Applications 34 (1981) 11-39"),
        box=cube(dim, 600),
        start=np.full(dim, 300.5),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(1 / 2000 + 1 / dim, 1 / 2000 + 1),
        curvature_is_local=True,
        convex=False,
        separable=dim == 1,
    )


def _levy(x, data, parameters):
    v = (x - 1) / 4
    inner = jnp.sum(v[:-1] ** 2 * (1 + 10 * jnp.sin(math.pi * v[:-1] + 1) ** 2))
    last = v[-1] ** 2 * (1 + jnp.sin(2 * math.pi * v[-1]) ** 2)
    return jnp.sin(math.pi * v[0]) ** 2 + inner + last


def _levy_curvature(dim: int) -> tuple[float, float]:
    """The Hessian at (1, ..., 1) is diagonal: one entry for the first, the inner and the last coordinates."""
    wave, last, inner = math.pi**2 / 8, 1 / 8, (1 + 10 * math.sin(1) ** 2) / 8
    if dim == 1:
        return wave + last, wave + last
    return last, wave + inner


@problem_family()
def levy(dim: int = 2) -> Problem:
    """Levy's function of w_i = 1 + (x_i - 1)/4: a bowl with waves in every coordinate, the minimum at (1, ..., 1).

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("levy", "dim", dim, 1))
    return Problem(
        name="levy",
        objective=_levy,
        dim=dim,
        formula="sin^2(pi w_1) + sum_{i<n} (w_i - 1)^2 (1 + 10 sin^2(pi w_i + 1)) + (w_n - 1)^2 (1 + sin^2(2 pi w_n)), "
        "w_i = 1 + (x_i - 1)/4",
        source=in_library("Laguna and Marti, Journal of Global Optimization 33 (2005) 235-255"),
        box=cube(dim, 10),
        start=np.full(dim, -6.2),
        minimum=0.0,
        minimizers=np.ones((1, dim)),
        all_minimizers=True,
        curvature=fixed(*_levy_curvature(dim)),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _levy_n13(x, data, parameters):
    u, v = x[0] - 1, x[1] - 1
    waves = u**2 * jnp.sin(3 * math.pi * v) ** 2 + v**2 * jnp.sin(2 * math.pi * v) ** 2
    return jnp.sin(3 * math.pi * u) ** 2 + u**2 + v**2 + waves


@problem_family()
def levy_n13() -> Problem:
    """Levy's function N. 13 in the plane: narrow waves along both coordinates, the minimum at (1, 1)."""
    return Problem(
        name="levy_n13",
        objective=_levy_n13,
        dim=2,
        formula="sin^2(3 pi x) + (x - 1)^2 (1 + sin^2(3 pi y)) + (y - 1)^2 (1 + sin^2(2 pi y))",
        source=in_library("Mishra, Some new test functions for global optimization, MPRA Paper 2718, 2006"),
        box=cube(2, 10),
        start=np.array([-4.1, 5.3]),
        minimum=0.0,
        minimizers=np.ones((1, 2)),
        all_minimizers=True,
        curvature=fixed(2.0, 2 + 18 * math.pi**2),
        curvature_is_local=True,
        convex=False,
    )


SCHWEFEL_MINIMIZER = 420.96874635998202731
"""The best of the solutions of tan(sqrt x) = -sqrt(x)/2, where the slope of x sin(sqrt x) vanishes."""

SCHWEFEL_CONSTANT = 418.98288727243370627
"""x sin(sqrt x) there. Rounded to 418.9829, as it is often printed, it would leave a minimum of 1.3e-5 n."""


def _schwefel(x, data, parameters):
    r = math.sqrt(SCHWEFEL_MINIMIZER)
    sine = SCHWEFEL_CONSTANT / SCHWEFEL_MINIMIZER
    s, positive = root(jnp.abs(x)), x > 0
    plain = SCHWEFEL_CONSTANT - x * jnp.sin(s)
    # The same for x > 0 in terms of s - r, by the sum of angles and tan r = -r/2: what cancels at the minimum is gone.
    step = x - SCHWEFEL_MINIMIZER
    angle = jnp.where(positive, step / (s + r), 0)
    first = SCHWEFEL_MINIMIZER * one_minus_cos(angle) + 2 * r * (jnp.sin(angle) - angle * jnp.cos(angle))
    gap = sine * (first - angle**2 * jnp.cos(angle) + 2 / r * step * jnp.sin(angle))
    return jnp.sum(jnp.where(positive, gap, plain))


@problem_family()
def schwefel(dim: int = 2) -> Problem:
    """Sum of 418.98... - x_i sin sqrt|x_i|: the best minimum lies near a corner of the box, far from the next best.

    Outside of the box it goes lower, without bound.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("schwefel", "dim", dim, 1))
    # f'' = (s sin s - 3 cos s)/(4 s), with cos s = -2 sin(s)/s at the minimizer.
    sharpness = SCHWEFEL_CONSTANT / SCHWEFEL_MINIMIZER * (0.25 + 1.5 / SCHWEFEL_MINIMIZER)
    return Problem(
        name="schwefel",
        objective=_schwefel,
        dim=dim,
        formula=f"{SCHWEFEL_CONSTANT!r} n - sum_i x_i sin(sqrt|x_i|)",
        source=in_library("Schwefel, Numerical Optimization of Computer Models, Wiley, 1981, problem 2.26"),
        box=cube(dim, 500),
        start=np.full(dim, 100.0),
        minimum=0.0,
        minimizers=np.full((1, dim), SCHWEFEL_MINIMIZER),
        all_minimizers=True,
        curvature=fixed(sharpness, sharpness),
        curvature_is_local=True,
        convex=False,
        separable=True,
        within_box=True,
        notes="the constant is taken to all digits, for the minimum to be 0",
    )
