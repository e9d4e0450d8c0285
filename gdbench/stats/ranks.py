"""Pairs of solvers over many problems: signed-rank tests with Holm's correction, and mean ranks.

Source: J. Demsar, Journal of Machine Learning Research 7 (2006), 1-30; S. Holm, Scandinavian Journal of Statistics 6
(1979), 65-70. Tests of pairs are told apart from mean ranks because a mean rank depends on who else takes part (A.
Benavoli, G. Corani and F. Mangili, JMLR 17 (2016), 1-10).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from scipy import stats


def holm(p: np.ndarray) -> np.ndarray:
    """p values corrected by Holm's step-down method for being looked at together, shape [m]; NaN stays NaN.

    The i-th smallest is multiplied by m - i (i from 0), kept monotone and at most 1.
    """
    p = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return corrected


def signed_rank(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test that differences [n] are symmetric about 0.

    Differences of 0 are left out, as Wilcoxon did; with nothing left, or no difference at all, p is 1. Infinite
    differences are the largest.
    """
    differences = np.asarray(differences, dtype=float)
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 1.0
    finite = np.abs(moved[np.isfinite(moved)])
    furthest = 2 * finite.max() if len(finite) else 1.0
    moved = np.where(np.isfinite(moved), moved, np.sign(moved) * furthest)
    # The exact distribution holds without ties; with them SciPy takes the normal one, corrected for ties.
    return float(cast(Any, stats.wilcoxon(moved)).pvalue)


def pairwise(values: np.ndarray) -> np.ndarray:
    """Holm-corrected p of every pair of solvers from what each is worth on each problem.

    Args:
        values: shape [problems, solvers], low is good; two infinite values are a tie, one is the worst there is. Only
            the order within a problem and the size of differences across problems matter, so costs are given as
            logarithms.

    Returns:
        Symmetric, shape [solvers, solvers], NaN on the diagonal.
    """
    values = np.asarray(values, dtype=float)
    first, second = np.triu_indices(values.shape[1], 1)
    with np.errstate(invalid="ignore"):
        differences = np.nan_to_num(values[:, first] - values[:, second], nan=0.0, posinf=np.inf, neginf=-np.inf)
    corrected = holm(np.array([signed_rank(column) for column in differences.T]))
    found = np.full((values.shape[1],) * 2, np.nan)
    found[first, second] = found[second, first] = corrected
    return found


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Mean over problems of each solver's rank (1 is best, equals share theirs), from [problems, solvers]."""
    return stats.rankdata(np.asarray(values, dtype=float), axis=1).mean(axis=0)
