"""Plateaus, shelves and needles: the slope vanishes, says nothing, or points the wrong way."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import fixed
from gdbench.problems.guards import one_minus_exp
from gdbench.problems.settings import one_of, refuse, whole_number

MADE = "made for this catalogue"


def _staircase(x, data, parameters):
    steps = x + parameters["flatness"] * jnp.sin(2 * math.pi * x) / (2 * math.pi)
    return 0.5 * jnp.sum(steps**2)


@problem_family(flatness=0.99)
def staircase(dim: int = 2) -> Problem:
    """A bowl in smooth steps: treads at every half, ever flatter as ``flatness`` goes to 1, and no other rest than 0.

    The tread at 1/2 takes gradient descent about sqrt(2/(1 - flatness))/rate steps, the one at k + 1/2 a (2k + 1)th
    of that, where the rate is small enough to land on it. It breaks rules that stop where progress or slope is small;
    momentum and normalised steps cross.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("staircase", "dim", dim, 1))

    def curvature(parameters):
        sharpest = (1 + parameters["flatness"]) ** 2
        return sharpest, sharpest

    return Problem(
        name="staircase",
        objective=_staircase,
        dim=dim,
        formula="1/2 sum_i (x_i + flatness sin(2 pi x_i)/(2 pi))^2",
        source=MADE,
        box=cube(dim, 4),
        start=np.full(dim, 2.8),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=False,
        separable=True,
        notes="flatness is meant from 0 to below 1; at 1 every half is a point of rest",
    )


TARGET = math.tanh(1)


def _plateau(x, data, parameters):
    # tanh x - tanh 1 as a product, resolved next to 1.
    return 0.5 * jnp.sum((jnp.tanh(x - 1) * (1 - TARGET * jnp.tanh(x))) ** 2)


