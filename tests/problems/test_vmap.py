"""Every problem under vmap, many lanes wide, against itself alone: a compiler can get the batched one wrong."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.contracts import ProblemFamily
from gdbench.kernels.descent import unravel_of

LANES = 70
FAMILIES = gather("gdbench.problems", ProblemFamily)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_lane_has_the_value_and_gradient_that_it_has_alone(name, dtype):
    problem = FAMILIES[name]()
    unravel = unravel_of(problem)
    assert problem.box is not None
    low, high = (np.broadcast_to(end, (problem.dim,)) for end in problem.box)
    points = (low + (high - low) * np.random.default_rng(0).random((LANES, problem.dim))).astype(dtype)
    parameters = {key: np.asarray(value, dtype) for key, value in problem.parameters.items()}
    data = jax.tree.map(lambda a: a.astype(dtype), problem.data)

    def f(x, data):
        return problem.objective(unravel(x), data, parameters)

    with jax.enable_x64(dtype == "float64"):
        alone = jax.jit(jax.value_and_grad(f))
        values, gradients = jax.jit(jax.vmap(jax.value_and_grad(f), in_axes=(0, None)))(points, data)
        judged = jax.jit(jax.vmap(f, in_axes=(0, None)))(points, data)
        expected = [alone(point, data) for point in points]
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    reference = np.array([float(value) for value, _ in expected])
    np.testing.assert_allclose(values, reference, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(judged, reference, rtol=tolerance, atol=tolerance)
    slopes = np.array([np.asarray(gradient) for _, gradient in expected])
    np.testing.assert_allclose(gradients, slopes, rtol=tolerance, atol=tolerance * (1 + np.abs(slopes).max()))
