"""Steepest descent with the exact step on a quadratic: no learning rate, but a bound that is attained.

Kantorovich's inequality, as in Nocedal and Wright, Numerical Optimization (2006), section 3.3. It is no ``ClosedForm``,
for the factor of a step depends on the point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def most_left(m: ArrayLike, L: ArrayLike) -> np.ndarray:
    """((kappa - 1)/(kappa + 1))^2, the largest share of the gap that one step leaves, with kappa = L/m."""
    m, L = np.asarray(m, float), np.asarray(L, float)
    return ((L - m) / (L + m)) ** 2


def slowest_start(eigenvalues: ArrayLike) -> np.ndarray:
    """A start, shape [dim], from which every step leaves just that share: 1/m and 1/L along the two ends, else 0.

    From it the iterates zigzag between two lines.
    """
    eigenvalues = np.asarray(eigenvalues, float)
    start = np.zeros_like(eigenvalues)
    for end in (np.argmin(eigenvalues), np.argmax(eigenvalues)):
        start[end] = 1 / eigenvalues[end]
    return start
