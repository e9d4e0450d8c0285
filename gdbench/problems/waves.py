"""Waves in one and two dimensions: Drop-Wave, Gramacy and Lee, Langermann, Schaffer N. 2 and N. 4, Shubert."""

from __future__ import annotations

import itertools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import between, fixed, in_library
from gdbench.problems.guards import squared_sine_of_root

MOLGA = in_library("Molga and Smutnicki, Test functions for optimization needs, 2005")
MISHRA = in_library("Mishra, Some new test functions for global optimization, MPRA Paper 2718, 2006")


def _drop_wave(x, data, parameters):
    square = jnp.sum(x**2)
    # 1 - cos 12 r = 2 sin^2 6 r, as a function of r^2.
    return (0.5 * square + 2 * squared_sine_of_root(36 * square)) / (0.5 * square + 2)


@problem_family()
def drop_wave() -> Problem:
    """-(1 + cos 12 r)/(r^2/2 + 2), r = |x|: the rings of a drop in water, the minimum -1 in their centre."""
    return Problem(
        name="drop_wave",
        objective=_drop_wave,
        dim=2,
        formula="-(1 + cos(12 sqrt(x^2 + y^2)))/((x^2 + y^2)/2 + 2)",
        source=MOLGA,
        box=cube(2, 5.12),
        start=np.array([1.9, -1.1]),
        minimum=-1.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(72.5, 72.5),
        curvature_is_local=True,
        offset=-1.0,
        convex=False,
    )


def _gramacy_lee(x, data, parameters):
    # sinc(10 x) = sin(10 pi x)/(10 pi x), which is finite at 0 as well.
    return 5 * math.pi * jnp.sinc(10 * x[0]) + (x[0] - 1) ** 4


@problem_family()
def gramacy_lee() -> Problem:
    """sin(10 pi x)/(2 x) + (x - 1)^4 in one dimension: a wave that fades along a quartic.

    Below its box it goes lower, to -2.87 near x = 0.144.
    """
    return Problem(
        name="gramacy_lee",
        objective=_gramacy_lee,
        dim=1,
        formula="sin(10 pi x)/(2 x) + (x - 1)^4",
        source=in_library(
            "Gramacy and Lee, Statistics and Computing 22 (2012) 713-722; minimum polished to all digits"
        ),
        box=between(0.5, 2.5, 1),
        start=np.array([1.8]),
        minimum=-0.86901113498949976989,
        minimizers=np.array([[0.54856344452760518407]]),
        all_minimizers=True,
        curvature=fixed(899.7742815243754, 899.7742815243754),
        curvature_is_local=True,
        convex=False,
        separable=True,
        within_box=True,
    )


CENTRES = ((3.0, 5.0), (5.0, 2.0), (2.0, 1.0), (1.0, 4.0), (7.0, 9.0))
WEIGHTS = (1.0, 2.0, 5.0, 2.0, 3.0)


def _langermann(x, data, parameters):
    squares = jnp.sum((x[None, :] - data["centres"]) ** 2, axis=1)
    return jnp.sum(data["weights"] * jnp.exp(-squares / math.pi) * jnp.cos(math.pi * squares))


@problem_family()
def langermann() -> Problem:
    """Five systems of rings, of different height, that overlap; the lowest point is -4.1558, near (2.793, 1.597)."""
    return Problem(
        name="langermann",
        objective=_langermann,
        dim=2,
        formula="sum_i c_i exp(-|x - a_i|^2/pi) cos(pi |x - a_i|^2), i = 1 ... 5",
        source=f"{MOLGA}; minimum found on a grid and polished to all digits",
        box=between(0, 10, 2),
        start=np.array([5.3, 6.4]),
        minimum=-4.1558092918477850731,
        minimizers=np.array([[2.7934022086450368537, 1.5972325013283600339]]),
        all_minimizers=True,
        curvature=fixed(46.92854459311265, 210.370001895413),
        curvature_is_local=True,
        convex=False,
        data={"centres": np.array(CENTRES), "weights": np.array(WEIGHTS)},
    )


