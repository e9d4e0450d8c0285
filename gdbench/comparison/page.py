"""A comparison as one HTML page that opens from disk: no script, nothing loaded, intervals drawn as bars."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gdbench.comparison.pairs import MEASURES, Effect
from gdbench.comparison.rows import Comparison, effect_of
from gdbench.comparison.rules import Verdict
from gdbench.comparison.text import MEANING, Line, effect_text, failure_text, groups, run_lines, verdict_text
from gdbench.report.page import TEMPLATES

WIDTH = 120
"""Width of a picture in its own units."""

DECADE = math.log10(4)
"""Half of the axis of a ratio, in decades: 1/4 to 4."""


@dataclass(frozen=True)
class Bar:
    """An interval on an axis: places from 0 to WIDTH, and whether its ends lie beyond them."""

    low: float
    value: float
    high: float
    beyond_low: bool
    beyond_high: bool


def bar(effect: Effect | None) -> Bar | None:
    """An effect on its axis: a ratio from 1/4 to 4, logarithmic, a difference of shares from -1 to 1."""
    if effect is None:
        return None

    def place(value: float) -> float:
        if effect.measure.ratio:
            value = -math.inf if value == 0 else math.log10(value) / DECADE
        return (1 + value) / 2 * WIDTH

    low, value, high = (place(float(x)) for x in (effect.estimate.low, effect.estimate.value, effect.estimate.high))
    kept = [round(min(max(x, 0.0), WIDTH), 1) for x in (low, value, high)]
    return Bar(kept[0], kept[1], kept[2], low < 0, high > WIDTH)


def _cells(line: Line) -> dict[str, object]:
    """What the template shows of a line."""
    effects = {name: effect_of(line.row, name) for name in MEASURES}
    return {
        "texts": line.texts,
        "verdict": line.row.verdict,
        "note": line.row.note,
        "effects": [(effect_text(effects[name]), bar(effects[name])) for name in ("converged", "cost")],
        "gap": effect_text(effects["gap"]),
        "over": line.row.answers is None,
    }


def html(comparison: Comparison, verdict: Verdict | None = None) -> str:
    """The page. Every text is escaped by the template."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("comparison.html.j2").render(
        runs=run_lines(comparison),
        letters=comparison.letters,
        notes=comparison.notes,
        differences=comparison.differences,
        groups=[(group, [_cells(line) for line in group.lines]) for group in groups(comparison)],
        meaning=MEANING,
        verdict=verdict_text(verdict) if verdict else "",
        failures=[failure_text(failure) for failure in verdict.failures] if verdict else [],
        width=WIDTH,
    )
