"""Bootstrap intervals: arrays in, numbers and intervals out, the random generator passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from gdbench.stats.proportion import Interval

RESAMPLES = 2000
CHUNK = 1 << 22
"""Elements resampled at once (32 MB in float64)."""

Statistic = Callable[..., np.ndarray]
"""(array, axis=...) -> the array reduced over those axes: np.mean, np.median, …"""


class Estimate(NamedTuple):
    """A statistic with its interval."""

    value: float
    low: float
    high: float


def distribution(
    values: np.ndarray, statistic: Statistic, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """The statistic of each resample, shape [resamples].

    ``values`` has shape [n, ...]: the n units (starts) are drawn with replacement, each with everything that belongs
    to it (its seeds), and the statistic is taken over all axes of a resample. Resamples are drawn in chunks of
    bounded memory; the chunks do not change the result.
    """
    values = np.asarray(values)
    if len(values) == 0:
        raise ValueError("a bootstrap needs at least one value")
    size = max(1, CHUNK // max(1, values.size))
    axes = tuple(range(1, values.ndim + 1))
    parts = []
    for first in range(0, resamples, size):
        picks = rng.integers(len(values), size=(min(size, resamples - first), len(values)))
        parts.append(statistic(values[picks], axis=axes))
    return np.concatenate(parts)


def quantiles(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Linearly interpolated quantiles that allow infinite values: between a number and infinity lies infinity."""
    ordered = np.sort(values)
    place = np.clip(levels, 0, 1) * (len(ordered) - 1)
    below, above = ordered[np.floor(place).astype(int)], ordered[np.ceil(place).astype(int)]
    step = np.zeros_like(below)
    np.subtract(above, below, out=step, where=below != above)
    weight = place - np.floor(place)
    return below + np.multiply(step, weight, out=np.zeros_like(step), where=weight > 0)


def percentile_interval(resampled: np.ndarray, confidence: float = 0.95) -> Interval:
    """The (1 ± confidence)/2 quantiles of a bootstrap distribution, which may hold infinities."""
    low, high = quantiles(resampled, np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    return Interval(float(low), float(high))


def bca_interval(resampled: np.ndarray, estimate: float, jackknife: np.ndarray, confidence: float = 0.95) -> Interval:
    """The bias-corrected and accelerated interval (BCa).

    Levels Φ(z0 + (z0 ± z)/(1 - a(z0 ± z))), with z0 the normal quantile of the share of resamples below the estimate
    (ties count half) and a = Σd³ / 6(Σd²)^1.5, d the jackknife values' mean minus each. Levels of 0 and 1, where every
    resample lies on one side, give the extremes.

    Source: B. Efron, Journal of the American Statistical Association 82 (1987), 171-185.
    """
    share = np.mean(resampled < estimate) / 2 + np.mean(resampled <= estimate) / 2
    z0 = ndtri(share)
    d = jackknife.mean() - jackknife
    scale = np.sum(d**2) ** 1.5
    a = np.sum(d**3) / (6 * scale) if scale > 0 else 0.0
    if not np.isfinite(z0):
        return Interval(float(resampled.min()), float(resampled.max()))
    z = z0 + ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    low, high = quantiles(resampled, ndtr(z0 + z / (1 - a * z)))
    return Interval(float(low), float(high))


def jackknife_values(values: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The statistic with each unit left out in turn, shape [n]; ``values`` has shape [n, ...]."""
    n = len(values)
    others = np.arange(n - 1)
    keep = others + (others >= np.arange(n)[:, None])
    return statistic(values[keep], axis=tuple(range(1, values.ndim + 1)))


def bootstrap(
    values: np.ndarray,
    statistic: Statistic,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    method: str = "percentile",
) -> Estimate:
    """A statistic of values of shape [n, ...] with its bootstrap interval over the n units.

    Args:
        values: one row a unit (a start); what belongs together stays together.
        statistic: (array, axis=...) -> reduced array.
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.
        method: "percentile", or "bca" for smooth statistics of finite values (the jackknife behind it is
            inconsistent for a median).

    Raises:
        ValueError: no values, an unknown method, or "bca" with infinite values or fewer than two units.
    """
    values = np.asarray(values, dtype=float)
    resampled = distribution(values, statistic, rng, resamples)
    value = float(statistic(values, axis=tuple(range(values.ndim))))
    if method == "percentile":
        return Estimate(value, *percentile_interval(resampled, confidence))
    if method != "bca":
        raise ValueError(f"method must be 'percentile' or 'bca', not {method!r}")
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError("'bca' needs at least two units and finite values")
    return Estimate(value, *bca_interval(resampled, value, jackknife_values(values, statistic), confidence))


def stratified_bootstrap(
    strata: Sequence[np.ndarray],
    statistic: Callable[..., np.ndarray],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of several strata (problems) with its percentile interval, units drawn anew within each stratum.

    What is paired stays paired: of a stratum of shape [..., n] whole columns are drawn with replacement.

    Args:
        strata: arrays of shape [..., n], n the units of each (their numbers may differ).
        statistic: (one array [resamples, ..., n] a stratum) -> [resamples]; infinite values are allowed.
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.
    """
    size = max(1, CHUNK // max(1, sum(values.size for values in strata)))
    parts = []
    for first in range(0, resamples, size):
        drawn = []
        for values in strata:
            n = values.shape[-1]
            picks = rng.integers(n, size=(min(size, resamples - first), n))
            drawn.append(np.moveaxis(values[..., picks], -2, 0))
        parts.append(statistic(*drawn))
    value = float(statistic(*(values[None] for values in strata))[0])
    return Estimate(value, *percentile_interval(np.concatenate(parts), confidence))


def cluster_bootstrap(
    values: np.ndarray,
    clusters: Sequence[str] | np.ndarray,
    statistic: Statistic,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of values [n] with its percentile interval over clusters (families of problems).

    Clusters are drawn with replacement, each with all its members: members of one family are not independent.

    Args:
        values: one value a problem.
        clusters: the family of each.
        statistic: (array, axis=...) -> reduced array; a resample's length varies with the clusters drawn, so resamples
            of equal length are reduced together.
        rng: where the randomness comes from.
        confidence: level.
        resamples: number of resamples.
    """
    values = np.asarray(values, dtype=float)
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    members = [np.flatnonzero(which == c) for c in range(which.max() + 1)]
    drawn = rng.integers(len(members), size=(resamples, len(members)))
    lengths = np.array([len(m) for m in members])[drawn].sum(axis=1)
    found = np.empty(resamples)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        picks = np.array([np.concatenate([members[c] for c in drawn[row]]) for row in rows])
        found[rows] = statistic(values[picks], axis=1)
    return Estimate(float(statistic(values, axis=0)), *percentile_interval(found, confidence))
