"""Compiled, batched and in both precisions every problem is the same function.

A compiler can get the batched one wrong: see ``gdbench.kernels.compiler``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdbench.kernels.compiler import jit
from tests.problems.cases import CASES, COARSE, build, label

LANES = 70
DEFAULTS = [case for case in CASES if not case[1]]
"""Other settings are the same programs on other numbers: each costs a second to compile."""

every_problem = pytest.mark.parametrize("case", DEFAULTS, ids=map(label, DEFAULTS))
pytestmark = pytest.mark.slow


@every_problem
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_compiled_and_batched_agree(case, dtype, flat, in_dtype):
    # Compiled alone in float32 only, where the compilers' faults were seen: each program costs a third of a second.
    problem = build(case)
    low, high = problem.box
    points = (low + (high - low) * np.random.default_rng(0).random((LANES, problem.dim))).astype(dtype)
    with in_dtype(dtype):
        f, data, parameters = flat(problem, dtype)
        both = jax.value_and_grad(f)
        alone, batched = jit(both) if dtype == "float32" else both, jit(jax.vmap(both, in_axes=(0, None, None)))
        values, gradients = batched(jnp.asarray(points), data, parameters)
        some = [0, 18, 19, LANES - 1] if dtype == "float32" else []
        expected = [alone(jnp.asarray(points[i]), data, parameters) for i in some]
        by_steps = both(jnp.asarray(points[19]), data, parameters)
        assert all(leaf.dtype == dtype for leaf in (values, gradients, *by_steps))
        check_drawn_points(problem, batched, data, parameters, dtype)
    tolerance = 2e-3 if dtype == "float32" else 1e-9
    size, slope = np.abs(values).max(), np.abs(gradients).max()
    if dtype == "float32" and problem.name in COARSE:
        return
    for i, (value, gradient) in [*zip(some, expected, strict=True), (19, by_steps)]:
        np.testing.assert_allclose(values[i], value, rtol=tolerance, atol=tolerance * size)
        np.testing.assert_allclose(gradients[i], gradient, rtol=tolerance, atol=tolerance * slope)


def check_drawn_points(problem, batched, data, parameters, dtype):
    """No point that hypothesis thinks of has a value or gradient that is not finite, or a value below the minimum."""
    low, high = (np.asarray(end) for end in problem.box)
    width = min(problem.dim, 6)
    floor = None if problem.minimum is None else problem.minimum - problem.offset
    rounding = 64 * float(np.finfo(dtype).eps) * (1 + abs(problem.minimum or 0)) * (1 + np.abs(high).max())

    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(arrays(np.float64, (LANES, width), elements=st.floats(0, 1)))
    def check(shares):
        shares = np.resize(shares, (LANES, problem.dim)) if width < problem.dim else shares
        points = np.clip(low + (high - low) * shares, low, high).astype(dtype)
        values, gradients = batched(jnp.asarray(points), data, parameters)
        assert np.isfinite(values).all() and np.isfinite(gradients).all()
        assert floor is None or np.min(values) >= floor - rounding

    check()


@every_problem
def test_float32_minimizers_are_within_the_tolerance_of_the_outcomes(case, flat, in_dtype):
    from gdbench.kernels.scale import measure_scales

    problem = build(case)
    if problem.minimizers is None:
        assert problem.curvature is None or not problem.curvature_is_local
        return
    (scale, _), *_ = measure_scales(problem, [problem.parameters])
    with in_dtype("float32"):
        f, data, parameters = flat(problem, "float32")
        values = [float(f(jnp.asarray(m, "float32"), data, parameters)) for m in problem.minimizers[:4]]
    eps = float(np.finfo("float32").eps)
    tolerance = problem.tolerance or max(1e-5 * min(1, scale), 64 * eps * abs(problem.minimum))
    curved = 0.0
    if problem.curvature is not None:
        # A minimizer that float32 cannot hold is off by half a unit in the last place.
        curved = problem.curvature(problem.parameters)[1] * np.sum((eps * problem.minimizers) ** 2, axis=1).max()
    assert max(values) + problem.offset - problem.minimum <= tolerance + curved
