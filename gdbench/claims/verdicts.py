"""The claims of a run with their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas import DataFrame

from gdbench.catalogue import gather, natural
from gdbench.claims.base import MOST_CONDITIONS, ONLY, Asked, Evidence, Rule, verdict_of
from gdbench.figures.choose import ran
from gdbench.figures.style import number

if TYPE_CHECKING:
    from gdbench.figures.base import Results


@dataclass(frozen=True)
class Weighed:
    """A test of a claim with its evidence; ``error`` says why there is none where the rule could not be asked."""

    rule: Rule
    settings: dict[str, Any]
    evidence: list[Evidence]
    error: str = ""

    @property
    def what(self) -> str:
        """What the numbers are."""
        return self.rule.number.format(**self.settings)

    @property
    def text(self) -> str:
        """What the numbers say, in a few words."""
        values = np.array([one.value for one in self.evidence], dtype=float)
        if self.error:
            return f"{self.what}: could not be measured ({self.error})"
        if not len(values):
            return f"{self.what}: not measured"
        if len(values) == 1:
            one = self.evidence[0]
            between = f" ({number(one.low)} to {number(one.high)})" if np.isfinite([one.low, one.high]).all() else ""
            return f"{self.what}: {number(one.value)}{between}"
        low, high = (number(float(end)) for end in (np.nanmin(values), np.nanmax(values)))
        return f"{self.what}: {low if low == high else f'{low} to {high}'} in {len(values)} cases"


@dataclass(frozen=True)
class Judged:
    """A claim of the suite, what was found, and the verdict that follows.

    Attributes:
        claim: the claim as the suite has it (``name``, ``says``, ``figure``, ``title``, ``lesson``, ``play``).
        tests: its tests with their evidence.
        verdict: "shown", "refuted", "only when" or "not decided".
        conditions: under which it holds, for "only when".
    """

    claim: dict[str, Any]
    tests: list[Weighed]
    verdict: str
    conditions: list[str]

    @property
    def number(self) -> str:
        """The numbers that decide."""
        return "; ".join(test.text for test in self.tests)

    @property
    def words(self) -> str:
        """The verdict in words."""
        if self.verdict != ONLY:
            return self.verdict
        missing = "" if all(test.evidence for test in self.tests) else "; not all of it was measured"
        if len(self.conditions) <= MOST_CONDITIONS:
            return f"{ONLY} {'; '.join(self.conditions)}{missing}"
        return f"{ONLY} (in {len(self.conditions)} of {len({one.when for one in self.evidence})} cases){missing}"

    @property
    def evidence(self) -> list[Evidence]:
        """All cases of all tests."""
        return [one for test in self.tests for one in test.evidence]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cases that speak for the claim, against it, and that do not tell."""
        holds = [one.holds for one in self.evidence]
        return holds.count(True), holds.count(False), holds.count(None)


def judge(results: Results) -> list[Judged]:
    """Weigh every claim of a run's suite, in its order; none where it claims nothing."""
    if "claims" in results.memo:
        return results.memo["claims"]
    rules, found = gather("gdbench.claims", Rule), []
    cells = ran(results) if results.suite.get("claim") else []
    before: dict[str, str] = {}
    for claim in results.suite.get("claim", ()):
        tests = [_weigh(results, cells, rules[test["rule"]], test, before) for test in claim["tests"]]
        found.append(Judged(claim, tests, *verdict_of([test.evidence for test in tests])))
        before[claim["name"]] = found[-1].verdict
    results.memo["claims"] = found
    return found


def claims_frame(results: Results) -> DataFrame:
    """The claims of a run, C2 before C10: ``claim``, ``says``, ``number``, ``verdict``, ``figure``, and the number of
    cases that speak ``for`` it, ``against`` it, and that leave it ``open``.
    """
    rows = [
        {"claim": one.claim["name"], "says": one.claim["says"], "number": one.number, "verdict": one.words,
         "figure": one.claim["figure"], **dict(zip(("for", "against", "open"), one.counts, strict=True))}
        for one in sorted(judge(results), key=lambda one: natural(one.claim["name"]))
    ]  # fmt: skip
    return DataFrame(rows, columns=["claim", "says", "number", "verdict", "figure", "for", "against", "open"])


def _weigh(
    results: Results, cells: list[dict[str, Any]], rule: Rule, test: dict[str, Any], before: dict[str, str]
) -> Weighed:
    """One test: the cells it looks at, its settings with their defaults, the evidence."""
    settings = {name: test.get(name, setting.default) for name, setting in rule.settings.items()}
    chosen = [cell for cell in cells if looks_at(test, cell)]
    try:
        return Weighed(rule, settings, rule.weigh(Asked(results, chosen, settings, before)))
    except Exception as error:  # any fault of one rule is reported in its place, and leaves the claim open there
        return Weighed(rule, settings, [], f"{type(error).__name__}: {error}")


def looks_at(test: dict[str, Any], cell: dict[str, Any]) -> bool:
    """Whether a test of a claim looks at a cell."""
    return (not test["experiments"] or cell["experiment"] in test["experiments"]) and all(
        not test[f"{what}s"] or bool({cell[what]["name"], cell[what]["label"]} & {*test[f"{what}s"]})
        for what in ("problem", "optimizer")
    )
