"""BBOB's functions with many minima and little that leads to the best one: f20 to f24."""

from __future__ import annotations

import functools
import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.bbob.common import described, instance_of
from gdbench.problems.bbob.instances import Instance, normal, peaks, spread, uniform
from gdbench.problems.bbob.transforms import oscillated, penalty, power, size, turned, wave
from gdbench.problems.facts import fixed

SCHWEFEL = 420.96874635998202731
"""Where z sin sqrt(z) is largest below 500, the square of ROOT; to all digits, by Newton's method."""

ROOT = 20.517522909941687873
"""The solution of tan r = -r/2 there."""

HIGHEST = 418.98288727243370627
"""That largest value."""


def _below_highest(z, away):
    """HIGHEST - z sin sqrt|z| at z = SCHWEFEL + away, entry by entry, resolved near away = 0.

    With d = sqrt(z) - ROOT the addition theorem and tan ROOT = -ROOT/2 leave nothing but terms of second order;
    d - sin d, one of them, is taken from its series while d is small.
    """
    near = z > 100
    d = away / (jnp.sqrt(jnp.where(near, z, 1)) + ROOT)
    square = d**2
    series = d * square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72)))
    cubic = jnp.where(jnp.abs(d) < 0.1, series, d - jnp.sin(d))
    growth = d * (2 + d / ROOT) / ROOT
    waves = 2 * jnp.sin(d / 2) ** 2 * (1 + growth) + growth * jnp.sin(d) * 2 / ROOT
    resolved = HIGHEST * (waves - square / ROOT**2 - cubic * 2 / ROOT)
    return jnp.where(near, resolved, HIGHEST - z * jnp.sin(power(jnp.abs(z), 0.5)))


def _schwefel(x, data, parameters):
    steps = jnp.asarray(2 * data["signs"] * (x - data["x_opt"]))
    tied = steps.at[1:].add(0.25 * steps[:-1])
    away = 100 * data["scales"] * tied
    z = SCHWEFEL + away
    outside = jnp.sum(jnp.maximum(jnp.abs(z) - 500, 0) ** 2)
    return 0.01 * (outside + jnp.mean(_below_highest(z, away)))


def _schwefel_optimum(dim: int, signs: np.ndarray) -> np.ndarray:
    """Where all z are SCHWEFEL, shape [dim].

    BBOB states the rounded ±4.2096874637/2 for every coordinate, and ties and stretches the coordinates around it;
    there z = 420.96874637, where f is 5e-20 above the minimum and its gradient not 0. This is 1e-10 beside it.
    """
    anchor = 4.2096874637
    tied = (SCHWEFEL / 100 - anchor) / spread(10, dim)
    steps = np.zeros(dim)
    for i in range(dim):
        steps[i] = tied[i] - (0.25 * steps[i - 1] if i else 0.0)
    return signs * (anchor + steps) / 2


