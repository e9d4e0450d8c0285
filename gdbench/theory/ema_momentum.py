"""Momentum as a moving average on a quadratic: m <- beta m + (1 - beta) g, x <- x - alpha m.

It is heavy ball at the learning rate alpha (1 - beta), iterate by iterate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gdbench.theory import heavy_ball
from gdbench.theory.forms import ClosedForm, Tuning, divide, momentum_in_range


def _slower(alpha: ArrayLike, momentum: ArrayLike) -> np.ndarray:
    """The learning rate of the heavy ball that it is."""
    return np.asarray(alpha, dtype=float) * (1 - np.asarray(momentum, dtype=float))


def boundary(L: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """2 (1 + beta) / ((1 - beta) L), the learning rate from which on it does not converge.

    Infinite where L is 0, NaN where the momentum is outside [0, 1).
    """
    beta = momentum_in_range(momentum)
    return divide(2 * (1 + beta) / (1 - beta), L)


def rate(alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0) -> np.ndarray:
    """Decades of gap per step, 2 log10 of the largest radius; shapes as in ``rate_over_spectrum``."""
    return heavy_ball.rate(_slower(alpha, momentum), eigenvalues, momentum)


def best(m: float, L: float) -> Tuning:
    """Heavy ball's best momentum, and its best learning rate over 1 - beta: 1/sqrt(L m)."""
    alpha, momentum, radius = heavy_ball.best(m, L)
    return Tuning(alpha / (1 - momentum), momentum, radius)


def trajectory(x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int) -> np.ndarray:
    """Iterates from rest in eigen-coordinates, shape [steps + 1, dim], float64; arguments as in heavy ball's."""
    # The product in extended precision, as all that follows.
    slower = np.longdouble(alpha) * (1 - np.longdouble(momentum))
    return heavy_ball.trajectory(x0, eigenvalues, slower, momentum, steps)  # pyright: ignore[reportArgumentType]


def stationary_variance(alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike) -> np.ndarray:
    """E x^2 in the long run, alpha noise^2 (1 + beta) / (lambda (2 (1 + beta) - q)) with q = alpha (1 - beta) lambda.

    Arguments as in ``variance_from_noise``; lambda is the curvature.
    """
    return heavy_ball.stationary_variance(_slower(alpha, momentum), momentum, curvature, noise)


THEORY = ClosedForm("ema_momentum", boundary, rate, trajectory, best, stationary_variance)
