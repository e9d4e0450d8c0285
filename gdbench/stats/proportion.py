"""Intervals for a share."""

from __future__ import annotations

from typing import NamedTuple

from scipy.special import ndtri


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for a share.

    (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), with z the normal quantile of (1 + confidence) / 2. Unlike
    p ± z·sqrt(p(1-p)/n) it holds its level for few trials and for shares near 0 and 1.

    Args:
        successes: how many succeeded; a fraction where the trials are clusters (a share times their number).
        trials: how many independent trials; none gives (0, 1).
        confidence: level, in (0, 1).

    Raises:
        ValueError: successes outside [0, trials], or a confidence outside (0, 1).

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie within [0, {trials}], not {successes}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie within (0, 1), not {confidence}")
    if trials == 0:
        return Interval(0.0, 1.0)
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    p = successes / trials
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = (z2 * (p * (1 - p) / trials + z2 / (4 * trials**2))) ** 0.5 / (1 + z2 / trials)
    return Interval(0.0 if successes == 0 else centre - half, 1.0 if successes == trials else centre + half)
