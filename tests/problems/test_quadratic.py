"""Spectrum, rotation and the traced condition of the quadratic."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.problems.quadratic import haar_rotation, quadratic


@pytest.mark.parametrize(("spectrum", "expected"), [("log", [1, 10, 100]), ("linear", [1, 50.5, 100])])
@pytest.mark.parametrize("rotation", [False, True])
def test_spectrum(spectrum, expected, rotation, at):
    problem = quadratic(dim=3, spectrum=spectrum, rotation=rotation, condition=100)
    hessian = at(problem, np.ones((1, 3)), of=jax.hessian)[0]
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), expected, rtol=1e-12)
    if not rotation:
        np.testing.assert_allclose(hessian, np.diag(expected), rtol=1e-12)


def test_rotation_turns_the_unrotated_function(at):
    turned, plain = quadratic(dim=4, rotation=True, instance=2), quadratic(dim=4)
    points = np.random.default_rng(0).standard_normal((5, 4))
    q = haar_rotation(4, 2)
    np.testing.assert_allclose(at(turned, points @ q.T), at(plain, points), rtol=1e-12)


def test_only_a_rotated_quadratic_has_a_matrix_product():
    for rotation in (False, True):
        problem = quadratic(dim=8, rotation=rotation)
        program = str(jax.make_jaxpr(problem.objective)(problem.start, problem.data, problem.parameters))
        assert program.count("dot_general") == rotation


@pytest.mark.parametrize("spectrum", ["log", "linear"])
@pytest.mark.parametrize("condition", [1.0, 10.0, 1e6])
def test_the_condition_can_be_differentiated(spectrum, condition, in_dtype):
    problem = quadratic(dim=4, spectrum=spectrum)
    fractions = np.arange(4) / 3
    slopes = fractions * condition ** (fractions - 1) if spectrum == "log" else fractions
    with in_dtype("float64"):
        slope = jax.grad(lambda c: problem(np.ones(4), condition=c))(condition)
        assert float(slope) == pytest.approx(0.5 * slopes.sum(), rel=1e-12)


@pytest.mark.parametrize("condition", [10.0, 1e3, 1e6])
def test_float32_keeps_the_ends_of_the_spectrum(condition, at):
    hessian = at(quadratic(dim=5, condition=condition), np.zeros((1, 5)), "float32", of=jax.hessian)[0]
    np.testing.assert_allclose(np.diag(hessian)[[0, -1]], [1.0, condition], rtol=3e-7)


def test_curvature_follows_the_condition():
    assert quadratic().curvature({"condition": 40.0}) == (1.0, 40.0)
    assert quadratic(dim=1).curvature({"condition": 40.0}) == (40.0, 40.0)
    assert quadratic().curvature({"condition": 0.25}) == (0.25, 1.0)


def test_rotations_are_orthogonal_reproducible_and_different():
    q = haar_rotation(5, 1)
    np.testing.assert_allclose(q @ q.T, np.eye(5), atol=1e-14)
    np.testing.assert_array_equal(q, haar_rotation(5, 1))
    assert np.abs(q - haar_rotation(5, 2)).max() > 0.1


def test_rotations_are_uniform():
    # Over the orthogonal group the trace has mean 0 and variance 1; without the sign correction its mean is far off.
    traces = np.array([np.trace(haar_rotation(3, instance)) for instance in range(1500)])
    assert abs(traces.mean()) < 5 / np.sqrt(1500) and abs(traces.var() - 1) < 0.25
