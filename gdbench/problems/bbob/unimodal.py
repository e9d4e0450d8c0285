"""BBOB's functions with one minimum, or one valley: f1, f2 and f5 to f14."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.bbob.common import described, instance_of, valley_curvature
from gdbench.problems.bbob.instances import SECOND, fractions, spread, stretch
from gdbench.problems.bbob.transforms import asymmetric, oscillated, penalty, power, size, turned, valley
from gdbench.problems.facts import fixed


def _sphere(x, data, parameters):
    return jnp.sum((x - data["x_opt"]) ** 2)


@problem_family("bbob/f1")
def f1(dim: int = 2, instance: int = 1) -> Problem:
    """Sphere: sum of (x_i - x_opt,i)^2, the easiest of all.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift and f_opt, from 1.
    """
    case = instance_of(1, dim, instance)
    facts = {
        "separable": True,
        "convex": True,
        "curvature": fixed(2.0, 2.0),
        "curvature_is_local": False,
        "quadratic": True,
    }
    return described(case, _sphere, {"x_opt": case.x_opt()}, "sum_i (x_i - x_opt,i)^2", **facts)


def _ellipsoid(x, data, parameters):
    return jnp.sum(data["scales"] * oscillated(x - data["x_opt"]) ** 2)


@problem_family("bbob/f2")
def f2(dim: int = 2, instance: int = 1) -> Problem:
    """Ellipsoidal, separable: condition 10^6 along the axes, with irregularities at every scale.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift and f_opt, from 1.
    """
    case = instance_of(2, dim, instance)
    data = {"x_opt": case.x_opt(), "scales": spread(1e12, case.dim)}
    formula = "sum_i 10^(6 i/(n-1)) z_i^2, z = T_osz(x - x_opt), i = 0 ... n-1"
    return described(case, _ellipsoid, data, formula, separable=True)


def _slope(x, data, parameters):
    left = 5 - data["signs"] * x
    return jnp.sum(data["slopes"] * jnp.where(left <= 0, 0, left))


@problem_family("bbob/f5")
def f5(dim: int = 2, instance: int = 1) -> Problem:
    """Linear slope: towards one corner of the box, and flat beyond it.

    Args:
        dim: number of coordinates, at least 2.
        instance: which corner and f_opt, from 1.
    """
    case = instance_of(5, dim, instance)
    signs = np.sign(case.x_opt())
    data = {"x_opt": 5 * signs, "signs": signs, "slopes": spread(100, case.dim)}
    return described(
        case,
        _slope,
        data,
        "sum_i 10^(i/(n-1)) max(0, 5 - sign_i x_i), i = 0 ... n-1",
        separable=True,
        convex=True,
        kinks=data["x_opt"][None, :],
        notes="The minimizer is a corner of the box. Beyond it f is constant along every coordinate that passed it.",
    )


def _attractive_sector(x, data, parameters):
    z = turned(data["matrix"], x - data["x_opt"])
    steep = z * data["x_opt"] > 0
    return power(oscillated(jnp.sum(jnp.where(steep, 1e4, 1.0) * z**2)), 0.9)


@problem_family("bbob/f6")
def f6(dim: int = 2, instance: int = 1) -> Problem:
    """Attractive sector: of 2^n sectors around the minimum only one is low, the others are 10^4 times steeper.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    case = instance_of(6, dim, instance)
    data = {"x_opt": case.x_opt(), "matrix": case.conditioned(10)}
    formula = "T_osz(sum_i (s_i z_i)^2)^0.9, s_i = 100 if z_i x_opt,i > 0 else 1, z = R Lambda^10 Q (x - x_opt)"
    notes = "Near the minimum f grows like |x - x_opt|^1.8: the Hessian is unbounded there."
    return described(case, _attractive_sector, data, formula, notes=notes)


def _step_ellipsoid(x, data, parameters):
    fine = turned(data["stretched"], x - data["x_opt"])
    coarse = jnp.where(jnp.abs(fine) > 0.5, jnp.floor(fine + 0.5), jnp.floor(10 * fine + 0.5) / 10)
    height = jnp.sum(data["scales"] * turned(data["rotation"], coarse) ** 2)
    return 0.1 * jnp.maximum(1e-4 * size(fine[0]), height) + penalty(x)


