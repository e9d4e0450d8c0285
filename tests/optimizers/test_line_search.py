"""Steps found by a search along the gradient, or from the two points before."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.errors import NotApplicableError, SuiteError
from gdbench.optimizers.line_search import MOST_TRIALS, barzilai_borwein, steepest_descent
from gdbench.theory import steepest_descent as bound
from tests.optimizers.walks import oracle_of, path, rosenbrock

SPECTRUM = np.array([1.0, 3.0, 10.0])


def quadratic(x: Any) -> Any:
    return 0.5 * jnp.sum(jnp.asarray(SPECTRUM, x.dtype) * x**2)


def test_on_a_quadratic_the_step_is_exact() -> None:
    x = x0 = np.array([1.0, -2.0, 0.5])
    ours = path(steepest_descent, oracle_of(quadratic, quadratic=True), x0, 30)
    for found in ours:
        g = SPECTRUM * x
        x = x - (g @ g) / (g @ (SPECTRUM * g)) * g
        np.testing.assert_allclose(found, x, rtol=1e-10)


def test_a_quadratic_that_falls_for_ever_gets_the_first_step() -> None:
    ours = path(steepest_descent, oracle_of(lambda x: -(x @ x), quadratic=True), np.array([1.0]), 2, initial=0.25)
    np.testing.assert_allclose(ours[:, 0], [1.5, 2.25])


def test_elsewhere_it_takes_the_first_rate_that_lowers_f_enough() -> None:
    def f(x: np.ndarray) -> float:
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    x = np.array([-1.2, 1.0])
    for found in path(steepest_descent, oracle_of(rosenbrock), x, 40, initial=2.0, shrink=0.3, slope=0.1):
        g = np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])
        rate = 2.0
        while not f(x - rate * g) <= f(x) - 0.1 * rate * (g @ g):
            rate *= 0.3
        x = x - rate * g
        np.testing.assert_allclose(found, x, rtol=1e-9)


def test_trials_are_counted_and_end() -> None:
    # 1 - 2 rate first stays within the other side at rate 1/2: 1, 1/2 are tried; there it rests, and each step tries 1.
    row = gd.sweep(
        lambda x: jnp.sum(x**2), "steepest_descent", x0=[[3.0]], steps=3, dtype="float64", trace=3, minimum=0.0
    ).table.iloc[0]  # fmt: skip
    assert (row["f_evals"], row["g_evals"], row["hvp_evals"]) == (4, 3, 0)
    assert row["end_0"] == 0
    uphill = oracle_of(lambda x: jnp.where(jnp.abs(x[0] - 1) > 0, 1.0, 0.0) + x[0])
    np.testing.assert_array_equal(path(steepest_descent, uphill, np.array([1.0]), 2), [[1.0], [1.0]])
    assert 0.5**MOST_TRIALS < 1e-16


@pytest.mark.slow
def test_a_sweep_on_a_quadratic_attains_the_bound_of_theory() -> None:
    row = gd.sweep(
        "quadratic", "steepest_descent", condition=50.0, x0=[bound.slowest_start([1.0, 50.0]).tolist()], steps=40,
        trace=40, dtype="float64",
    ).table.iloc[0]  # fmt: skip
    assert (row["f_evals"], row["g_evals"], row["hvp_evals"]) == (0, 40, 40)
    gaps = np.asarray(row["trace_gap"])
    assert len(gaps) > 20
    np.testing.assert_allclose(gaps[-1] / gaps[0], bound.most_left(1.0, 50.0) ** 40, rtol=1e-9)


@pytest.mark.parametrize("form", [1, 2])
def test_barzilai_and_borwein_step_by_step(form: int) -> None:
    x, before = np.array([1.0, -2.0, 0.5]), None
    for found in path(barzilai_borwein, oracle_of(quadratic), x, 25, learning_rate=0.05, form=form):
        g, rate = SPECTRUM * x, 0.05
        if before is not None:
            s, y = x - before[0], g - before[1]
            rate = s @ s / (s @ y) if form == 1 else s @ y / (y @ y)
        before = x, g
        x = x - rate * g
        np.testing.assert_allclose(found, x, rtol=1e-7, atol=1e-14)


def test_without_positive_curvature_it_takes_the_rate() -> None:
    ours = path(barzilai_borwein, oracle_of(lambda x: -(x @ x)), np.array([1.0]), 3, learning_rate=0.25)
    np.testing.assert_allclose(ours[:, 0], [1.5, 2.25, 3.375])
    tiny = path(barzilai_borwein, oracle_of(lambda x: 1e-200 * (x @ x)), np.array([1e-100]), 3, learning_rate=0.25)
    assert np.isfinite(tiny).all()
    with pytest.raises(SuiteError, match="form must be 1 or 2"):
        path(barzilai_borwein, oracle_of(quadratic), np.ones(3), 1, learning_rate=0.1, form=3)


@pytest.mark.slow
def test_barzilai_and_borwein_solve_what_gradient_descent_does_not() -> None:
    long, common = gd.problem("quadratic", dim=10), {"condition": 1e4, "learning_rate": 1e-4, "steps": 1000}
    table = gd.sweep(long, "barzilai_borwein", **common).table
    assert (table["outcome"] == "converged").all() and (table["g_evals"] == 1000).all()
    assert (gd.sweep(long, "gd", **common).table["outcome"] != "converged").all()


def test_it_is_refused_where_batches_differ() -> None:
    with pytest.raises(NotApplicableError, match="needs a deterministic problem"):
        gd.sweep("noisy_quadratic", "barzilai_borwein", learning_rate=0.1)
