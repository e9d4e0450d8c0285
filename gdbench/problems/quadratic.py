"""Quadratics with a chosen spectrum, along the axes or rotated."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import one_of, refuse, true_or_false, whole_number
from gdbench.problems.spectra import FORMULAS, SPECTRA, eigenvalues_of, fractions_of


@functools.cache
def objective_of(spectrum: str, rotated: bool) -> Callable[..., Any]:
    """1/2 y^T diag(lambda) y with y = Q^T x, or y = x where it is not rotated.

    One function object for all instances, so that they share a compiled program.
    """

    def objective(x, data, parameters):
        eigenvalues = eigenvalues_of(spectrum, parameters["condition"], data["fractions"])
        # Full precision, for some accelerators round the factors of a float32 product.
        y = jnp.matmul(data["rotation"].T, x, precision="highest") if rotated else x
        return 0.5 * jnp.sum(eigenvalues * y**2)

    return objective


@functools.cache
def residuals_of(spectrum: str, rotated: bool) -> Callable[..., Any]:
    """sqrt(lambda/2) y, the terms whose squares are that sum."""

    def residuals(x, data, parameters):
        eigenvalues = eigenvalues_of(spectrum, parameters["condition"], data["fractions"])
        y = jnp.matmul(data["rotation"].T, x, precision="highest") if rotated else x
        return jnp.sqrt(0.5 * eigenvalues) * y

    return residuals


def haar_rotation(dim: int, instance: int) -> np.ndarray:
    """An orthogonal matrix [dim, dim], uniform over the orthogonal group, the same for the same arguments.

    The QR factor of a normal matrix is uniform once the signs of R's diagonal are put into Q
    (Mezzadri, Notices of the AMS 54, 2007).
    """
    normal = np.random.default_rng((dim, instance)).standard_normal((dim, dim))
    q, r = np.linalg.qr(normal)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def ends(dim: int, condition: float) -> tuple[float, float]:
    """(m, L): the eigenvalues run from 1 to the condition; one dimension has the condition alone."""
    low = condition if dim == 1 else 1.0
    return min(low, condition), max(low, condition)


@problem_family(condition=10.0)
def quadratic(dim: int = 2, spectrum: str = "log", rotation: bool = False, instance: int = 0) -> Problem:
    """1/2 x^T Q diag(lambda) Q^T x, eigenvalues from 1 to ``condition`` (a parameter > 0, so it can be an axis).

    Args:
        dim: number of coordinates; with 1 the eigenvalue is the condition.
        spectrum: eigenvalues spaced evenly in their logarithm ("log") or themselves ("linear"); two "clusters" of them,
            each a tenth of the logarithmic range wide; one "outlier", the rest at 1; or the quantiles of a
            "marchenko_pastur" law, the spectrum of a sample covariance matrix.
        rotation: whether Q is a random rotation; otherwise it is the identity and no product is formed.
        instance: seed of the rotation; instances differ in nothing else.
    """
    refuse(
        whole_number("quadratic", "dim", dim, 1)
        + one_of("quadratic", "spectrum", spectrum, SPECTRA)
        + true_or_false("quadratic", "rotation", rotation)
        + whole_number("quadratic", "instance", instance, 0)
    )
    data = {"fractions": fractions_of(spectrum, dim)}
    if rotation:
        data["rotation"] = haar_rotation(dim, instance)
    return Problem(
        name="quadratic",
        objective=objective_of(spectrum, rotation),
        residuals=residuals_of(spectrum, rotation),
        dim=dim,
        formula=f"1/2 sum_i lambda_i y_i^2, lambda_i = {FORMULAS[spectrum]}, y = {'Q^T x' if rotation else 'x'}, "
        "i = 0 ... n-1",
        source="the standard test of a linear rate (Nocedal and Wright, Numerical Optimization, 2006, section 3.3)",
        box=cube(dim, 5),
        start=np.ones(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        curvature=lambda parameters: ends(dim, parameters["condition"]),
        convex=True,
        separable=not rotation,
        quadratic=True,
        data=data,
    )