@problem_family("bbob/f7")
def f7(dim: int = 2, instance: int = 1) -> Problem:
    """Step ellipsoidal: condition 100 in plateaus, on which the gradient is 0.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    case = instance_of(7, dim, instance)
    data = {
        "x_opt": case.x_opt(),
        "stretched": spread(10, case.dim)[:, None] * case.q,
        "rotation": case.r,
        "scales": spread(1e4, case.dim),
    }
    return described(
        case,
        _step_ellipsoid,
        data,
        "0.1 max(|y_0|/10^4, sum_i 10^(2 i/(n-1)) z_i^2) + sum_i max(0, |x_i| - 5)^2, z = R step(y), "
        "y = Lambda^10 Q (x - x_opt), step: to integers if |y_i| > 0.5, else to tenths",
        # On the plateau around x_opt, f = f_opt wherever y_0 = 0.
        all_minimizers=False,
        kinks=data["x_opt"][None, :],
        notes=(
            "The gradient is 0 on every plateau, on purpose: only the innermost one and the outside of the box "
            "slope. The minimum is taken on a piece of the hyperplane y_0 = 0 around x_opt."
        ),
    )


def _rosenbrock(x, data, parameters):
    return jnp.sum(valley(stretch(x.shape[0]) * (x - data["x_opt"])))


@problem_family("bbob/f8")
def f8(dim: int = 2, instance: int = 1) -> Problem:
    """Rosenbrock, original: the curved valley along the axes, with a second minimum in more than 3 dimensions.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift and f_opt, from 1.
    """
    case = instance_of(8, dim, instance)
    formula = "sum_i 100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2, z = max(1, sqrt(n)/8) (x - x_opt) + 1, i = 1 ... n-1"
    curvature = lambda parameters: valley_curvature(case.dim, stretch(case.dim) ** 2)  # noqa: E731
    return described(case, _rosenbrock, {"x_opt": 0.75 * case.x_opt()}, formula, curvature=curvature)


def _rosenbrock_rotated(x, data, parameters):
    return jnp.sum(valley(turned(data["matrix"], x - data["x_opt"])))


@problem_family("bbob/f9")
def f9(dim: int = 2, instance: int = 1) -> Problem:
    """Rosenbrock, rotated: the curved valley askew, with a second minimum in more than 3 dimensions.

    Args:
        dim: number of coordinates, at least 2.
        instance: which rotation and f_opt, from 1.
    """
    case = instance_of(9, dim, instance)
    # z = 1 at the optimum, which lies at R^T (1, ..., 1)/2 over the widening.
    wide = stretch(case.dim)
    data = {"x_opt": np.sum(case.q, axis=0) / (2 * wide), "matrix": wide * case.q}
    formula = "sum_i 100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2, z = max(1, sqrt(n)/8) R x + 1/2, i = 1 ... n-1"
    curvature = lambda parameters: valley_curvature(case.dim, wide**2)  # noqa: E731
    return described(case, _rosenbrock_rotated, data, formula, curvature=curvature)


def _oscillated_quadratic(x, data, parameters):
    return jnp.sum(data["scales"] * oscillated(turned(data["rotation"], x - data["x_opt"])) ** 2)


@problem_family("bbob/f10")
def f10(dim: int = 2, instance: int = 1) -> Problem:
    """Ellipsoidal, rotated: condition 10^6 askew, with irregularities at every scale.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotation and f_opt, from 1.
    """
    case = instance_of(10, dim, instance)
    data = {"x_opt": case.x_opt(), "rotation": case.r, "scales": spread(1e12, case.dim)}
    formula = "sum_i 10^(6 i/(n-1)) z_i^2, z = T_osz(R (x - x_opt)), i = 0 ... n-1"
    return described(case, _oscillated_quadratic, data, formula)


def _one_apart(dim: int, first: float, others: float) -> np.ndarray:
    """(first, others, ..., others), shape [dim]."""
    return np.concatenate([[first], np.full(dim - 1, others)])


@problem_family("bbob/f11")
def f11(dim: int = 2, instance: int = 1) -> Problem:
    """Discus: one direction is 10^6 times as steep as all others, with irregularities at every scale.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotation and f_opt, from 1.
    """
    case = instance_of(11, dim, instance)
    data = {"x_opt": case.x_opt(), "rotation": case.r, "scales": _one_apart(case.dim, 1e6, 1.0)}
    return described(case, _oscillated_quadratic, data, "10^6 z_0^2 + sum_{i>0} z_i^2, z = T_osz(R (x - x_opt))")


def _bent_cigar(x, data, parameters):
    bent = asymmetric(turned(data["rotation"], x - data["x_opt"]), data["strengths"])
    return jnp.sum(data["scales"] * turned(data["rotation"], bent) ** 2)


@problem_family("bbob/f12")
def f12(dim: int = 2, instance: int = 1) -> Problem:
    """Bent cigar: a narrow ridge of condition 10^6 that is not straight.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotation and f_opt, from 1.
    """
    case = instance_of(12, dim, instance)
    data = {
        "x_opt": case.x_opt(SECOND),
        "rotation": case.r,
        "strengths": 0.5 * fractions(case.dim),
        "scales": _one_apart(case.dim, 1.0, 1e6),
    }
    formula = "z_0^2 + 10^6 sum_{i>0} z_i^2, z = R T_asy^0.5(R (x - x_opt))"
    # T_asy is y + O(y^1.5 log y) at 0, so that the Hessian there is that of the straight cigar. Nearly all instances
    # have points of negative curvature; in two dimensions and nearly unrotated (instance 15) none was found.
    return described(case, _bent_cigar, data, formula, convex=None, curvature=fixed(2.0, 2e6))


def _sharp_ridge(x, data, parameters):
    z = turned(data["matrix"], x - data["x_opt"])
    return z[0] ** 2 + 100 * power(jnp.sum(z[1:] ** 2), 0.5)


@problem_family("bbob/f13")
def f13(dim: int = 2, instance: int = 1) -> Problem:
    """Sharp ridge: a parabola along a ridge with a kink across it, where the gradient does not tell how near it is.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotations and f_opt, from 1.
    """
    case = instance_of(13, dim, instance)
    data = {"x_opt": case.x_opt(), "matrix": case.conditioned(10)}
    along = np.linalg.solve(data["matrix"], _one_apart(case.dim, 1.0, 0.0))
    return described(
        case,
        _sharp_ridge,
        data,
        "z_0^2 + 100 sqrt(sum_{i>0} z_i^2), z = R Lambda^10 Q (x - x_opt)",
        convex=True,
        kinks=np.stack([data["x_opt"], data["x_opt"] + along]),
        notes="Not differentiable anywhere on the ridge z_i = 0, i > 0, where the minimum lies.",
    )


def _different_powers(x, data, parameters):
    z = turned(data["rotation"], x - data["x_opt"])
    return power(jnp.sum(jnp.abs(z) ** data["exponents"]), 0.5)


@problem_family("bbob/f14")
def f14(dim: int = 2, instance: int = 1) -> Problem:
    """Sum of different powers: the nearer the minimum, the worse the conditioning.

    Args:
        dim: number of coordinates, at least 2.
        instance: which shift, rotation and f_opt, from 1.
    """
    case = instance_of(14, dim, instance)
    data = {"x_opt": case.x_opt(), "rotation": case.r, "exponents": 2 + 4 * fractions(case.dim)}
    return described(
        case,
        _different_powers,
        data,
        "sqrt(sum_i |z_i|^(2 + 4 i/(n-1))), z = R (x - x_opt), i = 0 ... n-1",
        # The Euclidean norm of the convex |z_i|^(1 + 2 i/(n-1)).
        convex=True,
        kinks=data["x_opt"][None, :],
        notes="At the minimum f is |z_0| along the first rotated axis: a kink.",
    )
