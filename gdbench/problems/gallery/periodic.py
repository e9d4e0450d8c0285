"""Waves over two coordinates."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed
from gdbench.problems.gallery.sources import SURVEY, surveyed
from gdbench.problems.guards import one_minus_exp


def _parsopoulos(x, data, parameters):
    return jnp.cos(x[0]) ** 2 + jnp.sin(x[1]) ** 2


@problem_family()
def parsopoulos() -> Problem:
    """cos^2 x + sin^2 y: twelve equal minima in its box, saddles and maxima half a period between them."""
    across, along = np.array([-1.5, -0.5, 0.5, 1.5]) * math.pi, np.array([-1.0, 0.0, 1.0]) * math.pi
    return Problem(
        name="parsopoulos",
        objective=_parsopoulos,
        dim=2,
        formula="cos^2 x + sin^2 y",
        source=surveyed("Parsopoulos and Vrahatis, 2002"),
        box=cube(2, 5),
        start=np.array([0.5, 1.0]),
        minimum=0.0,
        minimizers=np.array([(x, y) for x in across for y in along]),
        all_minimizers=True,
        curvature=fixed(2.0, 2.0),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _periodic(x, data, parameters):
    return jnp.sum(jnp.sin(x) ** 2) + 0.1 * one_minus_exp(jnp.sum(x**2))


@problem_family()
def periodic() -> Problem:
    """Waves of one height with a dent of 0.1 at the origin: 49 minima in its box, 48 of them about 0.1 too high."""
    return Problem(
        name="periodic",
        objective=_periodic,
        dim=2,
        formula="1 + sin^2 x + sin^2 y - 0.1 exp(-x^2 - y^2)",
        source=surveyed("Price, The Computer Journal 20 (1977); Ali et al., J. Global Optimization 31 (2005)"),
        box=cube(2, 10),
        start=np.array([5.0, 4.0]),
        minimum=0.9,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(2.2, 2.2),
        curvature_is_local=True,
        offset=0.9,
        convex=False,
    )


def _fading_ripples(x, fine: float):
    """Sum of (1 + fine) - exp(-2 ln 2 ((x - 0.1)/0.8)^2) (sin^6(5 pi x) + fine cos^2(500 pi x))."""
    e = x - 0.1
    fading = 2 * math.log(2) * (e / 0.8) ** 2
    sine = jnp.sin(5 * math.pi * e) ** 2  # cos^2(5 pi x), for 5 pi 0.1 is a quarter of a turn
    missing = sine * (1 + (1 - sine) + (1 - sine) ** 2) + fine * jnp.sin(500 * math.pi * e) ** 2
    return jnp.sum(jnp.exp(-fading) * missing + (1 + fine) * one_minus_exp(fading))


def _ripple_25(x, data, parameters):
    return _fading_ripples(x, 0.0)


def _ripple_1(x, data, parameters):
    return _fading_ripples(x, 0.1)


def _rippled(name: str, objective, fine: float) -> Problem:
    """The facts of both ripple functions; ``fine`` is the share of the fine ripples."""
    sharpest = (1 + fine) * 4 * math.log(2) / 0.64 + 150 * math.pi**2 + fine * 2 * (500 * math.pi) ** 2
    tail = " + 0.1 cos^2(500 pi x_i)" if fine else ""
    return Problem(
        name=name,
        objective=objective,
        dim=2,
        formula=f"-sum_i exp(-2 ln 2 ((x_i - 0.1)/0.8)^2) (sin^6(5 pi x_i){tail})",
        source=f"listed by {SURVEY}",
        box=(np.zeros(2), np.ones(2)),
        start=np.array([0.6003, 0.4002]),
        minimum=-2 * (1 + fine),
        minimizers=np.full((1, 2), 0.1),
        all_minimizers=True,
        curvature=fixed(sharpest, sharpest),
        curvature_is_local=True,
        offset=-2 * (1 + fine),
        convex=False,
        separable=True,
    )


@problem_family()
def ripple_1() -> Problem:
    """25 fading hollows, each under thousands of ripples: curvature 5e5 at the minimum, so rates must be below 4e-6."""
    return _rippled("ripple_1", _ripple_1, 0.1)


@problem_family()
def ripple_25() -> Problem:
    """25 hollows in a square, each less deep than the one before, and flat ground between them."""
    return _rippled("ripple_25", _ripple_25, 0.0)


BEST_OF_TREFETHEN = (-0.024403079694375171904, 0.21061242715535577059)
"""Polished to 20 digits by Newton's method in 40-digit arithmetic, as are its value and its curvature."""


