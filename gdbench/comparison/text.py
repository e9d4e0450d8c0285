"""A comparison in words: for the terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from gdbench.comparison.pairs import MEASURES, Effect
from gdbench.comparison.rows import Comparison, Row, effect_of
from gdbench.comparison.rules import Failure, Verdict
from gdbench.report.answers import Answer
from gdbench.report.lines import cost_text, range_text
from gdbench.report.markdown import escape, table
from gdbench.report.words import MISSING, count, number, percent, setting
from gdbench.stats.bootstrap import Estimate

MEANING = (
    "Settings are chosen on even-numbered starts and seeds and judged on odd ones, by each run for itself; where they "
    "differ, a row at A’s setting follows. Differences and ratios are paired: the same starts, instances and seeds, "
    "the other run against A; a cost ratio above 1 says that A is cheaper. Intervals are at 95%, each for itself, over "
    "starts (over problems in the last rows of an experiment)."
)


@dataclass(frozen=True)
class Line:
    """A row as text, in the order of HEADS, and the row itself."""

    row: Row
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The lines of one experiment, dtype and other run."""

    title: str
    other: str
    lines: tuple[Line, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """What the texts of a line are."""
        both = tuple(f"{what} {run}" for what in ("converged", "cost", "gap") for run in ("A", self.other))
        return ("problem", "optimizer", "regime", *both, "Δ converged", "cost ratio", "gap ratio", "verdict", "note")


def groups(comparison: Comparison) -> list[Group]:
    """All lines by experiment, dtype and run."""
    found: dict[tuple[str, str, str], list[Line]] = {}
    for row in comparison.rows:
        found.setdefault((row.place[0], row.place[2], row.other), []).append(Line(row, _texts(row)))
    return [
        Group(f"{experiment} · {dtype}: {other} against A", other, tuple(lines))
        for (experiment, dtype, other), lines in found.items()
    ]


def _texts(row: Row) -> tuple[str, ...]:
    _, problem, _, optimizer, regime = row.place
    shares, costs, gaps = zip(*(_answer(answer) for answer in row.answers or (None, None)), strict=True)
    changes = (effect_text(effect_of(row, name)) for name in MEASURES)
    return (problem, optimizer, regime, *shares, *costs, *gaps, *changes, row.verdict, row.note)


def _answer(answer: Answer | None) -> tuple[str, str, str]:
    """Share, cost and gap of one run with their intervals."""
    judged = answer.judged if answer else None
    if judged is None:
        return MISSING, MISSING, MISSING
    share = f"{percent(judged.share)} ({range_text(*judged.interval, percent)})"
    known = not math.isinf(judged.cost.low)
    cost = cost_text(judged.cost.value)
    return (
        share,
        f"{cost} ({range_text(judged.cost.low, judged.cost.high, cost_text)})" if known else cost,
        number(judged.gap),
    )


def effect_text(effect: Effect | None) -> str:
    """A paired difference or ratio with its interval; a dash where no pair says anything."""
    return estimate_text(effect.estimate, effect.measure.ratio) if effect else MISSING


def estimate_text(estimate: Estimate, ratio: bool) -> str:
    """×1.2 (1.1 – 1.3), or −5% (−9% – −1%)."""
    shown = ratio_text if ratio else points
    return f"{'×' if ratio else ''}{shown(estimate.value)} ({range_text(estimate.low, estimate.high, shown)})"


def ratio_text(value: float) -> str:
    """A ratio: 1.2; 0 and ∞ where only one of the runs converged."""
    return number(value)


def points(value: float) -> str:
    """A difference of shares in percent, with its sign."""
    if math.isinf(value):
        return number(value)
    return "0%" if value == 0 else ("+" if value > 0 else "−") + percent(abs(value))


def failure_text(failure: Failure) -> str:
    """What breaks a rule, in a line."""
    experiment, problem, dtype, optimizer, regime = failure.row.place
    where = f"{optimizer} on {problem} ({experiment}, {dtype}, {regime}), {failure.row.other} against A"
    name = failure.rule.measure
    return f"{failure.rule}: {where}: {name} {estimate_text(failure.estimate, MEASURES[name].ratio)}"


def verdict_text(verdict: Verdict) -> str:
    """What rules found, in a sentence."""
    text = f"{len(verdict.failures):,} of {count(verdict.tests + verdict.identical, 'interval')} beyond a bound"
    text += f" ({verdict.identical:,} of descents that are identical)" if verdict.identical else ""
    if verdict.tests:
        text += f"; at {100 * verdict.confidence:.6g}% each, all of them hold together at 95%"
    if verdict.untold:
        text += f"; {verdict.untold:,} {'has' if verdict.untold == 1 else 'have'} too few starts to tell at that level"
    return text + "."


def run_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """Letter and description of each run."""
    found = []
    for letter, run in zip(comparison.letters, comparison.runs, strict=True):
        told, suite = run.environment, run.suite["suite"]
        parts = [str(run.path or "a sweep"), f"suite {suite['name']} version {suite.get('version', 1)}"]
        parts += [str(told[name]) for name in ("device_kind", "started") if told.get(name)]
        parts += (
            [f"commit {told['commit'][:12]}" + (" with changes" if told.get("dirty") else "")]
            if told.get("commit")
            else []
        )
        found.append((letter, "; ".join(parts)))
    return found


def markdown(comparison: Comparison, verdict: Verdict | None = None) -> str:
    """The whole comparison as Markdown."""
    parts = ["# Comparison of runs", ""]
    parts += [f"- **{letter}**: {escape(text)}" for letter, text in run_lines(comparison)]
    parts += ["", "## What differs", ""]
    parts += [f"{escape(note)}\n" for note in comparison.notes]
    rows = [[f"{d.part}: {d.name}", *d.values] for d in comparison.differences]
    parts += table(["", *comparison.letters], rows) if rows else ["Nothing but the descents themselves."]
    if verdict is not None:
        parts += ["", "## Rules", "", verdict_text(verdict), ""]
        parts += [f"- {escape(failure_text(failure))}" for failure in verdict.failures]
    parts += ["", "## Results", "", MEANING]
    for group in groups(comparison):
        parts += ["", f"### {escape(group.title)}", "", *table(group.heads, [line.texts for line in group.lines])]
    return "\n".join([*parts, ""])


def frame(comparison: Comparison) -> DataFrame:
    """The rows as numbers: place, both answers, every paired effect with its interval, verdict and note."""
    return DataFrame([record(row) for row in comparison.rows])


def record(row: Row) -> dict[str, Any]:
    """A row as numbers."""
    names = ("experiment", "problem", "dtype", "optimizer", "regime")
    told: dict[str, Any] = {**dict(zip(names, row.place, strict=True)), "against": "A", "run": row.other}
    told |= {"verdict": row.verdict, "note": row.note}
    for letter, answer in zip(("A", row.other), row.answers or (None, None), strict=True):
        judged = answer.judged if answer else None
        side = "first" if letter == "A" else "second"
        told[f"{side}_setting"] = setting(answer.setting) if answer else ""
        told |= _estimates(f"{side}_converged", judged and Estimate(judged.share, *judged.interval))
        told |= _estimates(f"{side}_cost", judged and judged.cost)
        told[f"{side}_gap"] = judged.gap if judged else math.nan
    for name, measure in MEASURES.items():
        effect = effect_of(row, name)
        told |= _estimates(f"{name}_{'ratio' if measure.ratio else 'difference'}", effect and effect.estimate)
        told |= {f"{name}_pairs": effect.pairs if effect else 0, f"{name}_units": effect.units if effect else 0}
    return told


def _estimates(name: str, estimate: Estimate | None) -> dict[str, float]:
    value, low, high = estimate or (math.nan,) * 3
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def plain(value: Any) -> Any:
    """A number that JSON knows: null for what is none, "inf" for an infinite one."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def document(comparison: Comparison, verdict: Verdict | None) -> dict[str, Any]:
    """The comparison as one JSON document."""
    told: dict[str, Any] = {
        "runs": {letter: str(run.path) for letter, run in zip(comparison.letters, comparison.runs, strict=True)},
        "differences": [
            {"part": d.part, "name": d.name, "values": dict(zip(comparison.letters, d.values, strict=True))}
            for d in comparison.differences
        ],
        "notes": list(comparison.notes),
        "rows": [{name: plain(value) for name, value in record(row).items()} for row in comparison.rows],
    }
    if verdict is not None:
        told |= {
            "tests": verdict.tests,
            "identical": verdict.identical,
            "untold": verdict.untold,
            "confidence": verdict.confidence,
        }
        told["failures"] = [_failed(failure) for failure in verdict.failures]
    return told


def _failed(failure: Failure) -> dict[str, Any]:
    values: Sequence[Any] = failure.estimate
    numbers = dict(zip(("value", "low", "high"), map(plain, map(float, values)), strict=True))
    names = dict(zip(("experiment", "problem", "dtype", "optimizer", "regime"), failure.row.place, strict=True))
    return {"rule": str(failure.rule), **names, "run": failure.row.other, **numbers}
