"""Performance and data profiles: what share of the problems a solver has solved by a ratio, or by a budget.

Source: E. D. Dolan and J. J. More, Mathematical Programming 91 (2002), 201-213; J. J. More and S. M. Wild, SIAM Journal
on Optimization 20 (2009), 172-191. A profile of more than two solvers orders only the first of them (N. Gould and J.
Scott, ACM Transactions on Mathematical Software 43 (2016), 15).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdbench.stats.bootstrap import RESAMPLES, Band, Statistic, stratified_band


def ratios(costs: np.ndarray) -> np.ndarray:
    """Performance ratios r_ps = t_ps / min_s t_ps from costs [..., problems, solvers]; infinite where unsolved.

    A problem that nobody solved has infinite ratios throughout and stays in every denominator. A cost of 0 (a start at
    the minimizer) counts as the lowest on that problem that is not 0.
    """
    costs = np.asarray(costs, dtype=float)
    least = np.min(costs, axis=-1, keepdims=True, where=costs > 0, initial=np.inf)
    costs = np.where(costs == 0, np.where(np.isfinite(least), least, 1.0), costs)
    best = costs.min(axis=-1, keepdims=True)
    return np.divide(costs, best, out=np.full_like(costs, np.inf), where=np.isfinite(costs))


def profile(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of the problems with a value of at most each of ``at``, for each solver.

    Args:
        values: performance ratios, or budgets (data profile), shape [..., problems, solvers]; infinite: unsolved.
        at: shape [n].

    Returns:
        Shape [..., n, solvers].
    """
    return (np.asarray(values)[..., :, None, :] <= np.asarray(at)[:, None]).mean(axis=-3)


def budgets(costs: np.ndarray, dims: np.ndarray | None = None) -> np.ndarray:
    """Costs [..., problems, solvers] as the data profile counts them: in simplex gradients of n_p + 1 values.

    ``dims`` [problems] holds n_p; None leaves the costs alone, as is right for methods that are given gradients.
    """
    costs = np.asarray(costs, dtype=float)
    return costs if dims is None else costs / (np.asarray(dims, dtype=float)[:, None] + 1)


def profile_score(ratio: np.ndarray, furthest: float = 4.0) -> np.ndarray:
    """Area under the performance profile from 1 to ``furthest``, divided by its length, for each solver.

    (1/3) ∫₁⁴ ρ_s(τ) dτ = mean_p max(0, 4 - r_ps)/3 exactly, from ratios [..., problems, solvers] to [..., solvers].
    Source: G. E. Dahl et al., Benchmarking neural network training algorithms (AlgoPerf), arXiv 2306.07179.
    """
    return np.maximum(furthest - np.asarray(ratio, dtype=float), 0.0).mean(axis=-2) / (furthest - 1)


def profile_band_over_units(
    strata: Sequence[np.ndarray],
    at: np.ndarray,
    rng: np.random.Generator,
    typical: Statistic = np.median,
    relative: bool = True,
    dims: np.ndarray | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Band:
    """A profile with its pointwise band on these problems: starts and seeds are drawn within each, paired.

    Args:
        strata: costs of the descents on each problem, [solvers, units]; infinite: unsolved.
        at: where the profile is wanted, [n].
        rng: where the randomness comes from.
        typical: (array, axis=-1) -> what a problem costs a solver.
        relative: performance profile, of ratios; else data profile, of costs (in simplex gradients with ``dims``).
        dims: see ``budgets``.
        confidence: level.
        resamples: number of resamples.

    Returns:
        Value, low and high, each of shape [n, solvers].
    """

    def joint(*drawn: np.ndarray) -> np.ndarray:
        costs = np.stack([typical(one, axis=-1) for one in drawn], axis=-2)
        return profile(ratios(costs) if relative else budgets(costs, dims), at)

    return stratified_band(strata, joint, rng, confidence, resamples)
