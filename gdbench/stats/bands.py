"""Means over problems with bands over families: of profiles, distributions and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdbench.stats.bootstrap import CHUNK, RESAMPLES, Band, band


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
) -> Band:
    """Mean over the first axis with its percentile interval, by drawing clusters with replacement.

    What each problem is worth is taken as it is (``clusters.clustered_band`` draws its units too), so a whole curve of
    means costs one matrix product.

    Args:
        values: finite, shape [n, ...]: what each problem has at each point of a curve.
        clusters: the family of each problem; all members of a family are drawn together, at all points alike.
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.
    """
    values = np.asarray(values, dtype=float)
    sums, size = cluster_sums(values, clusters)
    times = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), size=resamples).astype(float)
    times /= (times @ size)[:, None]
    flat, mean = sums.reshape(len(size), -1), values.mean(axis=0)
    width = max(1, CHUNK // resamples)
    parts = [
        band(mean.reshape(-1)[first : first + width], times @ flat[:, first : first + width], confidence)
        for first in range(0, flat.shape[1], width)
    ]
    return Band(*(np.concatenate(part).reshape(mean.shape) for part in zip(*parts, strict=True)))
