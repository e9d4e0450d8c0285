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

Joint = Callable[..., np.ndarray]
"""(one array [resamples, ..., units] a stratum) -> [resamples, ...]."""


class Estimate(NamedTuple):
    """A statistic with its interval."""

    value: float
    low: float
    high: float


class Band(NamedTuple):
    """A statistic of several numbers with an interval for each, three arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


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
    """Linearly interpolated quantiles along the first axis, [n, ...] to [levels, ...].

    Infinite values are allowed: between a number and infinity lies infinity.
    """
    ordered = np.sort(values, axis=0)
    place = np.clip(levels, 0, 1) * (len(ordered) - 1)
    below, above = ordered[np.floor(place).astype(int)], ordered[np.ceil(place).astype(int)]
    step = np.zeros_like(below)
    np.subtract(above, below, out=step, where=below != above)
    weight = (place - np.floor(place)).reshape(-1, *[1] * (ordered.ndim - 1))
    return below + np.multiply(step, weight, out=np.zeros_like(step), where=weight > 0)


def percentile_interval(resampled: np.ndarray, confidence: float = 0.95) -> Interval:
    """The (1 ± confidence)/2 quantiles of a bootstrap distribution, which may hold infinities."""
    low, high = quantiles(resampled, np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    return Interval(float(low), float(high))


def band(value: np.ndarray, resampled: np.ndarray, confidence: float = 0.95) -> Band:
    """Values [...] with the percentile interval of each from its bootstrap distribution, [resamples, ...].

    Where resamples are biased (the best of several is better in a resample), an interval is widened to hold its value.
    """
    low, high = quantiles(resampled, np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    return Band(value, np.minimum(low, value), np.maximum(high, value))


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


def whole_columns(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Resamples [count, ..., units] of whole columns of [..., units]."""
    units = values.shape[-1]
    if units == 0:
        raise ValueError("a bootstrap needs at least one value")
    picks = rng.integers(units, size=(count, units))
    return np.moveaxis(values[..., picks], -2, 0)


def stratified_distribution(
    strata: Sequence[np.ndarray], statistic: Joint, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """The statistic of each resample, units drawn with replacement within each stratum (problem), [resamples, ...].

    Resamples are drawn in chunks of bounded memory, each stratum from a stream of its own: the chunks do not change
    the result.
    """
    size = max(1, CHUNK // max(1, sum(values.size for values in strata)))
    streams = rng.spawn(len(strata))
    parts = []
    for first in range(0, resamples, size):
        count = min(size, resamples - first)
        parts.append(statistic(*(whole_columns(v, count, stream) for v, stream in zip(strata, streams, strict=True))))
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
