"""Softmax regression on images of digits: real data, mini-batches, and no known minimum."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number

ROWS, PIXELS, CLASSES = 1797, 64, 10

TARGET = 0.107
"""The mean cross-entropy that scikit-learn's LogisticRegression reaches on the same images at its defaults (L2 penalty
with C = 1), 0.1067, rounded up; it classifies 98.5% of them correctly. Without a penalty the infimum is 0 and is not
attained, for the classes are separable."""


@functools.cache
def images_and_labels() -> dict[str, np.ndarray]:
    """Images [1797, 64] with pixels in [0, 1] and one-hot labels [1797, 10], of scikit-learn's bundled data."""
    from sklearn.datasets import load_digits  # imported here because it takes longer than all the rest of a catalogue

    bundle: Any = load_digits()
    data = {"images": bundle.data / 16.0, "labels": np.eye(CLASSES)[bundle.target]}
    for array in data.values():
        array.setflags(write=False)
    return data


def _cross_entropy(x, data, parameters):
    # Full precision, for some accelerators round the factors of a float32 product.
    logits = jnp.matmul(data["images"], x["weights"], precision="highest") + x["bias"][None, :]
    # The mean of logsumexp(z) - z_label is the same number, but XLA's CPU compiler (jaxlib 0.10.2) returns wrong
    # values for it under vmap from the 19th lane on; a test compares every problem under vmap with itself alone.
    return -jnp.mean(jnp.sum(data["labels"] * jax.nn.log_softmax(logits, axis=1), axis=1))


@functools.cache
def sampler(batch: int) -> Callable[[Any, Any], dict[str, Any]]:
    """(data, key) -> that many of its rows, drawn independently, so that a batch's gradient is unbiased."""

    def sample(data, key):
        # The integers have one width in float32 and float64 runs, so that both draw the same rows.
        rows = jax.random.randint(key, (batch,), 0, data["images"].shape[0], dtype="int32")
        return {name: jnp.take(array, rows, axis=0, mode="clip") for name, array in data.items()}

    return sample


@problem_family()
def digits_softmax(batch: int = 64) -> Problem:
    """Mean cross-entropy of softmax regression on 1,797 images of digits, 8 by 8, in mini-batches.

    x is {"weights": [64, 10], "bias": [10]}. It is judged on all images every 20 steps.

    Args:
        batch: images a step, drawn with replacement; 1797 takes every image once and makes the problem deterministic.
    """
    refuse(whole_number("digits_softmax", "batch", batch, 1, ROWS))
    dim, whole = (PIXELS + 1) * CLASSES, batch == ROWS
    return Problem(
        name="digits_softmax",
        objective=_cross_entropy,
        dim=dim,
        formula="1/1797 sum_i log sum_c exp(z_ic) - z_i,label(i), z_i = W^T a_i + b",
        source="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998; bundled with scikit-learn",
        box=cube(dim, 0.1),
        start=np.zeros(dim),
        target=TARGET,
        data=images_and_labels(),
        sample=None if whole else sampler(batch),
        batch_share=1.0 if whole else batch / ROWS,
        judge_every=1 if whole else 20,
        template={"weights": np.zeros((PIXELS, CLASSES)), "bias": np.zeros(CLASSES)},
    )
