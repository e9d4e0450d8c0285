"""Curvature of problems against closed forms: at minimizers, and along paths."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.kernels import curvature
from gdbench.kernels.descent import numerics


def ends(function, x0, **facts):
    (found,), local = curvature.ends_of(gd.problem(function, x0=x0, **facts), [{}])
    return found, local


def test_a_users_quadratic_is_recognised_and_needs_no_minimizer():
    found, local = ends(lambda x: (x**2).sum() + 3 * x[0] * x[1] + x[0], [5.0, 2.0])
    assert found == pytest.approx([-1, 5]) and not local


def test_a_pytree_counts_as_a_vector():
    found, local = ends(lambda x: 2 * x["a"] ** 2 + (x["b"] ** 2).sum(), {"a": 1.0, "b": np.ones(2)})
    assert found == pytest.approx([2, 4]) and not local


def test_a_kink_is_no_part_of_a_quadratic():
    # Its Hessian is the same wherever it exists.
    assert ends(lambda x: (x**2).sum() + jnp.abs(x).sum(), [1.0, 2.0])[0] is None


def test_elsewhere_the_flattest_known_minimizer_tells():
    def wells(x):
        return x[0] ** 2 * (x[0] - 1) ** 2 * (1 + 3 * x[0])

    # f'' = 2 at 0 and 8 at 1.
    found, local = ends(wells, [0.5], minimum=0.0, minimizers=[[1.0], [0.0]])
    assert found == pytest.approx([2, 2]) and local


@pytest.mark.parametrize(
    ("function", "minimizers"),
    [
        (lambda x: (x**4).sum(), [[0.0]]),  # flat
        (lambda x: jnp.sqrt((x**2).sum() + 1e-30), [[0.0]]),  # a cone
        (lambda x: jnp.exp(x).sum(), [[0.0]]),  # no stationary point
        (lambda x: jnp.cos(x).sum(), None),
    ],
)
def test_what_is_not_known_is_not_told(function, minimizers):
    assert ends(function, [1.0], minimizers=minimizers)[0] is None


def test_parameters_bend_the_function():
    def bowl(x, *, width=1.0):
        return (x**2).sum() / width

    found, local = curvature.ends_of(gd.problem(bowl, x0=[1.0]), [{"width": 1.0}, {"width": 4.0}])
    assert np.array(found) == pytest.approx(np.array([[2, 2], [0.5, 0.5]])) and not local


@pytest.mark.parametrize("name", ["quadratic", "booth", "slope_fit", "rosenbrock", "trid"])
def test_what_the_catalogue_states_is_what_the_hessian_says(name):
    problem = gd.problem(name)
    stated = problem.curvature(problem.parameters)
    measured, _ = curvature._measure(problem, [dict(problem.parameters)])
    assert measured[0] == pytest.approx(stated, rel=1e-8)


def test_a_run_stores_them_for_rules_that_theory_knows():
    made = gd.sweep(lambda x: 2 * (x**2).sum(), "gd", x0=[1.0], learning_rate=[0.1, 0.6], steps=20)
    told = made.results.cells[0]["problem"]
    assert told["curvature"] == pytest.approx([4, 4]) and not told["curvature_is_local"]


def test_a_function_without_a_second_derivative_runs_all_the_same():
    @jax.custom_vjp
    def square(x):
        return (x**2).sum()

    square.defvjp(lambda x: (square(x), x), lambda x, g: (2 * x * g,))
    made = gd.sweep(square, "gd", x0=[1.0], learning_rate=[0.1, 0.2], steps=20, minimizers=[[0.0]])
    assert made.results.cells[0]["problem"]["curvature"] is None


def test_along_a_path_of_a_quadratic_the_curvature_is_constant():
    made = gd.sweep(
        "quadratic", "gd", learning_rate=[0.1, 0.3], x0=[[1.0, 1.0]], steps=30, sharpness=True, dtype="float64"
    )
    for row in made.table.to_dict("records"):
        path = np.asarray(row["path"]).reshape(-1, 2)
        there = np.isfinite(path).all(axis=1)
        assert there.sum() > 10 and (np.isfinite(row["sharpness"]) == there).all()
        assert np.asarray(row["sharpness"])[there] == pytest.approx(10)
        expected = 0.5 * (path[there] ** 2 @ [1.0, 10.0])
        assert np.asarray(row["path_f"])[there] == pytest.approx(expected)


def test_points_that_are_not_finite_have_none():
    f, largest = curvature.along(
        gd.problem("quadratic"), np.array([[1.0, 0.0], [np.inf, 0.0]]), {"condition": np.full(2, 7.0)}
    )
    assert largest[0] == pytest.approx(7) and np.isnan([f[1], largest[1]]).all()


@pytest.mark.parametrize(
    "eigenvalues",
    [np.arange(200.0) - 150, np.full(200, -3.0), np.r_[np.zeros(199), 7.0], np.r_[np.full(199, -5.0), -1.0]],
)
def test_lanczos_finds_the_largest_eigenvalue(eigenvalues):
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(200, 200)))[0]
    with numerics(np.float64):
        matrix = jnp.asarray((turn * eigenvalues) @ turn.T)
        small = np.asarray(curvature.lanczos(lambda v: matrix @ v, 200))
    assert np.linalg.eigvalsh(small)[-1] == pytest.approx(eigenvalues.max(), rel=1e-3)


@pytest.mark.slow
def test_gradient_descent_ends_just_below_what_its_rate_can_bear():
    # (x^2 y^2 - 1)^2 / 4 has minima of every curvature from 4 on; a large rate drives it to one of just below 2/rate.
    def product(x):
        return (x[0] ** 2 * x[1] ** 2 - 1) ** 2 / 4

    made = gd.sweep(
        product, "gd", learning_rate=[0.2], x0=[[2.6, 0.4]], minimum=0.0, steps=3000, sharpness=True, dtype="float64"
    )
    sharp = np.asarray(made.table["sharpness"][0])
    assert sharp[0] > 12 and sharp.max() > 20
    assert 0.98 * 10 < sharp[-1] < 10
