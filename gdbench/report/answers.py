"""The answer tables: settings are chosen on even-numbered starts and seeds and judged on the odd ones.

Choosing the best of many settings on the starts it is then reported on flatters it; so no number in an answer comes
from a descent that had a say in the choice. With nothing to hold out there is no number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.figures.choose import edges, failed, keep, parameter_values, ranking, split, where
from gdbench.measures.base import converged, cost, cost_at_settle, final_gaps
from gdbench.measures.outcome_shares import share_diverged
from gdbench.measures.usable_width import RATE, UsableRates, usable_rates
from gdbench.report.words import number
from gdbench.stats.bootstrap import Estimate, bootstrap
from gdbench.stats.proportion import Interval, wilson

BEST = "best per problem"
DEFAULT = "default"
NOT_HELD_OUT = "not evaluated on held-out starts"


@dataclass(frozen=True)
class Judged:
    """What a setting did on held-out descents.

    Attributes:
        descents: how many there are (n), censored ones included.
        converged: how many converged (k).
        units: independent starts (or seeds, with one start) among them: what the intervals are over.
        share: k / n.
        interval: Wilson's interval for the share, over units.
        cost: median cost to converge with its bootstrap interval over units; unsolved counts as infinite.
        other_costs: the same median with a gradient weighing 4 evaluations, and as many as there are coordinates.
        gap: median final gap, or value where no minimum is known.
        usable: usable learning rates at the other hyperparameters' chosen values; None without a learning rate axis.
    """

    descents: int
    converged: int
    units: int
    share: float
    interval: Interval
    cost: Estimate
    other_costs: Mapping[str, float]
    gap: float
    usable: UsableRates | None

    @property
    def censored(self) -> int:
        """How many did not converge within the budget."""
        return self.descents - self.converged


@dataclass(frozen=True)
class Answer:
    """One row of an answer table: an optimizer in a tuning regime.

    Attributes:
        cell: id of its cell.
        optimizer: label.
        regime: "best per problem" or "default".
        setting: chosen value of each hyperparameter that is an axis.
        settings: how many settings it was chosen from.
        edges: hyperparameters whose chosen value lies on the edge of its grid: the setting is *untuned*.
        judged: the figures; None where nothing could be held out or the cell failed.
        note: why ``judged`` is None, "" otherwise.
        tuning_cost: evaluations spent on choosing.
        diverged: share diverged or nonfinite over the whole grid.
        lost: whether every descent diverged or became nonfinite, so that no choice means anything.
        oracle: the optimizer is told f*, and is not compared with the others.
        rule: the rule's name and hyperparameters (the values of an axis as a list); None where it has no other name.
        alias: label of an earlier optimizer that is the same rule with the same settings, and is ranked for both.
    """

    cell: str
    optimizer: str
    regime: str
    setting: Mapping[str, float]
    settings: int
    edges: tuple[str, ...]
    judged: Judged | None
    note: str
    tuning_cost: float
    diverged: float
    oracle: bool = False
    lost: bool = False
    rule: tuple[str, Mapping[str, Any]] | None = None
    alias: str = ""

    @property
    def ranked(self) -> bool:
        """Whether it is compared with the others."""
        return not self.oracle and not self.alias


@dataclass(frozen=True)
class AnswerTable:
    """The answers for one problem: rows by held-out share, then cost; a default row follows its optimizer's best.

    ``at`` holds the values of the problem's parameters that are axes: another value is another problem.
    """

    experiment: str
    problem: str
    dtype: str
    at: Mapping[str, float]
    rows: tuple[Answer, ...]

    @property
    def title(self) -> str:
        """The problem with the values of its parameters."""
        return ", ".join([self.problem, *(f"{name} = {number(value)}" for name, value in self.at.items())])


def hyperparameter_axes(cell: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The axes that a setting is made of, by name."""
    return {axis["name"]: axis for axis in cell["axes"] if axis["kind"] == "hyperparameter"}


def best_setting(cell: Mapping[str, Any], frame: DataFrame) -> dict[str, float]:
    """The best setting, chosen on even-numbered starts and seeds as in the figures; the first of the grid among equals.

    Empty where no hyperparameter is an axis.
    """
    ranked = ranking(frame, cell)
    return {name: float(ranked[name].iloc[0]) for name in hyperparameter_axes(cell)}


def at(frame: DataFrame, setting: Mapping[str, float]) -> DataFrame:
    """The descents with exactly these values of hyperparameters, taken from the table itself."""
    mask = np.ones(len(frame), dtype=bool)
    for name, value in setting.items():
        mask &= frame[name].to_numpy() == value
    return keep(frame, mask)


def default_setting(cell: Mapping[str, Any], frame: DataFrame) -> dict[str, float] | None:
    """The library's default as a setting, None where there is none or it does not lie on the grid."""
    defaults = cell["optimizer"]["defaults"]
    for name, value in cell["optimizer"]["hyperparameters"].items():
        if value is not None and value != defaults.get(name):
            return None
    setting = {}
    for name in hyperparameter_axes(cell):
        default, values = defaults.get(name), np.unique(frame[name].to_numpy(dtype=float))
        if default is None:
            return None
        close = np.isclose(values, default, rtol=1e-6, atol=0)
        if not close.any():
            return None
        setting[name] = float(values[close][0])
    return setting or None


def by_unit(frame: DataFrame, values: np.ndarray) -> np.ndarray:
    """Values as one row an independent unit: a start, or a seed where there is one start. NaN fills short rows."""
    starts, seeds = frame["start"].to_numpy(), frame["seed"].to_numpy()
    _, which = np.unique(starts if len(np.unique(starts)) > 1 else seeds, return_inverse=True)
    order = np.argsort(which, kind="stable")
    lengths = np.bincount(which)
    table = np.full((len(lengths), lengths.max()), np.nan)
    table[np.arange(table.shape[1]) < lengths[:, None]] = values[order]
    return table


