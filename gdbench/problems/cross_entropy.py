"""The cross-entropy of linear models: its value, its gap above the minimum to all digits, and its minimizer."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gdbench.lazy import jax, jnp

NEAR = 1 / 16
"""Log-odds that changed by less go into the series of ``divergence``, whose eleventh term is then below rounding."""

TERMS = 10
MOST_STEPS = 50


def cross_entropy(logits, labels):
    """Mean over rows of -log softmax(z)_label; logits and one-hot labels are [n, classes]."""
    # The mean of logsumexp(z) - z_label is the same number, but jaxlib 0.10.2 on a CPU returns wrong ones for it under
    # vmap wherever it is compiled with YNNPACK fusions (see kernels/compiler.py), as in a user's own jax.jit.
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits, axis=1), axis=1))


def _tail(e):
    """exp(e) - 1 - e by its series, e small: no digits cancel."""
    total = jnp.full_like(e, 1 / math.factorial(TERMS))
    for k in range(TERMS - 1, 1, -1):
        total = total * e + 1 / math.factorial(k)
    return total * e**2


def divergence(log_odds, change):
    """log sum_c p_c exp(d_c) - sum_c p_c d_c for every row, with p = exp(log_odds).

    It is the Kullback-Leibler divergence of softmax(log_odds + d) from p: what cross-entropy has above its minimum
    without its terms of first order. Near d = 0 it is quadratic, and the two terms of the formula would cancel.
    """
    odds = jnp.exp(log_odds)
    centred = change - jnp.sum(odds * change, axis=1, keepdims=True)
    near = jnp.all(jnp.abs(centred) < NEAR, axis=1, keepdims=True)
    # Each branch sees harmless numbers where the other one is taken: the gradient of a where needs both finite.
    series = jnp.log1p(jnp.sum(odds * _tail(jnp.where(near, centred, 0)), axis=1))
    shifted = jax.nn.log_softmax(log_odds + jnp.where(near, 0, centred), axis=1)
    return jnp.where(near[:, 0], series, jnp.sum(odds * (log_odds - shifted), axis=1))


@functools.cache
def objective_of(matrix: Callable[[Any], Any], gap: bool) -> Callable[..., Any]:
    """Cross-entropy of A W plus penalty/2 |W|^2, W = ``matrix(x)`` [columns, classes], A the design [n, columns].

    With ``gap`` it is what this has above its minimum at W*: the mean divergence of the rows plus penalty/2 |W - W*|^2,
    for the terms of first order are the gradient at W*, which vanishes. (On held-out rows it does not, and is the
    ``slope`` in the data; ``excess`` is what these rows have above the minimum at W*.)
    """

    def loss(x, data, parameters):
        weights, rows = matrix(x), data["rows"]
        # Full precision, for some accelerators round the factors of a float32 product.
        logits = jnp.matmul(rows["design"], weights, precision="highest")
        return cross_entropy(logits, rows["labels"]) + 0.5 * data["penalty"] * jnp.sum(weights**2)

    def above_minimum(x, data, parameters):
        step = matrix(x) - data["solution"]
        change = jnp.matmul(data["design"], step, precision="highest")
        first = jnp.sum(data["slope"] * step) + data["excess"]
        return jnp.mean(divergence(data["log_odds"], change)) + 0.5 * data["penalty"] * jnp.sum(step**2) + first

    return above_minimum if gap else loss


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """In NumPy, over the last axis."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class Rows(NamedTuple):
    """Design matrix [n, columns] and one-hot labels [n, classes]."""

    design: np.ndarray
    labels: np.ndarray


class Fit(NamedTuple):
    """The minimizer W* [columns, classes] of the penalised cross-entropy, its value, and the log-odds of every row."""

    solution: np.ndarray
    minimum: float
    log_odds: np.ndarray


