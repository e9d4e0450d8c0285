"""Pairs of solvers over many problems: signed-rank tests with Holm's correction, and mean ranks.

Source: J. Demsar, Journal of Machine Learning Research 7 (2006), 1-30; S. Holm, Scandinavian Journal of Statistics 6
(1979), 65-70. Tests of pairs are told apart from mean ranks because a mean rank depends on who else takes part (A.
Benavoli, G. Corani and F. Mangili, JMLR 17 (2016), 1-10).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from scipy import stats

MOST_EXACT = 50
"""Differences up to which p of a signed-rank test is exact; beyond, the normal distribution serves."""


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

    Differences of 0 are left out, as Wilcoxon did; with nothing left, p is 1. Infinite differences are the largest, and
    equal. Up to ``MOST_EXACT`` of them p is exact, ties or not: by the sum of the positive ones' ranks over all signs.
    (With ties SciPy tries all signs, up to 13 of them, which takes a hundred times as long.)
    """
    differences = np.asarray(differences, dtype=float)
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 1.0
    finite = np.abs(moved[np.isfinite(moved)])
    furthest = 2 * finite.max() if len(finite) else 1.0
    moved = np.where(np.isfinite(moved), moved, np.sign(moved) * furthest)
    if len(moved) > MOST_EXACT:
        return float(cast(Any, stats.wilcoxon(moved, method="asymptotic")).pvalue)
    # Mid-ranks are halves, so twice a rank is whole, and the number of signs for each sum is counted rank by rank.
    ranks = (2 * stats.rankdata(np.abs(moved))).astype(int)
    ways = np.zeros(ranks.sum() + 1)
    ways[0] = 1
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    positive = ranks[moved > 0].sum()
    tail = ways[: min(positive, ranks.sum() - positive) + 1].sum() / 2.0 ** len(ranks)
    return min(2 * float(tail), 1.0)


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
    return of_pairs(differences, values.shape[1])


def of_pairs(differences: np.ndarray, solvers: int) -> np.ndarray:
    """Holm-corrected p of each pair from its differences, [n, pairs] in the order of ``np.triu_indices(solvers, 1)``.

    Symmetric, shape [solvers, solvers], NaN on the diagonal.
    """
    first, second = np.triu_indices(solvers, 1)
    found = np.full((solvers, solvers), np.nan)
    found[first, second] = found[second, first] = holm(np.array([signed_rank(column) for column in differences.T]))
    return found


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Mean over problems of each solver's rank (1 is best, equals share theirs), from [problems, solvers]."""
    return stats.rankdata(np.asarray(values, dtype=float), axis=1).mean(axis=0)
