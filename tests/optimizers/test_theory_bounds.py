"""What theory says of methods that no closed form describes: cycles, floors and the largest step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gdbench.catalogue import gather
from gdbench.contracts import Optimizer
from gdbench.kernels.compiler import jit
from gdbench.optimizers.adaptive import normalized_gd
from gdbench.optimizers.own import adam, rmsprop
from tests.optimizers.walks import oracle_of, path, settings

CATALOGUE = gather("gdbench.optimizers", Optimizer)
SPECTRUM, START, RATE = np.array([0.5, 2.0, 8.0]), np.array([1.234, -0.777, 0.333]), 0.1


def bowl(x: Any) -> Any:
    return 0.5 * jnp.sum(jnp.asarray(SPECTRUM, x.dtype) * x**2)


def test_signs_end_in_a_cycle_of_two_on_every_coordinate() -> None:
    xs = np.abs(path(CATALOGUE["optax/sign_sgd"], oracle_of(bowl), START, 60, learning_rate=RATE))
    arrived = int(np.abs(START).max() / RATE) + 1
    np.testing.assert_allclose(xs[arrived:-1] + xs[arrived + 1 :], RATE, rtol=1e-12)
    assert (np.abs(xs[arrived - 3, 0]) > RATE).all(), "it arrives when its distance is used up, not before"
    gaps = 0.5 * np.sum(SPECTRUM * xs[arrived:] ** 2, axis=1)
    assert 0 < gaps.min() and gaps.max() <= 0.5 * RATE**2 * SPECTRUM.sum()


def test_a_normalised_gradient_ends_in_that_cycle_along_the_top_eigenvector() -> None:
    xs = np.abs(path(normalized_gd, oracle_of(bowl), START, 3000, learning_rate=RATE))[-50:]
    np.testing.assert_allclose(xs[:-1, 2] + xs[1:, 2], RATE, rtol=1e-9)
    assert xs[:, :2].max() < 1e-9 and xs[:, 2].min() > 1e-3


def test_rmsprop_settles_at_half_its_rate_in_one_dimension() -> None:
    for curvature in (0.01, 1.0, 100.0):
        f = oracle_of(lambda x, c=curvature: 0.5 * c * x[0] ** 2)
        xs = path(rmsprop, f, [1.0], 3000, learning_rate=RATE, eps=0.0)[:, 0]
        np.testing.assert_allclose(np.abs(xs[-20:]), RATE / 2, rtol=1e-9)
        assert (np.sign(xs[-20:-1]) == -np.sign(xs[-19:])).all()


def largest_step(b1: float = 0.9, b2: float = 0.999) -> float:
    """(1 - b1)/sqrt((1 - b2)(1 - b1^2/b2)), the bound of |m|/sqrt(v) by the inequality of Cauchy and Schwarz."""
    return (1 - b1) / np.sqrt((1 - b2) * (1 - b1**2 / b2))


def moves_of_adam(gradients: np.ndarray) -> np.ndarray:
    """Moves at rate 1 under a row of gradients, shape [steps, dim]."""
    with jax.enable_x64(True):
        h, oracle, given = settings(adam, learning_rate=1.0), oracle_of(jnp.sum), jnp.asarray(gradients)

        def step(state: Any, now: Any) -> Any:
            k, g = now
            seen = oracle._replace(value_and_grad=lambda x: (x[0], g))
            after = adam.step(seen, jnp.zeros_like(g), state, h, k)
            return after.state, after.x

        def walk(g: Any) -> Any:
            k = jnp.arange(len(g), dtype=jnp.int32)
            return lax.scan(step, adam.init(oracle, jnp.zeros_like(g[0]), h), (k, g))[1]

        return np.asarray(jit(walk)(given))


def test_adam_moves_at_most_its_bound_and_attains_it_late() -> None:
    bound = largest_step()
    assert bound == pytest.approx(7.2703, abs=1e-4)
    rng = np.random.default_rng(1)
    anything = [rng.standard_cauchy((6000, 20)), np.exp(20 * rng.normal(size=(6000, 20))), np.ones((6000, 1))]
    # The worst gradients grow by b2/b1 a step; from 1e-130 on, the squares of all that counts are finite.
    growing = (0.999 / 0.9) ** np.arange(6000.0)[:, None]
    moves = np.abs(moves_of_adam(np.concatenate([*anything, 1e-130 * growing], axis=1)))
    assert moves.max() <= bound * (1 + 1e-9) and moves[:, 40].max() == pytest.approx(1, abs=1e-6)
    assert moves[-1, -1] == pytest.approx(bound, rel=5e-3)
    assert np.abs(moves_of_adam(growing[:500])).max() == pytest.approx(4.56, abs=0.01)


def test_lion_with_weight_decay_stays_within_its_inverse() -> None:
    decay, outwards = 0.5, np.array([1.0, -1.0, 1.0])
    slope = oracle_of(lambda x: -jnp.sum(jnp.asarray(outwards, x.dtype) * x))
    xs = path(CATALOGUE["optax/lion"], slope, START, 400, learning_rate=RATE, weight_decay=decay)
    assert np.abs(xs).max() <= 1 / decay
    np.testing.assert_allclose(xs[-1], outwards / decay, rtol=1e-7)
