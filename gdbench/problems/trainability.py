"""A network with one hidden layer whose trainable learning rates end in a fractal boundary."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import one_of, refuse, whole_number

GAINS = {"tanh": math.sqrt(2), "relu": math.sqrt(2), "identity": 1.0}
"""What each activation's input is multiplied by; for the ReLU that is the same as multiplying its output."""


def _activate(z, activation):
    if activation == "tanh":
        return jnp.tanh(z)
    return jax.nn.relu(z) if activation == "relu" else z


@functools.cache
def objective_of(activation: str) -> Callable[..., Any]:
    """Mean squared error of W1 phi(W0 a/sqrt n)/n; one function object for all instances and widths.

    Weights stand left of the data and take the scalar factors, which is twice as fast as the other way round.
    """

    def objective(x, data, parameters):
        hidden, output = x
        width = hidden.shape[0]
        # Full precision, for some accelerators round the factors of a float32 product.
        z = jnp.matmul(hidden * (GAINS[activation] / math.sqrt(width)), data["inputs"], precision="highest")
        predicted = jnp.matmul(output / width, _activate(z, activation), precision="highest")
        return jnp.mean((predicted - data["labels"]) ** 2)

    return objective


def draw(width: int, rows: int, instance: int) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Initial weights ([n, n], [1, n]), inputs [n, rows] and labels [1, rows], all standard normal.

    In this order from one generator, so that the weights do not depend on the number of rows.
    """
    normal = np.random.default_rng((width, instance)).standard_normal
    weights = normal((width, width)), normal((1, width))
    return weights, {"inputs": normal((width, rows)), "labels": normal((1, rows))}


def loss_of(weights: tuple[np.ndarray, np.ndarray], data: dict[str, np.ndarray], activation: str) -> float:
    """The objective in NumPy, for the target: building a problem must not wait for JAX."""
    width = len(weights[0])
    z = GAINS[activation] / math.sqrt(width) * weights[0] @ data["inputs"]
    z = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "identity": lambda z: z}[activation](z)
    return float(np.mean((weights[1] @ z / width - data["labels"]) ** 2))


def usual_rows(width: int, activation: str) -> int:
    """Rows of the published experiments: as many as weights, and as many as inputs for the linear network."""
    return width if activation == "identity" else width * (width + 1)


def _faults(width: Any, activation: Any, rows: Any, instance: Any) -> list[str]:
    faults = whole_number("trainability", "width", width, 1, 256)
    faults += one_of("trainability", "activation", activation, tuple(GAINS))
    faults += [] if rows is None else whole_number("trainability", "rows", rows, 1)
    return faults + whole_number("trainability", "instance", instance, 0)


@problem_family()
def trainability(width: int = 16, activation: str = "tanh", rows: int | None = None, instance: int = 0) -> Problem:
    """Mean squared error of a two-layer network on noise: which pairs of learning rates train it has a fractal edge.

    x is the pair (hidden [n, n], output [1, n]), no biases, for ``layerwise_gd``: one learning rate a layer.

    Args:
        width: n, the number of inputs and of hidden units.
        activation: "tanh", "relu" or "identity" (a linear network).
        rows: number of data, 1 for the published variant of a single one; by default n (n + 1), as many as weights,
            and n for the linear network.
        instance: seed of weights and data.
    """
    refuse(_faults(width, activation, rows, instance))
    weights, data = draw(width, rows or usual_rows(width, activation), instance)
    dim = width * (width + 1)
    kinks = None
    if activation == "relu":
        # All units of the hidden layer stand at their kink, and the outputs pass it on.
        kinks = np.concatenate([np.zeros(width * width), np.ones(width)])[None]
    phi = {"tanh": "tanh(sqrt(2) z)", "relu": "sqrt(2) max(z, 0)", "identity": "z"}[activation]
    return Problem(
        name="trainability",
        objective=objective_of(activation),
        dim=dim,
        formula=f"mean_i (W1 phi(W0 a_i/sqrt(n))/n - y_i)^2, phi(z) = {phi}",
        source="Sohl-Dickstein, arXiv 2402.06184, 2024; drawn from NumPy's generator in place of JAX's",
        box=cube(dim, 6),  # no normal weight lies outside, but for one in 5e8
        start=np.concatenate([layer.ravel() for layer in weights]),
        target=loss_of(weights, data, activation),
        target_origin="the loss of the published initial weights, which the publication asks late losses to be below",
        data=data,
        kinks=kinks,
        template=(np.zeros((width, width)), np.zeros((1, width))),
    )
