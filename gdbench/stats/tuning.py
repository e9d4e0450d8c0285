"""What tuning is worth: the best of n random settings, exactly, and the gain of one tuning regime over another.

Settings are chosen by one set of values and judged by another: a value that had a say in the choice flatters it.

Source: J. Dodge, S. Gururangan, D. Card, R. Schwartz and N. A. Smith, Show your work, EMNLP 2019 (arXiv 1909.03004);
P. T. Sivaprasad, F. Mai, T. Vogels, M. Jaggi and F. Fleuret, Optimizer benchmarking needs to account for hyperparameter
tuning, ICML 2020 (arXiv 1910.11758); R. Tang, J. Lee, J. Xin, X. Liu, Y. Yu and J. Lin, Showing your work doesn't
always work, ACL 2020 (arXiv 2004.13705); R. M. Schmidt, F. Schneider and P. Hennig, Descending through a crowded
valley, ICML 2021 (arXiv 2007.01547).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from gdbench.stats.aggregates import log_ratio


def best_of(chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray, replacement: bool = False) -> np.ndarray:
    """Expected held-out value of the best of n settings drawn from a grid, exactly.

    The best is that with the lowest value of ``chosen_by``. With the m settings in that order, the i-th (from 1) is the
    best of n with probability C(m - i, n - 1)/C(m, n): it is drawn, and the others come from behind it. So the best of
    all m is the best there is, and the number is unbiased for settings drawn from a larger space (Tang et al.). With
    replacement, as Dodge et al. and Sivaprasad et al. have it, it is ((m - i + 1)^n - (m - i)^n)/m^n: all n lie behind
    i - 1 and not all behind i. Settings of equal value share their chances.

    Args:
        chosen_by: what settings are chosen by, low is good, shape [m].
        judged: what they are worth on descents that had no say in the choice, shape [m]; infinite values make the
            expectation infinite while they have a chance.
        n: numbers of settings tried, each at least 1 (at most m without replacement), shape [k].
        replacement: whether a setting may be drawn twice.

    Returns:
        Shape [k].
    """
    chance = chances(chosen_by, n, replacement)
    return (chance * np.where(chance > 0, np.asarray(judged, dtype=float), 0.0)).sum(axis=1)


def quantile_of_best(
    chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray, level: float = 0.5, replacement: bool = False
) -> np.ndarray:
    """The same as ``best_of`` for a quantile of the held-out value instead of its mean, which infinite values allow."""
    judged = np.asarray(judged, dtype=float)
    by_value = np.argsort(judged, kind="stable")
    reached = np.cumsum(chances(chosen_by, n, replacement)[:, by_value], axis=1) >= level - 1e-12
    return judged[by_value][reached.argmax(axis=1)]


def chances(chosen_by: np.ndarray, n: np.ndarray, replacement: bool = False) -> np.ndarray:
    """How likely each setting is the best of n drawn at random, [k, m] from values [m] and numbers [k].

    Raises:
        ValueError: an n below 1, or above m without replacement.
    """
    _, which, equal = np.unique(np.asarray(chosen_by, dtype=float), return_inverse=True, return_counts=True)
    m, n = len(which), np.asarray(n)[:, None]
    if (n < 1).any() or (not replacement and (n > m).any()):
        raise ValueError(f"n must be at least 1{'' if replacement else f' and at most {m}'}")
    # Settings that lie behind those of each value; none of n drawn is better than the g-th value where all lie there.
    behind = m - np.concatenate([[0], np.cumsum(equal)])
    if replacement:
        none_better = (behind / m) ** n
    else:
        none_better = np.where(behind >= n, np.exp(_log_choose(behind, n) - _log_choose(np.array(m), n)), 0.0)
    return ((none_better[:, :-1] - none_better[:, 1:]) / equal)[:, which]


def _log_choose(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """log C(top, bottom); 0 where that is not defined."""
    fits = top >= bottom
    gap = np.where(fits, top - bottom, 0)
    return np.where(fits, gammaln(top + 1.0) - gammaln(bottom + 1.0) - gammaln(gap + 1.0), 0.0)


def gains(untuned: np.ndarray, tuned: np.ndarray) -> np.ndarray:
    """What optimizer j tuned saves over optimizer i untuned, [i, j]; the diagonal is each one's tunability.

    Mean over problems of log2(untuned_i / tuned_j), doublings of the cost, within ±10; two infinite costs count 0.

    Args:
        untuned: held-out costs in one tuning regime (the default setting, one setting for all), [problems, i].
        tuned: held-out costs in another (one setting for all, the best per problem), [problems, j].
    """
    return log_ratio(np.asarray(untuned)[:, :, None], np.asarray(tuned)[:, None, :]).mean(axis=0)
