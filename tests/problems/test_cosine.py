"""Quadratics with a ripple: values, where convexity ends, and the published boundaries of gradient descent."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.errors import SuiteError
from gdbench.problems.cosine import CRITICAL_ROUGHNESS, cosine_additive, cosine_multiplicative
from gdbench.stats.box_counting import boundary_cells, box_dimension


def test_values_are_the_published_formulas(at):
    x = np.random.default_rng(0).uniform(-5, 5, (50, 3))
    wave = np.cos(2 * np.pi * x / 0.7)
    additive = cosine_additive(dim=3, amplitude=0.3, wavelength=0.7)
    np.testing.assert_allclose(at(additive, x), (x**2 + 0.3 * wave).sum(1), rtol=1e-13)
    multiplicative = cosine_multiplicative(dim=3, amplitude=0.3, wavelength=0.7)
    np.testing.assert_allclose(at(multiplicative, x), (x**2).sum(1) * (1 + 0.3 * wave.sum(1)), rtol=1e-12)


def test_derivatives_are_the_published_ones(at):
    x = np.random.default_rng(0).uniform(-5, 5, (50, 1))
    turn = 2 * np.pi * x / 0.1
    slope = 2 * x - 2 * np.pi * 0.2 * np.sin(turn) / 0.1
    np.testing.assert_allclose(at(cosine_additive(), x, of=jax.grad), slope, rtol=1e-12)
    slope = 2 * x * (1 + 0.2 * np.cos(turn)) - 2 * np.pi * 0.2 * x**2 * np.sin(turn) / 0.1
    np.testing.assert_allclose(at(cosine_multiplicative(), x, of=jax.grad), slope, rtol=1e-10)


@pytest.mark.parametrize("wavelength", [0.1, 1.0])
def test_convexity_ends_at_the_critical_roughness(at, wavelength):
    x = np.linspace(-wavelength, wavelength, 401)[:, None]
    for share, convex in ((0.99, True), (1.01, False)):
        amplitude = share * CRITICAL_ROUGHNESS * wavelength**2
        bends = at(cosine_additive(amplitude=amplitude, wavelength=wavelength), x, of=jax.hessian)
        assert (bends.min() > 0) == convex
        # The most concave point is 0, which turns from the minimizer into a maximum.
        assert bends.argmin() in (0, 200, 400)


@pytest.mark.parametrize(("dim", "amplitude"), [(1, 0.2), (1, 0.9), (3, 0.3), (4, 0.2)])
def test_zero_is_the_minimizer_of_the_growing_ripple(at, dim, amplitude):
    problem = cosine_multiplicative(dim=dim, amplitude=amplitude)
    points = np.random.default_rng(0).uniform(-5, 5, (20_000, dim))
    assert at(problem, points).min() > 0 == at(problem, np.zeros((1, dim)))[0]
    curvatures = np.linalg.eigvalsh(at(problem, np.zeros((1, dim)), of=jax.hessian)[0])
    np.testing.assert_allclose(curvatures[[0, -1]], problem.curvature(problem.parameters), rtol=1e-12)


def test_starts_are_the_published_ones(at):
    for family in (cosine_additive, cosine_multiplicative):
        assert family().start.tolist() == [1.0] and family(dim=4).start.tolist() == [0.25] * 4
        assert np.abs(at(family(), family().start[None], of=jax.grad)).min() > 0.1


def test_the_growing_ripple_is_refused_where_it_has_no_minimum():
    with pytest.raises(SuiteError, match="from 1 to 4, received 5"):
        cosine_multiplicative(dim=5)
    with pytest.raises(SuiteError, match="dim must be an integer of at least 1"):
        cosine_additive(dim=0)


def lost(table) -> np.ndarray:
    """Whether each descent was lost, in the order of the learning rates."""
    return table.sort_values("learning_rate")["outcome"].isin(["diverged", "nonfinite"]).to_numpy()


@pytest.mark.slow
def test_the_published_boundary_of_the_growing_ripple():
    # Changes of the outcome between neighbours among 2^k + 1 rates from 0 to 1.5, k = 0 ... 12: the author's own
    # counts (github.com/liuyz0/FractalBoundary, exp-0-numB.mat).
    published = [1, 1, 1, 1, 3, 5, 7, 13, 21, 27, 57, 115, 247]
    options = {"x0": [1.0], "steps": 1000, "dtype": "float64"}
    rates = np.linspace(0, 1.5, 2**12 + 1)[1:]
    outcome = np.append(False, lost(gd.sweep("cosine_multiplicative", "gd", learning_rate=rates, **options).table))
    ours = [int(boundary_cells(outcome[:: 2 ** (12 - k)]).sum()) for k in range(13)]
    assert ours[:8] == published[:8]
    # Orbits on the boundary are chaotic: another order of the same sums may turn a few.
    assert ours == pytest.approx(published, abs=4)


@pytest.mark.slow
def test_the_boundary_turns_fractal_with_the_roughness():
    # Wavelength 1 makes the amplitude the roughness; the critical one is 0.0507.
    table = gd.sweep(
        "cosine_additive", "gd", learning_rate=np.linspace(1.0, 1.1, 2**11 + 1), wavelength=1.0,
        amplitude=[0.01, 0.03, 0.05, 0.1, 0.15], x0=[5.0], steps=1000, dtype="float64",
    ).table  # fmt: skip
    found = {roughness: box_dimension(lost(group)) for roughness, group in table.groupby("amplitude")}
    assert len(found) == 5
    for roughness, count in found.items():
        if roughness < CRITICAL_ROUGHNESS:
            assert count.counts[0] == 1 and count.dimension == 0.0
        else:
            assert count.counts[0] > 100 and count.dimension > 0.6
