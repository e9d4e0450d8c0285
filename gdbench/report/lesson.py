"""The claims of a run as a lesson: what is said, what it means, what was measured, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdbench.claims.verdicts import Judged, Weighed, judge, looks_at
from gdbench.contracts import OUTCOMES
from gdbench.figures.choose import ran
from gdbench.figures.style import OUTCOME_COLOURS
from gdbench.report.claims import ClaimLine, claim_line
from gdbench.report.interactive import parts
from gdbench.report.page import templates
from gdbench.report.pictures import Drawn, Section, embed
from gdbench.report.study import Results
from gdbench.report.words import count, number

MOST_PICTURES = 2
"""Pictures of a claim."""

ROOM = 1_900_000
"""Characters of pictures that the lesson holds; of the rest it holds the links."""

FEW = 3
"""Cases up to which a test shows them all at once; of more it tells the range."""


@dataclass(frozen=True)
class Still:
    """A picture of the run, with the question of its figure and what that draws; ``uri`` is None where the page has no
    room for it.
    """

    question: str
    caption: str
    alt: str
    uri: str | None
    width: int
    file: str


@dataclass(frozen=True)
class Test:
    """A test of a claim as text.

    Attributes:
        text: what was measured, and the range of the numbers.
        decides: the rule.
        cases: the cases, where they are few enough to be told at once.
        rows: case, value, interval, whether the claim holds there.
    """

    text: str
    decides: str
    cases: list[str]
    rows: list[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Lesson:
    """What the page says of a claim; ``part`` is what a reader can move there, None where there is nothing."""

    line: ClaimLine
    paragraphs: list[str]
    play: list[str]
    python: str
    command: str
    conditions: list[str]
    counts: str
    tests: list[Test]
    stills: list[Still]
    part: dict[str, Any] | None


def lesson(results: Results, folder: Path, sections: Sequence[Section]) -> str:
    """The page. Every text is escaped by the template.

    Args:
        results: a run whose suite claims something.
        folder: where the report is written, with its figures.
        sections: the figures that the report has drawn.
    """
    found = judge(results)
    moved = parts(results, found)
    album = Album(results, folder, sections)
    lessons = [_lesson(one, moved.get(one.claim["name"]), album.choose(one)) for one in found]
    data = {
        "parts": {one.line.anchor: one.part["data"] for one in lessons if one.part},
        "outcomes": list(OUTCOMES), "colours": [OUTCOME_COLOURS[name] for name in OUTCOMES], "optimizers": [],
        "rates": "",
    }  # fmt: skip
    return (
        templates()
        .get_template("lesson.html.j2")
        .render(
            name=results.suite["suite"]["name"],
            description=" ".join((results.suite["suite"].get("description") or "").split()),
            started=str(results.environment.get("started") or ""),
            lessons=lessons,
            colours=OUTCOME_COLOURS,
            data=data,
        )
    )


def _lesson(judged: Judged, part: dict[str, Any] | None, stills: list[Still]) -> Lesson:
    claim, (good, bad, unknown) = judged.claim, judged.counts
    told = [f"{good} for it", f"{bad} against it", *([f"{unknown} undecided"] if unknown else [])]
    return Lesson(
        line=claim_line(judged), paragraphs=paragraphs(claim.get("lesson", "")), play=paragraphs(claim.get("play", "")),
        python=claim.get("python", "").strip(), command=claim.get("command", "").strip(),
        conditions=judged.conditions, counts=f"{count(good + bad + unknown, 'case')}: {', '.join(told)}",
        tests=[_test(test) for test in judged.tests], stills=stills, part=part,
    )  # fmt: skip


def paragraphs(text: str) -> list[str]:
    """Text set apart by empty lines, each paragraph on one line."""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _test(test: Weighed) -> Test:
    rows = []
    for one in test.evidence:
        known = one.low == one.low and one.high == one.high and (one.low, one.high) != (one.value, one.value)
        interval = f"{number(one.low)} to {number(one.high)}" if known else ""
        holds = {True: "holds", False: "fails", None: "not decided"}[one.holds]
        rows.append((one.case, number(one.value, 4), interval, holds))
    few = [f"{case}: {value}{f' ({interval})' if interval else ''}" for case, value, interval, _ in rows]
    return Test(test.text, test.rule.decides, few if len(few) <= FEW else [], rows)


class Album:
    """The pictures of a run, from which each claim gets those that show most of what its tests look at."""

    def __init__(self, results: Results, folder: Path, sections: Sequence[Section]) -> None:
        self.folder, self.left = folder, ROOM
        self.sections = {section.name: section for section in sections}
        self.cells = ran(results)
        self.uris: dict[str, str] = {}

    def choose(self, judged: Judged) -> list[Still]:
        """At most two pictures of the claim's figure: the best for its first test, and one for what that leaves out."""
        section, chosen, seen = self.sections.get(judged.claim["figure"]), [], set()
        if section is None:
            return []
        for test in judged.claim["tests"]:
            wanted = {cell["id"] for cell in self.cells if looks_at(test, cell)} - seen
            best = max(section.drawn, key=lambda drawn: self._worth(drawn, wanted), default=None)
            if best is not None and self._worth(best, wanted) > (0, 0) and len(chosen) < MOST_PICTURES:
                chosen.append(best)
                seen |= self._shown(best)
        return [self._still(section, drawn) for drawn in chosen]

    def _worth(self, drawn: Drawn, wanted: set[str]) -> tuple[int, int]:
        """How many of these cells a picture shows, and how many whose minimum is known: they have more to show."""
        shown = self._shown(drawn) & wanted
        return len(shown), sum(cell["problem"]["minimum"] is not None for cell in self.cells if cell["id"] in shown)

    def _shown(self, drawn: Drawn) -> set[str]:
        """The cells that a picture shows."""
        # A figure may call what it shows by another name than a cell does (a family of problems): that tells nothing.
        labels = {cell["problem"]["label"] for cell in self.cells}
        about = drawn.about | {"problems": [name for name in drawn.about["problems"] if name in labels]}
        return {
            cell["id"] for cell in self.cells
            if all(not about[names] or value in about[names] for names, value in (
                ("experiments", cell["experiment"]), ("problems", cell["problem"]["label"]),
                ("optimizers", cell["optimizer"]["label"]),
            ))
        }  # fmt: skip

    def _still(self, section: Section, drawn: Drawn) -> Still:
        uri = drawn.uri or self.uris.get(drawn.stem)
        if uri is None:
            # The report had no room left for it; the lesson has its own.
            uri = self.uris[drawn.stem] = embed({kind: self.folder / drawn.files[kind] for kind in ("png", "svg")})
        fits = len(uri) <= self.left
        self.left -= len(uri) if fits else 0
        return Still(
            section.question, section.caption, drawn.alt, uri if fits else None, drawn.width, drawn.files["png"]
        )
