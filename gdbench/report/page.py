"""The report as one HTML page that opens from disk: no script, no network, everything inlined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gdbench.contracts import OUTCOMES
from gdbench.figures.style import OUTCOME_COLOURS
from gdbench.report import lines
from gdbench.report.caveats import Caveat
from gdbench.report.pictures import Section
from gdbench.report.study import CellSummary, Results, Study
from gdbench.report.words import percent

TEMPLATES = Path(__file__).parent / "templates"

READ = ("converged", "trapped", "oscillating", "unfinished", "diverged", "nonfinite")
"""Outcomes from good to bad, the order of bars and columns."""

DESCRIPTION = "Where each optimizer converges, how fast, and where it stops doing so."
"""What a report is about when its suite does not say."""

MEANINGS = {
    "converged": "the gap stayed within tolerance all through the last window",
    "trapped": "at rest, but above tolerance",
    "oscillating": "overshooting, no longer getting lower",
    "unfinished": "still under way when the budget ended",
    "diverged": "finite, but a million times too far",
    "nonfinite": "became NaN or infinite",
}


def outcome_line(summary: CellSummary) -> dict[str, Any]:
    """Shares of the six outcomes as segments of a bar (in percent) and as text."""
    left, segments = 0.0, []
    for name in READ:
        share = summary.share.get(name, 0.0)
        if share:
            segments.append({"name": name, "x": round(100 * left, 3), "width": round(100 * share, 3)})
        left += share
    texts = [percent(summary.share.get(name)) for name in READ]
    spoken = ", ".join(f"{text} {name}" for name, text in zip(READ, texts, strict=True) if text != "0%")
    return {"summary": summary, "segments": segments, "texts": texts, "spoken": spoken or "no descents"}


def html(results: Results, study: Study, caveats: list[Caveat], sections: list[Section]) -> str:
    """The page. Every text is escaped by the template, so a name cannot become markup."""
    assert set(READ) == set(OUTCOMES)
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    groups = lines.answer_groups(results, study)
    return environment.get_template("report.html.j2").render(
        name=results.suite["suite"]["name"],
        description=" ".join((results.suite["suite"].get("description") or DESCRIPTION).split()),
        facts=lines.facts(results, study),
        groups=groups,
        glance=lines.glance(groups),
        caveats=caveats,
        environment=lines.environment_lines(results.environment),
        started=str(results.environment.get("started") or ""),
        outcomes=READ,
        meanings=MEANINGS,
        colours=OUTCOME_COLOURS,
        outcome_lines=[outcome_line(summary) for summary in study.cells],
        sections=sections,
        cells=[lines.cell_line(summary) for summary in study.cells],
        command=lines.command(results),
    )
