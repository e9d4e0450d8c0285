"""Steep drops in flat surroundings: Shekel's foxholes (De Jong N. 5), Easom's hole and Michalewicz's ravines."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import between, fixed, in_library, numbers, one_minus_cos
from gdbench.problems.settings import refuse, whole_number

FOXHOLES = tuple((float(x), float(y)) for y, x in itertools.product(range(-32, 33, 16), repeat=2))


def _de_jong_n5(x, data, parameters):
    i = jnp.arange(1, len(FOXHOLES) + 1, dtype=x.dtype)
    distances = jnp.sum((x[None, :] - data["foxholes"]) ** 6, axis=1)
    return 1 / (0.002 + jnp.sum(1 / (i + distances)))


@problem_family()
def de_jong_n5() -> Problem:
    """Shekel's foxholes: 25 flat-bottomed holes in a plateau at 500, at heights 1 to 25, the lowest in a corner."""
    return Problem(
        name="de_jong_n5",
        objective=_de_jong_n5,
        dim=2,
        formula="1/(0.002 + sum_i 1/(i + (x - a_i)^6 + (y - b_i)^6)), i = 1 ... 25, a and b in {-32, -16, 0, 16, 32}",
        source=in_library("De Jong, dissertation, University of Michigan, 1975; minimum polished to all digits"),
        box=cube(2, 65.536),
        start=np.array([-27.0, -29.0]),
        minimum=0.99800383779445025803,
        minimizers=np.array([[-31.978334835656970202, -31.978334837300795003]]),
        all_minimizers=True,
        curvature=fixed(6.570747920920545e-6, 6.574993815100572e-6),
        curvature_is_local=True,
        convex=False,
        data={"foxholes": np.array(FOXHOLES)},
    )


def _easom(x, data, parameters):
    # 1 - c d e = (1 - c) + c (1 - d) + c d (1 - e) with c, d = cos(x - pi), cos(y - pi) and e the exponential.
    step = x - math.pi
    rise, c = one_minus_cos(step), jnp.cos(step)
    return rise[0] + c[0] * rise[1] - c[0] * c[1] * jnp.expm1(-jnp.sum(step**2))


@problem_family()
def easom() -> Problem:
    """A single hole of depth 1 at (pi, pi) in a plain: a few units away from it the gradient is lost to rounding."""
    return Problem(
        name="easom",
        objective=_easom,
        dim=2,
        formula="-cos(x) cos(y) exp(-(x - pi)^2 - (y - pi)^2)",
        source=in_library("Easom, thesis, University of Louisville, 1990"),
        box=cube(2, 100),
        start=np.array([2.0, 2.5]),
        minimum=-1.0,
        minimizers=np.full((1, 2), math.pi),
        all_minimizers=True,
        curvature=fixed(3.0, 3.0),
        curvature_is_local=True,
        offset=-1.0,
        convex=False,
        notes="over most of its box the plain is flat to all digits",
    )


@functools.cache
def _michalewicz(m: int) -> Callable[..., Any]:
    """The objective of that steepness; one function object for each."""

    def objective(x, data, parameters):
        return -jnp.sum(jnp.sin(x) * jnp.sin(numbers(x) * x**2 / math.pi) ** (2 * m))

    return objective


@functools.cache
def michalewicz_minima(dim: int, m: int) -> tuple[np.ndarray, float, tuple[float, float]]:
    """(minimizer [dim], minimum, (m, L)), every coordinate by itself to all digits.

    Between two zeros of sin(i x^2/pi) the logarithm of h_i = sin(x) sin^2m(i x^2/pi) is concave, so that Newton's
    method finds its peak from the one of the fast factor. The highest peak is next to that of sin(x), at pi/2.
    """
    i = np.arange(1.0, dim + 1)[:, None]
    peaks = np.clip(np.floor(i / 4 - 0.5) + np.arange(-1, 3)[None, :], 0, i - 1)
    x = np.sqrt(math.pi * (peaks + 0.5) * math.pi / i)

    def slope_and_bend(x):
        angle = i * x**2 / math.pi
        rate = 4 * m * i / math.pi
        slope = 1 / np.tan(x) + rate * x / np.tan(angle)
        return slope, -1 / np.sin(x) ** 2 + rate * (1 / np.tan(angle) - 2 * angle / np.sin(angle) ** 2)

    for _ in range(20):
        slope, bend = slope_and_bend(x)
        x = x - slope / bend
    heights = np.sin(x) * np.sin(i * x**2 / math.pi) ** (2 * m)
    best = np.argmax(heights, axis=1)[:, None]
    # At a peak h'' = h (log h)''.
    x, heights, bends = (np.take_along_axis(a, best, 1)[:, 0] for a in (x, heights, -heights * slope_and_bend(x)[1]))
    x.setflags(write=False)
    return x, -math.fsum(heights), (float(bends.min()), float(bends.max()))


@problem_family()
def michalewicz(dim: int = 2, m: int = 10) -> Problem:
    """Minus the sum of sin(x_i) sin^2m(i x_i^2/pi): n! local minima in ravines that the steepness m makes narrow.

    Outside of its box it goes lower: there, peaks of both factors can meet.

    Args:
        dim: number of coordinates.
        m: steepness of the ravines; 10 is usual.
    """
    refuse(whole_number("michalewicz", "dim", dim, 1) + whole_number("michalewicz", "m", m, 1))
    minimizer, minimum, curvature = michalewicz_minima(int(dim), int(m))
    return Problem(
        name="michalewicz",
        objective=_michalewicz(int(m)),
        dim=dim,
        formula=f"-sum_i sin(x_i) sin^{2 * m}(i x_i^2/pi)",
        source=in_library(
            "Michalewicz, Genetic Algorithms + Data Structures = Evolution Programs, Springer, 1992; minima by Newton"
        ),
        box=between(0, math.pi, dim),
        start=np.full(dim, 2.0),
        minimum=minimum,
        minimizers=minimizer[None, :],
        all_minimizers=True,
        curvature=fixed(*curvature),
        curvature_is_local=True,
        convex=False,
        separable=True,
        within_box=True,
    )
