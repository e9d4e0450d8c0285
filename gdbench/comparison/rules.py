"""Rules for continuous use: a comparison fails when a whole interval lies beyond a bound, never by a point alone.

All intervals that the rules look at are widened together (each end leaves 2.5% divided by their number), so that runs
that differ by chance alone fail in at most one case of twenty, however many optimizers and problems they have.

Source of the correction: O. J. Dunn, Journal of the American Statistical Association 56 (1961), 52-64.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gdbench.comparison.pairs import CONFIDENCE, MEASURES
from gdbench.comparison.rows import Comparison, Row, effect_of
from gdbench.errors import GdbenchError, NothingSelectedError, did_you_mean
from gdbench.stats.bootstrap import Estimate

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RULE = re.compile(rf"\s*(\w+)\s*([<>])\s*({_NUMBER})\s*")


@dataclass(frozen=True)
class Rule:
    """A bound on a paired effect: ``cost>1.1`` fails where the cost ratio lies wholly above 1.1."""

    measure: str
    above: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.measure}{'>' if self.above else '<'}{self.bound:g}"

    def broken(self, estimate: Estimate) -> bool:
        """Whether the whole interval lies beyond the bound."""
        return estimate.low > self.bound if self.above else estimate.high < self.bound


@dataclass(frozen=True)
class Failure:
    """A row that breaks a rule, with the widened interval that shows it."""

    rule: Rule
    row: Row
    estimate: Estimate


@dataclass(frozen=True)
class Verdict:
    """What rules say of a comparison.

    Attributes:
        failures: rows that break a rule.
        tests: how many intervals the rules looked at, but for
        identical: those of descents that are the same, where there is no chance.
        untold: how many of those have too few units to fail at all.
        confidence: level of each interval.
    """

    failures: tuple[Failure, ...]
    tests: int
    identical: int
    untold: int
    confidence: float


def read_rules(texts: Sequence[str]) -> list[Rule]:
    """Rules from their texts.

    Raises:
        GdbenchError: a text that is no rule.
    """
    rules = []
    for text in texts:
        found = RULE.fullmatch(text)
        if not found:
            raise GdbenchError(f"--fail-on {text!r}: a rule is a measure, < or >, and a number, as in cost>1.1")
        name, sign, bound = found.groups()
        if name not in MEASURES:
            raise GdbenchError(f"--fail-on {text!r}: no measure {name!r}: {did_you_mean(name, MEASURES)}")
        rules.append(Rule(name, sign == ">", float(bound)))
    return rules


def apply_rules(comparison: Comparison, rules: Sequence[Rule]) -> Verdict:
    """Which rows break a rule, at intervals widened for all of them together.

    Raises:
        NothingSelectedError: no pair says anything of what the rules name, so that passing would mean nothing.
    """
    found = [(rule, row, effect_of(row, rule.measure)) for rule in rules for row in comparison.rows]
    asked = [(rule, row, effect) for rule, row, effect in found if effect is not None]
    if not asked:
        raise NothingSelectedError(f"nothing to test {', '.join(map(str, rules))} on: {_why(comparison)}")
    tests = [effect for _, row, effect in asked if not row.identical]  # what is the same has no chance in it
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(tests))
    rng, failures = comparison.rng(), []
    for rule, row, effect in asked:
        # The wider interval is only drawn where the plain one tells.
        wide = effect.at(confidence, rng) if rule.broken(effect.estimate) else effect.estimate
        failures += [Failure(rule, row, wide)] if rule.broken(wide) else []
    untold = sum(not effect.told(confidence) for effect in tests)
    return Verdict(tuple(failures), len(tests), len(asked) - len(tests), untold, confidence)


def _why(comparison: Comparison) -> str:
    notes = {row.note for row in comparison.rows if not row.effects}
    return "; ".join(sorted(notes)) or "neither run converged in any pair"
