"""Nesterov momentum on a quadratic: m <- beta m + g, x <- x - alpha (g + beta m) (``optax.sgd(nesterov=True)``).

The best hyperparameters are those of Lessard, Recht and Packard, SIAM Journal on Optimization 26 (2016), table 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from gdbench.theory.forms import (
    ClosedForm,
    Tuning,
    divide,
    largest_root,
    momentum_in_range,
    orbit,
    rate_over_spectrum,
    stacked,
    start_and_spectrum,
    variance_from_noise,
)


def boundary(L: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """2 (1 + beta) / ((1 + 2 beta) L), the learning rate from which on it does not converge.

    Infinite where L is 0, NaN where the momentum is outside [0, 1).
    """
    beta = momentum_in_range(momentum)
    return divide(2 * (1 + beta) / (1 + 2 * beta), L)


def radius(q: np.ndarray, momentum: np.ndarray) -> np.ndarray:
    """Largest modulus of the roots of s^2 - (1 + beta)(1 - q) s + beta (1 - q), with q = alpha * eigenvalue."""
    remaining = 1 - q
    discriminant = remaining * ((1 - momentum) ** 2 - (1 + momentum) ** 2 * q)
    return largest_root((1 + momentum) * remaining, momentum * remaining, discriminant)


def rate(alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """Decades of gap per step, 2 log10 of the largest radius; shapes as in ``rate_over_spectrum``."""
    return rate_over_spectrum(radius, alpha, eigenvalues, momentum)


def best(m: float, L: float) -> Tuning:
    """Best alpha = 4/(3L + m), beta = (s - 2)/(s + 2), radius 1 - 2/s with s = sqrt(3 kappa + 1), kappa = L/m."""
    s = math.sqrt(3 * L / m + 1)
    return Tuning(4 / (3 * L + m), (s - 2) / (s + 2), 1 - 2 / s)


def standard(m: float, L: float) -> Tuning:
    """The usual choice: alpha = 1/L, beta = (sqrt kappa - 1)/(sqrt kappa + 1), radius 1 - 1/sqrt kappa."""
    root = math.sqrt(L / m)
    return Tuning(1 / L, (root - 1) / (root + 1), 1 - 1 / root)


def trajectory(x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int) -> np.ndarray:
    """Iterates from rest in eigen-coordinates, shape [steps + 1, dim], float64.

    With v = alpha m and q = alpha lambda one step is v <- beta v + q x, x <- x - q x - beta v (the new v), a matrix
    of two by two.

    Args:
        x0: shape [dim].
        eigenvalues: shape [dim].
        alpha: learning rate.
        momentum: beta.
        steps: number of steps.
    """
    x0, eigenvalues = start_and_spectrum(x0, eigenvalues)
    q, beta = alpha * eigenvalues, np.asarray(momentum, dtype=np.longdouble)
    return orbit(stacked(1 - q - beta * q, -(beta**2), q, beta), x0, steps)


def stationary_variance(alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike) -> np.ndarray:
    """E x^2 of the iterates, the extrapolated points at which gradients are taken, in the long run.

    It is that of the points before extrapolation times (1 + beta)^2 (1 - beta r)/(1 + beta r) + beta^2, where
    q = alpha lambda and r = 1 - q, for extrapolation stretches the noise of the last move. Arguments as in
    ``variance_from_noise``; lambda is the curvature.
    """

    def shape(q: np.ndarray, beta: np.ndarray) -> np.ndarray:
        kept = beta * (1 - q)
        stretched = (1 + beta) ** 2 * (1 - kept) + beta**2 * (1 + kept)
        return stretched / (q * (1 - kept) * (2 * (1 + beta) - q * (1 + 2 * beta)))

    return variance_from_noise(shape, boundary(1.0, momentum), alpha, momentum, curvature, noise)


def stationary_variance_before_extrapolation(
    alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike
) -> np.ndarray:
    """E (x + alpha beta m)^2 in the long run: of the points that a gradient step leads to, before extrapolation.

    alpha noise^2 (1 + beta r) / (lambda (1 - beta r) (2 (1 + beta) - q (1 + 2 beta))) with q = alpha lambda and
    r = 1 - q. Arguments as in ``variance_from_noise``; lambda is the curvature.
    """

    def shape(q: np.ndarray, beta: np.ndarray) -> np.ndarray:
        kept = beta * (1 - q)
        return (1 + kept) / (q * (1 - kept) * (2 * (1 + beta) - q * (1 + 2 * beta)))

    return variance_from_noise(shape, boundary(1.0, momentum), alpha, momentum, curvature, noise)


THEORY = ClosedForm("nesterov", boundary, rate, trajectory, best, stationary_variance)
