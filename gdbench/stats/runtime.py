"""Expected running time, simulated restarts, and the share of targets reached by a budget.

Source: N. Hansen, A. Auger, D. Brockhoff and T. Tusar, Anytime performance assessment in blackbox optimization
benchmarking, IEEE Transactions on Evolutionary Computation 26 (2022), 1293-1305; N. Hansen et al., COCO, Optimization
Methods and Software 36 (2021), 114-144.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdbench.stats.bootstrap import RESAMPLES, Band, band

SIMULATED = 64
"""Restarted runs simulated in each resample of a problem's runs, over all its targets: their own noise is small."""


def expected_running_time(costs: np.ndarray, spent: np.ndarray, axis: int = -1) -> np.ndarray:
    """Cost of all runs up to success or their end, divided by the number of successes; infinite without one.

    Args:
        costs: cost at which each run reached the target; infinite where it did not.
        spent: what each run had spent when it ended, of a shape that broadcasts against it.
        axis: the axis of the runs.
    """
    solved = np.isfinite(costs)
    total = np.where(solved, costs, spent).sum(axis=axis)
    return np.divide(total, solved.sum(axis=axis), out=np.full(total.shape, np.inf), where=solved.any(axis=axis))


def simulated_restarts(costs: np.ndarray, spent: np.ndarray, rng: np.random.Generator, n: int = 1000) -> np.ndarray:
    """Running times of a method that is restarted until it succeeds, shape [n, ...].

    Runs are drawn with replacement until one has reached its target; what the failed ones before it spent is added to
    its cost. Where no run succeeded the time is infinite. The mean over many is the expected running time.

    Args:
        costs: shape [runs, ...]; infinite where the target was not reached.
        spent: what each run had spent when it ended, [runs].
        rng: where the randomness comes from.
        n: number of simulated runs.
    """
    costs = np.asarray(costs, dtype=float)
    flat = costs.reshape(len(costs), -1)
    once = np.full((1, len(costs)), 1 / len(costs))
    times = [_restarted(column, np.asarray(spent, dtype=float), once, rng, n)[0] for column in flat.T]
    return np.stack(times, axis=1).reshape(n, *costs.shape[1:])


def attained(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of all running times (over targets and runs) of at most each of ``at`` [n], shape [n].

    Over problems, take it of each and then the mean, so that each weighs the same.
    """
    ordered = np.sort(np.asarray(times, dtype=float).ravel())
    return np.searchsorted(ordered, at, side="right") / len(ordered)


def attained_band_over_units(
    runs: Sequence[tuple[np.ndarray, np.ndarray]],
    at: np.ndarray,
    rng: np.random.Generator,
    restarts: bool = True,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Band:
    """Share of (problem, target) pairs attained by each of ``at`` [n], with its band over starts and seeds.

    Runs are weighed at random, by exponential variables over their sum (the Bayesian bootstrap: D. B. Rubin, Annals of
    Statistics 9 (1981), 130-134), and restarts are simulated by those weights. Drawn with replacement, the one success
    among many runs would often be lost, and the target with it. What bias is left is taken off: the band shows how far
    resamples lie from their own mean.

    Args:
        runs: a problem each: costs [runs, targets], infinite where the target was not reached, and spent [runs].
        at: costs, ascending, shape [n].
        rng: where the randomness comes from.
        restarts: whether a failed run is restarted (else it never reaches its target).
        confidence: level.
        resamples: number of resamples.

    Returns:
        Value, low and high, each of shape [n].
    """
    resampled, value = np.zeros((resamples, len(at))), np.zeros(len(at))
    for (costs, spent), stream in zip(runs, rng.spawn(len(runs)), strict=True):
        costs, spent = np.asarray(costs, dtype=float), np.asarray(spent, dtype=float)
        weights = stream.dirichlet(np.ones(len(costs)), size=resamples)
        if restarts:
            value += attained(simulated_restarts(costs, spent, stream), at)
            resampled += _attained_by_weight(costs, spent, weights, at, stream)
        else:
            each = (costs[:, :, None] <= at).mean(axis=1)
            value += each.mean(axis=0)
            resampled += weights @ each
    value, resampled = value / len(runs), resampled / len(runs)
    return band(value, np.clip(resampled - resampled.mean(axis=0) + value, 0.0, 1.0), confidence)


def _attained_by_weight(
    costs: np.ndarray, spent: np.ndarray, weights: np.ndarray, at: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Share of a problem's targets attained by each of ``at`` with runs of these weights, [resamples, at]."""
    n = -(-SIMULATED // costs.shape[1])
    resamples, bins = len(weights), len(at) + 1
    counts = np.zeros(resamples * bins)
    for column in costs.T:
        # The first of ``at`` that is no less than a time; the last bin is of those that none attains.
        place = np.searchsorted(at, _restarted(column, spent, weights, rng, n))
        counts += np.bincount((place + bins * np.arange(resamples)[:, None]).ravel(), minlength=len(counts))
    return np.cumsum(counts.reshape(resamples, bins)[:, :-1], axis=1) / (n * costs.shape[1])


def _restarted(
    costs: np.ndarray, spent: np.ndarray, weights: np.ndarray, rng: np.random.Generator, n: int
) -> np.ndarray:
    """Running times with restarts, [resamples, n], of runs of each resample's weights [resamples, runs], summing to 1.

    The number of failures before a success is geometric; which runs they were, multinomial.
    """
    solved = np.isfinite(costs)
    if not solved.any():
        return np.full((len(weights), n), np.inf)
    wins, losses = np.cumsum(weights[:, solved], axis=1), weights[:, ~solved]
    chance = wins[:, -1:]
    won = (rng.random((len(weights), n, 1)) * chance[:, None] >= wins[:, None]).sum(axis=-1)
    times = costs[solved][np.minimum(won, wins.shape[1] - 1)]
    if solved.all():
        return times
    failures = rng.geometric(np.minimum(chance, 1.0), size=times.shape) - 1
    return times + rng.multinomial(failures, (losses / losses.sum(axis=1, keepdims=True))[:, None]) @ spent[~solved]
