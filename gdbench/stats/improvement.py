"""Probability of improvement with its interval, for any number of runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdbench.stats.bootstrap import CHUNK, RESAMPLES, Estimate, percentile_interval


def improvement(
    strata: Sequence[np.ndarray], rng: np.random.Generator, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Estimate:
    """Mean over problems of ``aggregates.probability_of_improvement``, with its percentile interval over runs.

    What is paired stays paired: both solvers' runs from the same start are drawn together, anew within each problem.
    Counted over sorted values, so n runs take n log n operations and not n².

    Args:
        strata: one array [2, n] a problem: values of the two solvers, low is good; two infinite ones are equal.
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.
    """
    value, drawn = 0.0, np.zeros(resamples)
    for one, other in strata:
        n = len(one)
        order = np.argsort(other, kind="stable")
        ends = [np.searchsorted(other[order], one, side=side) for side in ("left", "right")]
        value += float(_share(np.ones((1, n)), order, ends)[0])
        size = max(1, CHUNK // n)
        for first in range(0, resamples, size):
            times = rng.multinomial(n, np.full(n, 1 / n), size=min(size, resamples - first)).astype(float)
            drawn[first : first + size] += _share(times, order, ends)
    count = len(strata)
    return Estimate(value / count, *percentile_interval(drawn / count, confidence))


def _share(times: np.ndarray, order: np.ndarray, ends: list[np.ndarray]) -> np.ndarray:
    """P(one < other) + P(one = other)/2 where each run counts so many times, from times [resamples, n]."""
    n = times.shape[1]
    below = np.concatenate([np.zeros((len(times), 1)), np.cumsum(times[:, order], axis=1)], axis=1)
    not_above = (below[:, ends[0]] + below[:, ends[1]]) / 2
    return (times * (n - not_above)).sum(axis=1) / n**2
