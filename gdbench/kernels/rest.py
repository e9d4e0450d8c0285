"""What a trapped descent rests at, from the signs of the Hessian's eigenvalues there."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdbench.contracts import RESTS, Problem
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import numerics, unravel_of

_BATCH = 512
_FLAT = 1e-6
"""An eigenvalue below this share of the largest one, or of G per width, is zero."""


@functools.lru_cache(maxsize=64)
def _eigenvalues(problem: Problem) -> Any:
    unravel = unravel_of(problem)

    def at(x: Any, data: Any, parameters: Any) -> Any:
        return jnp.linalg.eigvalsh(jax.hessian(lambda x: problem.objective(unravel(x), data, parameters))(x))

    return jit(lambda x, data, parameters: jax.vmap(lambda x, p: at(x, data, p))(x, parameters))


def classify(problem: Problem, points: np.ndarray, parameters: dict[str, np.ndarray], curvature: float) -> np.ndarray:
    """Index into RESTS for each point [n, dim]: minimum, saddle, maximum, or plateau where curvature vanishes.

    Computed in float64, in batches of 512. ``curvature`` is the problem's gradient scale over its box width: what an
    eigenvalue is compared with.
    """
    found = np.zeros(len(points), np.int8)
    with numerics(np.float64):
        for i in range(0, len(points), _BATCH):
            rows = np.minimum(np.arange(i, i + _BATCH), len(points) - 1)
            chosen = {name: values[rows].astype(np.float64) for name, values in parameters.items()}
            values = np.asarray(_eigenvalues(problem)(points[rows].astype(np.float64), problem.data, chosen))
            found[i : i + _BATCH] = _kinds(values, curvature)[: len(points) - i]
    return found


def _kinds(values: np.ndarray, curvature: float) -> np.ndarray:
    largest = np.abs(values).max(axis=1, keepdims=True)
    zero = _FLAT * np.maximum(largest, curvature)
    up, down = (values > zero).any(axis=1), (values < -zero).any(axis=1)
    flat = (np.abs(values) <= zero).any(axis=1)
    names = np.select(
        [up & down, flat & ~(up & down), up, down], ["saddle", "plateau", "minimum", "maximum"], default="plateau"
    )
    return np.array([RESTS.index(name) for name in names], np.int8)
