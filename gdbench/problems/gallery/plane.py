"""Smooth functions of two coordinates."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems import boxes
from gdbench.problems.facts import between, fixed
from gdbench.problems.gallery.sources import SURVEY, surveyed

BEST_OF_ADJIMAN = (2.0, 0.10578346945171690647)
BEST_OF_ALUFFI = -1.0466805318046022612
BEST_OF_BIRD = ((4.7010431302495530234, 3.1529385037249300727), (-1.5821421769300334535, -3.1302468034546564042))
BEST_OF_DEKKERS = 223.3563772326286698
BEST_OF_GIUNTA = 0.46732002539796060566
BEST_OF_PRICE = 1.4643521196636983558
BEST_OF_ZETTL = -0.029895985050660383482
"""Coordinates of minimizers (of Dekkers and Aarts: the square of one), polished to 20 digits by Newton's method in
40-digit arithmetic."""


def _adjiman(x, data, parameters):
    return jnp.cos(x[0]) * jnp.sin(x[1]) - x[0] / (x[1] ** 2 + 1)


@problem_family()
def adjiman() -> Problem:
    """cos x sin y - x/(y^2 + 1): its minimum is on the edge of its box, and beyond it f falls for ever."""
    return Problem(
        name="adjiman",
        objective=_adjiman,
        dim=2,
        formula="cos(x) sin(y) - x/(y^2 + 1)",
        source=surveyed("Adjiman, Dallwig, Floudas and Neumaier, Computers and Chemical Engineering 22 (1998)"),
        box=(np.array([-1.0, -1.0]), np.array([2.0, 1.0])),
        start=np.zeros(2),
        minimum=-2.0218067833597869534,
        minimizers=np.array([BEST_OF_ADJIMAN]),
        all_minimizers=True,
        convex=False,
        within_box=True,
        notes="not bounded below outside of its box",
    )


def _aluffi_pentini(x, data, parameters):
    # Taylor's formula of x^4/4 - x^2/2 + x/10 at its minimizer b, where the slope is 0.
    b = BEST_OF_ALUFFI
    e = x[0] - b
    return e**2 * ((3 * b**2 - 1) / 2 + b * e + e**2 / 4) + 0.5 * x[1] ** 2


@problem_family()
def aluffi_pentini() -> Problem:
    """A tilted double well: two minima 0.2 apart in height, the lower one on the left."""
    return Problem(
        name="aluffi_pentini",
        objective=_aluffi_pentini,
        dim=2,
        formula="x^4/4 - x^2/2 + x/10 + y^2/2",
        source=surveyed("Aluffi-Pentini, Parisi and Zirilli, J. Optimization Theory and Applications 47 (1985) 1-16"),
        box=boxes.cube(2, 10),
        start=np.array([2.0, 2.0]),
        minimum=-0.35238607380003642098,
        minimizers=np.array([[BEST_OF_ALUFFI, 0.0]]),
        all_minimizers=True,
        curvature=fixed(1.0, 3 * BEST_OF_ALUFFI**2 - 1),
        curvature_is_local=True,
        offset=-0.35238607380003642098,
        convex=False,
        separable=True,
    )


def _bird(x, data, parameters):
    a, b = x[0], x[1]
    waves = jnp.sin(a) * jnp.exp((1 - jnp.cos(b)) ** 2) + jnp.cos(b) * jnp.exp((1 - jnp.sin(a)) ** 2)
    return waves + (a - b) ** 2


@problem_family()
def bird() -> Problem:
    """Exponentials of squared waves along a diagonal valley: two equal minima, a period apart on both axes."""
    return Problem(
        name="bird",
        objective=_bird,
        dim=2,
        formula="sin(x) exp((1 - cos y)^2) + cos(y) exp((1 - sin x)^2) + (x - y)^2",
        source=surveyed("Mishra, Some new test functions for global optimization, MPRA 2718, 2006"),
        box=boxes.cube(2, 2 * math.pi),
        start=np.array([0.0, 2.0]),
        minimum=-106.76453674926467478,
        minimizers=np.array(BEST_OF_BIRD),
        all_minimizers=True,
        curvature=fixed(272.81158558364350908, 276.69916972686219114),
        curvature_is_local=True,
        convex=False,
    )


def _cube(x, data, parameters):
    return 100 * (x[1] - x[0] ** 3) ** 2 + (1 - x[0]) ** 2


def _terms_of_cube(x, data, parameters):
    return jnp.stack([10 * (x[1] - x[0] ** 3), 1 - x[0]])


@problem_family("cube")
def cubic_valley() -> Problem:
    """100 (y - x^3)^2 + (1 - x)^2: a curved valley like Rosenbrock's, with a bend at its inflection.

    Leon's function is the same one in a smaller box; the survey prints that as Rosenbrock's.
    """
    trace, determinant = 2002.0, 400.0
    largest = (trace + math.sqrt(trace**2 - 4 * determinant)) / 2
    return Problem(
        name="cube",
        objective=_cube,
        residuals=_terms_of_cube,
        dim=2,
        formula="100 (y - x^3)^2 + (1 - x)^2",
        source=surveyed("Lavi and Vogl (eds.), Recent Advances in Optimization Techniques, Wiley, 1966 (Leon)"),
        box=boxes.cube(2, 10),
        start=np.array([-1.2, 1.0]),
        minimum=0.0,
        minimizers=np.ones((1, 2)),
        all_minimizers=True,
        curvature=fixed(determinant / largest, largest),
        curvature_is_local=True,
        convex=False,
    )


def _dekkers_aarts(x, data, parameters):
    # Taylor's formula of s - s^2 + 1e-5 s^4 at its minimizer, where the slope is 0; s = x^2 + y^2.
    best = BEST_OF_DEKKERS
    height = math.sqrt(best)
    e = x[0] ** 2 + (x[1] - height) * (x[1] + height)
    return 99999 * x[0] ** 2 + e**2 * (6e-5 * best**2 - 1 + 4e-5 * best * e + 1e-5 * e**2)


@problem_family()
def dekkers_aarts() -> Problem:
    """Two deep hollows on the y axis, 56 times as sharp across it as along it, and walls of eighth order.

    The survey spells it Deckkers-Aarts and rounds the minimum to -24777 at (0, -15) and (0, 15).
    """
    height = math.sqrt(BEST_OF_DEKKERS)
    along = 4 * BEST_OF_DEKKERS * (12e-5 * BEST_OF_DEKKERS**2 - 2)
    return Problem(
        name="dekkers_aarts",
        objective=_dekkers_aarts,
        dim=2,
        formula="1e5 x^2 + y^2 - (x^2 + y^2)^2 + 1e-5 (x^2 + y^2)^4",
        source=surveyed("Dekkers and Aarts, Mathematical Programming 50 (1991); Ali et al., J. Global Opt. 31 (2005)"),
        box=boxes.cube(2, 20),
        start=np.array([5.0, 5.0]),
        minimum=-24776.518342317689898,
        minimizers=np.array([[0.0, height], [0.0, -height]]),
        all_minimizers=True,
        curvature=fixed(along, 199998.0),
        curvature_is_local=True,
        offset=-24776.518342317689898,
        convex=False,
    )


def _egg_crate(x, data, parameters):
    return jnp.sum(x**2 + 25 * jnp.sin(x) ** 2)


@problem_family()
def egg_crate() -> Problem:
    """x^2 + y^2 + 25 (sin^2 x + sin^2 y): nine hollows in its box, the middle one the deepest."""
    return Problem(
        name="egg_crate",
        objective=_egg_crate,
        dim=2,
        formula="x^2 + y^2 + 25 (sin^2 x + sin^2 y)",
        source=f"listed by {SURVEY}",
        box=boxes.cube(2, 5),
        start=np.array([2.5, 2.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(52.0, 52.0),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _giunta(x, data, parameters):
    u = 16 / 15 * x - 1
    return 0.6 + jnp.sum(jnp.sin(u) + jnp.sin(u) ** 2 + jnp.sin(4 * u) / 50)


@problem_family()
def giunta() -> Problem:
    """Sines of 16/15 x_i - 1: one hollow in its box, beyond a hill on the left.

    The survey prints the minimum as 0.060447 at 0.4583 in both coordinates, where f is 0.0646.
    """
    return Problem(
        name="giunta",
        objective=_giunta,
        dim=2,
        formula="0.6 + sum_i sin(u_i) + sin^2(u_i) + sin(4 u_i)/50, u = 16/15 x - 1",
        source=surveyed("Mishra, Global optimization by differential evolution and particle swarm, MPRA 1005, 2006"),
        box=boxes.cube(2, 1),
        start=np.array([-0.5, 0.8]),
        minimum=0.064470420536905649894,
        minimizers=np.full((1, 2), BEST_OF_GIUNTA),
        all_minimizers=True,
        curvature=fixed(2.1007774542529720938, 2.1007774542529720938),
        curvature_is_local=True,
        separable=True,
    )


def _hosaki(x, data, parameters):
    d, e = x[0] - 4, x[1] - 2
    bell = x[1] ** 2 * jnp.exp(-x[1])
    # The quartic is d^2 (x^2/4 - x/3 + 1/3) - 13/3, and the bell is 4 exp(-2) at its top.
    below_top = 4 * jnp.exp(-x[1]) * (jnp.expm1(e) - e - e**2 / 4)
    return d**2 * (x[0] ** 2 / 4 - x[0] / 3 + 1 / 3) * bell + 13 / 3 * below_top


@problem_family()
def hosaki() -> Problem:
    """A quartic in x times y^2 exp(-y): two hollows on the line y = 2, the deeper one at x = 4, exactly -52/(3 e^2)."""
    return Problem(
        name="hosaki",
        objective=_hosaki,
        dim=2,
        formula="(1 - 8 x + 7 x^2 - 7/3 x^3 + x^4/4) y^2 exp(-y)",
        source=surveyed("Bekey and Ung, IEEE Transactions on Systems, Man and Cybernetics 4 (1974)"),
        box=(np.zeros(2), np.array([5.0, 6.0])),
        start=np.array([1.8, 3.5]),
        minimum=-52 / 3 * math.exp(-2),
        minimizers=np.array([[4.0, 2.0]]),
        all_minimizers=True,
        curvature=fixed(26 / 3 * math.exp(-2), 24 * math.exp(-2)),
        curvature_is_local=True,
        offset=-52 / 3 * math.exp(-2),
        convex=False,
        within_box=True,
        notes="not bounded below where y is negative",
    )


def _price_4(x, data, parameters):
    a, b = x[0], x[1]
    return (b * (2 * a**3 - b**2)) ** 2 + (6 * a - b**2 + b) ** 2


def _terms_of_price_4(x, data, parameters):
    a, b = x[0], x[1]
    return jnp.stack([b * (2 * a**3 - b**2), 6 * a - b**2 + b])


@problem_family()
def price_4() -> Problem:
    """Two cubics squared: three zeros, one of them flat in one direction, and walls of eighth order.

    The box is [-10, 10] here; the published one reaches to 500, where f is 1e22.
    """
    b = BEST_OF_PRICE
    return Problem(
        name="price_4",
        objective=_price_4,
        residuals=_terms_of_price_4,
        dim=2,
        formula="(2 x^3 y - y^3)^2 + (6 x - y^2 + y)^2",
        source=surveyed("Price, The Computer Journal 20 (1977) 367-370"),
        box=boxes.cube(2, 10),
        start=np.array([-2.0, 3.0]),
        minimum=0.0,
        # y = 0 leaves x = 0; otherwise y^2 = 2 x^3 and 2 (x^2 - 3)^2 = x, whose real solutions are 2 and 1.464.
        minimizers=np.array([[0.0, 0.0], [2.0, 4.0], [b, 2 * b**3 - 6 * b]]),
        all_minimizers=True,
        curvature=fixed(0.0, _sharpest_of_price()),
        curvature_is_local=True,
        convex=False,
    )


def _sharpest_of_price() -> float:
    """Largest eigenvalue of the Hessian over the three zeros; it is the one at (2, 4)."""
    jacobian = np.array([[96.0, -32.0], [6.0, -7.0]])
    return float(2 * np.linalg.svd(jacobian, compute_uv=False)[0] ** 2)


def _zettl(x, data, parameters):
    # With u = x^2 + y^2 - 2x and its value at the minimizer b, the linear term of f = u^2 + x/4 vanishes there.
    b = BEST_OF_ZETTL
    d = x[0] - b
    rise = d**2 + x[1] ** 2
    return (rise + 2 * (b - 1) * d) ** 2 + 2 * b * (b - 2) * rise


@problem_family()
def zettl() -> Problem:
    """A ring-shaped valley through the origin, tilted: its lowest point is beside the origin, 0.0038 below it."""
    b = BEST_OF_ZETTL
    flat = 4 * b * (b - 2)
    return Problem(
        name="zettl",
        objective=_zettl,
        dim=2,
        formula="(x^2 + y^2 - 2 x)^2 + x/4",
        source=surveyed("Schwefel, Evolution and Optimum Seeking, Wiley, 1995"),
        box=between(-5.0, 10.0, 2),
        start=np.array([3.0, 3.0]),
        minimum=-0.0037912372204688979985,
        minimizers=np.array([[b, 0.0]]),
        all_minimizers=True,
        curvature=fixed(flat, flat + 8 * (b - 1) ** 2),
        curvature_is_local=True,
        offset=-0.0037912372204688979985,
        convex=False,
    )
