"""Bowls with waves on them, in any dimension: many local minima, one global."""

from __future__ import annotations

import functools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends, fixed, numbers, one_minus_cos
from gdbench.problems.gallery.sources import surveyed
from gdbench.problems.guards import one_minus_exp
from gdbench.problems.settings import refuse, whole_number

YAO = "Yao, Liu and Lin, IEEE Transactions on Evolutionary Computation 3 (1999) 82-102"


def _cosine_mixture(x, data, parameters):
    return jnp.sum(x**2 + 0.2 * jnp.sin(2.5 * math.pi * x) ** 2)


@problem_family()
def cosine_mixture(dim: int = 2) -> Problem:
    """Sum of x_i^2 - 0.1 cos(5 pi x_i): five minima a coordinate in its box, the middle one global.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("cosine_mixture", "dim", dim, 1))
    sharpest = 2 + 2.5 * math.pi**2
    return Problem(
        name="cosine_mixture",
        objective=_cosine_mixture,
        dim=dim,
        formula="sum_i x_i^2 - 0.1 cos(5 pi x_i)",
        # Published as a maximum of 0.1 sum cos - sum x^2; the survey turns one sign only, and its minimum is a corner.
        source=surveyed("Breiman and Cutler, Mathematical Programming 58 (1993) 179-199, with the sign turned"),
        box=cube(dim, 1),
        start=np.full(dim, 0.7),
        minimum=-0.1 * dim,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(sharpest, sharpest),
        curvature_is_local=True,
        offset=-0.1 * dim,
        convex=False,
        separable=True,
    )


def _csendes(x, data, parameters):
    # Nearer to 0 than this, x^6 is below 1e-53, while the square of 1/x in the derivative leaves float32.
    far = jnp.abs(x) > 1e-9
    return jnp.sum(x**6 * (2 + jnp.where(far, jnp.sin(1 / jnp.where(far, x, 1)), 0)))


@problem_family()
def csendes(dim: int = 2) -> Problem:
    """Sum of x_i^6 (2 + sin 1/x_i): local minima crowd at 0 without end, and the curvature there is 0.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("csendes", "dim", dim, 1))
    return Problem(
        name="csendes",
        objective=_csendes,
        dim=dim,
        formula="sum_i x_i^6 (2 + sin(1/x_i)), 0 at x_i = 0",
        source=surveyed("Csendes and Ratz, SIAM Journal on Numerical Analysis 34 (1997)"),
        box=cube(dim, 1),
        start=np.full(dim, 0.5),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(0.0, 0.0),
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _pinter(x, data, parameters):
    before, after, i = jnp.roll(x, 1), jnp.roll(x, -1), numbers(x)
    a = before * jnp.sin(x) + jnp.sin(after)
    b = before**2 - 2 * x + 3 * after + one_minus_cos(x)
    return jnp.sum(i * (x**2 + 20 * jnp.sin(a) ** 2 + jnp.log1p(i * b**2) / math.log(10)))


@functools.cache
def _curvature_of_pinter(dim: int) -> tuple[float, float]:
    """(m, L) at 0, where A_i = x_{i+1} and B_i = 3 x_{i+1} - 2 x_i to first order."""
    i, here = np.arange(1.0, dim + 1), np.eye(dim)
    after = np.roll(here, 1, axis=1)  # row i picks x_{i+1}
    b = 3 * after - 2 * here
    hessian = np.diag(2 * i) + after.T @ np.diag(40 * i) @ after + b.T @ np.diag(2 * i**2 / math.log(10)) @ b
    return ends(hessian)


@problem_family()
def pinter(dim: int = 2) -> Problem:
    """A sum of i x_i^2 under waves that couple each coordinate with its neighbours in a ring.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("pinter", "dim", dim, 2))
    return Problem(
        name="pinter",
        objective=_pinter,
        dim=dim,
        formula="sum_i i x_i^2 + 20 i sin^2 A_i + i log10(1 + i B_i^2), A_i = x_{i-1} sin x_i + sin x_{i+1}, "
        "B_i = x_{i-1}^2 - 2 x_i + 3 x_{i+1} - cos x_i + 1, x_0 = x_n, x_{n+1} = x_1",
        source=surveyed("Pintér, Global Optimization in Action, Kluwer, 1996"),
        box=cube(dim, 10),
        start=np.full(dim, 4.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: _curvature_of_pinter(dim),
        curvature_is_local=True,
        convex=False,
    )


def _whitley(x, data, parameters):
    y = 100 * ((x**2)[:, None] - x[None, :]) ** 2 + ((1 - x) ** 2)[None, :]
    return jnp.sum(y**2 / 4000 + 2 * jnp.sin(y / 2) ** 2)


@problem_family()
def whitley(dim: int = 2) -> Problem:
    """Griewank's waves over every pair of coordinates in Rosenbrock's valley; no curvature at its minimum.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("whitley", "dim", dim, 1))
    return Problem(
        name="whitley",
        objective=_whitley,
        dim=dim,
        formula="sum_i sum_j y_ij^2/4000 - cos y_ij + 1, y_ij = 100 (x_i^2 - x_j)^2 + (1 - x_j)^2",
        source=surveyed("Whitley, Rana, Dzubera and Mathias, Artificial Intelligence 85 (1996) 245-276"),
        box=cube(dim, 10.24),
        start=np.full(dim, -1.2),
        minimum=0.0,
        minimizers=np.ones((1, dim)),
        all_minimizers=True,
        # y is quadratic next to the minimizer, so f is quartic.
        curvature=fixed(0.0, 0.0),
        curvature_is_local=True,
        convex=False,
        separable=dim == 1,
    )


