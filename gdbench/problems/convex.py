"""Smooth convex functions beyond quadratics with a chosen spectrum: Nesterov's worst cases and log-sum-exp."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number


def _chain(x, data, parameters):
    """bend/2 (y_1^2 + sum_i (y_i - y_{i+1})^2 + last y_n^2) + bowl/2 |y|^2 with y = x - x*: squares, so all digits."""
    y = x - data["minimizer"]
    chain = y[0] ** 2 + jnp.sum((y[1:] - y[:-1]) ** 2) + data["last"] * y[-1] ** 2
    return 0.5 * (data["bend"] * chain + data["bowl"] * jnp.sum(y**2))


def _number_above(problem: str, setting: str, value: Any, bound: float) -> list[str]:
    """The fault, if the value is not a finite number above the bound."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and bound < float(value) < math.inf:
        return []
    return [f"problem {problem!r}: {setting} must be a number above {bound:g}, received {value!r}"]


@problem_family()
def nesterov_worst(dim: int = 10, smoothness: float = 1.0) -> Problem:
    """Nesterov's worst smooth convex function, L/4 (1/2 x^T A x - x_1), with A the second difference.

    From its start 0 a method that stays in the span of the gradients it has seen has moved only k coordinates after k
    steps, so that f is still at least L/8 (1/(k+1) - 1/(n+1)) above the minimum.

    Args:
        dim: number of coordinates.
        smoothness: L, the Lipschitz constant of the gradient, above 0.
    """
    name = "nesterov_worst"
    refuse(whole_number(name, "dim", dim, 1) + _number_above(name, "smoothness", smoothness, 0))
    least = smoothness / 8 * (1 / (dim + 1) - 1)
    angle = math.pi / (2 * (dim + 1))
    minimizer = 1 - np.arange(1, dim + 1) / (dim + 1)
    return Problem(
        name=name,
        objective=_chain,
        dim=dim,
        formula="L/4 (1/2 (x_1^2 + sum_i (x_i - x_{i+1})^2 + x_n^2) - x_1), i = 1 ... n-1",
        source="Nesterov, Introductory Lectures on Convex Optimization, Kluwer, 2004, section 2.1.2",
        box=cube(dim, 2),
        start=np.zeros(dim),
        minimum=least,
        minimizers=minimizer[None, :],
        all_minimizers=True,
        # The eigenvalues of A are 4 sin^2(k pi / (2 (n+1))), k = 1 ... n.
        curvature=lambda parameters: (smoothness * math.sin(angle) ** 2, smoothness * math.sin(dim * angle) ** 2),
        offset=least,
        convex=True,
        separable=dim == 1,
        quadratic=True,
        data=_chain_data(minimizer, bend=smoothness / 4, last=1.0, bowl=0.0),
    )


@problem_family()
def nesterov_strongly_convex(dim: int = 10, condition: float = 100.0) -> Problem:
    """Nesterov's worst strongly convex function, with curvature from 1 to at most ``condition``.

    Its minimizer is x_i = q^i, q = (sqrt(condition) - 1)/(sqrt(condition) + 1). The last diagonal entry of A is
    (sqrt(condition) + 3)/(sqrt(condition) + 1) in place of 2, for which that is exact in n dimensions also.

    Args:
        dim: number of coordinates.
        condition: the ratio L/m that the eigenvalues fill as the dimension grows, above 1.
    """
    name = "nesterov_strongly_convex"
    refuse(whole_number(name, "dim", dim, 1) + _number_above(name, "condition", condition, 1))
    root = math.sqrt(condition)
    bend, last = (condition - 1) / 4, 2 / (root + 1)
    minimizer = ((root - 1) / (root + 1)) ** np.arange(1, dim + 1)
    least = -((root - 1) ** 2) / 8
    return Problem(
        name=name,
        objective=_chain,
        dim=dim,
        formula="(condition - 1)/4 (1/2 x^T A x - x_1) + 1/2 |x|^2, A the second difference with another last entry",
        source="Nesterov, Introductory Lectures on Convex Optimization, Kluwer, 2004, section 2.1.4, there with "
        "infinitely many coordinates",
        box=cube(dim, 2),
        start=np.zeros(dim),
        minimum=least,
        minimizers=minimizer[None, :],
        all_minimizers=True,
        curvature=lambda parameters: _ends_of_chain(dim, bend, last),
        offset=least,
        convex=True,
        separable=dim == 1,
        quadratic=True,
        data=_chain_data(minimizer, bend=bend, last=last, bowl=1.0),
    )


