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

from gdbench.figures.base import Results
from gdbench.figures.choose import edges, failed, parameter_values, split, where
from gdbench.figures.comparison import chosen, first_setting, rankings
from gdbench.figures.regimes import (
    BEST,
    DEFAULT,
    ONE,
    Rule,
    hyperparameter_axes,
    rule_of,
    same_rule,
)  # fmt: skip
from gdbench.measures.base import converged, cost, cost_at_settle, default_setting, final_gaps
from gdbench.measures.outcome_shares import share_diverged
from gdbench.measures.usable_width import RATE, UsableRates, usable_rates
from gdbench.report.words import number
from gdbench.stats.bootstrap import Estimate, bootstrap
from gdbench.stats.proportion import Interval, wilson

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
        regime: "best per problem", "one setting for all" or "default".
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
    rule: Rule | None = None
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
    frame = where(held_out, setting)
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
        usable=usable_rates(where(held_out, rest)) if RATE in setting else None,
    )


def answers(
    cell: Mapping[str, Any],
    frame: DataFrame,
    settings: Mapping[str, Mapping[str, float] | None],
    rng: np.random.Generator,
) -> list[Answer]:
    """The rows of one cell, one a tuning regime that has a setting.

    Args:
        cell: the cell.
        frame: its descents where the parameters of the problem have certain values.
        settings: setting of each regime by its name; without the best one nothing was chosen.
        rng: where the randomness of the intervals comes from.
    """
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
    lost, spent = bool(failed(frame).all()), float(cost(chosen_on).sum())

    def row(regime: str, setting: Mapping[str, float]) -> Answer:
        judged = judge(cell, held_out, setting, rng) if len(held_out) else None
        edge = () if lost or regime == DEFAULT else tuple(edges(cell, setting))
        return Answer(
            **common, regime=regime, setting=setting, edges=edge, judged=judged,
            note="" if judged else NOT_HELD_OUT, tuning_cost=0.0 if regime == DEFAULT else spent,
            lost=lost and regime == BEST,
        )  # fmt: skip

    return [row(regime, setting) for regime, setting in settings.items() if setting is not None]


def with_aliases(members: list[list[Answer]]) -> list[list[Answer]]:
    """Groups of rows, one an optimizer, in the order of the suite: those that repeat an earlier rule say so."""
    done: list[list[Answer]] = []
    for group in members:
        first = next((g[0].optimizer for g in done if not g[0].alias and same_rule(g[0].rule, group[0].rule)), "")
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
    results: Results, cell: Mapping[str, Any], frame: DataFrame, rng: np.random.Generator
) -> list[tuple[Place, list[Answer]]]:
    """The rows of one cell for each place; of an axis of the problem the first, middle and last value have one."""
    found, spots = [], parameter_values(cell)
    for values in spots:
        place = (cell["experiment"], cell["problem"]["label"], cell["dtype"], tuple(values.items()))
        part = where(frame, values) if len(frame) else frame
        settings = {} if cell["failed"] or part.empty else regime_settings(results, cell, values)
        found.append((place, answers(cell, part, settings, rng)))
    return found


def regime_settings(
    results: Results, cell: Mapping[str, Any], at: Mapping[str, float]
) -> dict[str, Mapping[str, float] | None]:
    """The setting of each regime; without an axis to choose on, the best one stands for all."""
    found: dict[str, Mapping[str, float] | None] = {BEST: first_setting(rankings(results, cell, at))}
    if hyperparameter_axes(cell):
        problems = chosen(results, cell["experiment"], cell["dtype"], ONE, cell["optimizer"]["label"])
        served = [setting for setting in problems.values() if setting is not None]
        found[ONE] = served[0] if len(served) > 1 else None
        found[DEFAULT] = default_setting(cell)
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
