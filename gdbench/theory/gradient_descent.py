"""Gradient descent on a quadratic: x <- x - alpha g."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gdbench.theory.forms import ClosedForm, Tuning, divide, rate_over_spectrum, start_and_spectrum, variance_from_noise


def _refuse_momentum(momentum: ArrayLike) -> None:
    """The argument is there because every closed form has it; a value other than 0 is a mistake."""
    if np.any(np.asarray(momentum) != 0):
        raise ValueError(f"gradient descent has no momentum: it must be 0, received {momentum}")


def boundary(L: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """2 / L, the learning rate from which on gradient descent does not converge; infinite where L is 0."""
    _refuse_momentum(momentum)
    return divide(2.0, L)


def radius(q: np.ndarray, momentum: np.ndarray) -> np.ndarray:
    """|1 - q|, the factor by which one coordinate shrinks a step, with q = alpha * eigenvalue."""
    return np.abs(1 - q)


def rate(alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """2 log10 max(|1 - alpha m|, |1 - alpha L|), decades of gap per step; shapes as in ``rate_over_spectrum``."""
    _refuse_momentum(momentum)
    return rate_over_spectrum(radius, alpha, eigenvalues, momentum)


def best(m: float, L: float) -> Tuning:
    """Best alpha = 2/(L + m), radius (kappa - 1)/(kappa + 1) with kappa = L/m."""
    return Tuning(2 / (L + m), 0.0, (L - m) / (L + m))


def trajectory(x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int) -> np.ndarray:
    """Iterates x_k = (1 - alpha lambda)^k x_0 in eigen-coordinates, shape [steps + 1, dim], float64.

    Args:
        x0: shape [dim].
        eigenvalues: shape [dim].
        alpha: learning rate.
        momentum: 0, there for the common signature.
        steps: number of steps.
    """
    _refuse_momentum(momentum)
    x0, eigenvalues = start_and_spectrum(x0, eigenvalues)
    exponents = np.arange(steps + 1, dtype=np.longdouble)[:, None]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return (np.power(1 - alpha * eigenvalues, exponents) * x0).astype(float)


def stationary_variance(alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike) -> np.ndarray:
    """E x^2 = alpha noise^2 / (lambda (2 - q)) in the long run, with q = alpha lambda.

    Arguments as in ``variance_from_noise``; lambda is the curvature.
    """
    _refuse_momentum(momentum)
    return variance_from_noise(lambda q, _: 1 / (q * (2 - q)), boundary(1.0), alpha, momentum, curvature, noise)


THEORY = ClosedForm("gradient_descent", boundary, rate, trajectory, best, stationary_variance)
