"""Quasi-hyperbolic momentum on a quadratic: m <- beta m + (1 - beta) g, x <- x - alpha ((1 - nu) g + nu m).

nu = 0 is gradient descent, nu = 1 momentum as a moving average (Ma and Yarats, ICLR 2019, arXiv 1810.06801). With
v = alpha m and q = alpha lambda a step is v <- beta v + (1 - beta) q x, x <- x - (1 - nu) q x - nu v (the new v).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gdbench.theory.forms import (
    ClosedForm,
    divide,
    largest_root,
    momentum_in_range,
    orbit,
    rate_over_spectrum,
    stacked,
    start_and_spectrum,
    variance_from_noise,
)


def boundary(L: ArrayLike, momentum: ArrayLike = 0.0, nu: ArrayLike = 0.7) -> np.ndarray:
    """2 (1 + beta) / ((1 + beta (1 - 2 nu)) L), the learning rate from which on it does not converge.

    For nu in [0, 1]. Infinite where L is 0, NaN where the momentum is outside [0, 1).
    """
    beta, nu = momentum_in_range(momentum), np.asarray(nu, dtype=float)
    return divide(2 * (1 + beta) / (1 + beta * (1 - 2 * nu)), L)


def radius(q: np.ndarray, momentum: np.ndarray, nu: ArrayLike = 0.7) -> np.ndarray:
    """Largest modulus of the roots of s^2 - (1 + beta - (1 - nu beta) q) s + beta (1 - (1 - nu) q).

    Its discriminant is (q (1 - r)^2 - 1 + beta) (q (1 + r)^2 - 1 + beta) with r = sqrt(nu beta).
    """
    momentum, nu = np.where(momentum >= 0, momentum, np.nan), np.asarray(nu, dtype=float)
    root = np.sqrt(nu * momentum)
    discriminant = (q * (1 - root) ** 2 - (1 - momentum)) * (q * (1 + root) ** 2 - (1 - momentum))
    return largest_root(1 + momentum - (1 - nu * momentum) * q, momentum * (1 - (1 - nu) * q), discriminant)


def rate(alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0, nu: ArrayLike = 0.7) -> np.ndarray:
    """Decades of gap per step, 2 log10 of the largest radius; shapes as in ``rate_over_spectrum``, nu as momentum."""
    share = np.asarray(nu, dtype=float)[..., None]
    return rate_over_spectrum(lambda q, beta: radius(q, beta, share), alpha, eigenvalues, momentum)


def trajectory(
    x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int, nu: float = 0.7
) -> np.ndarray:
    """Iterates from rest in eigen-coordinates, shape [steps + 1, dim], float64.

    Args:
        x0: shape [dim].
        eigenvalues: shape [dim].
        alpha: learning rate.
        momentum: beta.
        steps: number of steps.
        nu: share of the average in the step.
    """
    x0, eigenvalues = start_and_spectrum(x0, eigenvalues)
    q = alpha * eigenvalues
    beta, share = np.asarray(momentum, dtype=np.longdouble), np.asarray(nu, dtype=np.longdouble)
    kept = (1 - beta) * q
    return orbit(stacked(1 - (1 - share) * q - share * kept, -share * beta, kept, beta), x0, steps)


def stationary_variance(
    alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike, nu: ArrayLike = 0.7
) -> np.ndarray:
    """E x^2 in the long run along one eigenvector.

    With T and D the trace and the determinant of a step, and the noise entering x as b = 1 - nu beta now and as
    d = -beta (1 - nu) one step later, x is an ARMA(2, 1) process, whose variance is
    alpha^2 noise^2 ((b^2 + d^2)(1 + D) + 2 b d T) / ((1 - D) ((1 + D)^2 - T^2)).

    Arguments as in ``variance_from_noise``; lambda is the curvature.
    """
    share = np.asarray(nu, dtype=float)

    def shape(q: np.ndarray, beta: np.ndarray) -> np.ndarray:
        b, d = 1 - share * beta, -beta * (1 - share)
        trace, determinant = 1 + beta - b * q, beta * (1 - (1 - share) * q)
        square = (b**2 + d**2) * (1 + determinant) + 2 * b * d * trace
        # 1 + D - T and 1 + D + T, each without the difference of near numbers.
        edges = (1 - beta) * q * (2 * (1 + beta) - (1 + beta * (1 - 2 * share)) * q)
        return square / ((1 - determinant) * edges)

    return variance_from_noise(shape, boundary(1.0, momentum, nu), alpha, momentum, curvature, noise)


THEORY = ClosedForm("quasi_hyperbolic", boundary, rate, trajectory, None, stationary_variance, further=("nu",))
