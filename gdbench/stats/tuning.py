"""What tuning is worth: the best of n random settings, exactly, and the three regimes side by side.

Settings are chosen by one set of values and judged by another: a value that had a say in the choice flatters it.

Source: J. Dodge, S. Gururangan, D. Card, R. Schwartz and N. A. Smith, Show your work, EMNLP 2019 (arXiv 1909.03004); P.
T. Sivaprasad, F. Mai, T. Vogels, M. Jaggi and F. Fleuret, Optimizer benchmarking needs to account for hyperparameter
tuning, ICML 2020 (arXiv 1910.11758); R. M. Schmidt, F. Schneider and P. Hennig, Descending through a crowded valley,
ICML 2021 (arXiv 2007.01547).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from gdbench.stats.aggregates import log_ratio


def best_of(chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray, replacement: bool = True) -> np.ndarray:
    """Expected held-out value of the best of n settings drawn from a grid, exactly.

    The best is that with the lowest value of ``chosen_by``. With the m settings in that order, the i-th (from 1) is the
    best of n with probability ((m - i + 1)^n - (m - i)^n)/m^n: all n lie behind i - 1 and not all behind i (Dodge et
    al.). Without replacement it is C(m - i, n - 1)/C(m, n). Settings of equal value share their chances.

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
    chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray, level: float = 0.5, replacement: bool = True
) -> np.ndarray:
    """The same as ``best_of`` for a quantile of the held-out value instead of its mean, which infinite values allow."""
    judged = np.asarray(judged, dtype=float)
    by_value = np.argsort(judged, kind="stable")
    reached = np.cumsum(chances(chosen_by, n, replacement)[:, by_value], axis=1) >= level - 1e-12
    return judged[by_value][reached.argmax(axis=1)]


def chances(chosen_by: np.ndarray, n: np.ndarray, replacement: bool = True) -> np.ndarray:
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


class Tunability(NamedTuple):
    """What tuning is worth to one optimizer; held-out values on each problem, shape [problems].

    Attributes:
        default: at the default setting; NaN throughout without one.
        one: at the one setting that serves all problems best.
        best: at the best setting of each problem.
        setting: index of the one setting for all.
        gain_one, gain_best: mean over problems of log2(default/one) and log2(default/best), doublings saved by
            tuning; NaN without a default.
        gain_more: mean of log2(one/best), saved by tuning to each problem.
    """

    default: np.ndarray
    one: np.ndarray
    best: np.ndarray
    setting: int
    gain_one: float
    gain_best: float
    gain_more: float


def tunability(chosen_by: np.ndarray, judged: np.ndarray, default: int | None = None) -> Tunability:
    """The three tuning regimes of an optimizer over problems.

    One setting serves all problems best where the mean of log2(its value / the best setting's value) over problems,
    each at most 2^10 and unsolved as much, is lowest. Ratios are ``log_ratio``'s: values below 1 count as 1.

    Args:
        chosen_by: costs that settings are chosen by, low is good, [problems, settings]; infinite: unsolved.
        judged: costs on descents that had no say in the choice, of the same shape.
        default: index of the default setting; None without one.
    """
    chosen_by, judged = np.asarray(chosen_by, dtype=float), np.asarray(judged, dtype=float)
    slower = log_ratio(chosen_by, chosen_by.min(axis=1, keepdims=True)).mean(axis=0)
    setting = int(slower.argmin())
    problem = np.arange(len(judged))
    one, best = judged[:, setting], judged[problem, chosen_by.argmin(axis=1)]
    plain = np.full(len(judged), np.nan) if default is None else judged[:, default]
    gain_one, gain_best = (np.nan if default is None else -log_ratio(x, plain).mean() for x in (one, best))
    return Tunability(plain, one, best, setting, float(gain_one), float(gain_best), float(-log_ratio(best, one).mean()))


def gains(untuned: np.ndarray, tuned: np.ndarray) -> np.ndarray:
    """What optimizer j tuned saves over optimizer i untuned, [i, j]; its diagonal is their tunability.

    Mean over problems of log2(untuned_i / tuned_j), doublings, within ±10; two infinite costs count 0.

    Args:
        untuned: held-out costs at the default setting, [problems, optimizers].
        tuned: held-out costs at the setting tuned, of the same shape.
    """
    return -log_ratio(np.asarray(tuned)[:, None, :], np.asarray(untuned)[:, :, None]).mean(axis=0)
