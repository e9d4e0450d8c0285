"""Quadratics with a ripple: the simplest functions on which the boundary of gradient descent is fractal."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number

CRITICAL_ROUGHNESS = 1 / (2 * math.pi**2)
"""amplitude / wavelength^2 at which the additive ripple ends convexity: f'' = 2 - 4 pi^2 roughness cos(...)."""

BOUNDED = 4
"""Largest dimension in which the multiplicative ripple of the published amplitude leaves f bounded below."""

SOURCE = "Liu, arXiv 2406.13971, 2024"


def _wave(x, parameters):
    return jnp.cos(2 * math.pi * x / parameters["wavelength"])


def _additive(x, data, parameters):
    return jnp.sum(x**2 + parameters["amplitude"] * _wave(x, parameters))


def _multiplicative(x, data, parameters):
    return jnp.sum(x**2) * (1 + parameters["amplitude"] * jnp.sum(_wave(x, parameters)))


@problem_family(amplitude=0.2, wavelength=0.1)
def cosine_additive(dim: int = 1) -> Problem:
    """Sum of x_i^2 + amplitude cos(2 pi x_i/wavelength): not convex from amplitude/wavelength^2 = 1/(2 pi^2) on.

    That quantity, the roughness, also decides where learning rates stop working: below 0.0507 at one rate, beyond it
    at a boundary that is fractal. There 0 becomes a maximum, so the minimizers depend on the parameters and none are
    stated.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("cosine_additive", "dim", dim, 1))
    return Problem(
        name="cosine_additive",
        objective=_additive,
        dim=dim,
        formula="sum_i x_i^2 + amplitude cos(2 pi x_i/wavelength)",
        source=SOURCE,
        box=cube(dim, 5),
        start=np.full(dim, 1 / dim),
        separable=True,
        notes="amplitude/wavelength^2, the roughness, decides how rough the boundary of the learning rates is",
    )


@problem_family(amplitude=0.2, wavelength=0.1)
def cosine_multiplicative(dim: int = 1) -> Problem:
    """(sum x_i^2) (1 + amplitude sum cos(2 pi x_i/wavelength)): a ripple that grows outwards, fractal at any amplitude.

    Far out it is not convex, however small the amplitude (the roughness is the amplitude itself), and learning rates
    stop working at a boundary that is fractal. The amplitude must stay below 1/dim: beyond, f becomes negative.

    Args:
        dim: number of coordinates, at most 4: the default amplitude would leave more unbounded below.
    """
    refuse(whole_number("cosine_multiplicative", "dim", dim, 1, BOUNDED))

    def curvature(parameters):
        at_zero = 2 * (1 + dim * parameters["amplitude"])
        return at_zero, at_zero

    return Problem(
        name="cosine_multiplicative",
        objective=_multiplicative,
        dim=dim,
        formula="(sum_i x_i^2) (1 + amplitude sum_i cos(2 pi x_i/wavelength))",
        source=SOURCE,
        box=cube(dim, 5),
        start=np.full(dim, 1 / dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
    )
