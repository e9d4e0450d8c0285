"""Means over problems with bands over families: of profiles, distributions and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdbench.stats.bootstrap import CHUNK, RESAMPLES
from gdbench.stats.proportion import Interval


def cluster_sums(values: np.ndarray, clusters: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of values [n, ...] over each cluster, shape [clusters, ...], and how many members each has."""
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((which.max() + 1, *values.shape[1:]))
    np.add.at(sums, which, values)
    return sums, np.bincount(which)


def cluster_means(values: np.ndarray, clusters: Sequence[str] | np.ndarray) -> np.ndarray:
    """Mean of values [n, ...] over each cluster (a family of problems), shape [clusters, ...]."""
    sums, size = cluster_sums(values, clusters)
    return sums / size.reshape(-1, *[1] * (values.ndim - 1))


def mean_band(
    values: np.ndarray,
    clusters: Sequence[str] | np.ndarray,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Pointwise percentile interval of the mean over the first axis, by drawing clusters with replacement.

    Args:
        values: finite, shape [n, ...]: what each problem has at each point of a curve.
        clusters: the family of each problem; all members of a family are drawn together, at all points alike.
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.

    Returns:
        Low and high, of the shape of the mean; NaN with fewer than two clusters, which say nothing of others.
    """
    sums, size = cluster_sums(np.asarray(values, dtype=float), clusters)
    count, shape = len(size), sums.shape[1:]
    if count < 2:
        return Interval(np.full(shape, np.nan), np.full(shape, np.nan))  # pyright: ignore[reportArgumentType]
    times = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)
    times /= (times @ size)[:, None]
    flat = sums.reshape(count, -1)
    ends = np.empty((2, flat.shape[1]))
    width = max(1, CHUNK // resamples)
    for first in range(0, flat.shape[1], width):
        part = slice(first, first + width)
        ends[:, part] = np.quantile(times @ flat[:, part], [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Interval(*ends.reshape(2, *shape))
