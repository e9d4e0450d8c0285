"""The claims of a run as lines of a table; the lesson says more of each."""

from __future__ import annotations

from dataclasses import dataclass

from gdbench.catalogue import natural
from gdbench.claims.verdicts import Judged, judge
from gdbench.report.study import Results

LESSON = "lesson.html"
"""The lesson's file, beside the report."""

HEADS = ("Claim", "Said", "Measured", "Verdict", "Figure")


@dataclass(frozen=True)
class ClaimLine:
    """A claim as text.

    Attributes:
        name: how it is cited.
        anchor: its place in the lesson.
        title: its heading; its name where it has none.
        says: the statement.
        measured: the numbers that decide.
        verdict: one of four, for colours.
        words: the verdict with its conditions.
        figure: the figure that shows it.
    """

    name: str
    anchor: str
    title: str
    says: str
    measured: str
    verdict: str
    words: str
    figure: str


def claim_line(judged: Judged) -> ClaimLine:
    """A claim as text."""
    claim = judged.claim
    return ClaimLine(
        name=claim["name"], anchor=f"claim-{claim['name']}", title=claim.get("title") or claim["name"],
        says=claim["says"], measured=judged.number, verdict=judged.verdict, words=judged.words, figure=claim["figure"],
    )  # fmt: skip


def claim_lines(results: Results) -> list[ClaimLine]:
    """The claims of a run, C2 before C10; none where its suite claims nothing."""
    return [claim_line(one) for one in sorted(judge(results), key=lambda one: natural(one.claim["name"]))]