def _schwefel_curvature(dim: int) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian at the minimizer; signs of coordinates do not change them."""
    slope = 200 * spread(10, dim)[:, None] * (np.eye(dim) + 0.25 * np.eye(dim, k=-1))
    bend = 0.01 / dim * HIGHEST * (0.25 + 1.5 / ROOT**2) / ROOT**2
    widths = np.linalg.svd(slope, compute_uv=False)
    return float(bend * widths[-1] ** 2), float(bend * widths[0] ** 2)


@problem_family("bbob/f20")
def f20(dim: int = 2, instance: int = 1) -> Problem:
    """Schwefel: 2^n deep minima far apart, the best one in a corner of its own.

    Args:
        dim: number of coordinates, at least 2.
        instance: which signs of x_opt and which f_opt, from 1.
    """
    case = instance_of(20, dim, instance)
    signs = np.where(uniform(case.seed, case.dim) < 0.5, -1.0, 1.0)
    data = {"x_opt": _schwefel_optimum(case.dim, signs), "signs": signs, "scales": spread(10, case.dim)}
    return described(
        case,
        _schwefel,
        data,
        "0.01 (418.98288727 - 1/n sum_i z_i sin sqrt|z_i| + sum_i max(0, |z_i| - 500)^2), "
        "z = 100 (Lambda^10 (t - a) + a), t_1 = 2 s_1 x_1, t_{i+1} = 2 s_{i+1} x_{i+1} + (2 s_i x_i - a)/4, "
        "a = 4.2096874637, s_i = sign x_opt,i",
        curvature=lambda parameters: _schwefel_curvature(case.dim),
        notes="x_opt is 1e-10 beside the rounded one of BBOB; f is the same function.",
    )


def _gallagher(x, data, parameters):
    seen = turned(data["rotation"], x - data["x_opt"])[None, :] - data["centres"]
    far = 0.5 / x.shape[0] * jnp.sum(data["scales"] * seen**2, axis=1)
    # 10 - w exp(-far), which loses no digits near the highest peak, w = 10.
    missing = 10 - data["heights"] - data["heights"] * jnp.expm1(-far)
    return oscillated(jnp.min(missing)) ** 2 + penalty(x)


@functools.lru_cache(maxsize=64)
def _ridge(seed: int, dim: int, num: int) -> np.ndarray:
    """A point between the highest peak and another one at which two peaks are equally high, shape [1, dim]."""
    data = peaks(seed, dim, num)

    def highest(step: np.ndarray) -> int:
        squares = np.sum(data["scales"] * (step - data["centres"]) ** 2, axis=1)
        return int(np.argmax(np.log(data["heights"]) - 0.5 / dim * squares))

    # Any other centre at which the highest peak is not the highest function.
    end = next(centre for centre in data["centres"][::-1] if highest(centre) != 0)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if highest(middle * end) == 0 else (low, middle)
    return (data["x_opt"] + low * end @ data["rotation"])[None, :]


def _gallagher_problem(case: Instance, num: int) -> Problem:
    """f21 and f22, which differ in their peaks only."""
    data = peaks(case.seed, case.dim, num)
    return described(
        case,
        _gallagher,
        data,
        f"T_osz(10 - max_k w_k exp(-1/(2n) (x - y_k)^T R^T C_k R (x - y_k)))^2 + sum_i max(0, |x_i| - 5)^2, "
        f"k = 1 ... {num}, w_1 = 10, w_k = 1.1 + 8 (k-2)/{num - 2}, y_1 = x_opt",
        kinks=_ridge(case.seed, case.dim, num),
        notes="At the minimizer f grows like the fourth power of the distance. Far from all peaks it is flat.",
    )


@problem_family("bbob/f21")
def f21(dim: int = 2, instance: int = 1) -> Problem:
    """Gallagher's Gaussian 101-me peaks: 101 peaks of random place, height and shape.

    Args:
        dim: number of coordinates, at least 2.
        instance: which peaks, rotation and f_opt, from 1.
    """
    return _gallagher_problem(instance_of(21, dim, instance), 101)


@problem_family("bbob/f22")
def f22(dim: int = 2, instance: int = 1) -> Problem:
    """Gallagher's Gaussian 21-hi peaks: 21 peaks of random place and height, the highest one of condition 1000.

    Args:
        dim: number of coordinates, at least 2.
        instance: which peaks, rotation and f_opt, from 1.
    """
    return _gallagher_problem(instance_of(22, dim, instance), 21)


def _katsuura(x, data, parameters):
    scaled = data["powers"][None, :] * turned(data["matrix"], x - data["x_opt"])[:, None]
    rough = jnp.sum(size(scaled - jnp.round(scaled)) / data["powers"][None, :], axis=1)
    n = x.shape[0]
    product = jnp.sum(jnp.log1p(data["ranks"] * rough))
    return 10 / n**2 * jnp.expm1(10 / n**1.2 * product) + penalty(x)


@problem_family("bbob/f23")
def f23(dim: int = 2, instance: int = 1) -> Problem:
    """Katsuura: repetitive and rugged at 32 scales, with more than 10^n global minima.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    case = instance_of(23, dim, instance)
    data = {
        "x_opt": case.x_opt(),
        "matrix": case.conditioned(100),
        "powers": 2.0 ** np.arange(1, 33),
        "ranks": np.arange(1.0, case.dim + 1),
    }
    return described(
        case,
        _katsuura,
        data,
        "10/n^2 (prod_i (1 + i sum_{j=1}^{32} |2^j z_i - round(2^j z_i)|/2^j)^(10/n^1.2) - 1) "
        "+ sum_i max(0, |x_i| - 5)^2, z = R Lambda^100 Q (x - x_opt), i = 1 ... n",
        # Every x of the box for which all 2 z_i are whole has the same value.
        all_minimizers=False,
        kinks=data["x_opt"][None, :],
        notes=(
            "It has a kink wherever 2^33 z_i is whole, so that a slope holds over 1e-10 only; in float32 the finer "
            "scales are lost."
        ),
    )


def _lunacek(x, data, parameters):
    n = x.shape[0]
    first = 2.5
    s = 1 - 0.5 / (math.sqrt(n + 20) - 4.1)
    second = -math.sqrt((first**2 - 1) / s)
    steps = 2 * data["signs"] * (x - data["x_opt"])
    bowls = jnp.minimum(jnp.sum(steps**2), n + s * jnp.sum((steps + (first - second)) ** 2))
    return bowls + 20 * jnp.sum(wave(turned(data["matrix"], steps))) + 1e4 * penalty(x)


@problem_family("bbob/f24")
def f24(dim: int = 2, instance: int = 1) -> Problem:
    """Lunacek bi-Rastrigin: two funnels full of minima, of which the wider one does not hold the best.

    Args:
        dim: number of coordinates, at least 2.
        instance: which signs of x_opt, rotations and f_opt, from 1.
    """
    case = instance_of(24, dim, instance)
    signs = np.where(normal(case.seed, case.dim) < 0, -1.0, 1.0)
    data = {"x_opt": 1.25 * signs, "signs": signs, "matrix": case.conditioned(100)}
    return described(
        case,
        _lunacek,
        data,
        "min(sum_i (t_i - m)^2, n + s sum_i (t_i - m')^2) + 10 sum_i (1 - cos 2 pi z_i) + 10^4 sum_i "
        "max(0, |x_i| - 5)^2, t_i = 2 sign(x_opt,i) x_i, z = R Lambda^100 Q (t - m), m = 2.5, "
        "m' = -sqrt((m^2 - 1)/s), s = 1 - 1/(2 sqrt(n + 20) - 8.2)",
        start=np.full(case.dim, 2.0),  # the two funnels meet at the centre, COCO's initial solution
        # The two bowls are equally high at the centre, whatever the instance.
        kinks=np.zeros((1, case.dim)),
        # The first bowl has curvature 8, the waves 160 pi^2 times 1 to 100, the eigenvalues of (Lambda^100)^2.
        curvature=fixed(8 + 160 * math.pi**2, 8 + 16_000 * math.pi**2),
    )
