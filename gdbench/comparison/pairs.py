"""How two runs differ on the same descents: at one setting, the same starts, instances and seeds, pair by pair.

A pair counts whether or not it converged. Its cost ratio is 0 where only the second run converged and infinite where only
the first did; where neither did it says nothing of cost, and the share converged does. Units of the bootstrap are starts of
an instance (seeds, where there is one of them): another instance is another shift and rotation, to which the same start
lies elsewhere. Fewer than six units are never told apart: all of them lie on one side by chance in one case of 2^-5 and
more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.measures.base import converged, cost_at_settle, final_gaps
from gdbench.stats.bootstrap import RESAMPLES, Estimate, bootstrap

CONFIDENCE = 0.95
PAIRED_BY = ["instance", "start", "seed"]
SAME_START = 1e-3
"""Two values of f at a start that differ by a larger part are not of the same start and function."""


def middle(values: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """Median over the last axes, NaN left out, infinities allowed; 0 where nothing is known or opposites meet."""
    flat = np.sort(values.reshape(*values.shape[: values.ndim - len(axis)], -1), axis=-1)
    known = np.sum(~np.isnan(flat), axis=-1, keepdims=True)
    low = np.take_along_axis(flat, np.maximum(known - 1, 0) // 2, -1)[..., 0]
    high = np.take_along_axis(flat, np.minimum(known // 2, flat.shape[-1] - 1), -1)[..., 0]
    with np.errstate(invalid="ignore"):
        found = np.where(low == high, low, (low + high) / 2)
    return np.where(np.isnan(found), 0.0, found)


def mean(values: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """Mean over the last axes, NaN left out; 0 where nothing is known."""
    known = np.sum(~np.isnan(values), axis=axis)
    return np.nansum(values, axis=axis) / np.maximum(known, 1)


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
        values: a row a unit, NaN where a pair says nothing; logarithms of a ratio.
        estimate: mean difference or median ratio, with its bootstrap interval at 95%.
    """

    measure: Measure
    values: np.ndarray = field(repr=False)
    estimate: Estimate

    @property
    def units(self) -> int:
        """Units with something to say."""
        return int(np.sum(~np.isnan(self.values).all(axis=1)))

    @property
    def pairs(self) -> int:
        """Pairs with something to say."""
        return int(np.sum(~np.isnan(self.values)))

    def at(self, confidence: float, rng: np.random.Generator) -> Estimate:
        """The estimate with an interval at another level; infinite where so few units cannot have one."""
        if not enough(self.units, confidence):
            return Estimate(self.estimate.value, 0.0 if self.measure.ratio else -np.inf, np.inf)
        # Some ten resamples beyond each end.
        return estimate(self.measure, self.values, rng, confidence, max(RESAMPLES, int(20 / (1 - confidence))))

    @property
    def sign(self) -> int:
        """1 for better, -1 for worse, 0 where the interval at 95% does not tell."""
        if not enough(self.units, CONFIDENCE):
            return 0
        above, below = self.estimate.low > self.measure.none, self.estimate.high < self.measure.none
        return self.measure.better * (int(above) - int(below))


def enough(units: int, confidence: float) -> bool:
    """Whether so many units on one side of a value are less likely, by chance, than what an interval leaves there."""
    return 2.0**-units <= (1 - confidence) / 2


def estimate(
    measure: Measure, values: np.ndarray, rng: np.random.Generator, confidence: float, resamples: int = RESAMPLES
) -> Estimate:
    """Mean difference or median ratio of values [units, pairs] with its percentile bootstrap interval over units."""
    found = bootstrap(values, middle if measure.ratio else mean, rng, confidence, resamples)
    return Estimate(*np.exp(found)) if measure.ratio else found


def effect(measure: Measure, values: np.ndarray, rng: np.random.Generator) -> Effect:
    """A paired effect from values [units, pairs]."""
    return Effect(measure, values, estimate(measure, values, rng, CONFIDENCE))


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


def effects(
    cell: Mapping[str, Any], one: DataFrame, two: DataFrame, rng: np.random.Generator
) -> dict[str, Effect]:
    """The paired effects of the second run against the first, on rows that ``paired`` gave, by measure.

    converged: difference of the shares. cost: median ratio of the costs to converge. gap: median ratio of the final gaps,
    none smaller than the tolerance; only where the minimum is known.
    """
    solved = [converged(frame).astype(float) for frame in (one, two)]
    found = {CONVERGED: solved[1] - solved[0], COST: log_ratio(cost_at_settle(one), cost_at_settle(two))}
    if cell["problem"]["minimum"] is not None:
        least = float(cell["problem"]["tolerance"] or 0.0)
        gaps = [np.maximum(final_gaps(frame), max(least, np.finfo(float).tiny)) for frame in (one, two)]
        found[GAP] = log_ratio(*gaps)
    which = unit_of(one)
    return {measure.name: effect(measure, rows(values, which), rng) for measure, values in found.items()}


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


def rows(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Values as one row a unit; NaN fills short rows."""
    order, lengths = np.argsort(which, kind="stable"), np.bincount(which)
    table = np.full((len(lengths), int(lengths.max())), np.nan)
    table[np.arange(table.shape[1]) < lengths[:, None]] = values[order]
    return table
