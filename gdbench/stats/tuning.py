"""What tuning is worth: the best of n random settings, exactly, and the three regimes side by side.

Source: J. Dodge, S. Gururangan, D. Card, R. Schwartz and N. A. Smith, Show your work, EMNLP 2019 (arXiv 1909.03004); P.
T. Sivaprasad, F. Mai, T. Vogels, M. Jaggi and F. Fleuret, Optimizer benchmarking needs to account for hyperparameter
tuning, ICML 2020 (arXiv 1910.11758).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln


def best_of(chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Expected held-out value of the best of n settings drawn from a grid without replacement, exactly.

    The best is that with the lowest value of ``chosen_by``. With the m settings in that order, the i-th (from 1) is the
    best of n with probability C(m - i, n - 1) / C(m, n): it is drawn, and the others come from behind it.

    Args:
        chosen_by: what settings are chosen by, low is good, shape [m]; among equals the first.
        judged: what they are worth on descents that had no say in the choice, shape [m]; infinite values make the
            expectation infinite while they have a chance.
        n: numbers of settings tried, each from 1 to m, shape [k].

    Returns:
        Shape [k].
    """
    values, chance = _chances(chosen_by, judged, n)
    return (chance * np.where(chance > 0, values, 0.0)).sum(axis=1)


def quantile_of_best(chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray, level: float = 0.5) -> np.ndarray:
    """The same as ``best_of`` for a quantile of the held-out value instead of its mean, which infinite values allow."""
    values, chance = _chances(chosen_by, judged, n)
    by_value = np.argsort(values, kind="stable")
    reached = np.cumsum(chance[:, by_value], axis=1) >= level - 1e-12
    return values[by_value][reached.argmax(axis=1)]


def _chances(chosen_by: np.ndarray, judged: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Held-out values from the best choice to the worst [m], and how likely each is the best of n drawn, [k, m]."""
    order = np.argsort(np.asarray(chosen_by, dtype=float), kind="stable")
    m, n = len(order), np.asarray(n)[:, None]
    behind = m - 1 - np.arange(m)
    log = _log_choose(behind, n - 1) - _log_choose(np.array(m), n)
    return np.asarray(judged, dtype=float)[order], np.where(behind >= n - 1, np.exp(log), 0.0)


def _log_choose(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """log C(top, bottom); 0 where that is not defined."""
    fits = top >= bottom
    gap = np.where(fits, top - bottom, 0)
    return np.where(fits, gammaln(top + 1.0) - gammaln(bottom + 1.0) - gammaln(gap + 1.0), 0.0)
