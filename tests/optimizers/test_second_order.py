"""Newton's and Gauss's methods: exact on what they are exact on, damped as said, refused where they cannot run."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.errors import NotApplicableError
from gdbench.optimizers.second_order import gauss_newton, newton
from gdbench.theory import newton as form
from tests.optimizers.walks import oracle_of, path, rosenbrock


def residuals(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def test_newton_step_by_step() -> None:
    x = np.array([-1.2, 1.0])
    for found in path(newton, oracle_of(rosenbrock), x, 12, learning_rate=0.7, damping=0.1):
        g = np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])
        hessian = np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200]])
        x = x - 0.7 * np.linalg.solve(hessian + 0.1 * np.eye(2), g)
        np.testing.assert_allclose(found, x, rtol=1e-9)


def test_gauss_newton_step_by_step() -> None:
    x = np.array([-1.2, 1.0])
    for found in path(gauss_newton, oracle_of(rosenbrock, residuals), x, 12, learning_rate=0.7, damping=0.1):
        r, jacobian = np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]), np.array([[-20 * x[0], 10], [-1, 0]])
        x = x - 0.7 * np.linalg.solve(jacobian.T @ jacobian + 0.1 * np.eye(2), jacobian.T @ r)
        np.testing.assert_allclose(found, x, rtol=1e-9, atol=1e-12)


def test_gauss_newton_solves_rosenbrock_in_two_whole_steps() -> None:
    np.testing.assert_allclose(path(gauss_newton, oracle_of(rosenbrock, residuals), [-1.2, 1.0], 2)[1], 1, rtol=1e-13)


def test_at_rest_they_stay_where_the_matrix_is_singular() -> None:
    quartic = oracle_of(lambda x: jnp.sum(x**4), lambda x: x**2)
    for rule in (newton, gauss_newton):
        assert (path(rule, quartic, np.zeros(2), 3) == 0).all()
    # Fewer equations than unknowns: the shortest step.
    short = oracle_of(lambda x: (x[0] + x[1] - 2) ** 2, lambda x: jnp.stack([x[0] + x[1] - 2]))
    np.testing.assert_allclose(path(gauss_newton, short, np.zeros(2), 1), [[1.0, 1.0]], rtol=1e-12)


@pytest.mark.slow
def test_newton_on_a_quadratic_is_its_closed_form() -> None:
    rates = [0.1, 0.9, 1.5, 1.9, 2.05, 2.5, 3.0]
    found = gd.sweep(
        gd.problem("quadratic", dim=4), "newton", condition=100.0, learning_rate=rates, damping=[0.0, 0.5],
        x0=[np.ones(4)], steps=60, trace=60, dtype="float64",
    )  # fmt: skip
    spectrum, at = 100.0 ** np.linspace(0, 1, 4), found.results.cells[0]["trace_steps"]
    assert len(found.table) == 14
    for row in found.table.to_dict("records"):
        assert row["hvp_evals"] == 4 * row["g_evals"] == 4 * row["steps"]
        exact = form.THEORY.gap(np.ones(4), spectrum, row["learning_rate"], 0.0, 60, damping=row["damping"])[at]
        gaps = np.asarray(row["trace_gap"])
        used = (exact > 1e-25) & np.isfinite(gaps)
        assert used.sum() > 5
        np.testing.assert_allclose(gaps[used], exact[used], rtol=1e-9)
        edge = form.boundary(spectrum[-1], damping=row["damping"])
        assert (row["f_final"] < row["f_start"]) == (row["learning_rate"] < edge)


@pytest.mark.slow
def test_gauss_newton_over_starts_and_on_batches() -> None:
    valley, data = gd.problem("rosenbrock", dim=4), gd.problem("ridge_regression", batch=100)
    table = gd.sweep(valley, "gauss_newton", starts=gd.starts("box", 16), steps=30).table
    assert (table["outcome"] == "converged").mean() > 0.7
    assert (table["g_evals"] == 4 * 30).all() and (table["f_evals"] == 0).all()
    stochastic = gd.sweep(data, "gauss_newton", steps=5, learning_rate=0.5, dtype="float64").table
    assert (stochastic["f_final"] < stochastic["f_start"]).all()


def test_what_they_cannot_run_on_is_refused() -> None:
    with pytest.raises(NotApplicableError, match="needs a sum of squares whose residuals are known"):
        gd.sweep("rastrigin", "gauss_newton")
    with pytest.raises(NotApplicableError, match="at most 256 dimensions"):
        gd.sweep(gd.problem("sphere", dim=257), "newton")
