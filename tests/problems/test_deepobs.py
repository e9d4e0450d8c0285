"""DeepOBS's quadratic: its numbers, and what was published of it.

Published are the runs of the repository DeepOBS_Baselines (February 2019): gradient descent in float32, 100 epochs of
seven batches, which were the same seven in every epoch.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.problems.boxes import cube
from gdbench.problems.deepobs import distinct_rows, hessian, quadratic_deep, rows_of

EDGE = 0.03764

PUBLISHED = {1e-5: 236.09316, 1e-4: 106.62772}
"""Final test loss where the learning rate is so small that the noise hardly shows."""

PUBLISHED_SEEDS = [87.280, 87.528, 87.235, 87.524, 87.518, 87.153, 87.165, 87.487, 87.591, 87.494]
"""Final test loss at the learning rate 10^-1.8, its ten seeds."""


def mean_loss(x, rows):
    return 0.5 * np.mean(np.sum((x - rows) * ((x - rows) @ hessian()[0]), axis=1))


def test_the_matrix_is_that_of_the_benchmark():
    matrix, eigenvalues = hessian()
    assert eigenvalues[-1] == pytest.approx(53.129, abs=5e-4) and 2 / eigenvalues[-1] == pytest.approx(EDGE, abs=5e-6)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), eigenvalues, rtol=1e-11, atol=1e-12)
    assert np.sum(eigenvalues < 1) == 90 and np.sum((eigenvalues > 30) & (eigenvalues < 60)) == 10
    assert quadratic_deep().curvature({}) == (eigenvalues[0], eigenvalues[-1])


def test_the_loss_is_the_mean_over_the_rows(flat, in_dtype):
    problem, train, test = quadratic_deep(), rows_of(42), rows_of(43)
    assert problem.minimum == pytest.approx(mean_loss(train.mean(axis=0), train), rel=1e-13)
    for x in np.random.default_rng(0).uniform(-2, 2, (3, 100)):
        with in_dtype("float64"):
            f, data, parameters = flat(problem, "float64")
            assert f(x, data, parameters) + problem.offset == pytest.approx(mean_loss(x, train), rel=1e-12)
            held_out = f(x, problem.held_out, parameters) + problem.offset
            assert held_out == pytest.approx(mean_loss(x, test[:896]), rel=1e-12)


def test_the_published_first_test_loss(flat, in_dtype):
    problem = quadratic_deep()
    with in_dtype("float64"):
        f, _, parameters = flat(problem, "float64")
        assert f(np.ones(100), problem.held_out, parameters) + problem.offset == pytest.approx(353.44676426, rel=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_is_the_mean_over_its_rows(dtype, flat, in_dtype):
    problem, train, x = quadratic_deep(batch=128), rows_of(42), np.linspace(-1, 1, 100)
    with in_dtype(dtype):
        f, data, parameters = flat(problem, dtype)
        for seed in range(3):
            key = jax.random.key(seed)
            chosen = train[np.asarray(distinct_rows(key, 1000, 128))]
            assert len(chosen) == 128
            batch = problem.sample(data, key)
            value, slope = jax.value_and_grad(f)(x.astype(dtype), batch, parameters)
            assert slope.dtype == dtype
            digits = 1e-11 if dtype == "float64" else 1e-5
            assert float(value) + problem.offset == pytest.approx(mean_loss(x, chosen), rel=digits)
            exact = hessian()[0] @ (x - chosen.mean(axis=0))
            np.testing.assert_allclose(slope, exact, atol=digits * np.abs(exact).max())


def test_rows_of_a_batch_are_drawn_evenly():
    draws = np.asarray(
        jax.jit(jax.vmap(lambda key: distinct_rows(key, 20, 7)))(jax.random.split(jax.random.key(1), 4000))
    )
    assert np.all(draws.sum(axis=1) == 7)
    np.testing.assert_allclose(draws.mean(axis=0), 7 / 20, atol=5 * np.sqrt(0.35 * 0.65 / 4000))
    # Two rows are in one batch as often as among distinct draws.
    both = draws.T.astype(float) @ draws / 4000
    np.testing.assert_allclose(both[~np.eye(20, dtype=bool)], 7 * 6 / (20 * 19), atol=0.035)


@pytest.mark.slow
def test_gradient_descent_breaks_at_the_published_learning_rate():
    rates = EDGE * np.linspace(0.96, 1.04, 33)
    table = gd.sweep(quadratic_deep(batch=1000), "gd", learning_rate=list(rates), steps=1000).table
    grows = table["rate"].to_numpy() > 0
    first = int(np.argmax(grows))
    assert grows[first:].all() and not grows[:first].any()
    assert 0.5 * (rates[first - 1] + rates[first]) == pytest.approx(EDGE, rel=0.01)


@pytest.mark.slow
def test_the_published_divergence():
    """0.03981 was the first learning rate to overflow; late, its test loss grew by 1.1142^2 a step."""
    # So wide a box that the descent may go on: for some hundred steps the second largest eigenvalue, 52.8, leads.
    problem = dataclasses.replace(quadratic_deep(batch=1000), box=cube(100, 1e60))
    swept = gd.sweep(problem, "gd", learning_rate=0.03981, steps=700, trace=700, dtype="float64")
    steps, gaps = np.array(swept.results.cells[0]["trace_steps"]), swept.table["trace_gap"][0]
    early, late = ((steps >= first) & (steps <= first + 100) for first in (30, 600))
    growth, end = (np.exp(np.polyfit(steps[part], 0.5 * np.log(gaps[part]), 1)[0]) for part in (early, late))
    assert growth < 1.104 and end == pytest.approx(1.115, abs=0.001) and end == pytest.approx(1.1142, rel=0.001)
    assert abs(1 - 0.03981 * hessian()[1][-1]) == pytest.approx(1.1151, abs=5e-5)
    usual = gd.sweep(quadratic_deep(batch=1000), "gd", learning_rate=[10**-1.6, 0.03981], steps=700).table
    assert list(usual["outcome"]) == ["unfinished", "diverged"]


@pytest.mark.slow
def test_the_published_test_losses_of_small_learning_rates():
    table = gd.sweep(quadratic_deep(batch=1000), "gd", learning_rate=list(PUBLISHED), steps=700, dtype="float64").table
    np.testing.assert_allclose(table["f_held_out"], list(PUBLISHED.values()), rtol=6e-4)


@pytest.mark.usefixtures("compiled_for_users")  # it runs for longer than it compiles
@pytest.mark.slow
def test_the_published_test_losses_of_mini_batches():
    table = gd.sweep(quadratic_deep(), "gd", learning_rate=[10**-1.8, 10**-1.6], seeds=64, steps=700).table
    slower, faster = (rows["f_held_out"] for _, rows in table.groupby("learning_rate"))
    # Published are ten seeds at the first, and one, 87.381, at the second.
    assert slower.mean() == pytest.approx(np.mean(PUBLISHED_SEEDS), rel=0.002)
    assert slower.min() < np.mean(PUBLISHED_SEEDS) < slower.max()
    assert faster.min() < 87.381 < faster.max() and faster.mean() == pytest.approx(87.381, rel=0.01)
