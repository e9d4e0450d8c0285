"""Steep walls and infinite curvature: steps that are right in one place throw an iterate far away in another."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number


def _cliff(x, data, parameters):
    face = jax.nn.sigmoid(2 * parameters["steepness"] * (x[0] - 1))
    return 0.5 * (x[0] ** 2 * (1 + parameters["height"] * face) + jnp.sum(x[1:] ** 2))


@problem_family(steepness=20.0, height=10.0)
def cliff(dim: int = 2) -> Problem:
    """A bowl with a smooth cliff across it at x_1 = 1, of a chosen ``height`` and ``steepness``.

    The slope is |x| below the cliff and 1 + height times that above it, but on the face it is height steepness/4 more:
    a step that begins there is thrown that many rates back, as in recurrent networks. It breaks plain gradient descent
    at rates that suit the bowl, and fills the second moments of adaptive methods; clipped and normalised steps pass.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("cliff", "dim", dim, 1))

    def curvature(parameters):
        far_below = math.exp(-2 * parameters["steepness"])
        sharpest = 1 + parameters["height"] * far_below / (1 + far_below)
        return 1.0 if dim > 1 else sharpest, sharpest

    return Problem(
        name="cliff",
        objective=_cliff,
        dim=dim,
        formula="1/2 x_1^2 (1 + height/(1 + exp(-2 steepness (x_1 - 1)))) + 1/2 sum_{i>1} x_i^2",
        source="after Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, ICML 2013",
        box=cube(dim, 2),
        start=np.full(dim, 1.5),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _exploding(x, data, parameters):
    # cosh u - 1 = 2 sinh^2(u/2), which is resolved near 0.
    return jnp.sum(2 * jnp.sinh(0.5 * parameters["growth"] * x) ** 2)


@problem_family(growth=1.0)
def exploding(dim: int = 2) -> Problem:
    """Sum of cosh(growth x_i) - 1: convex, with slopes that grow exponentially; no rate is stable from everywhere.

    Gradient descent converges if and only if rate growth sinh(growth |x_i|)/|x_i| < 2 at the start for every i; else it
    explodes and is no longer finite after a handful of steps. Clipped, normalised and adaptive steps are not thrown.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("exploding", "dim", dim, 1))

    def curvature(parameters):
        sharpest = parameters["growth"] ** 2
        return sharpest, sharpest

    return Problem(
        name="exploding",
        objective=_exploding,
        dim=dim,
        formula="sum_i cosh(growth x_i) - 1",
        source="textbook example of a gradient that is not Lipschitz (Zhang, He, Sra and Jadbabaie, ICLR 2020)",
        box=cube(dim, 10),
        start=np.full(dim, 3.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=True,
        separable=True,
    )


def _fractional_power(x, data, parameters):
    away = x != 0
    sizes = jnp.where(away, jnp.abs(jnp.where(away, x, 1)), 1)
    return jnp.sum(jnp.where(away, sizes ** parameters["power"], 0))


@problem_family(power=1.5)
def fractional_power(dim: int = 2) -> Problem:
    """Sum of |x_i|^power: between powers 1 and 2 the curvature at the minimum is infinite, and every rate is too large.

    Gradient descent ends in a cycle between x and -x with |x| = (rate power/2)^(1/(2 - power)), which is stable between
    powers 1 and 2 and is reached from everywhere near; the gap left is |x|^power. Only falling rates converge, and
    normalised steps do no better. Above power 2 the curvature is 0 there, and rates have to grow.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("fractional_power", "dim", dim, 1))
    return Problem(
        name="fractional_power",
        objective=_fractional_power,
        dim=dim,
        formula="sum_i |x_i|^power",
        source="the standard example of a Hölder-continuous gradient (Nesterov, Mathematical Programming 152, 2015)",
        box=cube(dim, 2),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        separable=True,
        notes="convex for powers of at least 1; below 1 the slope has no bound",
    )
