"""Known values, other points of rest, and resolution near the minimum of the classical functions."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.problems.double_well import double_well
from gdbench.problems.himmelblau import himmelblau, polished_minimizers
from gdbench.problems.quartic import quartic
from gdbench.problems.rastrigin import rastrigin
from gdbench.problems.rosenbrock import rosenbrock


def test_rosenbrock_values(at):
    assert at(rosenbrock(), np.array([[-1.2, 1.0]]))[0] == pytest.approx(24.2, rel=1e-14)
    assert at(rosenbrock(dim=3), np.zeros((1, 3)))[0] == pytest.approx(2.0)
    np.testing.assert_array_equal(rosenbrock(dim=5).start, [-1.2, 1, -1.2, 1, -1.2])


def test_rosenbrock_curvature():
    m, L = rosenbrock().curvature({})
    assert (m, L) == pytest.approx((0.39936, 1001.6), rel=1e-5)
    assert 2 / L == pytest.approx(1.997e-3, rel=1e-3)


def test_rosenbrock_has_a_second_minimum_in_four_dimensions(at):
    from scipy.optimize import root

    problem = rosenbrock(dim=4)
    gradient = lambda x: at(problem, x[None], of=jax.grad)[0]  # noqa: E731
    second = root(gradient, [-0.78, 0.61, 0.38, 0.15], tol=1e-12).x
    assert second[0] == pytest.approx(-0.7757, abs=1e-4) and np.abs(gradient(second)).max() < 1e-9
    assert np.linalg.eigvalsh(at(problem, second[None], of=jax.hessian)[0]).min() > 0


def test_himmelblau_minimizers_to_all_digits(at):
    points = polished_minimizers()
    printed = [(3.0, 2.0), (-2.805118086952745, 3.131312518250573), (-3.779310253377747, -3.283185991286170)]
    np.testing.assert_allclose(points, [*printed, (3.584428340330492, -1.848126526964404)], rtol=2e-16, atol=1e-15)
    # Nothing is left but rounding, of the size of 11 eps.
    assert at(himmelblau(), points).max() < 4 * (11 * np.finfo(float).eps) ** 2
    assert at(himmelblau(), np.zeros((1, 2)))[0] == 170


def test_double_well_values_and_maximum(at):
    problem = double_well()
    x = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_allclose(at(problem, x) + problem.offset, (x**4 / 4 - x**2 / 2)[:, 0], atol=1e-15)
    assert at(problem, np.zeros((1, 1)), of=jax.grad)[0] == 0
    assert at(problem, np.zeros((1, 1)), of=jax.hessian)[0] == -1


def test_double_well_lists_all_minimizers_while_they_are_few():
    assert double_well(dim=4).minimizers.shape == (16, 4) and double_well(dim=4).all_minimizers
    assert double_well(dim=5).minimizers.shape == (1, 5) and not double_well(dim=5).all_minimizers


def test_rastrigin_is_the_usual_formula(at):
    x = np.random.default_rng(0).uniform(-5.12, 5.12, (20, 2))
    usual = 20 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x), axis=1)
    np.testing.assert_allclose(at(rastrigin(), x), usual, rtol=1e-12)


@pytest.mark.parametrize(("problem", "at_minimum"), [(rastrigin(), [0.0, 0.0]), (double_well(dim=2), [1.0, -1.0])])
def test_the_gap_is_resolved_next_to_the_minimum(problem, at_minimum, at):
    # As x^2 - 10 cos 2 pi x + 10, or x^4/4 - x^2/2 + 1/4, this gap would be lost in float32.
    near = np.float32(at_minimum) + np.float32([1e-5, 0])
    gap = at(problem, near[None].astype(float), "float32")[0]
    exact = 0.5 * problem.curvature({})[0] * float(near[0] - np.float32(at_minimum[0])) ** 2
    assert gap == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(("factor", "converges"), [(0.99, True), (1.01, False)])
def test_quartic_boundary_depends_on_the_start(factor, converges):
    slope, x = jax.grad(quartic()), np.array([1.5], np.float32)
    rate = factor * 2 / 1.5**2
    for _ in range(20):
        x = np.asarray(x - np.float32(rate) * slope(x))
    assert (abs(x[0]) < 1.5) == converges


def test_quartic_gap_falls_like_one_over_k_squared():
    rate, steps, x = 0.1, 20_000, 1.0
    for _ in range(steps):
        x -= rate * x**3
    assert x**4 / 4 == pytest.approx(1 / (16 * rate**2 * steps**2), rel=0.02)
