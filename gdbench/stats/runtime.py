"""Expected running time, simulated restarts, and the share of targets reached by a budget.

Source: N. Hansen, A. Auger, D. Brockhoff and T. Tusar, Anytime performance assessment in blackbox optimization
benchmarking, IEEE Transactions on Evolutionary Computation 26 (2022), 1293-1305; N. Hansen et al., COCO, Optimization
Methods and Software 36 (2021), 114-144.
"""

from __future__ import annotations

import numpy as np


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


def simulated_restarts(
    costs: np.ndarray, spent: np.ndarray, rng: np.random.Generator, n: int = 1000, most: int = 10_000
) -> np.ndarray:
    """Running times of a method that is restarted until it succeeds, shape [n, ...].

    Runs are drawn with replacement until one has reached its target; what the failed ones before it spent is added to
    its cost. Where no run succeeded the time is infinite.

    Args:
        costs: shape [runs, ...]; infinite where the target was not reached.
        spent: what each run had spent when it ended, [runs].
        rng: where the randomness comes from.
        n: number of simulated runs.
        most: restarts after which a simulated run is given up (infinite), where successes are rarer than that.
    """
    costs = np.asarray(costs, dtype=float)
    runs, shape = len(costs), costs.shape[1:]
    flat, spent = costs.reshape(runs, -1), np.asarray(spent, dtype=float)
    total = np.full((n, flat.shape[1]), np.inf)
    for j, column in enumerate(flat.T):
        solved = np.isfinite(column)
        wins = int(solved.sum())
        if not wins:
            continue
        failures = rng.geometric(wins / runs, size=n) - 1
        found = rng.choice(column[solved], size=n)
        if wins < runs:
            lost = spent[~solved]
            kept = np.minimum(failures, most)
            # How often each failed run is drawn among so many.
            found = found + rng.multinomial(kept, np.full(len(lost), 1 / len(lost))) @ lost
        total[:, j] = np.where(failures > most, np.inf, found)
    return total.reshape(n, *shape)


def attained(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of all running times (over problems, targets and runs) of at most each of ``at`` [n], shape [n]."""
    ordered = np.sort(np.asarray(times, dtype=float).ravel())
    return np.searchsorted(ordered, at, side="right") / len(ordered)
