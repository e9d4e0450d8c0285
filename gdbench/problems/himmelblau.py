"""Himmelblau's function: four minima of the same depth."""

from __future__ import annotations

import functools

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube

ROUGH = ((3.0, 2.0), (-2.8, 3.1), (-3.8, -3.3), (3.6, -1.8))
"""Where the four minimizers are, roughly; Newton's method finds the digits."""


def _objective(x, data, parameters):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def _residuals(x, data, parameters):
    return jnp.stack([x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7])


@functools.cache
def polished_minimizers() -> np.ndarray:
    """The four zeros of (x^2 + y - 11, x + y^2 - 7), shape [4, 2], by Newton's method from the rough ones."""
    points = np.array(ROUGH)
    for _ in range(8):  # digits double: 1, 2, 4, 8, 16, and a few steps more
        x, y = points.T
        residual = np.stack([x**2 + y - 11, x + y**2 - 7], axis=-1)
        one = np.ones_like(x)
        jacobian = np.stack([np.stack([2 * x, one], -1), np.stack([one, 2 * y], -1)], axis=-2)
        points = points - np.linalg.solve(jacobian, residual[..., None])[..., 0]
    points.setflags(write=False)
    return points


@functools.cache
def curvature_at_minimizers() -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian over the four minimizers: 2 J^T J, the residuals being 0."""
    x, y = polished_minimizers().T
    mixed = 2 * (2 * x + 2 * y)
    hessians = np.stack([np.stack([8 * x**2 + 2, mixed], -1), np.stack([mixed, 8 * y**2 + 2], -1)], axis=-2)
    eigenvalues = np.linalg.eigvalsh(hessians)
    return float(eigenvalues.min()), float(eigenvalues.max())


@problem_family()
def himmelblau() -> Problem:
    """(x^2 + y - 11)^2 + (x + y^2 - 7)^2: four minima of depth 0, four saddles and a maximum near (-0.27, -0.92).

    The four differ in curvature; (m, L) are the extremes over all of them, so that below 2/L each of them is stable
    for gradient descent.
    """
    return Problem(
        name="himmelblau",
        objective=_objective,
        residuals=_residuals,
        dim=2,
        formula="(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
        source="Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972",
        box=cube(2, 5),
        start=np.zeros(2),
        minimum=0.0,
        minimizers=polished_minimizers(),
        all_minimizers=True,
        curvature=lambda parameters: curvature_at_minimizers(),
        curvature_is_local=True,
    )
