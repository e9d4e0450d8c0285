"""Convex problems against their textbook formulas, and what methods are known to do on them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

import gdbench as gd
from gdbench.errors import SuiteError
from gdbench.problems.convex import log_sum_exp, nesterov_strongly_convex, nesterov_worst
from gdbench.problems.heavy_ball_trap import heavy_ball_trap
from gdbench.theory import heavy_ball


def second_difference(dim: int) -> np.ndarray:
    return 2 * np.eye(dim) - np.eye(dim, k=1) - np.eye(dim, k=-1)


@pytest.mark.parametrize(("dim", "smoothness"), [(1, 3.0), (2, 1.0), (9, 0.5)])
def test_nesterov_worst_is_the_textbook_formula(dim, smoothness, at):
    problem = nesterov_worst(dim=dim, smoothness=smoothness)
    a, points = second_difference(dim), np.random.default_rng(0).uniform(-2, 2, (5, dim))
    quadratic = smoothness / 4 * (0.5 * np.sum(points * (points @ a), axis=1) - points[:, 0])
    np.testing.assert_allclose(at(problem, points) + problem.offset, quadratic, rtol=1e-12, atol=1e-14)
    # The minimizer solves A x = e_1, and the minimum is -L/8 x_1.
    solution = np.linalg.solve(a, np.eye(dim)[0])
    np.testing.assert_allclose(problem.minimizers[0], solution, rtol=1e-12)
    assert problem.minimum == pytest.approx(-smoothness / 8 * solution[0], rel=1e-12)
    ends = np.linalg.eigvalsh(smoothness / 4 * a)[[0, -1]]
    assert problem.curvature({}) == pytest.approx(tuple(ends), rel=1e-9)


@pytest.mark.parametrize(("dim", "condition"), [(1, 4.0), (2, 9.0), (12, 100.0)])
def test_nesterov_strongly_convex_is_the_textbook_formula(dim, condition, at):
    problem, root = nesterov_strongly_convex(dim=dim, condition=condition), np.sqrt(condition)
    a = second_difference(dim)
    a[-1, -1] = (root + 3) / (root + 1)
    points = np.random.default_rng(0).uniform(-2, 2, (5, dim))
    bent = (condition - 1) / 4 * (0.5 * np.sum(points * (points @ a), axis=1) - points[:, 0])
    expected = bent + 0.5 * np.sum(points**2, axis=1)
    np.testing.assert_allclose(at(problem, points) + problem.offset, expected, rtol=1e-12, atol=1e-13)
    hessian = (condition - 1) / 4 * a + np.eye(dim)
    solution = np.linalg.solve(hessian, (condition - 1) / 4 * np.eye(dim)[0])
    np.testing.assert_allclose(problem.minimizers[0], solution, rtol=1e-11)
    m, L = problem.curvature({})
    assert (m, L) == pytest.approx(tuple(np.linalg.eigvalsh(hessian)[[0, -1]]), rel=1e-12)
    assert 1 <= m and L <= condition


@pytest.mark.slow
def test_no_method_beats_the_lower_bound_on_nesterovs_worst_function():
    dim = 30
    swept = gd.sweep(
        nesterov_worst(dim=dim), "nesterov", learning_rate=[0.5, 1.0], momentum=[0.0, 0.5, 0.9], steps=60, trace=200,
        dtype="float64",
    )  # fmt: skip
    k = np.array(swept.results.cells[0]["trace_steps"])
    bound = np.maximum(1 / (k + 1) - 1 / (dim + 1), 0) / 8
    gaps = np.stack(swept.table["trace_gap"])
    assert gaps.shape == (6, len(k)) and np.all(gaps >= bound)
    # It is attained before the first step, and no method is ten times as far from it after ten.
    np.testing.assert_allclose(gaps[:, 0], bound[0], rtol=1e-12)
    assert gaps[:, k == 10].min() < 3 * bound[k == 10]


def test_after_k_steps_only_k_coordinates_have_moved(at):
    problem = nesterov_worst(dim=8)
    x = problem.start[None]
    for k in range(1, 8):
        x = x - at(problem, x, of=jax.grad)
        assert np.abs(x[0, :k]).min() > 1e-6 and np.abs(x[0, k:]).max() < 1e-15


def test_numbers_out_of_range_are_refused():
    for build, wrong in (
        (nesterov_worst, {"smoothness": 0.0}),
        (nesterov_worst, {"smoothness": True}),
        (nesterov_strongly_convex, {"condition": 1}),
        (nesterov_strongly_convex, {"condition": "x"}),
        (nesterov_strongly_convex, {"condition": float("inf")}),
    ):
        ((setting, value),) = wrong.items()
        with pytest.raises(SuiteError, match=f"{setting} must be a number above [01], received {value!r}"):
            build(**wrong)


@pytest.mark.parametrize("smoothing", [0.05, 1.0, 20.0])
def test_log_sum_exp_is_the_textbook_formula(smoothing, at):
    problem = log_sum_exp(dim=3, smoothing=smoothing, instance=2)
    rows, weights = problem.data["rows"], problem.data["weights"]
    points = np.random.default_rng(0).uniform(-5, 5, (40, 3))
    shifts = -smoothing * np.log(weights)
    expected = smoothing * logsumexp((points @ rows.T - shifts) / smoothing, axis=1)
    np.testing.assert_allclose(at(problem, points), expected, rtol=1e-11)
    assert np.abs(weights @ rows).max() < 1e-15 and weights.sum() == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize(("dtype", "size", "digits"), [("float64", 1e-12, 1e-6), ("float32", 1e-6, 1e-4)])
def test_log_sum_exp_is_resolved_next_to_its_minimum(dtype, size, digits, at):
    problem = log_sum_exp(dim=4)
    hessian = problem.data["rows"].T @ (problem.data["weights"][:, None] * problem.data["rows"])
    points = size * np.random.default_rng(1).standard_normal((6, 4))
    values, slopes = at(problem, points, dtype, of=jax.value_and_grad)
    np.testing.assert_allclose(values, 0.5 * np.sum(points * (points @ hessian), axis=1), rtol=digits)
    np.testing.assert_allclose(slopes, points @ hessian, rtol=digits, atol=digits * size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_sum_exp_is_smooth_where_its_formulas_meet_and_finite_far_away(dtype, at):
    problem = log_sum_exp()
    direction = np.array([0.6, 0.8])
    planes = problem.data["rows"] @ direction
    # The largest exponent passes 1, where the series ends, and 20, where the maximum is taken out.
    around = [(exponent + side) / np.abs(planes).max() for exponent in (1, 20) for side in (-1e-6, 1e-6)]
    values, slopes = at(problem, np.outer([*around, 1e6], direction), dtype, of=jax.value_and_grad)
    for below, above in ((0, 1), (2, 3)):
        np.testing.assert_allclose(values[below], values[above], rtol=1e-5)
        np.testing.assert_allclose(slopes[below], slopes[above], rtol=1e-5, atol=1e-6)
    assert values[4] == pytest.approx(1e6 * planes.max(), rel=1e-5)
    np.testing.assert_allclose(slopes[4], problem.data["rows"][planes.argmax()], rtol=1e-5)


def test_log_sum_exp_has_the_curvature_of_its_smoothing(at):
    for smoothing in (0.1, 3.0):
        problem = log_sum_exp(dim=3, smoothing=smoothing)
        eigenvalues = np.linalg.eigvalsh(at(problem, np.zeros((1, 3)), of=jax.hessian)[0])
        assert problem.curvature(problem.parameters) == pytest.approx(tuple(eigenvalues[[0, -1]]), rel=1e-10)


def test_heavy_ball_trap_has_the_stated_slope(at):
    x = np.array([-3.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.3])
    slopes = np.where(x < 1, 25 * x, np.where(x < 2, x + 24, 25 * x - 24))
    np.testing.assert_allclose(at(heavy_ball_trap(), x[:, None], of=jax.grad)[:, 0], slopes, rtol=1e-14)
    # f is the integral of the slope: no jump where the pieces meet.
    around = np.array([1 - 1e-9, 1 + 1e-9, 2 - 1e-9, 2 + 1e-9])[:, None]
    np.testing.assert_allclose(at(heavy_ball_trap(), around), [12.5, 12.5, 38, 38], rtol=1e-8)


@pytest.mark.slow
def test_heavy_ball_tuned_for_quadratics_ends_in_the_cycle():
    tuned = heavy_ball.best(1.0, 25.0)
    assert (tuned.alpha, tuned.momentum) == pytest.approx((1 / 9, 4 / 9))
    swept = gd.sweep(heavy_ball_trap(), "momentum", learning_rate=1 / 9, momentum=4 / 9, steps=2000, paths=1)
    assert list(swept.table["outcome"]) == ["oscillating"]
    steps, path = np.array(swept.results.cells[0]["path_steps"]), swept.table["path"][0]
    # Every third iterate is the same one; the start 3.3 leads to 0.6465 after 60 steps.
    late = steps >= 60
    exact = np.array([0.6465, -1.8024, 2.1159])[steps % 3]
    np.testing.assert_allclose(path[late], exact[late], atol=1e-4)
    assert set(steps[late] % 3) == {0, 1, 2}


@pytest.mark.slow
def test_gradient_descent_escapes_the_trap():
    swept = gd.sweep(heavy_ball_trap(), "gd", learning_rate=1 / 25, steps=200, starts=gd.starts("grid", 41)).table
    assert set(swept["outcome"]) == {"converged"}
