"""The report as one HTML page that opens from disk: no network, everything inlined."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import colormaps

from gdbench.contracts import OUTCOMES
from gdbench.figures.lines import run_styles
from gdbench.figures.style import OUTCOME_COLOURS, RATE_MAP
from gdbench.report import charts, lines
from gdbench.report.caveats import Caveat
from gdbench.report.claims import LESSON, claim_lines
from gdbench.report.pictures import Section
from gdbench.report.study import CellSummary, Results, Study
from gdbench.report.verdict_words import HEADS, TWIN_HEADS, VerdictBlock, verdict_block
from gdbench.report.words import number, percent

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


def rate_colours() -> np.ndarray:
    """The 256 colours of the signed rate, from fast convergence to fast divergence: octets, shape [256, 3]."""
    return np.round(255 * colormaps[RATE_MAP](np.arange(256))[:, :3]).astype(np.uint8)


def panel_id(stem: str, index: int) -> str:
    """The name of a panel in the page and in its address."""
    return f"panel-{stem}-{index}"


def script_data(results: Results, sections: list[Section]) -> dict[str, Any]:
    """Everything that the page's scripts read, as plain JSON."""
    drawn = [picture for section in sections for picture in section.drawn]
    return {
        "optimizers": charts.styles(run_styles(results)),
        "problems": lines.unique(cell["problem"]["label"] for cell in results.cells),
        "outcomes": list(OUTCOMES),
        "colours": [OUTCOME_COLOURS[name] for name in OUTCOMES],
        "rates": base64.b64encode(rate_colours().tobytes()).decode("ascii"),
        "panels": {panel_id(p.stem, i): panel["data"] for p in drawn for i, panel in enumerate(p.panels)},
        "paths": {cell: paths for p in drawn for cell, paths in p.paths.items()},
        "grounds": {name: ground for p in drawn for name, ground in p.grounds.items()},
        "packed": {p.files[kind]: text for p in drawn for kind, text in p.packed.items()},
    }


def problem_of(title: str, labels: list[str]) -> str:
    """The label of the problem that an answer table's title begins with (values of its parameters follow)."""
    fitting = [label for label in labels if title == label or title.startswith(f"{label}, ")]
    return max(fitting, key=len, default=title)


def verdict_groups(study: Study) -> dict[str, list[VerdictBlock]]:
    """The verdicts of each experiment and dtype, in their order, by the title they share."""
    found: dict[str, list[VerdictBlock]] = {}
    for told in map(verdict_block, study.verdicts):
        found.setdefault(told.title, []).append(told)
    return found


def templates() -> Environment:
    """Where templates come from; what they print is escaped."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.filters["number"] = number
    return found


def html(results: Results, study: Study, caveats: list[Caveat], sections: list[Section]) -> str:
    """The page. Every text is escaped by the template, so a name cannot become markup."""
    assert set(READ) == set(OUTCOMES)
    environment = templates()
    groups = lines.answer_groups(results, study)
    problems = lines.unique(cell["problem"]["label"] for cell in results.cells)
    environment.filters["problem"] = lambda title: problem_of(title, problems)
    environment.globals["panel_id"] = panel_id
    ramp = [f"rgb({r} {g} {b})" for r, g, b in rate_colours()[::15]]
    return environment.get_template("report.html.j2").render(
        name=results.suite["suite"]["name"],
        description=" ".join((results.suite["suite"].get("description") or DESCRIPTION).split()),
        facts=lines.facts(results, study),
        groups=groups,
        glance=lines.glance(groups),
        verdicts=verdict_groups(study),
        claims=claim_lines(results),
        drawn={section.name for section in sections},
        lesson=LESSON,
        pair_heads=HEADS,
        twin_heads=TWIN_HEADS,
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
        problems=problems,
        experiments=lines.unique(cell["experiment"] for cell in results.cells),
        styles=charts.styles(run_styles(results)),
        ramp=", ".join(ramp),
        data=script_data(results, sections),
    )
