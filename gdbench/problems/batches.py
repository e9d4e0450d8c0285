"""Mini-batches: rows of the data drawn anew for every step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gdbench.lazy import jax, jnp

JUDGE_EVERY = 20
"""Steps between two judgements on the full data: each of them costs as much as rows/batch steps."""


@functools.cache
def row_sampler(batch: int) -> Callable[[Any, Any], Any]:
    """(data, key) -> so many rows of every leaf, drawn with replacement, so that a batch's gradient is unbiased.

    Rows are the leading axis; all leaves share it and give the same rows. Equal batches share one function object.
    """

    def sample(data, key):
        count = jax.tree.leaves(data)[0].shape[0]
        # The integers have one width in float32 and float64 runs, so that both draw the same rows.
        rows = jax.random.randint(key, (batch,), 0, count, dtype="int32")
        return jax.tree.map(lambda leaf: jnp.take(leaf, rows, axis=0, mode="clip"), data)

    return sample


def mini_batches(rows: int, batch: int) -> dict[str, Any]:
    """The fields of a Problem that say how a step sees its data: ``sample``, ``batch_share``, ``judge_every``.

    A batch of all rows takes every row once, and the problem is deterministic.
    """
    if batch == rows:
        return {"sample": None, "batch_share": 1.0, "judge_every": 1}
    return {"sample": row_sampler(batch), "batch_share": batch / rows, "judge_every": JUDGE_EVERY}
