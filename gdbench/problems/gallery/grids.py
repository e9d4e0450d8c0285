"""Many global minima on a grid: where a descent ends says where it started."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import between, fixed
from gdbench.problems.gallery.sources import SURVEY, surveyed
from gdbench.problems.settings import refuse, whole_number

MOST = 128
"""Up to so many minimizers all are listed."""

NICHING = "Li, Engelbrecht and Epitropakis, Benchmark functions for CEC'2013 niching methods, RMIT, 2013"


def grid_of(values: Sequence[Sequence[float]]) -> tuple[np.ndarray, bool]:
    """All points [n, dim] with one of the values in each coordinate; the first one alone where they are many."""
    if math.prod(map(len, values)) > MOST:
        return np.array([[choices[0] for choices in values]]), False
    return np.array(list(itertools.product(*values))), True


def _qing(x, data, parameters):
    return jnp.sum(((x - data["roots"]) * (x + data["roots"])) ** 2)


@problem_family()
def qing(dim: int = 2) -> Problem:
    """Sum of (x_i^2 - i)^2: 2^n minima at all signs of sqrt(i), curvatures from 8 to 8n, steep walls.

    Args:
        dim: number of coordinates. All minimizers are listed up to dimension 7, beyond that the positive one.
    """
    refuse(whole_number("qing", "dim", dim, 1))
    roots = np.sqrt(np.arange(1.0, dim + 1))
    minimizers, complete = grid_of([(r, -r) for r in roots])
    return Problem(
        name="qing",
        objective=_qing,
        dim=dim,
        formula="sum_i (x_i^2 - i)^2",
        source=surveyed("Qing, IEEE Transactions on Geoscience and Remote Sensing 44 (2006) 116-125"),
        box=cube(dim, 500),
        start=np.full(dim, 50.0),
        minimum=0.0,
        minimizers=minimizers,
        all_minimizers=complete,
        curvature=fixed(8.0, 8.0 * dim),
        curvature_is_local=True,
        convex=False,
        separable=True,
        data={"roots": roots},
    )


THIRD_ROOT = -0.40262794118612379474
"""The real zero of x^3 - 2 x^2 + 4 x + 2."""


def _quintic(x, data, parameters):
    r = THIRD_ROOT
    # The factor without a real zero is what division by (x + 1)(x - 2)(x - r) leaves.
    return jnp.sum(jnp.abs((x + 1) * (x - 2) * (x - r) * (x**2 + (r - 2) * x + r**2 - 2 * r + 4)))


@problem_family()
def quintic(dim: int = 2) -> Problem:
    """Sum of |p(x_i)| of a polynomial of degree 5: corners at 3^n minima, slopes 9, 15 and 30 beside them.

    The zeros of p are -1, 2 and -0.4026; the literature leaves the third out.

    Args:
        dim: number of coordinates. All minimizers are listed up to dimension 4, beyond that the one of -1.
    """
    refuse(whole_number("quintic", "dim", dim, 1))
    minimizers, complete = grid_of([(-1.0, THIRD_ROOT, 2.0)] * dim)
    return Problem(
        name="quintic",
        objective=_quintic,
        dim=dim,
        formula="sum_i |x_i^5 - 3 x_i^4 + 4 x_i^3 + 2 x_i^2 - 10 x_i - 4|",
        source=f"listed by {SURVEY}",
        box=cube(dim, 10),
        start=np.full(dim, 5.0),
        minimum=0.0,
        minimizers=minimizers,
        all_minimizers=complete,
        convex=False,
        separable=True,
        kinks=minimizers,
    )


def _alpine_n1(x, data, parameters):
    return jnp.sum(jnp.abs(x * (jnp.sin(x) + 0.1)))


def _zeros_of_alpine() -> tuple[float, ...]:
    """The zeros of x (sin x + 0.1) in [-10, 10]: 0 and those of sin x = -0.1."""
    tilt = math.asin(0.1)
    falling = [math.pi + tilt + 2 * math.pi * k for k in (-2, -1, 0, 1)]
    rising = [-tilt + 2 * math.pi * k for k in (-1, 0, 1)]
    return (0.0, *sorted(falling + rising))


@problem_family()
def alpine_n1(dim: int = 2) -> Problem:
    """Sum of |x_i sin x_i + 0.1 x_i|: corners at 8^n minima of height 0, not at one.

    Besides x_i = 0 every x_i with sin x_i = -0.1 gives 0; the literature states 0 alone.

    Args:
        dim: number of coordinates. All minimizers are listed up to dimension 2, beyond that the origin.
    """
    refuse(whole_number("alpine_n1", "dim", dim, 1))
    minimizers, complete = grid_of([_zeros_of_alpine()] * dim)
    return Problem(
        name="alpine_n1",
        objective=_alpine_n1,
        dim=dim,
        formula="sum_i |x_i sin x_i + 0.1 x_i|",
        source=surveyed("Rahnamayan, Tizhoosh and Salama, Computers and Mathematics with Applications 53 (2007)"),
        box=cube(dim, 10),
        start=np.full(dim, 8.0),
        minimum=0.0,
        minimizers=minimizers,
        all_minimizers=complete,
        convex=False,
        separable=True,
        kinks=minimizers,
    )


PEAK, HEIGHT, BEND = 7.917052684666207077, 2.8081311800070048994, 2.841732132230249898
"""Where sqrt(x) sin x is largest in [0, 10], its value there, and minus its second derivative, to 19 digits."""


def _alpine_n2(x, data, parameters):
    positive = x != 0
    roots = jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)
    return -jnp.prod(roots * jnp.sin(x))


@problem_family()
def alpine_n2(dim: int = 2) -> Problem:
    """Minus the product of sqrt(x_i) sin x_i: hills and hollows like a chessboard, one corner hollow the deepest.

    Args:
        dim: number of coordinates, at most 80: beyond it the minimum leaves float32.
    """
    refuse(whole_number("alpine_n2", "dim", dim, 1, 80))
    sharpest = BEND * HEIGHT ** (dim - 1)
    return Problem(
        name="alpine_n2",
        objective=_alpine_n2,
        dim=dim,
        formula="-prod_i sqrt(x_i) sin(x_i)",
        # The survey prints the function without the minus sign, and 2.808^n as its minimum; that is its maximum.
        source=surveyed("Clerc, Congress on Evolutionary Computation, 1999"),
        box=(np.zeros(dim), np.full(dim, 10.0)),
        start=np.full(dim, 7.0),
        minimum=-(HEIGHT**dim),
        minimizers=np.full((1, dim), PEAK),
        all_minimizers=True,
        curvature=fixed(sharpest, sharpest),
        curvature_is_local=True,
        convex=False,
        separable=dim == 1,
        within_box=True,
        notes="not a number where a coordinate is negative",
    )


def _vincent(x, data, parameters):
    return 2 * jnp.mean(jnp.sin(5 * jnp.log(x) - math.pi / 4) ** 2)


@problem_family()
def vincent(dim: int = 2) -> Problem:
    """Sine of a logarithm: 6^n equal minima, each about 0.6 of its distance from 0 wide.

    Args:
        dim: number of coordinates. All minimizers are listed up to dimension 2, beyond that the leftmost.
    """
    refuse(whole_number("vincent", "dim", dim, 1))
    points = [math.exp((0.5 + 2 * k) * math.pi / 10) for k in range(-2, 4)]
    minimizers, complete = grid_of([points] * dim)
    flattest, sharpest = (100 / dim / points[i] ** 2 for i in (-1, 0))
    return Problem(
        name="vincent",
        objective=_vincent,
        dim=dim,
        formula="-1/n sum_i sin(10 ln x_i)",
        source=NICHING,
        box=between(0.25, 10.0, dim),
        start=np.full(dim, 5.0),
        minimum=-1.0,
        minimizers=minimizers,
        all_minimizers=complete,
        # Over those that are listed.
        curvature=fixed(flattest if complete else sharpest, sharpest),
        curvature_is_local=True,
        offset=-1.0,
        convex=False,
        separable=True,
        notes="not a number where a coordinate is negative",
    )


def _deb_1(x, data, parameters):
    sine = jnp.sin(5 * math.pi * x) ** 2
    return jnp.mean(jnp.cos(5 * math.pi * x) ** 2 * (1 + sine + sine**2))


@problem_family()
def deb_1(dim: int = 2) -> Problem:
    """Sixth powers of a sine: 10^n equal hollows with flat ground between them.

    Args:
        dim: number of coordinates. All minimizers are listed up to dimension 2, beyond that the one of -0.9.
    """
    refuse(whole_number("deb_1", "dim", dim, 1))
    minimizers, complete = grid_of([[k / 10 for k in range(-9, 10, 2)]] * dim)
    sharpest = 150 * math.pi**2 / dim
    return Problem(
        name="deb_1",
        objective=_deb_1,
        dim=dim,
        formula="-1/n sum_i sin^6(5 pi x_i)",
        source=surveyed("Deb and Goldberg, 3rd Int. Conf. on Genetic Algorithms, 1989"),
        box=cube(dim, 1),
        start=np.full(dim, 0.06),
        minimum=-1.0,
        minimizers=minimizers,
        all_minimizers=complete,
        curvature=fixed(sharpest, sharpest),
        curvature_is_local=True,
        offset=-1.0,
        convex=False,
        separable=True,
    )
