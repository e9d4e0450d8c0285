"""Intervals over families of problems: what is said of problems like these, from their descents.

Problems of one family (dimensions, instances, transforms of one function) are not independent, so families are drawn,
each with all its problems, and starts and seeds within them; a seed is never taken for a problem. What is said of these
problems alone has ``bootstrap.stratified_bootstrap``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gdbench.stats import bootstrap
from gdbench.stats.bootstrap import RESAMPLES, Band, Estimate, Statistic, band, whole_columns

OfProblem = Callable[[np.ndarray], np.ndarray]
"""What a problem is worth: an array [resamples, ..., units] -> [resamples, ...]."""


def clustered_distribution(
    strata: Sequence[np.ndarray],
    families: Sequence[str] | np.ndarray,
    of_problem: OfProblem,
    statistic: Statistic,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> np.ndarray:
    """The statistic of each resample, families drawn with replacement and units within them, [resamples, ...].

    A family that is drawn twice has its units drawn twice. How many problems a resample holds depends on the families
    drawn; those of equal number are reduced together.
    """
    _, which, size = np.unique(list(families), return_inverse=True, return_counts=True)
    drawn = rng.integers(len(size), size=(resamples, len(size)))
    counts = size[drawn]
    lengths = counts.sum(axis=1)
    first = np.cumsum(counts, axis=1) - counts
    # Where each draw of a family stands, and what each of its problems is worth there.
    at = [np.nonzero(drawn == family) for family in which]
    worth = [
        _in_chunks(values, of_problem, stream, len(rows))
        for values, (rows, _), stream in zip(strata, at, rng.spawn(len(strata)), strict=True)
    ]
    table = np.empty((resamples, lengths.max(), *worth[0].shape[1:]))
    for i, (rows, slots) in enumerate(at):
        table[rows, first[rows, slots] + np.count_nonzero(which[:i] == which[i])] = worth[i]
    reduced = {length: statistic(table[lengths == length, :length], axis=1) for length in np.unique(lengths)}
    found = np.empty((resamples, *next(iter(reduced.values())).shape[1:]))
    for length, part in reduced.items():
        found[lengths == length] = part
    return found


def clustered_band(
    strata: Sequence[np.ndarray],
    families: Sequence[str] | np.ndarray,
    of_problem: OfProblem,
    statistic: Statistic,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Band:
    """A statistic over problems like these with its percentile interval over families, and units within.

    Args:
        strata: an array [..., units] a problem; with one unit a problem, nothing but families is drawn.
        families: the family of each problem.
        of_problem: what a problem is worth: an array [resamples, ..., units] -> [resamples, ...].
        statistic: (array [resamples, problems, ...], axis=1) -> [resamples, ...]: np.mean, interquartile_mean, ….
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.

    Raises:
        ValueError: no problems, or one without units.
    """
    if not len(strata):
        raise ValueError("an interval over families needs at least one problem")
    strata = [np.asarray(values, dtype=float) for values in strata]
    value = statistic(np.stack([of_problem(values[None])[0] for values in strata])[None], axis=1)[0]
    resampled = clustered_distribution(strata, families, of_problem, statistic, rng, resamples)
    return band(value, resampled, confidence)


def clustered_bootstrap(
    strata: Sequence[np.ndarray],
    families: Sequence[str] | np.ndarray,
    of_problem: OfProblem,
    statistic: Statistic,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:
    """``clustered_band`` of a statistic that is one number."""
    return Estimate(*map(float, clustered_band(strata, families, of_problem, statistic, rng, confidence, resamples)))


def _in_chunks(values: np.ndarray, of_problem: OfProblem, rng: np.random.Generator, count: int) -> np.ndarray:
    """What a problem is worth in so many resamples of its units, [count, ...], in bounded memory."""
    size = max(1, bootstrap.CHUNK // max(1, values.size))
    parts = [of_problem(whole_columns(values, min(size, count - first), rng)) for first in range(0, count, size)]
    return np.concatenate(parts) if parts else of_problem(whole_columns(values, 1, rng))[:0]
