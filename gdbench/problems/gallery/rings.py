"""Functions of distances: rings of waves around the minimum, and plateaus with a hole."""

from __future__ import annotations

import functools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends, fixed
from gdbench.problems.gallery.sources import surveyed
from gdbench.problems.guards import one_minus_exp, root, squared_sine_of_root
from gdbench.problems.settings import refuse, whole_number

SCHAFFER = "Schaffer, Caruana, Eshelman and Das, 3rd Int. Conf. on Genetic Algorithms, 1989"
YANG = "Yang, Test problems in optimization, in Engineering Optimization, Wiley, 2010; arXiv 1008.0549"


def _salomon(x, data, parameters):
    distance = root(jnp.sum(x**2))
    return 2 * jnp.sin(math.pi * distance) ** 2 + 0.1 * distance


@problem_family()
def salomon(dim: int = 2) -> Problem:
    """Rings of waves at every whole distance, and a cone of slope 0.1 with its tip at the minimum.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("salomon", "dim", dim, 1))
    return Problem(
        name="salomon",
        objective=_salomon,
        dim=dim,
        formula="1 - cos(2 pi |x|) + 0.1 |x|",
        source=surveyed("Salomon, BioSystems 39 (1996) 263-278"),
        box=cube(dim, 100),
        start=np.full(dim, 20.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=False,
        separable=dim == 1,
        kinks=np.zeros((1, dim)),
    )


def _schaffer_f6(x, data, parameters):
    square = jnp.sum(x**2)
    # (D - 1)/2 + sin^2 with D = (1 + 0.001 s)^2: the constants 1/2 are gone.
    return (square * (1e-3 + 0.5e-6 * square) + squared_sine_of_root(square)) / (1 + 0.001 * square) ** 2


@problem_family()
def schaffer_f6() -> Problem:
    """Rings of waves that fade with the distance around a hole 3 wide: the outer rings hold almost any descent."""
    return Problem(
        name="schaffer_f6",
        objective=_schaffer_f6,
        dim=2,
        formula="1/2 + (sin^2(sqrt s) - 1/2)/(1 + 0.001 s)^2, s = x^2 + y^2",
        source=surveyed(SCHAFFER),
        box=cube(2, 100),
        start=np.array([20.0, 10.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 2)),
        all_minimizers=True,
        curvature=fixed(2.002, 2.002),
        curvature_is_local=True,
        convex=False,
    )


def _schaffer_f7(x, data, parameters):
    square = x[:-1] ** 2 + x[1:] ** 2
    positive = square > 0
    safe = jnp.where(positive, square, 1)
    return jnp.sum(jnp.where(positive, safe**0.25 * (jnp.sin(50 * safe**0.1) ** 2 + 1), 0))


@problem_family()
def schaffer_f7(dim: int = 2) -> Problem:
    """The root of a distance under waves: ever steeper and ever shorter waves towards a minimum of infinite slope.

    Args:
        dim: number of coordinates, at least 2; beyond 2 the sum over neighbours.
    """
    refuse(whole_number("schaffer_f7", "dim", dim, 2))
    return Problem(
        name="schaffer_f7",
        objective=_schaffer_f7,
        dim=dim,
        formula="sum_i s_i^(1/4) (sin^2(50 s_i^0.1) + 1), s_i = x_i^2 + x_{i+1}^2, i = 1 ... n-1",
        source=f"{SCHAFFER}; summed over neighbours as by Whitley et al., Artificial Intelligence 85 (1996)",
        box=cube(dim, 100),
        start=np.full(dim, 20.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=False,
        kinks=np.zeros((1, dim)),
    )


def _pathological(x, data, parameters):
    left, right = x[:-1], x[1:]
    rise = 0.001 * (left - right) ** 4
    waves = squared_sine_of_root(100 * left**2 + right**2)
    return jnp.sum((0.5 * rise + waves) / (1 + rise))


@functools.cache
def _curvature_of_pathological(dim: int) -> tuple[float, float]:
    """(m, L) over all minimizers: at 0 the waves are 100 x_i^2 + x_{i+1}^2, elsewhere (100 u + v)^2/101 of a pair."""
    at_zero, elsewhere = np.zeros((dim, dim)), np.zeros((dim, dim))
    for i in range(dim - 1):
        pair = slice(i, i + 2)
        at_zero[pair, pair] += 2 * np.diag([100.0, 1.0])
        elsewhere[pair, pair] += 2 * np.array([[1e4, 100.0], [100.0, 1.0]]) / 101
    # n - 1 terms of rank one leave one direction flat.
    return 0.0, max(ends(at_zero)[1], ends(elsewhere)[1])


@problem_family()
def pathological(dim: int = 2) -> Problem:
    """Waves of one height everywhere: 639 global minima on the diagonal, not one, and no slope leads to them.

    f is 0 where all coordinates are the same multiple of pi/sqrt(101); the literature states 0 alone.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("pathological", "dim", dim, 2))
    furthest = math.floor(100 * math.sqrt(101) / math.pi)
    multiples = sorted(range(-furthest, furthest + 1), key=abs)
    diagonal = np.array(multiples) * math.pi / math.sqrt(101)
    return Problem(
        name="pathological",
        objective=_pathological,
        dim=dim,
        formula="sum_i 1/2 + (sin^2 sqrt(100 x_i^2 + x_{i+1}^2) - 1/2)/(1 + 0.001 (x_i - x_{i+1})^4), i = 1 ... n-1",
        source=surveyed("Rahnamayan, Tizhoosh and Salama, Computers and Mathematics with Applications 53 (2007)"),
        box=cube(dim, 100),
        start=np.full(dim, 50.0),
        minimum=0.0,
        minimizers=np.repeat(diagonal[:, None], dim, axis=1),
        all_minimizers=True,
        curvature=lambda parameters: _curvature_of_pathological(dim),
        curvature_is_local=True,
        convex=False,
    )


