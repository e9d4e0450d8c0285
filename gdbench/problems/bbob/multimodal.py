"""BBOB's functions with many minima and a structure to follow: f3, f4 and f15 to f19."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.bbob.common import described, instance_of, valley_curvature
from gdbench.problems.bbob.instances import Instance, fractions, spread, stretch
from gdbench.problems.bbob.transforms import asymmetric, oscillated, penalty, power, turned, valley, wave


def _rippled(z):
    """sum z_i^2 + 10 (1 - cos 2 pi z_i): Rastrigin's function, resolved near 0."""
    return jnp.sum(z**2 + 20 * wave(z))


def _rastrigin(x, data, parameters):
    z = asymmetric(oscillated(x - data["x_opt"]), data["strengths"])
    return _rippled(data["scales"] * z)


@problem_family("bbob/f3")
def f3(dim: int = 2, instance: int = 1) -> Problem:
    """Rastrigin, separable: a regular grid of about 10^n minima, bent unevenly and stretched along the axes.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift and f_opt, from 1.
    """
    case = instance_of(3, dim, instance)
    data = {"x_opt": case.x_opt(), "strengths": 0.2 * fractions(case.dim), "scales": spread(10, case.dim)}
    formula = "sum_i z_i^2 + 10 (1 - cos 2 pi z_i), z = Lambda^10 T_asy^0.2(T_osz(x - x_opt))"
    return described(case, _rastrigin, data, formula, separable=True)


def _bueche_rastrigin(x, data, parameters):
    z = oscillated(x - data["x_opt"])
    return _rippled(jnp.where(z > 0, data["ahead"], data["scales"]) * z) + 100 * penalty(x)


@problem_family("bbob/f4")
def f4(dim: int = 2, instance: int = 1) -> Problem:
    """Büche-Rastrigin: about 10^n minima, ten times denser on one side of every other coordinate.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift and f_opt, from 1; both are those of f3.
    """
    case = instance_of(4, dim, instance)
    every_other = np.arange(case.dim) % 2 == 0
    # That these coordinates of the optimum are positive stands in COCO, not in the document.
    x_opt, scales = case.x_opt(), spread(10, case.dim)
    data = {
        "x_opt": np.where(every_other, np.abs(x_opt), x_opt),
        "scales": scales,
        "ahead": np.where(every_other, 10 * scales, scales),
    }
    formula = (
        "sum_i z_i^2 + 10 (1 - cos 2 pi z_i) + 100 sum_i max(0, |x_i| - 5)^2, z_i = s_i T_osz(x - x_opt)_i, "
        "s_i = 10^(i/2/(n-1)), ten times that where z_i > 0 and i = 0, 2, 4, ..., i = 0 ... n-1"
    )
    return described(case, _bueche_rastrigin, data, formula, separable=True)


def _beside(case: Instance) -> np.ndarray:
    """A point next to x_opt at which the first coordinate of R (x - x_opt) is 0, shape [1, dim]."""
    step = np.full(case.dim, 0.5 / math.sqrt(case.dim - 1))
    step[0] = 0.0
    return (case.x_opt() + case.r.T @ step)[None, :]


def _rastrigin_rotated(x, data, parameters):
    bent = asymmetric(oscillated(turned(data["rotation"], x - data["x_opt"])), data["strengths"])
    return _rippled(turned(data["matrix"], bent))


