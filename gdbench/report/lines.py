"""The report's sentences and table lines, as plain text: page and Markdown say the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdbench.figures.regimes import BEST
from gdbench.measures.usable_width import UsableRates
from gdbench.report.answers import NOT_HELD_OUT, Answer, AnswerTable
from gdbench.report.study import CellSummary, Results, Study
from gdbench.report.words import MISSING, count, listing, number, percent, seconds, setting

BUDGET = "> budget"


@dataclass(frozen=True)
class AnswerLine:
    """One row of an answer table as text.

    ``share`` in [0, 1] is kept for the bar, None without a figure; ``leads`` says that the row comes first, or is not
    told apart from the first by its intervals.
    """

    optimizer: str
    regime: str
    setting: str
    in_sample: bool
    untuned: str
    oracle: bool
    alias: str
    note: str
    share: float | None
    converged: str
    counts: str
    interval: str
    cost: str
    cost_interval: str
    gap: str
    width: str
    diverged: str
    other_costs: tuple[str, ...]
    tuning: str
    leads: bool = False


@dataclass(frozen=True)
class AnswerBlock:
    """One answer table: title, a sentence, its lines."""

    title: str
    sentence: str
    gap_name: str
    lines: tuple[AnswerLine, ...]


@dataclass(frozen=True)
class AnswerGroup:
    """The answer tables of one experiment and dtype."""

    experiment: str
    dtype: str
    blocks: tuple[AnswerBlock, ...]


@dataclass(frozen=True)
class Glance:
    """All answers side by side: a row a table, a column an optimizer.

    ``rows`` holds title, experiment and dtype, and for each optimizer its "best per problem" line, None where it did
    not run.
    """

    optimizers: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[AnswerLine | None, ...]], ...]


def cost_text(value: float) -> str:
    """A median cost; infinite means that more than half did not converge within the budget."""
    return BUDGET if math.isinf(value) else number(value)


def range_text(low: float, high: float, text: Any = number) -> str:
    """An interval: 1.2–3.4."""
    return f"{text(low)} – {text(high)}"


def width_text(usable: UsableRates | None) -> str:
    """Usable width in decades; ≥ where the grid ends before the range does."""
    if usable is None:
        return MISSING
    if usable.low is None:
        return "none"
    return ("≥ " if usable.open else "") + f"{usable.width:.2f}"


def answer_line(answer: Answer) -> AnswerLine:
    """A row as text."""
    judged = answer.judged
    tuned = f"{count(answer.settings, 'setting')}, {number(answer.tuning_cost)} evaluations"
    common: dict[str, Any] = {
        "optimizer": answer.optimizer,
        "regime": answer.regime,
        "setting": "every setting diverged" if answer.lost else setting(answer.setting),
        "in_sample": answer.note == NOT_HELD_OUT and answer.regime == BEST and not answer.lost,
        "untuned": ", ".join(answer.edges),
        "oracle": answer.oracle,
        "alias": answer.alias,
        "note": answer.note,
        "diverged": percent(answer.diverged),
        "tuning": tuned if answer.regime == BEST else "none",
    }
    if judged is None:
        empty = dict.fromkeys(("converged", "counts", "interval", "cost", "cost_interval", "gap", "width"), MISSING)
        return AnswerLine(**common, **empty, share=None, other_costs=())
    cost = judged.cost
    known = not math.isinf(cost.low)
    return AnswerLine(
        **common,
        share=judged.share,
        converged=percent(judged.share),
        counts=f"{judged.converged:,} of {judged.descents:,}",
        interval=range_text(judged.interval.low, judged.interval.high, percent),
        cost=cost_text(cost.value),
        cost_interval=range_text(cost.low, cost.high, cost_text) if known else "",
        gap=number(judged.gap),
        width=width_text(judged.usable),
        other_costs=tuple(cost_text(value) for value in judged.other_costs.values()),
    )


def sentence(table: AnswerTable) -> str:
    """What a table says, in a sentence or two that claim no more than its intervals do."""
    rows = [row for row in table.rows if row.judged and row.regime == BEST and row.ranked]
    if not rows:
        return _why_no_answer(table)
    leading = leaders(table)
    if not leading or leading[0].judged is None:
        return "No optimizer converged from a held-out start at the setting chosen for it."
    first, judged = leading[0], leading[0].judged
    text = f"{judged.converged:,} of {count(judged.descents, 'held-out descent')} converged"
    text += "" if math.isinf(judged.cost.value) else f", at a median cost of {number(judged.cost.value)} evaluations"
    if len(rows) == 1:
        return f"{first.optimizer}: {text}."
    close = [row.optimizer for row in leading[1:]]
    more = f" Its intervals overlap with those of {listing(close, 6)}." if close else ""
    return f"{first.optimizer} comes first: {text}.{more}"


def _why_no_answer(table: AnswerTable) -> str:
    notes = {row.note for row in table.rows}
    if NOT_HELD_OUT in notes:
        return "Not evaluated on held-out starts: with one start there is nothing to hold out."
    if "no descents" in notes:
        return "No descents are stored for this problem."
    return "Every cell failed." if any(notes) else "Only optimizers that are told the minimum ran here."


def leaders(table: AnswerTable) -> list[Answer]:
    """The first tuned row and those that its intervals overlap with; none where nothing converged."""
    rows = [row for row in table.rows if row.judged and row.regime == BEST and row.ranked]
    if not rows or rows[0].judged is None or not rows[0].judged.converged:
        return []
    return [rows[0], *(row for row in rows[1:] if overlap(row, rows[0]))]


def overlap(one: Answer, other: Answer) -> bool:
    """Whether neither share nor cost tells two rows apart by their intervals."""
    if one.judged is None or other.judged is None:
        return False
    pairs = [(one.judged.interval, other.judged.interval), (one.judged.cost, other.judged.cost)]
    return all(a.low <= b.high and b.low <= a.high for a, b in pairs)


def answer_groups(results: Results, study: Study) -> list[AnswerGroup]:
    """The answer tables by experiment and dtype."""
    places: dict[tuple[str, str], list[AnswerTable]] = {}
    for table in study.tables:
        places.setdefault((table.experiment, table.dtype), []).append(table)
    known = {cell["id"]: cell["problem"]["minimum"] is not None for cell in results.cells}
    return [_group(experiment, dtype, tables, known) for (experiment, dtype), tables in places.items()]


def _group(experiment: str, dtype: str, tables: list[AnswerTable], known: Mapping[str, bool]) -> AnswerGroup:
    blocks = []
    for table in tables:
        leading = {id(row) for row in leaders(table)}
        lines = tuple(dataclasses.replace(answer_line(row), leads=id(row) in leading) for row in table.rows)
        gap_name = "Final gap" if known[table.rows[0].cell] else "Final f"
        blocks.append(AnswerBlock(table.title, sentence(table), gap_name, lines))
    return AnswerGroup(experiment, dtype, tuple(blocks))


def glance(groups: list[AnswerGroup]) -> Glance:
    """All answer tables in one."""
    blocks = [(group, block) for group in groups for block in group.blocks]
    optimizers = unique(line.optimizer for _, block in blocks for line in block.lines)
    rows = []
    for group, block in blocks:
        best = {line.optimizer: line for line in block.lines if line.regime == BEST}
        rows.append((block.title, f"{group.experiment} · {group.dtype}", tuple(best.get(name) for name in optimizers)))
    return Glance(tuple(optimizers), tuple(rows))


def unique(values: Iterable[Any]) -> list[Any]:
    """Different values in their order."""
    return list(dict.fromkeys(values))


def facts(results: Results, study: Study) -> list[tuple[str, str]]:
    """(number, what it counts) of the first screen."""
    cells = [summary.cell for summary in study.cells]
    environment = results.environment
    device = environment.get("device_kind") or environment.get("platform") or "unknown"
    devices = environment.get("device_count") or 1
    steps = [cell["steps"] for cell in cells]
    budget = [f"{n:,}" for n in unique((min(steps, default=0), max(steps, default=0)))]
    return [
        (f"{study.descents:,}", "descents"),
        (f"{len(unique(cell['problem']['label'] for cell in cells)):,}", "problems"),
        (f"{len(unique(cell['optimizer']['label'] for cell in cells)):,}", "optimizers"),
        ("–".join(budget) if steps else MISSING, "steps each"),
        (" + ".join(unique(cell["dtype"] for cell in cells)) or MISSING, "precision"),
        (f"{devices} × {device}" if devices > 1 else str(device), "device"),
    ]


def command(results: Results) -> str:
    """The command that makes this report again; from the folder that holds ``results`` where there is one."""
    if results.path is None:
        return ""
    parts = Path(results.path).parts
    if "results" not in parts:
        return f"gdbench report {results.path}"
    where = len(parts) - 1 - parts[::-1].index("results")
    return "gdbench report " + "/".join(parts[where:])


def environment_lines(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run ran on, values as text, empty ones left out; the main entries first."""
    first = ("started", "device_kind", "device_count", "platform", "cpu", "python", "jax", "jaxlib", "optax", "numpy")
    order = [*(name for name in first if name in environment), *sorted(set(environment) - set(first))]
    lines = []
    for name in order:
        value = environment[name]
        if value is None or value == "" or value == [] or value == {}:
            continue
        text = ("yes" if value else "no") if isinstance(value, bool) else _plain(value)
        lines.append((name.replace("_", " "), text))
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def cell_line(summary: CellSummary) -> dict[str, str]:
    """A cell with its timings, compile, first run and steady run apart."""
    cell, timing = summary.cell, summary.seconds
    steady = timing.get("steady_seconds")
    speed = summary.descents * cell["steps"] / steady if steady else None
    return {
        "experiment": cell["experiment"], "problem": cell["problem"]["label"], "optimizer": cell["optimizer"]["label"],
        "dtype": cell["dtype"], "engine": f"{cell['engine']}, block {cell['block']}", "steps": f"{cell['steps']:,}",
        "descents": f"{summary.descents:,}", "compile": seconds(timing.get("compile_seconds")),
        "first": seconds(timing.get("first_seconds")), "steady": seconds(steady), "speed": number(speed),
        "failed": cell["failed"] or "",
    }  # fmt: skip
