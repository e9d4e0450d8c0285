"""Spectrum, rotation and the traced condition of the quadratic."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.problems.quadratic import haar_rotation, quadratic
from gdbench.problems.spectra import SPECTRA, eigenvalues_of, fractions_of


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


@pytest.mark.parametrize("spectrum", ["clusters", "outlier", "marchenko_pastur"])
def test_further_spectra_are_those_of_the_hessian(spectrum, at):
    problem = quadratic(dim=4, spectrum=spectrum, rotation=True, condition=100)
    expected = spectra_at([100.0], spectrum, 4)[0]
    found = np.linalg.eigvalsh(at(problem, np.ones((1, 4)), of=jax.hessian)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found[[0, -1]], [1, 100], rtol=1e-12)


def spectra_at(conditions, spectrum, dim, dtype="float64"):
    """Eigenvalues [conditions, dim] in that precision."""
    with jax.enable_x64(dtype == "float64"):
        rows = np.asarray(conditions, dtype)
        over = jax.jit(jax.vmap(lambda c: eigenvalues_of(spectrum, c, fractions_of(spectrum, dim).astype(dtype))))
        found = over(rows)
        assert found.dtype == dtype
        return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("dim", [2, 3, 200])
def test_every_spectrum_runs_from_one_to_the_condition(spectrum, dim):
    conditions = np.array([1.0, 1.01, 1.3, 30.0, 1e4, 1e8])
    exact, rounded = (spectra_at(conditions, spectrum, dim, dtype) for dtype in ("float64", "float32"))
    assert np.all(np.diff(exact, axis=1) >= -1e-14)
    np.testing.assert_allclose(rounded, exact, rtol=5e-5)
    for found, digits in ((exact, 1e-15), (rounded, 3e-7)):
        np.testing.assert_allclose(found[:, 0], 1, rtol=digits)
        np.testing.assert_allclose(found[:, -1], conditions, rtol=digits)
    below = spectra_at([0.25], spectrum, dim)[0]
    assert sorted([below.min(), below.max()]) == pytest.approx([0.25, 1.0], rel=1e-15)


def test_clusters_and_outlier():
    powers = np.concatenate([np.linspace(0, 0.1, 4), np.linspace(0.9, 1, 3)])
    np.testing.assert_allclose(spectra_at([100.0], "clusters", 7)[0], 100**powers, rtol=1e-14)
    np.testing.assert_array_equal(spectra_at([100.0], "outlier", 5)[0], [1, 1, 1, 1, 100])


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_one_dimension_has_the_condition_alone(spectrum):
    assert spectra_at([7.0], spectrum, 1)[0] == pytest.approx(7.0, rel=1e-15)


def test_marchenko_pastur_quantiles_are_those_of_the_density():
    from scipy.integrate import quad

    conditions = [0.2, 1.001, 2.0, 40.0, 1e4]
    for condition, found in zip(conditions, spectra_at(conditions, "marchenko_pastur", 9), strict=True):
        low, high = sorted([1.0, condition])
        middle, radius = 0.5 * (low + high), 0.5 * (high - low)

        def density(angle, middle=middle, radius=radius):
            # sqrt((high - x)(x - low)) / x dx with x = middle - radius cos(angle): no root is left at the edges.
            return (radius * np.sin(angle)) ** 2 / (middle - radius * np.cos(angle))

        angles = np.arccos(np.clip((middle - np.sort(found)) / radius, -1, 1))
        masses = np.array([quad(density, 0, angle, epsabs=0, epsrel=1e-12, limit=500)[0] for angle in angles[1:]])
        np.testing.assert_allclose(masses / masses[-1], np.arange(1, 9) / 8, atol=1e-9)


def test_marchenko_pastur_is_the_spectrum_of_a_sample_covariance_matrix():
    dim, samples = 200, 800  # edges (1 -+ 1/2)^2, condition 9
    found = spectra_at([9.0], "marchenko_pastur", dim)[0] / 4
    draws = np.random.default_rng(3).standard_normal((samples, dim))
    errors = np.abs(found / np.linalg.eigvalsh(draws.T @ draws / samples) - 1)
    assert errors.max() < 0.1 and errors.mean() < 0.02


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_every_spectrum_can_be_differentiated_by_its_condition(spectrum, in_dtype):
    fractions = fractions_of(spectrum, 6)
    with in_dtype("float64"):
        value = jax.jit(lambda c: jax.numpy.sum(eigenvalues_of(spectrum, c, fractions) * np.arange(1.0, 7.0)))
        slope = jax.jit(jax.grad(value))
        for condition in (0.5, 1.0, 1.05, 10.0, 1e4):
            step = 1e-5 * condition
            difference = float(value(condition + step) - value(condition - step)) / (2 * step)
            assert float(slope(condition)) == pytest.approx(difference, rel=1e-6)


def test_only_an_unrotated_quadratic_is_separable():
    assert quadratic().separable and quadratic().convex and quadratic(rotation=True).convex
    assert not quadratic(rotation=True).separable
