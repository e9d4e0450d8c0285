"""A problem compiled as a kernel compiles it, batched and alone, and asked at points that hypothesis thinks of."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdbench.contracts import Problem
from gdbench.kernels.compiler import jit

Pair = tuple[np.ndarray, np.ndarray]


def compiled_with_drawn_points(
    problem: Problem, points: np.ndarray, i: int, flat: Any, dtype: str
) -> tuple[Pair, Pair]:
    """Values and gradients at points [n, dim], and those of point i compiled by itself.

    On the way: no point that hypothesis thinks of has a value or gradient that is not finite, or a value below the
    minimum. All comes from one program, since compiling takes most of the time.
    """
    f, data, parameters = flat(problem, dtype)
    both = jax.value_and_grad(f)

    def batched_and_alone(points: Any, data: Any, parameters: Any) -> Any:
        return jax.vmap(both, in_axes=(0, None, None))(points, data, parameters), both(points[i], data, parameters)

    compiled = jit(batched_and_alone)
    answer = compiled(jnp.asarray(points), data, parameters)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(answer))
    low, high = (np.asarray(end) for end in problem.box or ())
    n, width = len(points), min(problem.dim, 6)
    floor = None if problem.minimum is None else problem.minimum - problem.offset
    rounding = 64 * float(np.finfo(dtype).eps) * (1 + abs(problem.minimum or 0)) * (1 + np.abs(high).max())

    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(arrays(np.float64, (n, width), elements=st.floats(0, 1)))
    def check(shares: np.ndarray) -> None:
        shares = np.resize(shares, (n, problem.dim)) if width < problem.dim else shares
        drawn = np.clip(low + (high - low) * shares, low, high).astype(dtype)
        values, gradients = compiled(jnp.asarray(drawn), data, parameters)[0]
        assert np.isfinite(values).all() and np.isfinite(gradients).all()
        assert floor is None or np.min(values) >= floor - rounding

    check()
    return jax.tree.map(np.asarray, answer)
