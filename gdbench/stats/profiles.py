"""Performance and data profiles: what share of the problems a solver has solved by a ratio, or by a budget.

Source: E. D. Dolan and J. J. More, Mathematical Programming 91 (2002), 201-213; J. J. More and S. M. Wild, SIAM Journal
on Optimization 20 (2009), 172-191. A profile of more than two solvers orders only the first of them (N. Gould and J.
Scott, ACM Transactions on Mathematical Software 43 (2016), 15).
"""

from __future__ import annotations

import numpy as np

from gdbench.stats.bootstrap import RESAMPLES
from gdbench.stats.proportion import Interval


def ratios(costs: np.ndarray) -> np.ndarray:
    """Performance ratios r_ps = t_ps / min_s t_ps from costs [..., problems, solvers]; infinite where unsolved.

    A problem that nobody solved has infinite ratios throughout and stays in every denominator. Costs of 0 count as the
    smallest positive number.
    """
    costs = np.maximum(np.asarray(costs, dtype=float), np.finfo(float).tiny)
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
    return (np.asarray(values)[..., None, :, :] <= np.asarray(at)[:, None, None]).mean(axis=-2)


def budgets(costs: np.ndarray, dims: np.ndarray | None = None) -> np.ndarray:
    """Costs [problems, solvers] as the data profile counts them: in simplex gradients of n_p + 1 values.

    ``dims`` [problems] holds n_p; None leaves the costs alone, as is right for methods that are given gradients.
    """
    costs = np.asarray(costs, dtype=float)
    return costs if dims is None else costs / (np.asarray(dims, dtype=float)[:, None] + 1)


def profile_score(ratio: np.ndarray, furthest: float = 4.0) -> np.ndarray:
    """Area under the performance profile from 1 to ``furthest``, divided by its length, for each solver.

    (1/3) ∫₁⁴ ρ_s(τ) dτ = mean_p max(0, 4 - r_ps)/3 exactly, from ratios [..., problems, solvers] to [..., solvers].
    Source: G. E. Dahl et al., Benchmarking neural network training algorithms (AlgoPerf), arXiv 2306.07179.
    """
    short = np.maximum(furthest - np.asarray(ratio, dtype=float), 0.0)
    return short.mean(axis=-2) / (furthest - 1)


def profile_band(
    costs: np.ndarray,
    at: np.ndarray,
    families: np.ndarray,
    rng: np.random.Generator,
    relative: bool = True,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Pointwise band of a profile, by drawing families of problems with replacement.

    Args:
        costs: shape [problems, solvers].
        at: where the profile is wanted, [n].
        families: the family of each problem; all problems of a family are drawn together.
        rng: where the randomness comes from.
        relative: whether ``at`` holds ratios (performance profile) or costs (data profile).
        resamples: number of resamples.
        confidence: level.

    Returns:
        Low and high, each of shape [n, solvers].
    """
    values = ratios(costs) if relative else np.asarray(costs, dtype=float)
    _, which = np.unique(families, return_inverse=True)
    size = np.bincount(which)
    below = (values[:, None, :] <= np.asarray(at)[:, None]).astype(float)
    sums = np.zeros((len(size), *below.shape[1:]))
    np.add.at(sums, which, below)
    times = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), size=resamples)
    drawn = np.tensordot(times, sums, axes=1) / (times @ size)[:, None, None]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Interval(low, high)