def _schaffer_n2(x, data, parameters):
    q = 0.001 * jnp.sum(x**2)
    wave = jnp.sin((x[0] - x[1]) * (x[0] + x[1])) ** 2
    return (0.5 * q * (2 + q) + wave) / (1 + q) ** 2


@problem_family()
def schaffer_n2() -> Problem:
    """Waves along x^2 - y^2 over a bowl that flattens out; the minimum, at 0, is the bottom of narrow cross valleys."""
    return Problem(
        name="schaffer_n2",
        objective=_schaffer_n2,
        dim=2,
        formula="1/2 + (sin^2(x^2 - y^2) - 1/2)/(1 + 0.001 (x^2 + y^2))^2",
        source=MISHRA,
        box=cube(2, 100),
        start=np.array([8.3, 5.1]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(0.002, 0.002),
        curvature_is_local=True,
        convex=False,
    )


def _schaffer_n4(x, data, parameters):
    # cos(sin u) is even in u: the modulus of the usual formula changes nothing, and there is no kink.
    wave = jnp.cos(jnp.sin((x[0] - x[1]) * (x[0] + x[1])))
    return 0.5 + (wave**2 - 0.5) / (1 + 0.001 * jnp.sum(x**2)) ** 2


# Often printed as 1.253131828792882, where f agrees to all digits but the slope does not vanish.
SCHAFFER_N4_MINIMIZER = 1.2531318314637332016


@problem_family()
def schaffer_n4() -> Problem:
    """Like Schaffer N. 2 with cos^2(sin|x^2 - y^2|): four minima of the same depth, on the axes."""
    s = SCHAFFER_N4_MINIMIZER
    return Problem(
        name="schaffer_n4",
        objective=_schaffer_n4,
        dim=2,
        formula="1/2 + (cos^2(sin|x^2 - y^2|) - 1/2)/(1 + 0.001 (x^2 + y^2))^2",
        source=f"{MISHRA}; minimizers polished to all digits",
        box=cube(2, 100),
        start=np.array([8.3, 5.1]),
        minimum=0.29257863203598054901,
        minimizers=np.array([[0, s], [0, -s], [s, 0], [-s, 0]]),
        all_minimizers=True,
        curvature=fixed(0.001656769253697857, 5.693729685797271),
        curvature_is_local=True,
        convex=False,
    )


def _shubert(x, data, parameters):
    i = jnp.arange(1, 6, dtype=x.dtype)[None, :]
    sums = jnp.sum(i * jnp.cos((i + 1) * x[:, None] + i), axis=1)
    return sums[0] * sums[1]


def _shubert_minimizers() -> np.ndarray:
    """One factor at its lowest, -12.87, the other at its highest, 14.51; both repeat every 2 pi. Shape [18, 2]."""
    lowest = -1.4251284283197609708 + 2 * math.pi * np.arange(-1, 2)
    highest = -0.80032110047197312466 + 2 * math.pi * np.arange(-1, 2)
    pairs = [*itertools.product(lowest, highest), *itertools.product(highest, lowest)]
    return np.array(pairs)


@problem_family()
def shubert() -> Problem:
    """A product of two sums of five waves: 760 local minima in its box, 18 of them global."""
    return Problem(
        name="shubert",
        objective=_shubert,
        dim=2,
        formula="(sum_i i cos((i + 1) x + i)) (sum_i i cos((i + 1) y + i)), i = 1 ... 5",
        source=in_library(
            "Shubert, SIAM Journal on Numerical Analysis 9 (1972) 379-388; minima polished to all digits"
        ),
        box=cube(2, 10),
        start=np.array([0.7, 2.3]),
        minimum=-186.73090883102382586,
        minimizers=_shubert_minimizers(),
        all_minimizers=True,
        curvature=fixed(4419.65050669252608, 4661.36887524311558),
        curvature_is_local=True,
        convex=False,
    )