@problem_family()
def plateau(dim: int = 2) -> Problem:
    """A saturated unit, (tanh x_i - tanh 1)^2/2: the slope dies like exp(-2 |x|) on both sides of the minimum at 1.

    From x = -r gradient descent takes about exp(2 r)/(8 rate (1 + tanh 1)) steps. In float32 the slope is exactly 0
    from about -8 down, in float64 from -19: nothing that follows gradients leaves there.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("plateau", "dim", dim, 1))
    sharpest = (1 - TARGET**2) ** 2
    return Problem(
        name="plateau",
        objective=_plateau,
        dim=dim,
        formula="1/2 sum_i (tanh x_i - tanh 1)^2",
        source="the squared error of a saturated unit (LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998)",
        box=cube(dim, 10),
        start=np.full(dim, -2.0),
        minimum=0.0,
        minimizers=np.ones((1, dim)),
        all_minimizers=True,
        curvature=fixed(sharpest, sharpest),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _flat_valley(x, data, parameters):
    # Nearer to 0 the exponential is 0 in float64 too, and 1/x^2 would leave float32.
    far = jnp.abs(x[0]) > 0.03
    floor = jnp.where(far, jnp.exp(-1 / jnp.where(far, x[0], 1) ** 2), 0)
    return floor + 0.5 * jnp.sum(x[1:] ** 2)


@problem_family()
def flat_valley(dim: int = 2) -> Problem:
    """exp(-1/x^2) along one axis: flatter at 0 than any power, so that the gap falls, but the iterate hardly moves.

    Along the valley gradient descent adds about 4 rate log^3(1/f) to 1/f a step, while |x| is 1/sqrt(log(1/f)): the
    gap says solved and the distance does not. In float32 f and its slope are exactly 0 for |x| below 0.1.

    Args:
        dim: number of coordinates; the others are a parabola each.
    """
    refuse(whole_number("flat_valley", "dim", dim, 1))
    return Problem(
        name="flat_valley",
        objective=_flat_valley,
        dim=dim,
        formula="exp(-1/x_1^2) + 1/2 sum_{i>1} x_i^2, 0 at x_1 = 0",
        source="textbook example of a smooth function that is not analytic (Cauchy, 1823)",
        box=cube(dim, 2),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(0.0, 1.0 if dim > 1 else 0.0),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


TAILS = ("log", "rational")


@functools.cache
def objective_of(tail: str) -> Callable[..., Any]:
    """Sum of log(1 + x_i^2), or of x_i^2/(1 + x_i^2)."""

    def logarithmic(x, data, parameters):
        return jnp.sum(jnp.log1p(x**2))

    def rational(x, data, parameters):
        return jnp.sum(x**2 / (1 + x**2))

    return logarithmic if tail == "log" else rational


@problem_family()
def vanishing(dim: int = 2, tail: str = "log") -> Problem:
    """A robust loss: round at 0, and far out a slope of 2/x (tail "log") or 2/x^3 (tail "rational").

    Far from 0 gradient descent takes x^2/(4 rate) or x^4/(8 rate) steps, while the rates that are stable at the
    minimum stay below 1: a constant rate is too small far out. Normalised and adaptive steps do not slow down.

    Args:
        dim: number of coordinates.
        tail: "log" for log(1 + x^2) (Cauchy's loss), "rational" for x^2/(1 + x^2) (Geman and McClure's).
    """
    refuse(whole_number("vanishing", "dim", dim, 1) + one_of("vanishing", "tail", tail, TAILS))
    return Problem(
        name="vanishing",
        objective=objective_of(tail),
        dim=dim,
        formula="sum_i log(1 + x_i^2)" if tail == "log" else "sum_i x_i^2/(1 + x_i^2)",
        source="robust losses of Cauchy and of Geman and McClure (Barron, CVPR 2019)",
        box=cube(dim, 20),
        start=np.full(dim, 10.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(2.0, 2.0),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


NEEDLE = 0.3


def _needle(x, data, parameters):
    return one_minus_exp(0.5 * jnp.sum(((x - NEEDLE) / parameters["width"]) ** 2))


@problem_family(width=0.1)
def needle(dim: int = 2) -> Problem:
    """A Gaussian hole of a chosen ``width`` in a plain: the way there grows like exp(r^2/2) with r widths of distance.

    Gradient descent takes about width^2/rate exp(r^2/2)/r^2 steps, and its rate must be below 2 width^2. From some 13
    widths away the slope is exactly 0 in float32, from 38 in float64. It breaks everything that is local; only
    sampling finds the hole, with the share of the box that it fills, which falls geometrically with the dimension.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("needle", "dim", dim, 1))

    def curvature(parameters):
        sharpest = parameters["width"] ** -2
        return sharpest, sharpest

    return Problem(
        name="needle",
        objective=_needle,
        dim=dim,
        formula="1 - exp(-|x - c|^2/(2 width^2)), c = (0.3, ..., 0.3)",
        source="needle in a haystack (Hinton and Nowlan, Complex Systems 1, 1987), made smooth",
        box=cube(dim, 1),
        start=np.full(dim, 0.5),
        minimum=0.0,
        minimizers=np.full((1, dim), NEEDLE),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=False,
    )


def _deceptive(x, data, parameters):
    pit = x**2 / (x**2 + parameters["width"] ** 2)
    return jnp.sum(pit * (0.25 + ((x / 3 - 1) * (x / 3 + 1)) ** 2))


@problem_family(width=0.1)
def deceptive(dim: int = 2) -> Problem:
    """A pit of a chosen ``width`` on top of a hill: the slope leads away from it to 2^n minima of about n/4.

    Per coordinate the pit draws descents from about 0.89 sqrt(3 width) on both sides, so that a share of
    (0.31 sqrt(width))^n of the box ends in the global minimum. It breaks all that follows slopes, and restarts in many
    dimensions; the curvature in the pit, 2.5/width^2, needs a small rate besides.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("deceptive", "dim", dim, 1))

    def curvature(parameters):
        sharpest = 2.5 / parameters["width"] ** 2
        return sharpest, sharpest

    return Problem(
        name="deceptive",
        objective=_deceptive,
        dim=dim,
        formula="sum_i x_i^2/(x_i^2 + width^2) (1/4 + (x_i^2/9 - 1)^2)",
        source=f"{MADE}, after the trap functions of Deb and Goldberg (1993)",
        box=cube(dim, 5),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=False,
        separable=True,
    )