def _trefethen(x, data, parameters):
    a, b = x[0], x[1]
    waves = jnp.exp(jnp.sin(50 * a)) + jnp.sin(60 * jnp.exp(b)) + jnp.sin(70 * jnp.sin(a))
    return waves + jnp.sin(jnp.sin(80 * b)) - jnp.sin(10 * (a + b)) + (a**2 + b**2) / 4


@problem_family()
def trefethen() -> Problem:
    """Waves of five lengths, of the hundred-digit challenge: hundreds of minima in its box, -3.30687 the lowest."""
    return Problem(
        name="trefethen",
        objective=_trefethen,
        dim=2,
        formula="exp(sin 50x) + sin(60 exp y) + sin(70 sin x) + sin(sin 80y) - sin(10 (x + y)) + (x^2 + y^2)/4",
        source="Trefethen, SIAM News 35 (2002); Bornemann et al., The SIAM 100-Digit Challenge, SIAM, 2004",
        box=cube(2, 1),
        start=np.array([0.5, 0.5]),
        minimum=-3.3068686474752372801,
        minimizers=np.array([BEST_OF_TREFETHEN]),
        all_minimizers=True,
        curvature=fixed(5977.9936679765504805, 9898.1206750371238386),
        curvature_is_local=True,
        convex=False,
    )


BEST_OF_URSEM = (math.pi + math.asin(0.25)) / 2
"""Where sin 2x = -1/4 and cos 2x = -sqrt(15)/4."""


def _ursem_1(x, data, parameters):
    d = x[0] - BEST_OF_URSEM
    along = 0.5 * math.sqrt(15) * jnp.sin(d) ** 2 + (jnp.sin(2 * d) - 2 * d) / 4
    return along + 6 * jnp.sin(x[1] / 2) ** 2


@problem_family()
def ursem_1() -> Problem:
    """Waves on a slope: two hollows in its box, the lower one on the right, with lower ones still beyond it."""
    minimum = -math.sqrt(15) / 4 - 3 - BEST_OF_URSEM / 2
    return Problem(
        name="ursem_1",
        objective=_ursem_1,
        dim=2,
        formula="-sin(2 x - pi/2) - 3 cos y - x/2",
        source=surveyed("Rönkkönen, Continuous multimodal global optimization, Lappeenranta, 2009"),
        box=(np.array([-2.5, -2.0]), np.array([3.0, 2.0])),
        start=np.array([-0.5, 1.5]),
        minimum=minimum,
        minimizers=np.array([[BEST_OF_URSEM, 0.0]]),
        all_minimizers=True,
        curvature=fixed(3.0, math.sqrt(15)),
        curvature_is_local=True,
        offset=minimum,
        convex=False,
        separable=True,
        within_box=True,
        notes="not bounded below outside of its box",
    )


def _venter_sobieski(x, data, parameters):
    return jnp.sum(x**2 + 100 * jnp.sin(x) ** 2 + 200 * jnp.sin(x**2 / 60) ** 2)


@problem_family()
def venter_sobieski() -> Problem:
    """A bowl under two kinds of waves, one of a fixed length and one that shortens outwards."""
    return Problem(
        name="venter_sobieski",
        objective=_venter_sobieski,
        dim=2,
        formula="sum_i x_i^2 - 100 cos^2 x_i - 100 cos(x_i^2/30)",
        source=surveyed("Venter and Sobieszczanski-Sobieski, 2003; Begambre and Laier (2009)"),
        box=cube(2, 50),
        start=np.array([20.0, 10.0]),
        minimum=-400.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(202.0, 202.0),
        curvature_is_local=True,
        offset=-400.0,
        convex=False,
        separable=True,
    )