def _xin_she_yang_2(x, data, parameters):
    return jnp.sum(jnp.abs(x)) * jnp.exp(-jnp.sum(jnp.sin(x**2)))


@problem_family()
def xin_she_yang_2(dim: int = 2) -> Problem:
    """The sum of |x_i| times a factor that swings by e^2 a coordinate: a corner at the minimum, hollows around it.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("xin_she_yang_2", "dim", dim, 1))
    return Problem(
        name="xin_she_yang_2",
        objective=_xin_she_yang_2,
        dim=dim,
        formula="(sum_i |x_i|) exp(-sum_i sin(x_i^2))",
        source=surveyed(YANG),
        box=cube(dim, 2 * math.pi),
        start=np.full(dim, 4.0),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=False,
        separable=dim == 1,
        kinks=np.stack([np.zeros(dim), np.eye(dim)[0]]),
        notes="kinks wherever a coordinate is 0",
    )


def _one_minus_product(parts):
    """1 - prod_i (1 - p_i), resolved where all p are small: the sum of p_i prod_{j<i} (1 - p_j)."""
    before = jnp.concatenate([jnp.ones_like(parts[:1]), jnp.cumprod(1 - parts[:-1])])
    return jnp.sum(parts * before)


def _xin_she_yang_3(x, data, parameters):
    edge = one_minus_exp(jnp.sum((x / 15) ** 10))
    fading, missing = jnp.sum(x**2), _one_minus_product(jnp.sin(x) ** 2)
    return 2 * (jnp.exp(-fading) * missing + one_minus_exp(fading)) - edge


@problem_family()
def xin_she_yang_3(dim: int = 2) -> Problem:
    """A hole 2 deep in a mesa 30 wide: on the mesa and beside it the gradient is 0 to working precision.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("xin_she_yang_3", "dim", dim, 1))
    return Problem(
        name="xin_she_yang_3",
        objective=_xin_she_yang_3,
        dim=dim,
        formula="exp(-sum_i (x_i/15)^10) - 2 exp(-sum_i x_i^2) prod_i cos^2 x_i",
        source=surveyed(YANG),
        box=cube(dim, 20),
        start=np.full(dim, 2.0),
        minimum=-1.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=fixed(8.0, 8.0),
        curvature_is_local=True,
        offset=-1.0,
        convex=False,
    )


def _xin_she_yang_4(x, data, parameters):
    waves = jnp.sum(jnp.sin(x) ** 2)
    damping = jnp.sum(jnp.sin(root(jnp.abs(x))) ** 2)
    return waves * jnp.exp(-damping) + one_minus_exp(jnp.sum(x**2) + damping)


@problem_family()
def xin_she_yang_4(dim: int = 2) -> Problem:
    """A needle at 0 among waves that are all above 0: only next to it does the slope point there.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("xin_she_yang_4", "dim", dim, 1))
    return Problem(
        name="xin_she_yang_4",
        objective=_xin_she_yang_4,
        dim=dim,
        formula="(sum_i sin^2 x_i - exp(-sum_i x_i^2)) exp(-sum_i sin^2 sqrt|x_i|)",
        source=surveyed(YANG),
        box=cube(dim, 10),
        start=np.full(dim, 2.0),
        minimum=-1.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        offset=-1.0,
        convex=False,
        kinks=np.stack([np.zeros(dim), np.eye(dim)[0]]),
        notes="kinks wherever a coordinate is 0",
    )