def _wavy(x, data, parameters):
    fading = 0.5 * x**2
    waves = jnp.exp(-fading) * one_minus_cos(parameters["frequency"] * x)
    return jnp.mean(waves + one_minus_exp(fading))


@problem_family(frequency=10.0)
def wavy(dim: int = 2) -> Problem:
    """Waves of a chosen ``frequency`` under a bell: at 10 there are 11 minima a coordinate in its box, one global.

    A descent stays in the well it starts in, whose width is a period, 2 pi/frequency; the curvature at the minimum is
    (1 + frequency^2)/n.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("wavy", "dim", dim, 1))

    def curvature(parameters):
        sharpest = (1 + parameters["frequency"] ** 2) / dim
        return sharpest, sharpest

    return Problem(
        name="wavy",
        objective=_wavy,
        dim=dim,
        formula="1 - 1/n sum_i cos(frequency x_i) exp(-x_i^2/2)",
        source=surveyed("Courrieu, Journal of Global Optimization 10 (1997)"),
        box=cube(dim, math.pi),
        start=np.full(dim, 1.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=curvature,
        curvature_is_local=True,
        convex=False,
        separable=True,
    )


def _trigonometric_2(x, data, parameters):
    square = (x - 0.9) ** 2
    return jnp.sum(8 * jnp.sin(7 * square) ** 2 + square) + 6 * jnp.sin(14 * square[0]) ** 2


@problem_family()
def trigonometric_2(dim: int = 2) -> Problem:
    """A sphere under waves that grow ever shorter with the distance: hundreds of minima a coordinate in its box.

    The box is [-10, 10] here; the published one reaches to 500, where the waves are shorter than float32 can follow.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("trigonometric_2", "dim", dim, 1))
    return Problem(
        name="trigonometric_2",
        objective=_trigonometric_2,
        dim=dim,
        formula="1 + sum_i 8 sin^2(7 (x_i - 0.9)^2) + (x_i - 0.9)^2, + 6 sin^2(14 (x_1 - 0.9)^2)",
        source=surveyed("Fu, Hu and Marcus, Int. Symp. on Mathematical Theory of Networks and Systems, Kyoto, 2006"),
        box=cube(dim, 10),
        start=np.full(dim, -2.0),
        minimum=1.0,
        minimizers=np.full((1, dim), 0.9),
        all_minimizers=True,
        # The waves are of fourth order at the minimizer.
        curvature=fixed(2.0, 2.0),
        curvature_is_local=True,
        offset=1.0,
        convex=False,
        separable=True,
    )


def _outside(x, half_width: float):
    """Sum of 100 (|x_i| - half_width)^4 beyond the half width."""
    return 100 * jnp.sum(jnp.maximum(jnp.abs(x) - half_width, 0) ** 4)


def _penalized_1(x, data, parameters):
    z = (x + 1) / 4  # y - 1, y = 1 + z
    inner = jnp.sum(z[:-1] ** 2 * (1 + 10 * jnp.sin(math.pi * z[1:]) ** 2))
    return math.pi / x.size * (10 * jnp.sin(math.pi * z[0]) ** 2 + inner + z[-1] ** 2) + _outside(x, 10)


@problem_family()
def penalized_1(dim: int = 2) -> Problem:
    """Levy's waves with quartic walls beyond 10: the first coordinate is multimodal, the others follow it.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("penalized_1", "dim", dim, 1))
    first, others = math.pi / dim * (20 * math.pi**2 + 2) / 16, math.pi / dim / 8
    return Problem(
        name="penalized_1",
        objective=_penalized_1,
        dim=dim,
        formula="pi/n (10 sin^2(pi y_1) + sum_{i<n} (y_i - 1)^2 (1 + 10 sin^2(pi y_{i+1})) + (y_n - 1)^2) "
        "+ sum_i 100 max(0, |x_i| - 10)^4, y = 1 + (x + 1)/4",
        source=f"{YAO}, function 12",
        box=cube(dim, 50),
        start=np.full(dim, 4.0),
        minimum=0.0,
        minimizers=-np.ones((1, dim)),
        all_minimizers=True,
        curvature=fixed(others if dim > 1 else first, first),
        curvature_is_local=True,
        convex=False,
        separable=dim == 1,
    )


def _penalized_2(x, data, parameters):
    z = x - 1
    inner = jnp.sum(z[:-1] ** 2 * (1 + jnp.sin(3 * math.pi * z[1:]) ** 2))
    last = z[-1] ** 2 * (1 + jnp.sin(2 * math.pi * z[-1]) ** 2)
    return 0.1 * (jnp.sin(3 * math.pi * z[0]) ** 2 + inner + last) + _outside(x, 5)


@problem_family()
def penalized_2(dim: int = 2) -> Problem:
    """Levy and Montalvo's waves with quartic walls beyond 5.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("penalized_2", "dim", dim, 1))
    first, others = 1.8 * math.pi**2 + 0.2, 0.2
    return Problem(
        name="penalized_2",
        objective=_penalized_2,
        dim=dim,
        formula="0.1 (sin^2(3 pi x_1) + sum_{i<n} (x_i - 1)^2 (1 + sin^2(3 pi x_{i+1})) "
        "+ (x_n - 1)^2 (1 + sin^2(2 pi x_n))) + sum_i 100 max(0, |x_i| - 5)^4",
        source=f"{YAO}, function 13",
        box=cube(dim, 50),
        start=np.full(dim, 3.2),
        minimum=0.0,
        minimizers=np.ones((1, dim)),
        all_minimizers=True,
        curvature=fixed(others if dim > 1 else first, first),
        curvature_is_local=True,
        convex=False,
        separable=dim == 1,
    )
