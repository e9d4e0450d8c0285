"""Gradient descent with decoupled weight decay w on a quadratic about 0: x <- x - alpha g - alpha w x.

It is gradient descent on the eigenvalues lambda + w. On a quadratic about c it rests at H c / (H + w) instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gdbench.theory import gradient_descent
from gdbench.theory.forms import ClosedForm, Tuning


def boundary(L: ArrayLike, momentum: ArrayLike = 0.0, weight_decay: ArrayLike = 0.0) -> np.ndarray:
    """2 / (L + w), the learning rate from which on it does not converge."""
    return gradient_descent.boundary(np.asarray(L, float) + weight_decay, momentum)


def rate(
    alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0, weight_decay: ArrayLike = 0.0
) -> np.ndarray:
    """2 log10 max |1 - alpha (lambda + w)|, decades of gap per step; shapes as in ``rate_over_spectrum``."""
    decayed = np.asarray(eigenvalues, float) + np.asarray(weight_decay, float)[..., None]
    return gradient_descent.rate(alpha, decayed, momentum)


def best(m: float, L: float, weight_decay: float = 0.0) -> Tuning:
    """Best alpha = 2/(L + m + 2 w), radius (L - m)/(L + m + 2 w)."""
    return gradient_descent.best(m + weight_decay, L + weight_decay)


def trajectory(
    x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int, weight_decay: float = 0.0
) -> np.ndarray:
    """Iterates in eigen-coordinates, shape [steps + 1, dim], float64; arguments as in gradient descent's."""
    decayed = np.asarray(eigenvalues, np.longdouble) + np.longdouble(weight_decay)
    return gradient_descent.trajectory(x0, decayed, alpha, momentum, steps)


def stationary_variance(
    alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike, weight_decay: ArrayLike = 0.0
) -> np.ndarray:
    """E x^2 = alpha noise^2 / ((lambda + w) (2 - q)) in the long run, with q = alpha (lambda + w).

    Arguments as in ``variance_from_noise``; lambda is the curvature.
    """
    return gradient_descent.stationary_variance(alpha, momentum, np.asarray(curvature, float) + weight_decay, noise)


THEORY = ClosedForm("weight_decay", boundary, rate, trajectory, best, stationary_variance, further=("weight_decay",))
