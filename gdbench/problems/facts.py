"""Small pieces that the facts and formulas of many problems share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdbench.contracts import Box
from gdbench.lazy import jnp

LIBRARY = "Surjanovic and Bingham, Virtual Library of Simulation Experiments"

Curvature = Callable[[Mapping[str, float]], tuple[float, float]]


def in_library(reference: str) -> str:
    """The source of a function that the library of Surjanovic and Bingham took from elsewhere."""
    return f"{reference}; {LIBRARY}"


def between(low: float, high: float, dim: int) -> Box:
    """(low, high), each of shape [dim]: the same interval in every coordinate."""
    return np.full(dim, float(low)), np.full(dim, float(high))


def fixed(m: float, L: float) -> Curvature:
    """A curvature that depends on no parameter."""
    return lambda parameters: (m, L)


def ends(matrix: Any) -> tuple[float, float]:
    """Smallest and largest eigenvalue of a symmetric matrix [n, n]."""
    eigenvalues = np.linalg.eigvalsh(np.asarray(matrix, float))
    return float(eigenvalues[0]), float(eigenvalues[-1])


def ends_of_squares(jacobian: np.ndarray) -> tuple[float, float]:
    """Smallest and largest eigenvalue of 2 J^T J, the Hessian of a sum of squares where all its terms are 0.

    Singular values of J lose half as many digits as eigenvalues of J^T J.
    """
    singular = np.linalg.svd(jacobian, compute_uv=False)
    smallest = singular[-1] if jacobian.shape[0] >= jacobian.shape[1] else 0.0
    return float(2 * smallest**2), float(2 * singular[0] ** 2)


def numbers(x: Any) -> Any:
    """1, 2, ..., n in the type of x, shape [n]: the i of a formula."""
    return jnp.arange(1, x.shape[0] + 1, dtype=x.dtype)


def one_minus_cos(angle: Any) -> Any:
    """1 - cos, which loses no digits near 0."""
    return 2 * jnp.sin(angle / 2) ** 2
