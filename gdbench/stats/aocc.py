"""Area over the convergence curve: how good a descent was at any budget, in one number.

Source: J. de Nobel, F. Ye, D. Vermetten, H. Wang, C. Doerr and T. Baeck, IOHexperimenter, Evolutionary Computation 32
(2024), 205-210; the definition of IOHinspector (0 is best for the area, which is then taken from 1).
"""

from __future__ import annotations

import numpy as np


def area_over_curve(
    costs: np.ndarray, best: np.ndarray, budget: float | np.ndarray, low: float = 1e-8, high: float = 1e2
) -> np.ndarray:
    """Normalised area over the curve of log10(best gap so far), clipped to [low, high], over the budget.

    1 - (1/budget) ∫₀^budget (log10 clip(g(c), low, high) - log10 low) / (log10 high - log10 low) dc, exact for a step
    function: 1 for a descent that starts at ``low`` or better, 0 for one that never gets below ``high``.

    Args:
        costs: cost at which each stored value was reached, shape [..., k]; one below the one before it (of a descent
            that had ended) counts as that. Before the first the gap counts as ``high``, after the last it stays.
        best: gap there, shape [..., k], of which the best so far counts; NaN is none.
        budget: the cost up to which the area is taken, positive; a number, or one a curve, [...].
        low: the gap from which on a curve gets no better, positive.
        high: the gap from which on it gets no worse.
    """
    so_far = np.fmin.accumulate(np.asarray(best, dtype=float), axis=-1)
    clipped = np.clip(np.where(np.isnan(so_far), np.inf, so_far), low, high)
    height = (np.log10(clipped) - np.log10(low)) / (np.log10(high) - np.log10(low))
    budget = np.asarray(budget, dtype=float)
    edges = np.clip(np.maximum.accumulate(np.asarray(costs, dtype=float), axis=-1), 0.0, budget[..., None])
    ends = np.concatenate([edges[..., 1:], np.broadcast_to(budget[..., None], (*edges.shape[:-1], 1))], axis=-1)
    area = edges[..., 0] + (height * (ends - edges)).sum(axis=-1)
    return 1 - area / budget
