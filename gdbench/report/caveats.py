"""What a reader must know before believing a report, computed from its data: one function a caveat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gdbench.figures.choose import axes_of
from gdbench.figures.regimes import BEST
from gdbench.measures.base import LOST
from gdbench.report.study import CellSummary, Results, Study
from gdbench.report.words import count, listing, number, percent

FEW = 10
"""Fewer held-out starts than this are called few."""


@dataclass(frozen=True)
class Caveat:
    """A sentence of warning.

    Attributes:
        level: "problem" (something went wrong), "care" (a number may mislead) or "note".
        title: a few words.
        text: whole sentences, with numbers.
    """

    level: str
    title: str
    text: str


def caveats(results: Results, study: Study, undrawn: int = 0) -> list[Caveat]:
    """Every caveat that applies, the gravest first; ``undrawn`` is the number of pictures that failed."""
    found = [caveat for rule in RULES for caveat in rule(results, study)]
    if undrawn:
        text = f"{count(undrawn, 'picture')} could not be drawn; the errors stand where the pictures would be."
        found.append(Caveat("problem", "Figures missing", text))
    return sorted(found, key=lambda caveat: ("problem", "care", "note").index(caveat.level))


def _names(cells: list[CellSummary]) -> str:
    return listing([summary.name for summary in cells], most=6)


def failed_cells(results: Results, study: Study) -> Iterator[Caveat]:
    """Cells that could not be run."""
    lost = [f for f in results.failures if not f.get("refused")]
    if lost:
        lines = [f"{f['optimizer']} on {f['problem']} ({f['error']})" for f in lost]
        text = f"{len(lines):,} of {count(len(study.cells), 'cell')} failed and count as unsolved: {listing(lines, 6)}."
        yield Caveat("problem", "Cells failed", text)


def left_out(results: Results, study: Study) -> Iterator[Caveat]:
    """Pairs of optimizer and problem that are not made for each other."""
    pairs = [f for f in results.failures if f.get("refused")]
    if pairs:
        problems = {(f["experiment"], f["problem"]) for f in pairs}
        text = (
            f"{count(len(pairs), 'cell')} left out, because the optimizer is not made for the problem: "
            f"{listing(list(dict.fromkeys(f['error'] for f in pairs)), 6)}. Comparisons over problems that include "
            f"these optimizers must do without {count(len(problems), 'problem')}."
        )
        yield Caveat("note", "Not every optimizer serves every problem", text)


def nothing_ran(results: Results, study: Study) -> Iterator[Caveat]:
    """No descents at all, or none in some cells that did not fail."""
    if not study.descents:
        yield Caveat("problem", "No descents", "This run holds no descents, so there is nothing to answer.")
        return
    empty = [s for s in study.cells if not s.descents and not s.cell["failed"]]
    if empty:
        yield Caveat("problem", "Cells without descents", f"No descents are stored for {_names(empty)}.")


def all_lost(results: Results, study: Study) -> Iterator[Caveat]:
    """Cells of which every descent diverged or became nonfinite."""
    gone = [s for s in study.cells if s.descents and sum(s.outcomes[name] for name in LOST) == s.descents]
    if gone:
        text = f"Every descent diverged or became nonfinite for {_names(gone)}: try smaller learning rates."
        yield Caveat("problem", "Everything diverged", text)


def one_start(results: Results, study: Study) -> Iterator[Caveat]:
    """Cells with nothing to hold out."""
    alone = [s for s in study.cells if s.descents and s.starts < 2 and s.seeds < 2]
    if alone:
        text = (
            f"{_names(alone)}: with one start there is nothing to hold out, so settings are not evaluated and the "
            "answer column stays empty. Shares of outcomes and figures are in-sample."
        )
        yield Caveat("care", "One start", text)


def few_starts(results: Results, study: Study) -> Iterator[Caveat]:
    """Few held-out starts: wide intervals."""
    units = [row.judged.units for row in study.answers if row.judged]
    if units and min(units) < FEW:
        text = f"As few as {count(min(units), 'held-out start')} stand behind an answer: read its interval first."
        yield Caveat("care", "Few starts", text)


def untuned(results: Results, study: Study) -> Iterator[Caveat]:
    """Best settings on the edge of their grid."""
    rows = [row for row in study.answers if row.edges and row.regime == BEST]
    if rows:
        where = {summary.cell["id"]: summary.name for summary in study.cells}
        lines = [f"{where[row.cell]} ({', '.join(row.edges)} {number(row.setting[row.edges[0]])})" for row in rows]
        text = f"The best setting lies on the edge of its grid, so a better one may lie beyond: {listing(lines, 6)}."
        yield Caveat("care", "Untuned", text)


def unequal_tuning(results: Results, study: Study) -> Iterator[Caveat]:
    """Optimizers compared after different numbers of settings."""
    lines = []
    for table in study.tables:
        settings = {row.optimizer: row.settings for row in table.rows if row.judged and row.regime == BEST}
        if len(set(settings.values())) > 1:
            lines.append(f"{table.title} ({listing([f'{name} {n:,}' for name, n in settings.items()], 8)})")
    if lines:
        text = f"Optimizers were chosen from different numbers of settings on {listing(lines, 4)}."
        yield Caveat("care", "Unequal tuning", text)


def selected(results: Results, study: Study) -> Iterator[Caveat]:
    """Axes of a problem of which not every value has a table; instances that share one setting."""
    axes = {name: axis for s in study.cells for name, axis in axes_of(s.cell, "parameter").items()}
    for name, axis in axes.items():
        if len(axis["values"]) > 3:
            text = f"Answers are given at the first, middle and last of {len(axis['values']):,} values of {name}."
            yield Caveat("note", "Selected values", text)
    if any(axes_of(s.cell, "instance") for s in study.cells):
        yield Caveat("note", "Instances", "One setting is chosen for all instances of a problem together.")


def censored(results: Results, study: Study) -> Iterator[Caveat]:
    """Held-out descents that did not converge within the budget."""
    judged = [row.judged for row in study.answers if row.judged]
    lost, total = sum(j.censored for j in judged), sum(j.descents for j in judged)
    if lost:
        text = (
            f"{lost:,} of {total:,} held-out descents did not converge within the budget. They count with infinite "
            "cost and are never left out; a median over more than half of them reads “> budget”."
        )
        yield Caveat("note", "Censored", text)


def unfinished(results: Results, study: Study) -> Iterator[Caveat]:
    """Descents that were still falling when the budget ended."""
    n = sum(summary.outcomes["unfinished"] for summary in study.cells)
    if n:
        text = f"{n:,} descents ({percent(n / study.descents)}) had neither arrived nor left when the budget ended."
        yield Caveat("note", "Unfinished", text)


def nonfinite(results: Results, study: Study) -> Iterator[Caveat]:
    """Descents that became NaN or infinite."""
    n = sum(summary.outcomes["nonfinite"] for summary in study.cells)
    if n:
        text = f"{n:,} descents ({percent(n / study.descents)}) became NaN or infinite. They count as diverged."
        yield Caveat("note", "Nonfinite", text)


_ROUNDED = "lost their updates to rounding before they arrived: the dtype ended them, not the method"
_UNVERIFIED = "came to rest where no minimum is known: they count as converged, but at what is not verified"
_FLAG_TEXTS = {
    "rounding": ("care", "Rounding floor", _ROUNDED),
    "unverified": ("care", "Unverified", _UNVERIFIED),
    "noise": ("note", "Noise floor", "stopped falling at a floor that the noise of the mini-batches sets"),
    "below": ("problem", "Below the minimum", "fell below the minimum that the problem states, which cannot be right"),
}


def flags(results: Results, study: Study) -> Iterator[Caveat]:
    """Outcomes that carry a qualification."""
    for flag, (level, title, what) in _FLAG_TEXTS.items():
        by_dtype = Counter[str]()
        for summary in study.cells:
            by_dtype[summary.cell["dtype"]] += summary.flags.get(flag, 0)
        if sum(by_dtype.values()):
            parts = [f"{n:,} in {dtype}" for dtype, n in sorted(by_dtype.items()) if n]
            yield Caveat(level, title, f"{count(sum(by_dtype.values()), 'descent')} {what} ({listing(parts)}).")


def goals(results: Results, study: Study) -> Iterator[Caveat]:
    """Problems where converging means something else than reaching a known minimum."""
    texts = {
        "target": "no minimum is known; “converged” means that a target value was reached and held",
        "rest": "neither minimum nor target is known; a descent at rest counts as converged, unverified",
        "unbounded": "unbounded below: no descent can converge",
    }
    for goal, what in texts.items():
        names = sorted({s.cell["problem"]["label"] for s in study.cells if s.cell["problem"]["goal"] == goal})
        if names:
            title = "Unbounded" if goal == "unbounded" else "No known minimum"
            yield Caveat("care", title, f"{listing(names)}: {what}.")


def optimizer_notes(results: Results, study: Study) -> Iterator[Caveat]:
    """Known faults and limits that the catalogue records of an optimizer."""
    notes = {(s.cell["optimizer"]["label"], s.cell["optimizer"]["notes"]) for s in study.cells}
    for name, text in sorted(notes):
        if text:
            yield Caveat("note", f"About {name}", text)


def oracles(results: Results, study: Study) -> Iterator[Caveat]:
    """Optimizers that are told the minimum."""
    names = sorted({row.optimizer for row in study.answers if row.oracle})
    if names:
        text = f"{listing(names)}: told the value of the minimum; shown last and not compared with the others."
        yield Caveat("care", "Oracles", text)


def varying_cost(results: Results, study: Study) -> Iterator[Caveat]:
    """Costs that are estimated, and evaluations of a mini-batch."""
    names = sorted({s.cell["optimizer"]["label"] for s in study.cells if s.cell["optimizer"]["cost"] is None})
    if names:
        text = f"{listing(names)}: steps differ in cost; cost to converge uses a descent's average step."
        yield Caveat("note", "Estimated cost", text)
    for label, share in sorted({(p["label"], p["batch_share"]) for p in (s.cell["problem"] for s in study.cells)}):
        if share < 1:
            text = f"On {label} a mini-batch holds {percent(share)} of the data and counts as so much of an evaluation."
            yield Caveat("note", "Mini-batches", text)


def dtypes(results: Results, study: Study) -> Iterator[Caveat]:
    """Outcomes that change between float32 and float64."""
    changed, total = sum(t.changed for t in study.twins), sum(t.descents for t in study.twins)
    if total:
        text = f"{changed:,} of {total:,} descents ({percent(changed / total)}) end differently in float32 and float64."
        worst = max(study.twins, key=lambda t: t.changed / t.descents)
        if changed:
            text += f" Most: {worst.name}, {percent(worst.changed / worst.descents)}."
        yield Caveat("care" if changed else "note", "float32 against float64", text)


def nothing_to_compare(results: Results, study: Study) -> Iterator[Caveat]:
    """A single optimizer."""
    names = {summary.cell["optimizer"]["label"] for summary in study.cells}
    if len(names) == 1:
        text = f"{names.pop()} is the only optimizer of this run: its numbers stand beside nothing."
        yield Caveat("note", "Nothing to compare", text)


def exploratory(results: Results, study: Study) -> Iterator[Caveat]:
    """No primary question named before the run, and intervals that do not reach beyond these problems."""
    if len({row.optimizer for row in study.answers}) < 2:
        return
    if not results.suite["suite"].get("primary"):
        text = "The suite names no primary question, so every comparison here is exploratory."
        yield Caveat("note", "Exploratory", text)
    elif not any(verdict.primary for verdict in study.verdicts):
        text = "The suite's primary question has no answer: it needs two optimizers with held-out starts."
        yield Caveat("problem", "Primary question", text)
    text = (
        "Intervals in the answer tables are over starts and seeds on these problems and say nothing of other problems. "
        "That one optimizer is better than another takes an interval over families of problems, as under “Over all "
        "problems”."
    )
    yield Caveat("note", "What the intervals cover", text)


def uncommitted(results: Results, study: Study) -> Iterator[Caveat]:
    """A run whose code no commit names."""
    if results.environment.get("dirty"):
        text = "The code that ran differed from the commit named below."
        yield Caveat("care", "Uncommitted changes", text)


RULES = (
    failed_cells, left_out, nothing_ran, all_lost, one_start, few_starts, untuned, unequal_tuning, flags, goals,
    oracles, dtypes, uncommitted, censored, unfinished, nonfinite, selected, varying_cost, optimizer_notes,
    nothing_to_compare, exploratory,
)  # fmt: skip