def fitted(rows: Rows, l2: float, free: slice) -> Fit:
    """The minimizer by Newton's method, to full precision; columns of W that are not free stay 0.

    Args:
        rows: what is fitted.
        l2: weight of the penalty, above 0: then the minimizer exists and is the only one.
        free: the columns of W that are fitted.
    """
    design, labels = rows
    weights = np.zeros((design.shape[1], labels.shape[1]))
    value, log_odds = _value(weights, design, labels, l2)
    for _ in range(MOST_STEPS):
        gradient = design.T @ (np.exp(log_odds) - labels) / len(design) + l2 * weights
        newton = np.linalg.solve(hessian(design, log_odds, l2, free), gradient[:, free].T.ravel())
        step = np.zeros_like(weights)
        step[:, free] = newton.reshape(-1, len(weights)).T
        share = 1.0
        # Next to the minimum a value differs from the last one by rounding alone, which must not shorten a step.
        while (tried := _value(weights - share * step, design, labels, l2))[0] > value * (1 + 1e-12):
            share /= 2
        weights, (value, log_odds) = weights - share * step, tried
        # The error after a whole step is of the order of its square: a step of 1e-9 leaves nothing but rounding.
        if share == 1 and np.abs(step).max() < 1e-9 * np.abs(weights).max():
            return Fit(weights, value, log_odds)
    raise ArithmeticError(f"Newton's method has not converged in {MOST_STEPS} steps (l2 = {l2:g})")


def _value(weights: np.ndarray, design: np.ndarray, labels: np.ndarray, l2: float) -> tuple[float, np.ndarray]:
    log_odds = log_softmax(design @ weights)
    return float(-np.mean(np.sum(labels * log_odds, axis=1)) + 0.5 * l2 * np.sum(weights**2)), log_odds


def hessian(design: np.ndarray, log_odds: np.ndarray, l2: float, free: slice) -> np.ndarray:
    """Hessian in the free columns of W, one after the other: [columns free, columns free]."""
    odds, width = np.exp(log_odds)[:, free], design.shape[1]
    kinds = odds.shape[1]
    blocks = np.empty((kinds, width, kinds, width))
    for a in range(kinds):
        for b in range(a, kinds):
            weight = odds[:, a] * ((a == b) - odds[:, b])
            blocks[a, :, b] = blocks[b, :, a] = design.T @ (design * weight[:, None]) / len(design)
    return blocks.reshape(kinds * width, kinds * width) + l2 * np.eye(kinds * width)


def smoothness_bound(design: np.ndarray, l2: float, free: slice) -> float:
    """An upper bound of the Hessian's eigenvalues everywhere: lambda_max(A^T A/n)/2 + l2, or /4 with one free column.

    Source: Boehning, Multinomial logistic regression algorithm, Annals of the Institute of Statistical Mathematics 44
    (1992): the Hessian of log sum exp is at most 1/2, and its diagonal at most 1/4.
    """
    share = 0.25 if free.start else 0.5
    return share * float(np.linalg.eigvalsh(design.T @ design / len(design))[-1]) + l2


def loss_data(rows: Rows, penalty: float) -> dict[str, Any]:
    """What the loss of ``objective_of`` needs of some rows."""
    return {"rows": rows._asdict(), "penalty": np.asarray(penalty)}


def gap_data(rows: Rows, fit: Fit, penalty: float, fitted_here: bool) -> dict[str, Any]:
    """What the gap of ``objective_of`` needs of some rows: those that were fitted, or others."""
    log_odds = log_softmax(rows.design @ fit.solution)
    slope, excess = np.zeros_like(fit.solution), 0.0
    if not fitted_here:
        slope = rows.design.T @ (np.exp(log_odds) - rows.labels) / len(rows.design) + penalty * fit.solution
        own = 0.5 * penalty * np.sum(fit.solution**2) - np.mean(np.sum(rows.labels * log_odds, axis=1))
        excess = own - fit.minimum
    return {
        "design": rows.design, "log_odds": log_odds, "solution": fit.solution, "slope": slope,
        "excess": np.asarray(excess), "penalty": np.asarray(penalty),
    }  # fmt: skip
