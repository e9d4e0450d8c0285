"""Gradient descent with a learning rate of its own for each of two groups of layers."""

from __future__ import annotations

from typing import Any

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.lazy import jax, jnp
from gdbench.optimizers.rules import RATE, documented


def first_layer(oracle: Oracle, x: Array) -> int:
    """Number of coordinates of the first layer: the first entry of the problem's x, in the order of its flat vector.

    Where x is one array, a plain vector say, its first half (with the middle one) counts as the first layer.
    """
    layers = jax.tree.leaves(oracle.unravel(x))
    return layers[0].size if len(layers) > 1 else -(-x.shape[0] // 2)


def _begin(oracle: Oracle, x: Array, h: Any) -> tuple[()]:
    return ()


def _layerwise_gd(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
    """x₀ ← x₀ − α g₀;  xᵢ ← xᵢ − α₁ gᵢ for every further layer i

    Layers are the entries of the problem's x in the order of its flat vector; a plain vector counts as two, its halves
    (the middle coordinate belongs to the first). Without a second rate both are α, which is plain gradient descent.

    Source: the two axes of Sohl-Dickstein, arXiv 2402.06184 (2024).
    """
    value, gradient = oracle.value_and_grad(x)
    rates = h.learning_rate
    if h.learning_rate_1 is not None:
        in_first = jnp.arange(x.shape[0]) < first_layer(oracle, x)
        rates = jnp.where(in_first, h.learning_rate, h.learning_rate_1)
    return Step(x - rates * gradient, state, value, gradient, Cost(g=1))


_FORMULA, _SOURCE = documented(_layerwise_gd)

layerwise_gd = Optimizer(
    "layerwise_gd",
    _begin,
    _layerwise_gd,
    {
        "learning_rate": RATE,
        "learning_rate_1": Hyperparameter(None, "None: the rate of the first layer", optional=True),
    },
    _FORMULA,
    _SOURCE,
)
