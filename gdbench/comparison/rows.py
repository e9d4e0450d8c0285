"""The rows of a comparison: every optimizer on every problem that two runs have in common, and over all problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.comparison import pairs
from gdbench.comparison.differences import Difference, differences, names, notes
from gdbench.comparison.pairs import CONFIDENCE, CONVERGED, COST, GAP, Effect
from gdbench.errors import NothingSelectedError, StoreError
from gdbench.figures.choose import split, where
from gdbench.report import study
from gdbench.report.answers import Answer, AnswerTable
from gdbench.report.study import Results
from gdbench.report.words import count

OVER = "over {} problems"
SAME_SETTING = "at A's setting"
"""In the place of a regime: pairs at the setting that the first run chose, where the other one chose another."""

IDENTICAL, TIED = "identical", "not told apart"

Place = tuple[str, str, str, str, str]
"""Experiment, problem with the values of its parameters, dtype, optimizer, tuning regime."""


@dataclass(frozen=True)
class Row:
    """One optimizer on one problem (or over all of them) in one regime, in the first run and in another.

    Attributes:
        place: experiment, problem, dtype, optimizer, regime.
        other: letter of the run that is compared with A.
        answers: what either run answers by itself, each at its own setting; the second is None at A's setting, both
            are over all problems.
        effects: by measure; empty where there are no pairs.
        identical: whether every pair ends alike, to the last bit.
        note: why there are no pairs, or what to know of them.
    """

    place: Place
    other: str
    answers: tuple[Answer, Answer | None] | None
    effects: Mapping[str, Effect]
    identical: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """Better, worse, mixed, not told apart or identical, by the 95% intervals of this row alone."""
        if self.identical:
            return IDENTICAL
        if not self.effects:
            return "not compared"
        telling = [CONVERGED, COST] if self.effects[COST.name].pairs else [CONVERGED, GAP]
        signs = {self.effects[m.name].sign for m in telling if m.name in self.effects} - {0}
        return {frozenset(): TIED, frozenset({1}): "better", frozenset({-1}): "worse"}.get(frozenset(signs), "mixed")


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: they, the first of which the others are compared with.
        letters: what they are called.
        differences: what differs between them.
        notes: what to know of them.
        rows: the comparisons, those over all problems of an experiment after its problems.
    """

    runs: tuple[Results, ...]
    letters: tuple[str, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    rows: tuple[Row, ...]

    def rng(self) -> np.random.Generator:
        """Where the randomness of intervals comes from: the first run's seed, so that the same runs compare alike."""
        return np.random.default_rng(int(self.runs[0].suite["suite"].get("seed") or 0))


def compare(runs: Sequence[Results]) -> Comparison:
    """Compare runs with the first of them, on what they have in common.

    Raises:
        StoreError: fewer than two runs, or one that keeps a part of its record only.
        NothingSelectedError: no experiment, problem, dtype and optimizer in common.
    """
    if len(runs) < 2:
        raise StoreError("a comparison needs two runs: name the one to compare with first")
    for run in runs:
        run.need_whole("a comparison")
    letters = names(runs)
    rng = np.random.default_rng(int(runs[0].suite["suite"].get("seed") or 0))
    answers = [_answers(run) for run in runs]
    rows: list[Row] = []
    for letter, run, theirs in list(zip(letters, runs, answers, strict=True))[1:]:
        found = list(_rows(letter, (runs[0], run), (answers[0], theirs), rng))
        rows += _with_summaries(found, rng)
    if not rows:
        raise NothingSelectedError(
            "the runs have no experiment, problem, dtype and optimizer in common: nothing to compare"
        )
    return Comparison(tuple(runs), tuple(letters), tuple(differences(runs)), tuple(notes(runs)), tuple(rows))


def _answers(run: Results) -> dict[Place, tuple[AnswerTable, Answer]]:
    """Every answer of a run by its place."""
    return {
        (table.experiment, table.title, table.dtype, row.optimizer, row.regime): (table, row)
        for table in study.read(run).tables
        for row in table.rows
    }


class _Held:
    """The rows of the cell read last: those of its answers are asked for one after the other."""

    def __init__(self, run: Results) -> None:
        self.run, self.cell, self.frame = run, {}, DataFrame()
        self.cells = {cell["id"]: cell for cell in run.cells}

    def held_out(self, answer: Answer, at: Mapping[str, float]) -> DataFrame:
        """The descents of an answer's cell that had no say in its setting."""
        if self.cell.get("id") != answer.cell:
            self.cell = self.cells[answer.cell]
            axes = [axis["name"] for axis in self.cell["axes"]]
            columns = dict.fromkeys([*study.RECORD, "instance", "f_start", *axes])
            self.frame = self.run.table(list(columns), [answer.cell])
        return split(where(self.frame, at))[1]


def _rows(
    letter: str,
    runs: tuple[Results, Results],
    answers: tuple[dict[Place, tuple[AnswerTable, Answer]], dict[Place, tuple[AnswerTable, Answer]]],
    rng: np.random.Generator,
) -> Iterator[Row]:
    """A row for each answer that both runs have; a second one at A's setting, where the other run chose another."""
    held = [_Held(run) for run in runs]
    for place, (table, mine) in answers[0].items():
        if place not in answers[1]:
            continue
        theirs = answers[1][place][1]
        if mine.judged is None or theirs.judged is None:
            yield Row(place, letter, (mine, theirs), {}, note=mine.note if mine.judged is None else theirs.note)
            continue
        one, two = (side.held_out(answer, table.at) for side, answer in zip(held, (mine, theirs), strict=True))
        first, cell = where(one, mine.setting), held[0].cell
        yield _row(cell, place, letter, (mine, theirs), first, where(two, theirs.setting), rng)
        if mine.setting != theirs.setting and set(mine.setting) <= set(two):
            same = where(two, mine.setting)
            if len(same):
                yield _row(cell, (*place[:4], SAME_SETTING), letter, (mine, None), first, same, rng)


def _row(
    cell: Mapping[str, Any],
    place: Place,
    other: str,
    answers: tuple[Answer, Answer | None],
    first: DataFrame,
    second: DataFrame,
    rng: np.random.Generator,
) -> Row:
    """One row from the descents of both runs at their settings."""
    one, two, why = pairs.paired(first, second)
    if why:
        return Row(place, other, answers, {}, note=why)
    found = pairs.effects(cell, one, two, rng)
    share, same = found[CONVERGED.name], pairs.identical(one, two)
    note = "" if same or share.told(CONFIDENCE) else f"{count(share.units, 'held-out start')}: too few to tell"
    return Row(place, other, answers, found, same, note)


def _with_summaries(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """The rows, and after those of an experiment the same over its problems."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.place[0], row.place[2]), []).append(row)
    found = []
    for group in groups.values():
        found += group
        by_optimizer: dict[tuple[str, str], list[Row]] = {}
        for row in group:
            if row.place[4] == SAME_SETTING:  # only some problems have such a row
                continue
            by_optimizer.setdefault(row.place[3:], []).append(row)
        found += [over for some in by_optimizer.values() for over in _summary(some, rng)]
    return found


def _summary(rows: list[Row], rng: np.random.Generator) -> Iterator[Row]:
    """One optimizer over several problems: units are problems, each with its values of parameters."""
    compared = [row for row in rows if row.effects]
    # A table holds the values of a problem's parameters in its title, after the label.
    labels = [row.answers[0].cell if row.answers else "" for row in compared]
    which = np.unique(labels, return_inverse=True)[1]
    if len(set(labels)) < 2:
        return
    experiment, _, dtype, optimizer, regime = compared[0].place
    problems = len(set(labels))
    found = {}
    for measure in (CONVERGED, COST, GAP):
        values = np.array([_point(row.effects.get(measure.name)) for row in compared])
        found[measure.name] = pairs.effect(measure, values, which, rng)
    left = len(rows) - len(compared)
    note = f"{left} of {len(rows)} could not be compared" if left else ""
    same = all(row.identical for row in compared)
    note = note if same or found[CONVERGED.name].told(CONFIDENCE) else f"{problems} problems are too few to tell"
    place = (experiment, OVER.format(problems), dtype, optimizer, regime)
    yield Row(place, compared[0].other, None, found, same, note)


def _point(effect: Effect | None) -> float:
    """The estimate of a problem as one value; NaN where none of its pairs says anything."""
    if effect is None or not effect.pairs:
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.log(effect.estimate.value)) if effect.measure.ratio else float(effect.estimate.value)


def effect_of(row: Row, name: str) -> Effect | None:
    """A row's effect by a measure, None where it has none or no pair says anything of it."""
    effect = row.effects.get(name)
    return effect if effect is not None and effect.pairs else None