@problem_family("bbob/f15")
def f15(dim: int = 2, instance: int = 1) -> Problem:
    """Rastrigin, rotated: about 10^n minima, askew, bent unevenly and stretched.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    case = instance_of(15, dim, instance)
    data = {
        "x_opt": case.x_opt(),
        "rotation": case.r,
        "strengths": 0.2 * fractions(case.dim),
        "matrix": case.conditioned(10),
    }
    formula = "sum_i z_i^2 + 10 (1 - cos 2 pi z_i), z = R Lambda^10 Q T_asy^0.2(T_osz(R (x - x_opt)))"
    notes = "Not differentiable where a coordinate of R (x - x_opt) is 0, for the slope of T_osz has no limit there."
    return described(case, _rastrigin_rotated, data, formula, kinks=_beside(case), notes=notes)


def _weierstrass(x, data, parameters):
    z = turned(data["matrix"], oscillated(turned(data["rotation"], x - data["x_opt"])))
    waves = data["amplitudes"][None, :] * wave(data["frequencies"][None, :] * z[:, None])
    return 10 * (2 * jnp.sum(waves) / x.shape[0]) ** 3 + 10 / x.shape[0] * penalty(x)


@problem_family("bbob/f16")
def f16(dim: int = 2, instance: int = 1) -> Problem:
    """Weierstrass: rugged at twelve scales, repetitive, with several global minima.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    case = instance_of(16, dim, instance)
    powers = np.arange(12)
    data = {
        "x_opt": case.x_opt(),
        "rotation": case.r,
        "matrix": case.conditioned(1 / 100),
        "amplitudes": 0.5**powers,
        "frequencies": 3.0**powers,
    }
    return described(
        case,
        _weierstrass,
        data,
        "10 (1/n sum_i sum_{k=0}^{11} (1 - cos(2 pi 3^k z_i))/2^k)^3 + 10/n sum_i max(0, |x_i| - 5)^2, "
        "z = R Lambda^(1/100) Q T_osz(R (x - x_opt))",
        # Every x of the box with whole z has the same value.
        all_minimizers=False,
        kinks=_beside(case),
        notes=(
            "The shortest of its waves is 6e-6 long. Not differentiable where a coordinate of R (x - x_opt) is 0, for "
            "the slope of T_osz has no limit there; at a minimizer f grows like the sixth power of the distance."
        ),
    )


def _schaffers(x, data, parameters):
    z = turned(data["matrix"], asymmetric(turned(data["rotation"], x - data["x_opt"]), data["strengths"]))
    squares = z[:-1] ** 2 + z[1:] ** 2
    terms = power(squares, 0.25) * (1 + jnp.sin(50 * power(squares, 0.1)) ** 2)
    return jnp.mean(terms) ** 2 + 10 * penalty(x)


def _schaffers_problem(case: Instance, condition: int) -> Problem:
    """f17 and f18, which differ in the condition and in f_opt's place in COCO's list only."""
    data = {
        "x_opt": case.x_opt(),
        "rotation": case.r,
        "strengths": 0.5 * fractions(case.dim),
        "matrix": spread(condition, case.dim)[:, None] * case.q,
    }
    return described(
        case,
        _schaffers,
        data,
        "(1/(n-1) sum_i sqrt(s_i) (1 + sin^2(50 s_i^(1/5))))^2 + 10 sum_i max(0, |x_i| - 5)^2, "
        f"s_i = sqrt(z_i^2 + z_{{i+1}}^2), z = Lambda^{condition} Q T_asy^0.5(R (x - x_opt)), i = 1 ... n-1",
        kinks=data["x_opt"][None, :],
        notes="At the minimum, and wherever two neighbouring z are 0, f has a kink.",
    )


@problem_family("bbob/f17")
def f17(dim: int = 2, instance: int = 1) -> Problem:
    """Schaffers F7: waves around the minimum whose amplitude and length change with the distance, condition 10.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    return _schaffers_problem(instance_of(17, dim, instance), 10)


@problem_family("bbob/f18")
def f18(dim: int = 2, instance: int = 1) -> Problem:
    """Schaffers F7, ill-conditioned: f17 with condition 1000.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1; all are those of f17.
    """
    return _schaffers_problem(instance_of(18, dim, instance), 1000)


def _griewank_rosenbrock(x, data, parameters):
    # 1 - cos s = 2 sin^2(s/2), which loses no digits near the minimum.
    s = valley(turned(data["matrix"], x - data["x_opt"]))
    return 10 * jnp.mean(s / 4000 + 2 * jnp.sin(s / 2) ** 2)


@problem_family("bbob/f19")
def f19(dim: int = 2, instance: int = 1) -> Problem:
    """Composite Griewank-Rosenbrock F8F2: the curved valley full of small minima.

    Args:
        dim: number of coordinates, at least 2.
        instance: which rotation and f_opt, from 1.
    """
    case = instance_of(19, dim, instance)
    wide = stretch(case.dim)
    data = {"x_opt": np.sum(case.q, axis=0) / (2 * wide), "matrix": wide * case.q}
    factor = wide**2 / (400 * (case.dim - 1))
    formula = (
        "10/(n-1) sum_i (s_i/4000 + 1 - cos s_i), s_i = 100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2, "
        "z = max(1, sqrt(n)/8) R x + 1/2, i = 1 ... n-1"
    )
    curvature = lambda parameters: valley_curvature(case.dim, factor)  # noqa: E731
    return described(case, _griewank_rosenbrock, data, formula, curvature=curvature)
