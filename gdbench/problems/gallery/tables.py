"""Functions of two coordinates with corners, creases or pits a hair wide."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed
from gdbench.problems.gallery.sources import surveyed
from gdbench.problems.guards import one_minus_exp, one_minus_sinc, root

MISHRA = "Mishra, Some new test functions for global optimization, MPRA 2718, 2006"


def _bartels_conn(x, data, parameters):
    a, b = x[0], x[1]
    # |cos y| - 1 without its cancellation.
    dip = jnp.sin(b) ** 2 / (1 + jnp.abs(jnp.cos(b)))
    return a**2 + b**2 + a * b + jnp.abs(jnp.sin(a)) - dip


@problem_family()
def bartels_conn() -> Problem:
    """A quadratic bowl with creases wherever sin x or cos y vanishes: the minimum lies in one, at height 1."""
    return Problem(
        name="bartels_conn",
        objective=_bartels_conn,
        dim=2,
        formula="|x^2 + y^2 + x y| + |sin x| + |cos y|",
        source=surveyed("Bartels and Conn"),
        box=cube(2, 500),
        start=np.array([200.0, 100.0]),
        minimum=1.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        offset=1.0,
        convex=False,
        kinks=np.array([[0.0, 0.0], [0.0, 2.0]]),
        notes="kinks along x = k pi and y = (k + 1/2) pi",
    )


def _log_of_table(x):
    """log(1 + |sin x sin y| exp|100 - r/pi|): the exponential alone leaves float32."""
    height = jnp.abs(jnp.sin(x[0]) * jnp.sin(x[1]))
    positive = height > 0
    logarithm = jnp.log(jnp.where(positive, height, 1)) + jnp.abs(100 - root(jnp.sum(x**2)) / math.pi)
    return jnp.where(positive, jnp.logaddexp(0, logarithm), 0)


def _cross_leg_table(x, data, parameters):
    return one_minus_exp(0.1 * _log_of_table(x))


@problem_family()
def cross_leg_table() -> Problem:
    """A flat table with slits 1e-43 wide down to -1 along both axes: found only by a step that lands on an axis.

    Along every line x = k pi or y = k pi f is -1; but for the axes no floating-point number lies on one.
    """
    return Problem(
        name="cross_leg_table",
        objective=_cross_leg_table,
        dim=2,
        formula="-(|sin x sin y exp|100 - r/pi|| + 1)^(-0.1), r = sqrt(x^2 + y^2)",
        source=MISHRA,
        box=cube(2, 10),
        start=np.array([2.0, 1.0]),
        minimum=-1.0,
        minimizers=np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 0.0]]),
        offset=-1.0,
        convex=False,
        kinks=np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 0.0]]),
        notes="every point of the two axes is a global minimizer; three are listed",
    )


def _crowned_cross(x, data, parameters):
    return 1e-4 * jnp.expm1(0.1 * _log_of_table(x))


@problem_family()
def crowned_cross() -> Problem:
    """Hills that fall ever more steeply to both axes, where f is 1e-4: the slope has no bound next to the minimum."""
    return Problem(
        name="crowned_cross",
        objective=_crowned_cross,
        dim=2,
        formula="1e-4 (|sin x sin y exp|100 - r/pi|| + 1)^0.1, r = sqrt(x^2 + y^2)",
        # Some lists print the minimum as 0.
        source=MISHRA,
        box=cube(2, 10),
        start=np.array([2.0, 1.0]),
        minimum=1e-4,
        minimizers=np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 0.0]]),
        offset=1e-4,
        convex=False,
        kinks=np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 0.0]]),
        notes="every point of the two axes is a global minimizer; three are listed",
    )


def _damavandi(x, data, parameters):
    first, second = one_minus_sinc(x[0] - 2), one_minus_sinc(x[1] - 2)
    product = (1 - first) * (1 - second)
    size = jnp.abs(product)
    # 1 - |p| of a product close to 1 comes from what its factors lack to 1.
    lack = jnp.where(product > 0, first + second - first * second, 1 + product)
    bowl = 2 + (x[0] - 7) ** 2 + 2 * (x[1] - 7) ** 2
    return lack * (1 + size + size**2 + size**3 + size**4) * bowl


@problem_family()
def damavandi() -> Problem:
    """A wide bowl around (7, 7) that bottoms at 2, and a pit at (2, 2) down to 0: the slope leads away from the pit."""
    sharpest = 77 * 5 * math.pi**2 / 3
    return Problem(
        name="damavandi",
        objective=_damavandi,
        dim=2,
        formula="(1 - |sinc(x - 2) sinc(y - 2)|^5) (2 + (x - 7)^2 + 2 (y - 7)^2), sinc u = sin(pi u)/(pi u)",
        source=surveyed("Damavandi and Safavi-Naeini, IEEE Trans. Microwave Theory and Techniques 53 (2005)"),
        box=(np.zeros(2), np.full(2, 14.0)),
        start=np.array([4.5, 9.0]),
        minimum=0.0,
        minimizers=np.full((1, 2), 2.0),
        all_minimizers=True,
        curvature=fixed(sharpest, sharpest),
        curvature_is_local=True,
        convex=False,
    )


BEST_OF_KEANE = 1.393249075325588516
"""The smallest positive solution of tan y = 4 y; it and the curvature are polished to 19 digits."""


def _keane(x, data, parameters):
    square = jnp.sum(x**2)
    waves = (jnp.sin(x[0] - x[1]) * jnp.sin(x[0] + x[1])) ** 2
    return -waves / jnp.sqrt(jnp.where(square > 0, square, 1))


@problem_family()
def keane() -> Problem:
    """Waves that fade with the distance: four equal minima on the axes, and a flat maximum of 0 along the diagonals.

    The published box, from 0 to 10, has two of them on its edge; this one is symmetric, and they are inside.
    """
    b = BEST_OF_KEANE
    return Problem(
        name="keane",
        objective=_keane,
        dim=2,
        formula="-sin^2(x - y) sin^2(x + y)/sqrt(x^2 + y^2)",
        source=surveyed("Keane, 1st Int. Conf. on Adaptive Computing in Engineering Design and Control, 1994"),
        box=cube(2, 10),
        start=np.array([2.0, 0.5]),
        minimum=-(math.sin(b) ** 4) / b,
        minimizers=np.array([[b, 0.0], [-b, 0.0], [0.0, b], [0.0, -b]]),
        all_minimizers=True,
        curvature=fixed(2.434384961579322854, 3.1284786229342456702),
        curvature_is_local=True,
        convex=False,
    )


def _price_1(x, data, parameters):
    return jnp.sum((jnp.abs(x) - 5) ** 2)


@problem_family()
def price_1() -> Problem:
    """(|x| - 5)^2 + (|y| - 5)^2: four equal bowls that meet in creases along the axes."""
    return Problem(
        name="price_1",
        objective=_price_1,
        dim=2,
        formula="(|x| - 5)^2 + (|y| - 5)^2",
        source=surveyed("Price, The Computer Journal 20 (1977) 367-370; also Becker and Lago, 1970"),
        box=cube(2, 500),
        start=np.array([100.0, -50.0]),
        minimum=0.0,
        minimizers=np.array([[5.0, 5.0], [5.0, -5.0], [-5.0, 5.0], [-5.0, -5.0]]),
        all_minimizers=True,
        curvature=fixed(2.0, 2.0),
        curvature_is_local=True,
        convex=False,
        separable=True,
        kinks=np.array([[0.0, 0.0], [0.0, 5.0]]),
        notes="kinks along both axes",
    )


BEST_OF_TEST_TUBE = 1.5706026141658021641
"""Polished to 20 digits, as are the value and the curvature there."""


def _testtube_holder(x, data, parameters):
    return -4 * jnp.abs(jnp.sin(x[0]) * jnp.cos(x[1])) * jnp.exp(jnp.abs(jnp.cos(jnp.sum(x**2) / 200)))


@problem_family()
def testtube_holder() -> Problem:
    """Rows of round pits with creases between them: 42 minima in its box, the two beside the origin the deepest."""
    b = BEST_OF_TEST_TUBE
    return Problem(
        name="testtube_holder",
        objective=_testtube_holder,
        dim=2,
        formula="-4 |sin x cos y exp|cos((x^2 + y^2)/200)||",
        source=surveyed(MISHRA),
        box=cube(2, 10),
        start=np.array([4.0, 2.5]),
        minimum=-10.872300105622744925,
        minimizers=np.array([[b, 0.0], [-b, 0.0]]),
        all_minimizers=True,
        curvature=fixed(10.873641057079919377, 10.876323231975130492),
        curvature_is_local=True,
        convex=False,
        kinks=np.array([[0.0, 0.0], [1.0, math.pi / 2]]),
        notes="kinks along x = k pi and y = (k + 1/2) pi",
    )
