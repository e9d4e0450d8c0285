"""Intervals for what is said over several problems, from their descents: two of them, for two questions.

*On these problems* (``stratified``): the problems are given, and starts and seeds are drawn anew within each. *On
problems like these* (``clustered``): families of problems are drawn, and starts and seeds within them. Problems of one
family (dimensions, instances, transforms of one function) are not independent, so they are drawn together; and a seed
is never taken for a problem.

Both are paired: of a problem whose descents stand in an array [..., units], whole columns are drawn, so optimizers
along the other axes keep their starts, seeds and noise in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gdbench.stats import bootstrap
from gdbench.stats.bootstrap import RESAMPLES, Band, Estimate, Statistic, band

Joint = Callable[..., np.ndarray]
"""(one array [resamples, ..., units] a problem) -> [resamples, ...]."""

OfProblem = Callable[[np.ndarray], np.ndarray]
"""What a problem is worth: an array [resamples, ..., units] -> [resamples, ...]."""


def stratified_distribution(
    strata: Sequence[np.ndarray], statistic: Joint, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """The statistic of each resample, units drawn with replacement within each stratum (problem), [resamples, ...].

    Resamples are drawn in chunks of bounded memory, each stratum from a stream of its own: the chunks do not change
    the result.
    """
    size = max(1, bootstrap.CHUNK // max(1, sum(values.size for values in strata)))
    streams = rng.spawn(len(strata))
    parts = []
    for first in range(0, resamples, size):
        count = min(size, resamples - first)
        parts.append(statistic(*(_drawn(v, count, stream) for v, stream in zip(strata, streams, strict=True))))
    return np.concatenate(parts)


def stratified_band(
    strata: Sequence[np.ndarray],
    statistic: Joint,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Band:
    """A statistic over these problems with its percentile interval over starts and seeds.

    Args:
        strata: an array [..., units] a problem; their numbers of units may differ. Infinite values are allowed as far
            as the statistic is.
        statistic: (one array [resamples, ..., units] a problem) -> [resamples, ...].
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.

    Raises:
        ValueError: a problem without units.
    """
    strata = [np.asarray(values, dtype=float) for values in strata]
    value = statistic(*(values[None] for values in strata))[0]
    return band(value, stratified_distribution(strata, statistic, rng, resamples), confidence)


def stratified_bootstrap(
    strata: Sequence[np.ndarray],
    statistic: Joint,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:
    """``stratified_band`` of a statistic that is one number."""
    return Estimate(*map(float, stratified_band(strata, statistic, rng, confidence, resamples)))


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
    which, problems = _numbered(families)
    drawn = rng.integers(len(problems), size=(resamples, len(problems)))
    counts = problems[drawn]
    starts = np.cumsum(counts, axis=1) - counts
    lengths = counts.sum(axis=1)
    values: np.ndarray | None = None
    seen = np.zeros(len(problems), dtype=int)
    for stratum, family, stream in zip(strata, which, rng.spawn(len(strata)), strict=True):
        rows, slots = np.nonzero(drawn == family)
        worth = _in_chunks(stratum, of_problem, stream, len(rows))
        if values is None:
            values = np.full((resamples, lengths.max(), *worth.shape[1:]), np.nan)
        values[rows, starts[rows, slots] + seen[family]] = worth
        seen[family] += 1
    assert values is not None
    found: np.ndarray | None = None
    for length in np.unique(lengths):
        reduced = statistic(values[lengths == length, :length], axis=1)
        found = np.empty((resamples, *reduced.shape[1:])) if found is None else found
        found[lengths == length] = reduced
    assert found is not None
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


def family_band(
    values: np.ndarray,
    families: Sequence[str] | np.ndarray,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Band:
    """Means over problems of values [problems, ...] with their percentile intervals over families.

    Profiles, shares of targets and profile scores are such means. A mean needs only how often each family was drawn,
    so this is quick where there are many numbers a problem.
    """
    values = np.asarray(values, dtype=float)
    which, sizes = _numbered(families)
    sums = np.zeros((len(sizes), *values.shape[1:]))
    np.add.at(sums, which, values)
    times = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=resamples)
    drawn = np.tensordot(times, sums, axes=1) / (times @ sizes).reshape(-1, *[1] * (values.ndim - 1))
    return band(values.mean(axis=0), drawn, confidence)


def _numbered(families: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each problem's family, and how many problems each family has."""
    _, which, sizes = np.unique(list(families), return_inverse=True, return_counts=True)
    return which, sizes


def _drawn(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Resamples [count, ..., units] of whole columns of [..., units]."""
    units = values.shape[-1]
    if units == 0:
        raise ValueError("a bootstrap needs at least one value")
    picks = rng.integers(units, size=(count, units))
    return np.moveaxis(values[..., picks], -2, 0)


def _in_chunks(values: np.ndarray, of_problem: OfProblem, rng: np.random.Generator, count: int) -> np.ndarray:
    """What a problem is worth in so many resamples of its units, [count, ...], in bounded memory."""
    size = max(1, bootstrap.CHUNK // max(1, values.size))
    parts = [of_problem(_drawn(values, min(size, count - first), rng)) for first in range(0, count, size)]
    return np.concatenate(parts) if parts else of_problem(_drawn(values, 1, rng))[:0]
