"""Functions with edges: Bukin's ridge, the cross-in-tray, the egg holder and the holder table."""

from __future__ import annotations

import itertools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed, in_library
from gdbench.problems.guards import root

MISHRA = in_library("Mishra, Some new test functions for global optimization, MPRA Paper 2718, 2006")


def _with_all_signs(x: float, y: float) -> np.ndarray:
    """(x, y) with all choices of the two signs, shape [4, 2]."""
    return np.array([[s * x, t * y] for s, t in itertools.product((1.0, -1.0), repeat=2)])


def _bukin_n6(x, data, parameters):
    # y - x^2/100, with the distances from the minimizer in place of differences of large numbers.
    above = (x[1] - 1) - (x[0] + 10) * (x[0] - 10) / 100
    return 100 * root(jnp.abs(above)) + 0.01 * jnp.abs(x[0] + 10)


@problem_family()
def bukin_n6() -> Problem:
    """100 sqrt|y - x^2/100| + |x + 10|/100: a ridge-like valley whose whole floor is a kink, with slopes without bound.

    The floor is the parabola y = x^2/100; along it f falls by a hundredth a unit towards (-10, 1).
    """
    along = np.array([-10.0, -15.0, -12.5, -7.5, -5.0])
    return Problem(
        name="bukin_n6",
        objective=_bukin_n6,
        dim=2,
        formula="100 sqrt|y - x^2/100| + |x + 10|/100",
        source=in_library("Bukin, Budker Institute of Nuclear Physics, Novosibirsk, 1997"),
        box=(np.array([-15.0, -3.0]), np.array([-5.0, 3.0])),
        start=np.array([-13.0, -1.0]),
        minimum=0.0,
        minimizers=np.array([[-10.0, 1.0]]),
        all_minimizers=True,
        convex=False,
        kinks=np.concatenate([np.stack([along, along**2 / 100], axis=1), [[-10.0, -2.0]]]),
        notes="the slope grows without bound towards the parabola y = x^2/100; on it, it is stated as 0",
    )


def _cross_in_tray(x, data, parameters):
    # (|s e^t| + 1)^0.1 = e^(t/10) (|s| + e^-t)^0.1: e^t itself, t near 100, is too large for float32.
    size = jnp.abs(jnp.sin(x[0]) * jnp.sin(x[1]))
    t = jnp.abs(100 - root(jnp.sum(x**2)) / math.pi)
    away = size > 0
    power = (jnp.where(away, size, 1) + jnp.exp(-t)) ** 0.1
    return -0.0001 * jnp.where(away, jnp.exp(t / 10) * power, 1)


@problem_family()
def cross_in_tray() -> Problem:
    """A tray of local minima, cut by a cross of edges where f rises from near -2 to almost 0; four global minima."""
    return Problem(
        name="cross_in_tray",
        objective=_cross_in_tray,
        dim=2,
        formula="-0.0001 (|sin(x) sin(y) exp(|100 - sqrt(x^2 + y^2)/pi|)| + 1)^0.1",
        source=f"{MISHRA}; minima polished to all digits",
        box=cube(2, 10),
        start=np.array([5.6, -3.9]),
        minimum=-2.0626118708227368778,
        minimizers=_with_all_signs(1.3494066171539107918, 1.3494066171539107918),
        all_minimizers=True,
        curvature=fixed(0.2167105008895985, 0.2511145696409013),
        curvature_is_local=True,
        convex=False,
        kinks=np.array([[0.0, 0.0], [0.0, 4.0], [-7.0, 0.0], [math.pi, 1.0], [2.0, -2 * math.pi]]),
        notes="slopes grow without bound towards the lines where sin(x) or sin(y) is 0; on them they are stated as 0",
    )


def _eggholder(x, data, parameters):
    u = x[1] + 47
    return -u * jnp.sin(root(jnp.abs(u + x[0] / 2))) - x[0] * jnp.sin(root(jnp.abs(x[0] - u)))


@problem_family()
def eggholder() -> Problem:
    """Waves that grow outwards; the minimum of its box lies on an edge of it, and outside f goes lower."""
    return Problem(
        name="eggholder",
        objective=_eggholder,
        dim=2,
        formula="-(y + 47) sin(sqrt|y + x/2 + 47|) - x sin(sqrt|x - (y + 47)|)",
        source=in_library(
            "Whitley, Rana, Dzubera and Mathias, Artificial Intelligence 85 (1996) 245-276; minimum polished"
        ),
        box=cube(2, 512),
        start=np.array([100.0, 200.0]),
        minimum=-959.64066272085080283,
        minimizers=np.array([[512.0, 404.23180511375781093]]),
        all_minimizers=True,
        convex=False,
        within_box=True,
        kinks=np.array([[-100.0, 3.0], [300.0, -197.0], [100.0, 53.0], [-47.0, -94.0]]),
        notes="a minimum on the edge: the gradient does not vanish there, and a descent without bounds leaves the box",
    )


def _holder_table(x, data, parameters):
    growth = jnp.exp(jnp.abs(1 - root(jnp.sum(x**2)) / math.pi))
    return -jnp.abs(jnp.sin(x[0]) * jnp.cos(x[1])) * growth


@problem_family()
def holder_table() -> Problem:
    """A table of local minima that grow outwards, with four legs in the corners of its box; outside f goes lower."""
    legs = math.pi / math.sqrt(2)
    return Problem(
        name="holder_table",
        objective=_holder_table,
        dim=2,
        formula="-|sin(x) cos(y) exp(|1 - sqrt(x^2 + y^2)/pi|)|",
        source=f"{MISHRA}; minima polished to all digits",
        box=cube(2, 10),
        start=np.array([2.5, -1.0]),
        minimum=-19.208502567886731832,
        minimizers=_with_all_signs(8.0550234757365634198, 9.66459001924127289),
        all_minimizers=True,
        curvature=fixed(19.61436917356074, 20.26288233023711),
        curvature_is_local=True,
        convex=False,
        within_box=True,
        kinks=np.array([[0.0, 0.0], [0.0, 3.0], [math.pi, 0.0], [1.0, math.pi / 2], [legs, legs]]),
    )
