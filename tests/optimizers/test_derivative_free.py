"""Methods on values alone: what they try, what it costs, and when they are at rest."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.errors import NotApplicableError, SuiteError
from gdbench.optimizers.derivative_free import AT_ONCE, exhaustive_signs, random_search
from gdbench.optimizers.finite_differences import finite_difference, spsa
from gdbench.optimizers.own import gd as plain_gd
from tests.optimizers.walks import oracle_of, path, rosenbrock

START = np.array([-1.2, 1.0, 0.3])


def keyed(function: Any, **facts: Any) -> Any:
    """An oracle whose key is always the same one."""
    return oracle_of(function, key=lambda: jax.random.key(6), **facts)


def test_all_signs_are_tried_and_the_best_is_taken() -> None:
    def f(x: np.ndarray) -> float:
        return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))

    x = START
    signs = [np.array(s) for s in itertools.product([-1, 1], repeat=3)]
    ours = path(exhaustive_signs, oracle_of(rosenbrock), x, 25, increment=0.05)
    for found in ours:
        best = min((x + 0.05 * s for s in signs), key=f)
        x = best if f(best) < f(x) else x
        np.testing.assert_allclose(found, x, rtol=1e-12)
    assert f(ours[-1]) < 0.2 * f(START)


def test_signs_are_evaluated_some_at_a_time() -> None:
    dim = 10
    assert 2**dim > AT_ONCE
    away = np.where(np.arange(dim) % 3, 1.0, -1.0)
    ours = path(exhaustive_signs, oracle_of(lambda x: jnp.sum((x - away) ** 2)), np.zeros(dim), 11, increment=0.1)
    np.testing.assert_allclose(ours[9], away, rtol=1e-12)
    np.testing.assert_array_equal(ours[10], ours[9])
    # A value that is no number is never the best.
    hole = oracle_of(lambda x: jnp.where(x[0] > 0, jnp.nan, jnp.sum(x)))
    np.testing.assert_allclose(path(exhaustive_signs, hole, np.zeros(2), 1, increment=1.0), [[-1.0, -1.0]])


def test_too_many_dimensions_for_all_signs_are_refused() -> None:
    with pytest.raises(NotApplicableError, match="at most 16 dimensions"):
        gd.sweep(gd.problem("sphere", dim=17), "exhaustive_signs")
    assert gd.problem("sphere", dim=17).dim == 17


def test_random_search_takes_a_proposal_only_if_it_is_lower() -> None:
    move = np.asarray(jax.random.normal(jax.random.key(6), (1,), "float32"), float)[0]
    downhill, uphill = keyed(lambda x: -np.sign(move) * x[0]), keyed(lambda x: np.sign(move) * x[0])
    np.testing.assert_allclose(
        path(random_search, downhill, [0.0], 3, increment=0.5)[:, 0], 0.5 * move * np.arange(1, 4)
    )
    assert (path(random_search, uphill, [0.0], 3, increment=0.5) == 0).all()


@pytest.mark.slow
def test_random_search_is_not_at_rest_where_its_proposals_fail() -> None:
    # The window of rest is a tenth of the steps. So close to the minimum nearly every proposal fails.
    common = {"x0": [[1e-3]] * 4, "steps": 300, "minimum": 0.0, "dtype": "float64", "outcomes": {"tolerance": 1e-12}}
    table = gd.sweep(lambda x: jnp.sum(x**2), "random_search", increment=10.0, **common).table
    assert (table["end_0"] == 1e-3).any() and (table["outcome"] == "unfinished").all() and (table["flag"] == "").all()
    assert (table["f_evals"] == 301).all() and (table["g_evals"] == 0).all()
    # Trial and error, which tries the same again, is.
    table = gd.sweep(lambda x: jnp.sum(x**2), "trial_and_error", increment=10.0, **common).table
    assert (table["outcome"] == "trapped").all()


@pytest.mark.slow
def test_on_batches_the_best_known_value_is_asked_for_anew() -> None:
    options = {"steps": 200, "x0": [[4.0, 4.0]], "noise": 0.1}
    for name, evaluations in (("random_search", 2), ("exhaustive_signs", 5)):
        table = gd.sweep("noisy_quadratic", name, increment=0.2, **options).table
        assert (table["f_evals"] == 1 + evaluations * 200).all()
        assert (table["f_final"] < 0.05 * table["f_start"]).all()


def test_differences_are_the_gradient() -> None:
    exact = path(plain_gd, oracle_of(rosenbrock), START, 50, learning_rate=5e-4)
    central = path(finite_difference, oracle_of(rosenbrock), START, 50, learning_rate=5e-4, difference="central")
    forward = path(finite_difference, oracle_of(rosenbrock), START, 50, learning_rate=5e-4)
    assert 0 < np.abs(central - exact).max() < 1e-8 < np.abs(forward - exact).max() < 1e-5
    # On x^2 a forward difference is the slope at the middle, and rests half a spacing before the minimum.
    coarse = path(finite_difference, oracle_of(lambda x: x @ x), [1.0], 200, learning_rate=0.3, spacing=0.5)
    assert coarse[-1, 0] == pytest.approx(-0.25)
    with pytest.raises(SuiteError, match="'forward' or 'central', got 'backward'"):
        path(finite_difference, oracle_of(rosenbrock), START, 1, learning_rate=0.1, difference="backward")


@pytest.mark.slow
def test_differences_cost_what_they_cost_in_many_dimensions() -> None:
    wide = gd.problem("sphere", dim=1000)
    for difference, evaluations in (("forward", 1001), ("central", 2000)):
        table = gd.sweep(wide, "finite_difference", difference=difference, learning_rate=0.4, steps=10).table
        assert (table["f_evals"] == 10 * evaluations).all() and (table["g_evals"] == 0).all()
        assert (table["f_final"] < 1e-3 * table["f_start"]).all()


def test_spsa_is_the_published_algorithm() -> None:
    bits = np.asarray(jax.random.bits(jax.random.key(6), (3,), "uint32"))
    signs = np.where(bits & 1, 1.0, -1.0)
    assert abs(signs.sum()) == 1, "signs of both kinds"

    def f(x: np.ndarray) -> float:
        return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))

    for stability in (None, 7.0):
        x, offset = START, 0.1 * 40 if stability is None else stability
        found = path(spsa, keyed(rosenbrock, steps=40), x, 40, learning_rate=1e-3, spacing=0.1, stability=stability)
        for k in range(40):
            rate, c = 1e-3 / (k + 1 + offset) ** 0.602, 0.1 / (k + 1) ** 0.101
            x = x - rate * (f(x + c * signs) - f(x - c * signs)) / (2 * c * signs)
            np.testing.assert_allclose(found[k], x, rtol=1e-9)


@pytest.mark.slow
def test_spsa_descends_at_two_values_a_step_and_draws_for_each_lane() -> None:
    options = {"steps": 400, "x0": [np.full(10, 2.0)] * 8}
    table = gd.sweep(gd.problem("sphere", dim=10), "spsa", learning_rate=0.5, **options).table
    assert (table["f_evals"] == 800).all() and (table["f_final"] < 0.05 * table["f_start"]).all()
    assert table["f_final"].nunique() == 8
