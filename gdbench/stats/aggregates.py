"""What a set of scores says in one number: interquartile mean, optimality gap, probability of improvement.

Over several problems, aggregate each problem first (its median, say) and take these over problems: a seed is none.

Source: R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville and M. G. Bellemare, Deep reinforcement learning at the
edge of the statistical precipice, NeurIPS 2021 (arXiv 2108.13264).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of the middle half along an axis.

    A quarter of the weight is taken off at each end; where n/4 is no whole number the value there counts in part, so
    the number is a continuous function of the values, and for one or two values it is their mean. (SciPy's
    ``trim_mean`` and rliable drop floor(n/4) values at each end: the same where 4 divides n.)

    Args:
        values: any shape; infinite values are allowed, and matter only within the middle half.
        axis: the axis that is reduced.
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=float), axis, -1), axis=-1)
    n = ordered.shape[-1]
    place = np.arange(n)
    weight = np.clip(np.minimum(place + 1, 0.75 * n) - np.maximum(place, 0.25 * n), 0, 1)
    inside = weight > 0
    return ordered[..., inside] @ weight[inside] / weight.sum()


def optimality_gap(scores: np.ndarray, axis: int = -1, best: float = 1.0) -> np.ndarray:
    """Mean amount by which scores fall short of ``best`` along an axis: mean(max(0, best - score))."""
    return np.maximum(best - np.asarray(scores, dtype=float), 0.0).mean(axis=axis)


def probability_of_improvement(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How likely a run of the first has a lower value (cost, gap) than a run of the second on the same problem.

    P(X < Y) + P(X = Y)/2 over all pairs of runs, the Mann-Whitney statistic over n m, per problem; worked out from
    mid-ranks, so no pair is looked at by itself. Two infinite values are equal.

    Args:
        one: shape [..., n].
        other: shape [..., m], the leading axes (problems, resamples) as those of ``one``.

    Returns:
        Shape [...]; the mean over problems is the number that rliable reports.
    """
    n, m = np.shape(one)[-1], np.shape(other)[-1]
    ranks = rankdata(np.concatenate([one, other], axis=-1), axis=-1)[..., n:]
    return (ranks.sum(axis=-1) - m * (m + 1) / 2) / (n * m)


def log_ratio(one: np.ndarray, other: np.ndarray, furthest: float = 10.0) -> np.ndarray:
    """log2(one/other) within ±furthest: how many doublings the first costs more than the second (negative is better).

    Unsolved is infinite: against a number it counts as ``furthest``, and two of them tie. Costs below 1 count as 1.
    """
    with np.errstate(invalid="ignore"):
        ratio = np.log2(np.maximum(one, 1.0)) - np.log2(np.maximum(other, 1.0))
    return np.clip(np.nan_to_num(ratio, nan=0.0, posinf=np.inf, neginf=-np.inf), -furthest, furthest)
