"""Heavy-ball momentum on a quadratic: m <- beta m + g, x <- x - alpha m (Polyak 1964; ``optax.sgd(momentum=beta)``)."""

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
    """2 (1 + beta) / L, the learning rate from which on it does not converge.

    Infinite where L is 0, NaN where the momentum is outside [0, 1).
    """
    return divide(2 * (1 + momentum_in_range(momentum)), L)


def radius(q: np.ndarray, momentum: np.ndarray) -> np.ndarray:
    """Largest modulus of the roots of s^2 - (1 + beta - q) s + beta, with q = alpha * eigenvalue; NaN for beta < 0."""
    momentum = np.where(momentum >= 0, momentum, np.nan)
    root = np.sqrt(momentum)
    discriminant = ((1 - root) ** 2 - q) * ((1 + root) ** 2 - q)
    return largest_root(1 + momentum - q, momentum, discriminant)


def rate(alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """Decades of gap per step, 2 log10 of the largest radius; shapes as in ``rate_over_spectrum``."""
    return rate_over_spectrum(radius, alpha, eigenvalues, momentum)


def best(m: float, L: float) -> Tuning:
    """Best alpha = 4/(sqrt L + sqrt m)^2, beta = ((sqrt kappa - 1)/(sqrt kappa + 1))^2, radius sqrt beta.

    kappa = L/m.
    """
    low, high = math.sqrt(m), math.sqrt(L)
    rho = (high - low) / (high + low)
    return Tuning(4 / (high + low) ** 2, rho**2, rho)


def trajectory(x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int) -> np.ndarray:
    """Iterates from rest in eigen-coordinates, shape [steps + 1, dim], float64.

    With v = alpha m and q = alpha lambda one step is v <- beta v + q x, x <- x - v, a matrix of two by two.

    Args:
        x0: shape [dim].
        eigenvalues: shape [dim].
        alpha: learning rate.
        momentum: beta.
        steps: number of steps.
    """
    x0, eigenvalues = start_and_spectrum(x0, eigenvalues)
    q, beta = alpha * eigenvalues, np.asarray(momentum, dtype=np.longdouble)
    return orbit(stacked(1 - q, -beta, q, beta), x0, steps)


def stationary_variance(alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike) -> np.ndarray:
    """E x^2 in the long run, alpha noise^2 (1 + beta) / (lambda (1 - beta) (2 (1 + beta) - q)), q = alpha lambda.

    Arguments as in ``variance_from_noise``; lambda is the curvature.
    """

    def shape(q: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return (1 + beta) / (q * (1 - beta) * (2 * (1 + beta) - q))

    return variance_from_noise(shape, boundary(1.0, momentum), alpha, momentum, curvature, noise)


THEORY = ClosedForm("heavy_ball", boundary, rate, trajectory, best, stationary_variance)
