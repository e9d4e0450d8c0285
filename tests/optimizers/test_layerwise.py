"""A learning rate for each layer: against optax, against plain gradient descent, against the exact boundary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import gdbench as gd
from gdbench.contracts import Oracle
from gdbench.optimizers.layerwise import first_layer, layerwise_gd
from gdbench.optimizers.own import gd as plain_gd

LAYERS = (np.zeros((3, 2)), np.zeros(3), np.zeros((1, 3)))


def loss(layers: Any) -> Any:
    first, bias, last = layers
    return jnp.sum((jnp.matmul(last, jnp.tanh(first.sum(1) + bias)) - 1) ** 2) + jnp.sum(first**2) / 7


def oracle_of(function: Any, template: Any) -> Oracle:
    unravel = ravel_pytree(jax.tree.map(jnp.asarray, template))[1]
    value = lambda x: function(unravel(x))  # noqa: E731
    return Oracle(value, jax.value_and_grad(value), unravel, lambda tree: ravel_pytree(tree)[0], False)


def plain(function: Any) -> Oracle:
    return Oracle(function, jax.value_and_grad(function), lambda x: x, lambda x: x, False)


def walk(rule: Any, oracle: Oracle, x: Any, steps: int, **rates: float | None) -> Any:
    h, state = SimpleNamespace(**rates), ()
    for k in range(steps):
        after = rule.step(oracle, x, state, h, jnp.int32(k))
        x, state = after.x, after.state
    return x


def test_it_is_optax_with_a_rate_for_each_layer() -> None:
    with jax.enable_x64(True):
        layers = jax.tree.map(
            lambda leaf: jnp.asarray(np.random.default_rng(leaf.size).normal(size=leaf.shape)), LAYERS
        )
        x, unravel = ravel_pytree(layers)
        ours = unravel(walk(layerwise_gd, oracle_of(loss, LAYERS), x, 20, learning_rate=0.3, learning_rate_1=0.02))
        rates = {"first": optax.sgd(0.3), "further": optax.sgd(0.02)}
        transformation = optax.multi_transform(rates, ("first", "further", "further"))
        state = transformation.init(layers)
        for _ in range(20):
            updates, state = transformation.update(jax.grad(loss)(layers), state)
            layers = optax.apply_updates(layers, updates)
        for our, their in zip(ours, layers, strict=True):
            np.testing.assert_allclose(our, their, rtol=1e-13, atol=1e-15)


def test_a_plain_vector_counts_as_two_halves() -> None:
    oracle = plain(lambda x: jnp.sum(x))
    for dim, first in ((1, 1), (2, 1), (3, 2), (4, 2), (7, 4)):
        x = jnp.zeros(dim)
        assert first_layer(oracle, x) == first
        moved = walk(layerwise_gd, oracle, x, 1, learning_rate=0.5, learning_rate_1=0.125)
        np.testing.assert_array_equal(moved, [-0.5] * first + [-0.125] * (dim - first))


def test_one_array_in_a_pytree_counts_as_two_halves_too() -> None:
    assert first_layer(oracle_of(lambda tree: jnp.sum(tree["w"]), {"w": np.zeros((2, 3))}), jnp.zeros(6)) == 3


def test_without_a_second_rate_it_is_gradient_descent() -> None:
    oracle, x = plain(lambda x: jnp.sum(x**4 - x)), jnp.array([0.3, -0.2, 0.9])
    ours = walk(layerwise_gd, oracle, x, 10, learning_rate=0.05, learning_rate_1=None)
    np.testing.assert_array_equal(ours, walk(plain_gd, oracle, x, 10, learning_rate=0.05))
    assert layerwise_gd.hyperparameters["learning_rate_1"].optional


def test_it_says_what_it_is() -> None:
    assert "α₁" in layerwise_gd.formula and "2402.06184" in layerwise_gd.source


@pytest.mark.slow
def test_the_stable_rates_of_a_quadratic_are_a_rectangle() -> None:
    # Curvatures 1 and 10 along the axes: stable below 2 and below 0.2, whatever the other rate.
    rates = np.geomspace(0.03, 30, 40)
    table = gd.sweep(
        "quadratic", "layerwise_gd", learning_rate=rates, learning_rate_1=rates, x0=[1.0, 1.0], steps=600,
        dtype="float64",
    ).table  # fmt: skip
    lost = table["outcome"].isin(["diverged", "nonfinite"])
    expected = (table["learning_rate"] > 2) | (table["learning_rate_1"] > 0.2)
    assert len(table) == 1600 and 0.2 < expected.mean() < 0.95
    np.testing.assert_array_equal(lost, expected)
    assert (table.loc[~expected, "outcome"] == "converged").mean() > 0.5
