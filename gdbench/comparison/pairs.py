"""How two runs differ on the same descents: the same starts, instances and seeds, pair by pair.

A pair counts whether or not it converged. Its cost ratio is 0 where only the second run converged and infinite where
only the first did; where neither did it says nothing of cost, and the share converged does. What is independent is a
unit: a start on an instance (another instance is another shift and rotation, to which the same start lies elsewhere),
or a seed where there is one of those. A unit has one value, and intervals are over units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pandas import DataFrame
from scipy.special import bdtr, stdtrit

from gdbench.measures.base import converged, cost_at_settle, final_gaps
from gdbench.stats.bootstrap import RESAMPLES, Estimate, bootstrap
from gdbench.stats.proportion import Interval

CONFIDENCE = 0.95
PAIRED_BY = ["instance", "start", "seed"]
SAME_START = 1e-3
"""Two values of f at a start that differ by a larger part are not of the same start and function."""


def middle(values: np.ndarray) -> float:
    """Median that allows infinities; 0 between -inf and inf, and of nothing."""
    if not len(values):
        return 0.0
    ordered = np.sort(values)
    low, high = float(ordered[(len(values) - 1) // 2]), float(ordered[len(values) // 2])
    return low if low == high else 0.0 if low == -high else (low + high) / 2


def median_interval(values: np.ndarray, confidence: float) -> Interval:
    """The interval of a median between two order statistics: exact for any distribution, of few values too.

    From the k-th smallest to the k-th largest of n values, k the largest with P(B < k) ≤ (1 - confidence)/2 for B
    binomial (n, 1/2); infinite where there is none (fewer than six values at 95%). A percentile bootstrap of a median
    covers less than its level for so few.

    Source: W. R. Thompson, Annals of Mathematical Statistics 7 (1936), 122-128.
    """
    n = len(values)
    k = int(np.searchsorted(bdtr(np.arange(n + 1), n, 0.5), (1 - confidence) / 2)) if n else 0
    if k == 0:
        return Interval(-np.inf, np.inf)
    ordered = np.sort(values)
    return Interval(float(ordered[k - 1]), float(ordered[n - k]))


def mean_interval(values: np.ndarray, confidence: float, rng: np.random.Generator) -> Interval:
    """The wider of the percentile bootstrap's and Student's interval of a mean of differences of shares, in [-1, 1].

    Either alone covers less than its level where few units differ. All of [-1, 1] where there are so few values that
    all of them lie on one side by chance in more than (1 - confidence)/2 of all cases.
    """
    n = len(values)
    if 2.0**-n > (1 - confidence) / 2:
        return Interval(-1.0, 1.0)
    # Some ten resamples beyond each end.
    found = bootstrap(values, np.mean, rng, confidence, max(RESAMPLES, int(20 / (1 - confidence))))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * float(np.std(values, ddof=1)) / n**0.5
    low, high = min(found.low, found.value - half), max(found.high, found.value + half)
    return Interval(max(-1.0, low), min(1.0, high))


@dataclass(frozen=True)
class Measure:
    """What pairs are compared by.

    Attributes:
        name: as a rule names it.
        ratio: whether it is a ratio of the second run to the first (kept as its logarithm), or a difference.
        better: sign of a change for the better.
    """

    name: str
    ratio: bool
    better: int

    @property
    def none(self) -> float:
        """The value that says that nothing changed."""
        return 1.0 if self.ratio else 0.0


CONVERGED, COST, GAP = Measure("converged", False, 1), Measure("cost", True, -1), Measure("gap", True, -1)
MEASURES = {measure.name: measure for measure in (CONVERGED, COST, GAP)}


@dataclass(frozen=True)
class Effect:
    """A paired difference or ratio with its interval.

    Attributes:
        measure: which one.
        values: a value a unit that has something to say; logarithms of a ratio.
        pairs: how many pairs have something to say.
        estimate: mean difference or median ratio, with its interval at 95%.
    """

    measure: Measure
    values: np.ndarray = field(repr=False)
    pairs: int
    estimate: Estimate

    @property
    def units(self) -> int:
        """Units with something to say."""
        return len(self.values)

    def at(self, confidence: float, rng: np.random.Generator) -> Estimate:
        """The estimate with an interval at another level."""
        return estimate(self.measure, self.values, confidence, rng)

    def told(self, confidence: float) -> bool:
        """Whether there are enough units for an interval at that level to say anything."""
        return 2.0**-self.units <= (1 - confidence) / 2

    @property
    def sign(self) -> int:
        """1 for better, -1 for worse, 0 where the interval at 95% does not tell."""
        above, below = self.estimate.low > self.measure.none, self.estimate.high < self.measure.none
        return self.measure.better * (int(above) - int(below))


def estimate(measure: Measure, values: np.ndarray, confidence: float, rng: np.random.Generator) -> Estimate:
    """Mean difference or median ratio (from logarithms) of units with its interval."""
    if not measure.ratio:
        return Estimate(float(np.mean(values)) if len(values) else 0.0, *mean_interval(values, confidence, rng))
    low, high = median_interval(values, confidence)
    return Estimate(*(float(x) for x in np.exp([middle(values), low, high])))


def effect(measure: Measure, values: np.ndarray, which: np.ndarray, rng: np.random.Generator) -> Effect:
    """A paired effect from a value a pair (NaN where it says nothing) and the unit that each belongs to."""
    known = ~np.isnan(values)
    reduce = middle if measure.ratio else np.mean
    units = np.array([reduce(values[known & (which == unit)]) for unit in np.unique(which[known])], float)
    return Effect(measure, units, int(known.sum()), estimate(measure, units, CONFIDENCE, rng))


def paired(first: DataFrame, second: DataFrame) -> tuple[DataFrame, DataFrame, str]:
    """The rows of two tables at the same instances, starts and seeds, in one order; and why there are none.

    A start is the same where f is: with another start set, seed or function the pairs would be none.
    """
    one, two = first.set_index(PAIRED_BY), second.set_index(PAIRED_BY)
    common = one.index.intersection(two.index, sort=True)
    one, two = one.loc[common].reset_index(), two.loc[common].reset_index()
    if not len(common):
        return one, two, "no start, instance and seed in common"
    a, b = (frame["f_start"].to_numpy(dtype=float, na_value=np.nan) for frame in (one, two))
    if not np.allclose(a, b, rtol=SAME_START, atol=SAME_START * float(np.nanmedian(np.abs(a))), equal_nan=True):
        return one.iloc[:0], two.iloc[:0], "f differs at the starts: other starts, or another function"
    return one, two, ""


def identical(one: DataFrame, two: DataFrame) -> bool:
    """Whether every pair ends alike: outcome, cost and value to the last bit."""
    same = (one["outcome"].astype(str).to_numpy() == two["outcome"].astype(str).to_numpy()).all()
    pairs = [(cost_at_settle(frame), frame["f_final"].to_numpy(dtype=float, na_value=np.nan)) for frame in (one, two)]
    return bool(same) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*pairs, strict=True))


def effects(cell: Mapping[str, Any], one: DataFrame, two: DataFrame, rng: np.random.Generator) -> dict[str, Effect]:
    """The paired effects of the second run against the first, on rows that ``paired`` gave, by measure.

    converged: difference of the shares. cost: median ratio of the costs to converge. gap: median ratio of the final
    gaps, none smaller than the tolerance; only where the minimum is known.
    """
    solved = [converged(frame).astype(float) for frame in (one, two)]
    found = {CONVERGED: solved[1] - solved[0], COST: log_ratio(cost_at_settle(one), cost_at_settle(two))}
    if cell["problem"]["minimum"] is not None:
        least = float(cell["problem"]["tolerance"] or 0.0)
        gaps = [np.maximum(final_gaps(frame), max(least, np.finfo(float).tiny)) for frame in (one, two)]
        found[GAP] = log_ratio(*gaps)
    which = unit_of(one)
    return {measure.name: effect(measure, values, which, rng) for measure, values in found.items()}


def log_ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """log(second / first), infinite where one of them is, NaN where both are; equal zeros have the ratio 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(second) - np.log(first)
    return np.where((first == second) & np.isfinite(first), 0.0, ratio)


def unit_of(frame: DataFrame) -> np.ndarray:
    """Index of the unit of each row: its start on its instance, or its seed where there is one of those."""
    places = frame[["instance", "start"]].to_numpy()
    found = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
    return found if found.max(initial=0) > 0 else np.unique(frame["seed"].to_numpy(), return_inverse=True)[1]