def judge(
    cell: Mapping[str, Any], held_out: DataFrame, setting: Mapping[str, float], rng: np.random.Generator
) -> Judged:
    """What a setting does on held-out descents; intervals are over starts, so lanes never pass for replicates."""
    frame = at(held_out, setting)
    solved, costs = converged(frame), by_unit(frame, cost_at_settle(frame))
    share = float(solved.mean())
    median = np.nanmedian if np.isnan(costs).any() else np.median
    rest = {name: value for name, value in setting.items() if name != RATE}
    weights = {"c = 4": 4.0, "c = dimension": float(cell["problem"]["dim"])}
    return Judged(
        descents=len(frame),
        converged=int(solved.sum()),
        units=len(costs),
        share=share,
        interval=wilson(share * len(costs), len(costs)),
        cost=bootstrap(costs, median, rng),
        other_costs={name: float(np.median(cost_at_settle(frame, c))) for name, c in weights.items()},
        gap=float(np.median(final_gaps(frame))),
        usable=usable_rates(at(held_out, rest)) if RATE in setting else None,
    )


def answers(cell: Mapping[str, Any], frame: DataFrame, rng: np.random.Generator) -> list[Answer]:
    """The rows of one cell: its best setting, and the library's default where the grid holds it."""
    common: dict[str, Any] = {
        "cell": cell["id"],
        "optimizer": cell["optimizer"]["label"],
        "settings": int(np.prod([len(axis["values"]) for axis in hyperparameter_axes(cell).values()])),
        "diverged": share_diverged.compute(frame, cell),
        "oracle": cell["optimizer"]["family"] == "oracle",
        "rule": rule_of(cell),
    }
    if cell["failed"] or not len(frame):
        why = (
            f"{'left out' if cell.get('refused') else 'failed'}: {cell['failed']}" if cell["failed"] else "no descents"
        )
        return [Answer(**common, regime=BEST, setting={}, edges=(), judged=None, note=why, tuning_cost=0.0)]
    chosen_on, held_out = split(frame)
    best, default = best_setting(cell, frame), default_setting(cell, frame)
    lost = bool(failed(frame).all())

    def row(regime: str, setting: dict[str, float], edge: tuple[str, ...], spent: float) -> Answer:
        judged = judge(cell, held_out, setting, rng) if len(held_out) else None
        note = "" if judged else NOT_HELD_OUT
        return Answer(**common, regime=regime, setting=setting, edges=edge, judged=judged, note=note, tuning_cost=spent)

    first = row(BEST, best, () if lost else tuple(edges(cell, best)), float(cost(chosen_on).sum()))
    rows = [dataclasses.replace(first, lost=lost)]
    return rows if default is None else [*rows, row(DEFAULT, default, (), 0.0)]


def rule_of(cell: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """The name of a cell's rule with its hyperparameters."""
    name = cell["optimizer"].get("rule")
    axes = {name: list(axis["values"]) for name, axis in hyperparameter_axes(cell).items()}
    return (name, {**cell["optimizer"]["hyperparameters"], **axes}) if name else None


def same_rule(one: Answer, other: Answer) -> bool:
    """Whether two optimizers are one rule: one name for it, and the same values of the hyperparameters of both."""
    if one.rule is None or other.rule is None or one.rule[0] != other.rule[0]:
        return False
    mine, theirs = one.rule[1], other.rule[1]
    return all(mine[name] == theirs[name] for name in set(mine) & set(theirs))


def with_aliases(members: list[list[Answer]]) -> list[list[Answer]]:
    """Groups of rows, one an optimizer, in the order of the suite: those that repeat an earlier rule say so."""
    done: list[list[Answer]] = []
    for group in members:
        first = next((g[0].optimizer for g in done if not g[0].alias and same_rule(g[0], group[0])), "")
        done.append([dataclasses.replace(answer, alias=first) for answer in group])
    return done


def sort_key(answer: Answer) -> tuple[bool, bool, float, float, float]:
    """Judged before not judged, oracles last, then share converged, cost, gap."""
    if answer.judged is None:
        return (True, answer.oracle, 0.0, 0.0, 0.0)
    judged = answer.judged
    return (False, answer.oracle, -judged.share, judged.cost.value, judged.gap)


Place = tuple[str, str, str, tuple[tuple[str, float], ...]]
"""Experiment, problem, dtype and the values of the problem's parameters: what the rows of a table share."""


def cell_answers(
    cell: Mapping[str, Any], frame: DataFrame, rng: np.random.Generator
) -> list[tuple[Place, list[Answer]]]:
    """The rows of one cell for each place; of an axis of the problem the first, middle and last value have one."""
    found = []
    for values in parameter_values(cell):
        place = (cell["experiment"], cell["problem"]["label"], cell["dtype"], tuple(values.items()))
        found.append((place, answers(cell, where(frame, values) if len(frame) else frame, rng)))
    return found


def answer_tables(rows: list[tuple[Place, list[Answer]]]) -> list[AnswerTable]:
    """One table for each place, in the order of the cells."""
    groups: dict[Place, list[list[Answer]]] = {}
    for place, group in rows:
        groups.setdefault(place, []).append(group)
    tables = []
    for (experiment, problem, dtype, values), members in groups.items():
        ordered = sorted(with_aliases(members), key=lambda group: sort_key(group[0]))
        flat = [answer for group in ordered for answer in group]
        tables.append(AnswerTable(experiment, problem, dtype, dict(values), tuple(flat)))
    return tables
