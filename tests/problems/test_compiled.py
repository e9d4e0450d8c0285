"""Compiled in float32, batched and alone, every problem is the same function.

A compiler can get the batched one wrong: see ``gdbench.kernels.compiler``. ``test_catalogue.py`` compares the compiled
ones in float64 with the plain evaluation.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from tests.problems.cases import CASES, COARSE, build, label
from tests.problems.drawn import compiled_with_drawn_points

LANES = 70
DEFAULTS = [case for case in CASES if not case[1]]
"""Other settings are the same programs on other numbers: each costs a second to compile."""

every_problem = pytest.mark.parametrize("case", DEFAULTS, ids=map(label, DEFAULTS))
pytestmark = pytest.mark.slow


@every_problem
@pytest.mark.usefixtures("compiled_for_users")
def test_batched_and_alone_agree(case, flat, in_dtype):
    problem = build(case)
    low, high = problem.box
    points = (low + (high - low) * np.random.default_rng(0).random((LANES, problem.dim))).astype("float32")
    with in_dtype("float32"):
        (values, gradients), alone = compiled_with_drawn_points(problem, points, 19, flat, "float32")
    if problem.name in COARSE:
        return
    np.testing.assert_allclose(values[19], alone[0], rtol=2e-3, atol=2e-3 * np.abs(values).max())
    np.testing.assert_allclose(gradients[19], alone[1], rtol=2e-3, atol=2e-3 * np.abs(gradients).max())


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