def _chain_data(minimizer: np.ndarray, **numbers_: float) -> dict[str, np.ndarray]:
    """The data of ``_chain``: numbers are arrays too, so that all of its problems share one objective."""
    return {"minimizer": minimizer} | {key: np.asarray(value) for key, value in numbers_.items()}


def _ends_of_chain(dim: int, bend: float, last: float) -> tuple[float, float]:
    """(m, L) of bend A + I, where A is the second difference with 1 + last as its last diagonal entry."""
    from scipy.linalg import eigvalsh_tridiagonal  # imported here because building a problem seldom needs it

    diagonal = np.full(dim, 2.0)
    diagonal[-1] = 1 + last
    eigenvalues: Any = eigvalsh_tridiagonal(diagonal, np.full(dim - 1, -1.0))
    return 1 + bend * float(eigenvalues[0]), 1 + bend * float(eigenvalues[-1])


NEAR = 20.0
"""Up to this exponent log-sum-exp is summed as the gap that it is; beyond, where exp would overflow, by its maximum."""


def _rest_of_exp(z: Any) -> Any:
    """exp(z) - 1 - z, to all its digits also where z is small."""
    small = jnp.abs(z) < 1
    inner = jnp.where(small, z, 0.0)
    series = jnp.ones_like(z)
    for k in range(18, 2, -1):
        series = 1 + inner / k * series
    return jnp.where(small, 0.5 * inner**2 * series, jnp.expm1(z) - z)


def _log_sum_exp(x, data, parameters):
    smoothing = parameters["smoothing"]
    # Full precision, for some accelerators round the factors of a float32 product.
    z = jnp.matmul(data["rows"], x, precision="highest") / smoothing
    # sum_i w_i exp(z_i) = 1 + sum_i w_i (exp(z_i) - 1 - z_i), for the weighted sum of the z_i vanishes.
    near = jnp.log1p(jnp.sum(data["weights"] * _rest_of_exp(jnp.clip(z, -NEAR, NEAR))))
    far = jax.nn.logsumexp(z + jnp.log(data["weights"]))
    return smoothing * jnp.where(jnp.max(jnp.abs(z)) < NEAR, near, far)


@problem_family(smoothing=1.0)
def log_sum_exp(dim: int = 2, instance: int = 0) -> Problem:
    """rho log sum_i w_i exp(a_i . x / rho): a smoothed maximum of 4 n planes, of curvature 1/rho at its minimum.

    The a_i are normal, shifted so that their mean by the weights w_i is 0: the minimum 0 is at 0 for every rho > 0
    (``smoothing``), the traced parameter. It grows linearly far away, where its curvature vanishes.

    Args:
        dim: number of coordinates.
        instance: seed of the a_i and w_i.
    """
    refuse(whole_number("log_sum_exp", "dim", dim, 1) + whole_number("log_sum_exp", "instance", instance, 0))
    rng = np.random.default_rng((dim, instance))
    rows, weights = rng.standard_normal((4 * dim, dim)), np.exp(rng.standard_normal(4 * dim))
    weights = weights / weights.sum()
    rows = rows - weights @ rows
    eigenvalues = np.linalg.eigvalsh(rows.T @ (weights[:, None] * rows))
    m, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    return Problem(
        name="log_sum_exp",
        objective=_log_sum_exp,
        dim=dim,
        formula="rho log sum_i w_i exp(a_i . x / rho), sum_i w_i = 1, sum_i w_i a_i = 0, i = 1 ... 4n",
        source="O'Donoghue and Candès, Foundations of Computational Mathematics 15 (2015) 715-732, with the minimizer "
        "moved to 0",
        box=cube(dim, 5),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: (m / parameters["smoothing"], largest / parameters["smoothing"]),
        curvature_is_local=True,
        convex=True,
        separable=dim == 1,
        data={"rows": rows, "weights": weights},
    )
