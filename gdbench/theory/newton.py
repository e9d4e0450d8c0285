"""Newton's method on a quadratic, with a learning rate and damping d: x <- x - alpha (H + d I)^-1 g.

It is gradient descent on the eigenvalues lambda / (lambda + d): all 1 without damping, whatever the condition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gdbench.theory import gradient_descent
from gdbench.theory.forms import ClosedForm, Tuning, divide


def _seen(eigenvalues: ArrayLike, damping: ArrayLike) -> np.ndarray:
    """The eigenvalues that are left of the solve; in extended precision for one that is given in it."""
    eigenvalues = np.asarray(eigenvalues)
    return eigenvalues / (eigenvalues + np.asarray(damping))


def boundary(L: ArrayLike, momentum: ArrayLike = 0.0, damping: ArrayLike = 0.0) -> np.ndarray:
    """2 (1 + d / L), the learning rate from which on it does not converge: 2 without damping."""
    return gradient_descent.boundary(1.0, momentum) * (1 + divide(damping, np.asarray(L, dtype=float)))


def rate(alpha: ArrayLike, eigenvalues: ArrayLike, momentum: ArrayLike = 0.0, damping: ArrayLike = 0.0) -> np.ndarray:
    """2 log10 max |1 - alpha lambda / (lambda + d)|, decades of gap per step; shapes as in ``rate_over_spectrum``."""
    return gradient_descent.rate(alpha, _seen(eigenvalues, np.asarray(damping, float)[..., None]), momentum)


def best(m: float, L: float, damping: float = 0.0) -> Tuning:
    """Gradient descent's best on those eigenvalues: alpha = 1 and radius 0 without damping."""
    return gradient_descent.best(float(_seen(m, damping)), float(_seen(L, damping)))


def trajectory(
    x0: ArrayLike, eigenvalues: ArrayLike, alpha: float, momentum: float, steps: int, damping: float = 0.0
) -> np.ndarray:
    """Iterates in eigen-coordinates, shape [steps + 1, dim], float64; arguments as in gradient descent's."""
    seen = _seen(np.asarray(eigenvalues, np.longdouble), np.longdouble(damping))
    return gradient_descent.trajectory(x0, seen, alpha, momentum, steps)


def stationary_variance(
    alpha: ArrayLike, momentum: ArrayLike, curvature: ArrayLike, noise: ArrayLike, damping: ArrayLike = 0.0
) -> np.ndarray:
    """E x^2 = alpha noise^2 / (lambda (lambda + d) (2 - q)) in the long run, with q = alpha lambda / (lambda + d).

    The noise of the gradient is solved for as well. Arguments as in ``variance_from_noise``; lambda is the curvature.
    """
    solved = np.asarray(curvature, float) + damping
    seen = _seen(np.asarray(curvature, float), damping)
    return gradient_descent.stationary_variance(alpha, momentum, seen, np.asarray(noise, float) / solved)


THEORY = ClosedForm("newton", boundary, rate, trajectory, best, stationary_variance, further=("damping",))
