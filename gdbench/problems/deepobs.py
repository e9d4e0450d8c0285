"""The stochastic quadratic of DeepOBS, number for number."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number

DIM, ROWS, NOISE = 100, 1000, 0.6

TEST_ROWS = 896
"""Rows of the test data that count in its published losses: seven batches of 128; the rest of the 1,000 is dropped."""


@functools.cache
def hessian() -> tuple[np.ndarray, np.ndarray]:
    """The matrix [100, 100] and its eigenvalues, as drawn, in ascending order.

    One generator with seed 42 gives 90 eigenvalues uniform in (0, 1), 10 uniform in (30, 60), and then the rotation.
    """
    rng = np.random.RandomState(42)
    eigenvalues = np.concatenate([rng.uniform(0, 1, 90), rng.uniform(30, 60, 10)])
    rotation = _random_rotation(DIM, rng)
    return rotation.T @ (eigenvalues[:, None] * rotation), np.sort(eigenvalues)


def _random_rotation(dim: int, rng: np.random.RandomState) -> np.ndarray:
    """A uniform rotation by the subgroup algorithm of Diaconis and Shahshahani (1987), in DeepOBS's order of draws."""
    angle = 2 * np.pi * rng.uniform()
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, dim + 1):
        mirror = -rng.normal(size=size)
        mirror /= np.linalg.norm(mirror)
        mirror[0] += 1  # the first axis minus a random point of the sphere
        mirror /= np.linalg.norm(mirror)
        larger = np.eye(size)
        larger[1:, 1:] = rotation
        rotation = larger - 2 * np.outer(mirror, mirror @ larger)
    return -rotation


@functools.cache
def rows_of(seed: int) -> np.ndarray:
    """Data [1000, 100] of that seed (42 for training, 43 for testing), normal, rounded to float32 as DeepOBS does."""
    return np.random.RandomState(seed).normal(0, NOISE, (ROWS, DIM)).astype(np.float32).astype(float)


@functools.cache
def tables() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], float]:
    """Training data, test data and the minimum.

    With y = x - (mean of the training rows), the loss of a row d (a deviation from that mean) is
    1/2 (y - d)^T H (y - d). Over any rows the mean loss less the minimum is then 1/2 y^T H y - y^T H shift + level,
    where shift is the mean of d and level that of 1/2 d^T H d less the minimum: 0 and 0 over the training data.
    """
    matrix, _ = hessian()
    train, test = rows_of(42), rows_of(43)[:TEST_ROWS]
    center = train.mean(axis=0)
    deviations, unseen = train - center, test - center
    levels, unseen_levels = (0.5 * np.sum(d * (d @ matrix), axis=1) for d in (deviations, unseen))
    least = float(levels.mean())
    shared = {"hessian": matrix, "center": center, "rows": deviations, "levels": levels - least}
    data = shared | {"shift": np.zeros(DIM), "level": np.zeros(())}
    held_out = shared | {"shift": unseen.mean(axis=0), "level": np.asarray(unseen_levels.mean() - least)}
    for array in [*data.values(), *held_out.values()]:
        array.setflags(write=False)  # every problem of the family holds these very arrays
    return data, held_out, least


def _objective(x, data, parameters):
    y = x - data["center"]
    # Full precision, for some accelerators round the factors of a float32 product.
    bent = jnp.matmul(data["hessian"], y, precision="highest")
    return 0.5 * jnp.sum(y * bent) - jnp.sum(data["shift"] * bent) + data["level"]


def distinct_rows(key: Any, rows: int, batch: int) -> Any:
    """True for so many different rows, uniformly drawn, shape [rows]: those whose random bits are the smallest.

    The largest of those is found by bisection, which under ``vmap`` takes a third of the time of sorting on a CPU.
    """
    bits = jax.random.bits(key, (rows,), "uint32")

    def halve(_, ends):
        low, high = ends
        middle = low + (high - low) // 2
        enough = jnp.sum(bits <= middle, dtype="int32") >= batch
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    return bits <= jax.lax.fori_loop(0, 32, halve, (jnp.uint32(0), jnp.uint32(2**32 - 1)))[1]


@functools.cache
def sampler(batch: int) -> Callable[[Any, Any], dict[str, Any]]:
    """(data, key) -> the data with the shift and the level of that many different rows."""

    def sample(data, key):
        weights = distinct_rows(key, ROWS, batch).astype(data["rows"].dtype)
        weights = weights / jnp.sum(weights)
        shift = jnp.matmul(weights, data["rows"], precision="highest")
        return {**data, "shift": shift, "level": jnp.sum(weights * data["levels"])}

    return sample


@problem_family()
def quadratic_deep(batch: int = 128) -> Problem:
    """DeepOBS's quadratic in 100 dimensions: ten eigenvalues in 30 ... 60, ninety below 1, gradient noise from data.

    Gradient descent is stable below 2/53.129 = 0.03764. The loss on the held-out data is the test loss that DeepOBS
    publishes. Every batch is drawn by itself; in the published runs an epoch is seven batches without a row in common.

    Args:
        batch: rows a step, all different; 1000 takes every row and makes the problem deterministic.
    """
    refuse(whole_number("quadratic_deep", "batch", batch, 1, ROWS))
    data, held_out, least = tables()
    eigenvalues = hessian()[1]
    whole = batch == ROWS
    return Problem(
        name="quadratic_deep",
        objective=_objective,
        dim=DIM,
        formula="1/1000 sum_i 1/2 (x - d_i)^T H (x - d_i)",
        source="Schneider, Balles and Hennig, DeepOBS: A Deep Learning Optimizer Benchmark Suite, ICLR 2019",
        box=cube(DIM, 2),
        start=np.ones(DIM),
        minimum=least,
        minimizers=data["center"][None, :],
        all_minimizers=True,
        curvature=lambda parameters: (float(eigenvalues[0]), float(eigenvalues[-1])),
        offset=least,
        convex=True,
        quadratic=True,
        notes="held out: the 896 test rows of DeepOBS's test loss; the box of starts is not DeepOBS's, its start is",
        data=data,
        held_out=held_out,
        sample=None if whole else sampler(batch),
        batch_share=1.0 if whole else batch / ROWS,
        judge_every=1 if whole else 7,
    )
