"""The report as Markdown: answers, caveats and shares of outcomes, for a README or an issue."""

from __future__ import annotations

from collections.abc import Sequence

from gdbench.contracts import OUTCOMES
from gdbench.report.caveats import Caveat
from gdbench.report.claims import HEADS as CLAIM_HEADS
from gdbench.report.claims import claim_lines
from gdbench.report.lines import AnswerBlock, AnswerLine, answer_groups, command, environment_lines, facts
from gdbench.report.study import Results, Study
from gdbench.report.verdict_words import HEADS, TWIN_HEADS, verdict_block
from gdbench.report.words import percent


def markdown(results: Results, study: Study, caveats: list[Caveat]) -> str:
    """The whole of ``report.md``."""
    parts = [f"# {escape(results.suite['suite']['name'])}", ""]
    description = results.suite["suite"].get("description")
    parts += [escape(description), ""] if description else []
    parts += ["; ".join(f"{what}: {value}" for value, what in facts(results, study)) + ".", ""]
    parts += verdict_parts(study)
    parts += ["## Answers", "", *answers(results, study), *claim_parts(results), "## Caveats", ""]
    parts += [f"- **{escape(c.title)}.** {escape(c.text)}" for c in caveats] or ["None."]
    parts += ["", "## How every descent ended", "", *outcomes(study)]
    parts += ["", "## Environment", ""]
    parts += [f"- {name}: {escape(value)}" for name, value in environment_lines(results.environment)]
    made = command(results)
    return "\n".join([*parts, "", *([f"Made by `{made}`.", ""] if made else [])])


def escape(text: str) -> str:
    """Text in which nothing is Markdown, HTML or the end of a table's cell."""
    for mark in "\\`*_{}[]<>|#":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], side: str = "---:") -> list[str]:
    """A pipe table; the first column is left-aligned, the others right, or as ``side`` says."""
    lines = [list(heads), ["---", *[side] * (len(heads) - 1)], *([escape(entry) for entry in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def verdict_parts(study: Study) -> list[str]:
    """What is said beyond single problems; nothing where there is nothing to compare."""
    parts = ["## Over all problems", ""] if study.verdicts else []
    for told in map(verdict_block, study.verdicts):
        parts += [f"### {escape(f'{told.title}, {told.label}')}", "", escape(told.sentence), "", f"By {told.measured}."]
        parts += ["", *table(HEADS, told.rows), ""]
        parts += ["Rotation sensitivity:", "", *table(TWIN_HEADS, told.twins), ""] if told.twins else []
        parts += [f"- {escape(remark)}" for remark in told.remarks] + ([""] if told.remarks else [])
    return parts


def claim_parts(results: Results) -> list[str]:
    """What the suite claims, and what the run says of it; nothing where it claims nothing."""
    found = claim_lines(results)
    rows = [[line.name, line.says, line.measured, line.words, line.figure] for line in found]
    return ["## Claims", "", *table(CLAIM_HEADS, rows, "---"), ""] if found else []


def answers(results: Results, study: Study) -> list[str]:
    """Every answer table with its sentence."""
    parts = []
    for group in answer_groups(results, study):
        for block in group.blocks:
            parts += [f"### {escape(f'{group.experiment}: {block.title}, {group.dtype}')}", "", escape(block.sentence)]
            parts += ["", *answer_table(block), ""]
    return parts or ["Nothing ran, so there is no answer.", ""]


def answer_table(block: AnswerBlock) -> list[str]:
    """One answer table."""
    heads = ("Optimizer", "Regime", "Setting", "Converged (held out)", "Median cost", block.gap_name)
    rows = [_row(line) for line in block.lines]
    return table((*heads, "Usable width (decades)", "Diverged (whole grid)"), rows)


def _row(line: AnswerLine) -> list[str]:
    name = line.optimizer + (f" (same rule as {line.alias})" if line.alias else "")
    setting = line.setting + (f" (untuned: {line.untuned})" if line.untuned else "")
    setting += " (chosen in-sample)" if line.in_sample else ""
    known = line.share is not None
    share = f"{line.converged} ({line.counts}; {line.interval})" if known else line.note
    cost = line.cost + (f" ({line.cost_interval})" if known and line.cost_interval else "")
    return [name, line.regime, setting, share, cost, line.gap, line.width, line.diverged]


def outcomes(study: Study) -> list[str]:
    """Share of each outcome over the whole grid, a row a cell."""
    rows = [
        [s.name, s.cell["experiment"], f"{s.descents:,}", *(percent(s.share.get(name)) for name in OUTCOMES)]
        for s in study.cells
    ]
    return table(["Cell", "Experiment", "Descents", *OUTCOMES], rows) if rows else ["No cells."]
