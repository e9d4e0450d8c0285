"""What a run says beyond single problems: is one optimizer better than the others, and how sure is that?

"Better" is a statement about problems like these, so it rests on paired differences between families of problems
(variants of one function are one family): a signed-rank test and an interval that draws families must both agree. The
interval over starts and seeds, which speaks of these problems only, stands beside it.

To be named the winner, an optimizer must be better than every other one. That is an intersection-union test (R. L.
Berger, Technometrics 24 (1982), 295-300): each pair is tested at the full level, since all of them must be rejected.
Claims about single pairs are corrected by Holm (figure 15).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from gdbench.contracts import REGIMES
from gdbench.figures.base import Results
from gdbench.figures.comparison import FEWEST, Comparison, compared, comparison, upper_median
from gdbench.stats.aggregates import log_ratio, pseudomedian
from gdbench.stats.bands import cluster_means
from gdbench.stats.bootstrap import Estimate, bootstrap, stratified_bootstrap
from gdbench.stats.ranks import signed_rank

LEVEL = 0.03
"""Level of each test: below 0.05, so that of any 1,000 comparisons of equals at most 50 name a winner."""

FEWEST_FAMILIES = 7
"""A two-sided signed-rank test of fewer differences than this cannot fall below the level: 2/2^6 = 0.031."""

FURTHEST = 10.0
"""Where one of two costs is infinite, their ratio counts as 2^10."""


@dataclass(frozen=True)
class Question:
    """What optimizers are compared by.

    Attributes:
        measure: "cost_to_converge", "cost_to_target" or "success_rate".
        target: τ of the target; None for convergence.
        gradient: evaluations that a gradient weighs, or "dimension".
    """

    measure: str = "cost_to_converge"
    target: float | None = None
    gradient: float | str = 1.0

    def values(self, told: Comparison) -> list[np.ndarray]:
        """What each descent is worth, low is good: its cost, or 1 where it is unsolved; [optimizers, n] a place."""
        costs = told.costs(self.gradient, self._index(told))
        return [np.isinf(cost).astype(float) for cost in costs] if self.measure == "success_rate" else costs

    def _index(self, told: Comparison) -> int | None:
        if self.target is None:
            return None
        return next(i for i, tau in enumerate(told.targets) if math.isclose(tau, self.target, rel_tol=1e-6))

    def typical(self, values: np.ndarray) -> np.ndarray:
        """What a problem is worth to an optimizer, over the last axis: the share unsolved, or the median cost."""
        return values.mean(axis=-1) if self.measure == "success_rate" else upper_median(values)

    def difference(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """How much better the first is than the second (negative is better).

        log2 of the ratio of two costs, within ±FURTHEST; of shares unsolved, their difference. Two infinite costs tie.
        """
        return one - other if self.measure == "success_rate" else log_ratio(one, other, FURTHEST)


@dataclass(frozen=True)
class Pair:
    """The leader against another optimizer, in the unit of ``Question.difference``.

    Attributes:
        other: its label.
        wins, losses, ties: on how many problems the leader was better, worse, neither.
        families: pseudomedian of the families' differences, with its interval over families.
        starts: the same over problems, with its interval over starts and seeds on these problems; None where only the
            winner was asked for.
        p: two-sided p of Wilcoxon's signed-rank test over families; NaN for too few families.
    """

    other: str
    wins: int
    losses: int
    ties: int
    families: Estimate
    starts: Estimate | None
    p: float

    @property
    def decided(self) -> bool:
        """Whether test and interval over families both say that the leader is better."""
        return self.p < LEVEL and self.families.high < 0


@dataclass(frozen=True)
class Verdict:
    """The answer over all problems of an experiment.

    Attributes:
        told: what it is about.
        question: what optimizers are compared by.
        primary: whether the suite named this question before it ran; else it is exploratory.
        leader: the optimizer that is ahead of most others.
        winner: the leader, where it is better than every other optimizer beyond doubt; else "".
        pairs: the leader against the others, the closest first.
        families: number of families of problems.
        unsolved: whether no optimizer solved any problem.
        weighed: the winner ("" for none) where a gradient weighs otherwise, by that weight.
    """

    told: Comparison
    question: Question
    primary: bool
    leader: str
    winner: str
    pairs: tuple[Pair, ...]
    families: int
    unsolved: bool
    weighed: Mapping[str, str]

    @property
    def close(self) -> list[str]:
        """Optimizers that the leader is not told apart from."""
        return [pair.other for pair in self.pairs if not pair.decided]

    @property
    def enough(self) -> bool:
        """Whether there are families enough to speak of other problems."""
        return self.families >= FEWEST_FAMILIES


def judge(
    told: Comparison, question: Question, rng: np.random.Generator, primary: bool = False, starts: bool = True
) -> Verdict:
    """Judge a comparison of two or more optimizers on one or more problems.

    Args:
        told: optimizers over problems.
        question: what they are compared by.
        rng: where the randomness of the intervals comes from.
        primary: whether the suite asked this before it ran.
        starts: whether to draw the intervals over starts and seeds too.
    """
    values = question.values(told)
    typical = np.array([question.typical(value) for value in values])
    leader = _leader(question, typical, told.families)
    others = [i for i in range(len(told.optimizers)) if i != leader]
    pairs = [_pair(told, question, values if starts else None, typical, leader, other, rng) for other in others]
    worst = 1.0 if question.measure == "success_rate" else np.inf
    unsolved = bool((typical >= worst).all())
    name = told.optimizers[leader]
    return Verdict(
        told, question, primary, name, name if all(pair.decided for pair in pairs) and not unsolved else "",
        tuple(sorted(pairs, key=lambda pair: -pair.families.value)), len(set(told.families)), unsolved, {},
    )  # fmt: skip


def _leader(question: Question, typical: np.ndarray, families: list[str]) -> int:
    """The optimizer that is ahead of most others, by the same number as their pairs show; of equals by mean rank."""
    each = cluster_means(question.difference(typical[:, :, None], typical[:, None, :]), families)
    ahead = (pseudomedian(each, axis=0) < 0).sum(axis=1)
    ranks = cluster_means(stats.rankdata(typical, axis=1), families).mean(axis=0)
    return int(np.lexsort((ranks, -ahead))[0])


def _pair(
    told: Comparison, question: Question, values: list[np.ndarray] | None, typical: np.ndarray, one: int, other: int,
    rng: np.random.Generator,
) -> Pair:  # fmt: skip
    differences = question.difference(typical[:, one], typical[:, other])
    families = cluster_means(differences, told.families)
    p = math.nan
    if len(families) >= FEWEST_FAMILIES:
        p = signed_rank(families)

    def over_problems(*resampled: np.ndarray) -> np.ndarray:
        """Pseudomedian over problems, from a resample [..., 2, n] of each."""
        each = [question.typical(one_problem) for one_problem in resampled]
        return pseudomedian(np.stack([question.difference(m[..., 0], m[..., 1]) for m in each], -1))

    on_these = None
    if values is not None:
        on_these = stratified_bootstrap([value[[one, other]] for value in values], over_problems, rng)
    return Pair(
        told.optimizers[other], int((differences < 0).sum()), int((differences > 0).sum()),
        int((differences == 0).sum()), bootstrap(families, pseudomedian, rng), on_these, p,
    )  # fmt: skip


def verdicts(results: Results, rng: np.random.Generator) -> list[Verdict]:
    """The verdict on each experiment, dtype and tuning regime with two optimizers or more; the primary one first."""
    asked = results.suite["suite"].get("primary") or {}
    first = next((cell["experiment"] for cell in results.cells), "")
    found = []
    for experiment, dtype in compared(results):
        for regime in REGIMES:
            told = comparison(results, experiment, dtype, regime)
            primary = bool(asked) and regime == asked["regime"] and experiment == (asked["experiment"] or first)
            # Of a single problem the answer table says as much.
            few = len(told.places) < (1 if primary else 2)
            if len(told.optimizers) < FEWEST or few or not told.evaluated:
                continue
            question = Question(asked["measure"], asked.get("target")) if primary else Question()
            main = judge(told, question, rng, primary)
            weighed = {
                name: judge(told, replace(question, gradient=weight), rng, starts=False).winner
                for name, weight in (("c = 4", 4.0), ("c = dimension", "dimension"))
                if question.measure != "success_rate"
            }
            found.append(replace(main, weighed=weighed))
    return sorted(found, key=lambda verdict: not verdict.primary)
