"""Optimizers side by side over the problems of an experiment: held-out descents at settings of one tuning regime.

Every comparison over problems (profiles, runtimes, ranks, the verdict of the report) reads what this module gathers, so
that they all follow the same rules: settings are chosen on even-numbered starts and seeds and judged on odd ones; a
failed cell and a descent that did not converge count as unsolved; a problem that an optimizer cannot be applied to is
dropped for all; oracles and repetitions of a rule are set aside; all optimizers meet the same starts and seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, EVALUATIONS
from gdbench.figures.base import Results
from gdbench.figures.choose import (
    RECORD,
    floats,
    known,
    parameter_values,
    places,
    ranking,
    rows,
    split,
    where,
)  # fmt: skip
from gdbench.figures.regimes import BEST, DEFAULT, ONE, one_for_all, rule_of, same_rule
from gdbench.figures.style import number
from gdbench.measures.base import converged, default_setting, final_gaps

FEWEST = 2
"""Optimizers from which on there is something to compare."""


@dataclass(frozen=True)
class Place:
    """A problem of a comparison, at fixed values of its parameters.

    Attributes:
        label: label of the problem.
        at: values at which its parameters are held.
        family: what it is a variant of (dimensions, instances, parameters and transforms of one function): intervals
            over problems draw families, since variants are not independent.
        dim: number of coordinates.
        transforms: names of its transforms.
        tolerance: the gap that counts as converged; None where no minimum is known.
        scale: S, the median of f - f* over the start box; None where no minimum is known.
    """

    label: str
    at: Mapping[str, float]
    family: str
    dim: int
    transforms: tuple[str, ...]
    tolerance: float | None
    scale: float | None = None

    @property
    def title(self) -> str:
        """The problem with the values of its parameters."""
        return ", ".join([self.label, *(f"{name} = {number(value)}" for name, value in self.at.items())])


@dataclass(frozen=True, eq=False)
class Held:
    """Held-out descents of one optimizer on one problem at one setting; n of them, ordered by ``pair``.

    Attributes:
        setting: value of each hyperparameter that is an axis.
        pair: instance, start and seed of each, int [n, 3]; the same for all optimizers of a problem.
        settle: evaluations (f, g, hvp) spent when it had converged, [n, 3]; infinite where it did not.
        spent: evaluations it spent in all, [n, 3].
        hits: evaluations spent when each target was first reached, [n, targets, 3]; infinite where it was not.
        gap: final gap (or value), [n]; infinite for a descent that was lost.
    """

    setting: Mapping[str, float]
    pair: np.ndarray
    settle: np.ndarray
    spent: np.ndarray
    hits: np.ndarray
    gap: np.ndarray


@dataclass(frozen=True, eq=False)
class Comparison:
    """The optimizers of an experiment over its problems, in one dtype and one tuning regime.

    Attributes:
        experiment, dtype, regime: what it is of.
        places: the problems that all optimizers can be applied to.
        optimizers: labels of those compared.
        held: [place][optimizer].
        targets: τ of the recorded targets, descending or as the suite has them; empty where none are.
        dropped: titles of the problems that not every optimizer is made for.
        aside: why an optimizer is not compared, by label.
        evaluated: whether the descents were held out; False with one start and seed, when all are in-sample.
    """

    experiment: str
    dtype: str
    regime: str
    places: tuple[Place, ...]
    optimizers: tuple[str, ...]
    held: tuple[tuple[Held, ...], ...]
    targets: tuple[float, ...]
    dropped: tuple[str, ...]
    aside: Mapping[str, str]
    evaluated: bool

    @property
    def families(self) -> list[str]:
        """The family of each place."""
        return [place.family for place in self.places]

    def weight(self, place: int, gradient: float | str = COST_OF_GRADIENT, hvp: float = COST_OF_HVP) -> np.ndarray:
        """What an evaluation of each kind weighs, [3]; "dimension" stands for as much as there are coordinates."""
        return np.array([1.0, self.places[place].dim if gradient == "dimension" else float(gradient), hvp])

    def costs(self, gradient: float | str = COST_OF_GRADIENT, target: int | None = None) -> list[np.ndarray]:
        """Cost to converge (or to reach a target, by its index), a matrix [optimizers, n] a place; infinite: never."""
        found = []
        for i, row in enumerate(self.held):
            weight = self.weight(i, gradient)
            found.append(np.stack([(h.settle if target is None else h.hits[:, target]) @ weight for h in row]))
        return found

    def typical(self, gradient: float | str = COST_OF_GRADIENT, target: int | None = None) -> np.ndarray:
        """Median cost [places, optimizers]; infinite where half or more of the descents are unsolved."""
        return np.array([upper_median(cost) for cost in self.costs(gradient, target)]).reshape(
            len(self.places), len(self.optimizers)
        )

    def solved(self, target: int | None = None) -> np.ndarray:
        """Share of the descents that converged (or reached a target), [places, optimizers]."""
        return np.array([np.isfinite(cost).mean(axis=1) for cost in self.costs(target=target)])


def upper_median(values: np.ndarray) -> np.ndarray:
    """The median over the last axis; of two middle values the larger, so that half unsolved is unsolved."""
    ordered = np.sort(values, axis=-1)
    return ordered[..., values.shape[-1] // 2]


def compared(results: Results) -> list[tuple[str, str]]:
    """Experiment and dtype of each comparison that a run holds."""
    return list(dict.fromkeys((cell["experiment"], cell["dtype"]) for cell in results.cells))


def rankings(results: Results, cell: Mapping[str, Any], at: Mapping[str, float]) -> DataFrame:
    """``choose.ranking`` of a cell where its problem's parameters have these values; worked out once a run."""
    key = ("ranking", cell["id"], tuple(at.items()))
    if key not in results.memo:
        table = rows(results, cell, RECORD, at)
        results.memo[key] = ranking(table, cell) if len(table) else DataFrame()
    return results.memo[key]


def chosen(
    results: Results, experiment: str, dtype: str, regime: str, label: str
) -> dict[tuple[Any, ...], dict[str, float] | None]:
    """The setting of an optimizer on each place, by (problem, parameters); None on a place without one."""
    cells = [cell for cell in _cells(results, experiment, dtype) if cell["optimizer"]["label"] == label]
    spots = [(cell, at) for cell in cells for at in parameter_values(cell)]
    if regime == DEFAULT:
        found = [default_setting(cell) for cell, _ in spots]
    else:
        ranked = [DataFrame() if cell["failed"] else rankings(results, cell, at) for cell, at in spots]
        if regime == ONE:
            one = one_for_all(ranked)
            found = [one if len(frame) else None for frame in ranked]
        else:
            found = [first_setting(frame) for frame in ranked]
    return {_spot(cell, at): setting for (cell, at), setting in zip(spots, found, strict=True)}


def comparison(results: Results, experiment: str, dtype: str, regime: str = BEST) -> Comparison:
    """Gather a comparison; each cell is read once a regime, and only its held-out rows at the setting are kept.

    Args:
        results: a run.
        experiment: name of the experiment.
        dtype: 'float32' or 'float64'.
        regime: one of ``contracts.REGIMES``.
    """
    key = ("comparison", experiment, dtype, regime)
    if key not in results.memo:
        results.memo[key] = _gather(results, experiment, dtype, regime)
    return results.memo[key]


def _cells(results: Results, experiment: str, dtype: str) -> list[dict[str, Any]]:
    return [cell for cell in results.cells if (cell["experiment"], cell["dtype"]) == (experiment, dtype)]


def _spot(cell: Mapping[str, Any], at: Mapping[str, float]) -> tuple[Any, ...]:
    return (cell["problem"]["label"], *at.items())


def first_setting(frame: DataFrame) -> dict[str, float] | None:
    """The first setting of a ranking."""
    if frame.empty:
        return None
    return {name: float(frame[name].iloc[0]) for name in frame.columns if not name.startswith("_")}


def set_aside(cells: list[dict[str, Any]]) -> dict[str, str]:
    """Why an optimizer is not ranked, by label: it is an oracle, or the same rule as one before it."""
    found: dict[str, str] = {}
    first: dict[str, Any] = {}
    for cell in cells:
        label = cell["optimizer"]["label"]
        if cell["optimizer"]["family"] == "oracle":
            found[label] = "oracle: it is told the minimum"
        elif label not in first:
            rule = rule_of(cell)
            same = next((other for other, its in first.items() if same_rule(its, rule)), None)
            if same is not None:
                found[label] = f"the same rule as {same}"
            first[label] = rule
    return found


def _gather(results: Results, experiment: str, dtype: str, regime: str) -> Comparison:
    cells = _cells(results, experiment, dtype)
    aside = set_aside(cells)
    settings = {
        label: chosen(results, experiment, dtype, regime, label)
        for label in dict.fromkeys(cell["optimizer"]["label"] for cell in cells) if label not in aside
    }  # fmt: skip
    for label, found in list(settings.items()):
        broken = all(c["failed"] for c in cells if c["optimizer"]["label"] == label)
        if not broken and all(setting is None for setting in found.values()):
            aside[label] = f"no setting for the regime {regime!r}"
            del settings[label]
    places_, dropped = _places(cells, list(settings))
    targets = _targets(cells)
    held, evaluated = [], True
    for place in places_:
        row = []
        for label in settings:
            cell = next(c for c in cells if (c["problem"]["label"], c["optimizer"]["label"]) == (place.label, label))
            read = _read(results, cell, place, settings[label].get(_spot(cell, place.at)), len(targets))
            row.append(read[0] if read else None)
            evaluated &= read[1] if read else True
        held.append(_paired(row, len(targets)))
    kept = [i for i, row in enumerate(held) if row]
    return Comparison(
        experiment, dtype, regime, tuple(places_[i] for i in kept), tuple(settings), tuple(held[i] for i in kept),
        targets, tuple(dropped), aside, evaluated,
    )  # fmt: skip


def _places(cells: list[dict[str, Any]], labels: list[str]) -> tuple[list[Place], list[str]]:
    """The problems that every one of these optimizers is made for, and the titles of the others."""
    found, dropped = [], []
    for _, label, _ in places(cells):
        mine = [cell for cell in cells if cell["problem"]["label"] == label and cell["optimizer"]["label"] in labels]
        if not mine:
            continue
        facts = mine[0]["problem"]
        transforms = tuple(entry["name"] for entry in facts["settings"].get("transform", ()))
        for at in parameter_values(mine[0]):
            scale = None if facts["minimum"] is None else facts["scale"]
            place = Place(label, at, facts["name"], facts["dim"], transforms, facts["tolerance"], scale)
            refused = len(mine) < len(labels) or any(cell.get("refused") for cell in mine)
            dropped += [place.title] if refused else []
            found += [] if refused else [place]
    return found, dropped


def _targets(cells: list[dict[str, Any]]) -> tuple[float, ...]:
    """The targets that all problems have recorded; none where they differ."""
    kinds = {tuple(cell["targets"]) for cell in cells}
    return kinds.pop() if len(kinds) == 1 else ()


def _read(
    results: Results, cell: Mapping[str, Any], place: Place, setting: Mapping[str, float] | None, targets: int
) -> tuple[Held, bool] | None:
    """The held-out descents of a cell at a setting, and whether they are held out; None where there are none."""
    if cell["failed"] or setting is None:
        return None
    asked = ["hits", *(f"hits_{name}" for name in EVALUATIONS)] if targets else []
    table = where(rows(results, cell, [*RECORD, *asked], place.at), setting)
    held_out = split(table)[1]
    table = (held_out if len(held_out) else table).sort_values(["instance", "start", "seed"])
    if table.empty:
        return None
    hits = np.full((len(table), targets, 3), np.inf)
    if targets and known(table, "hits").all():
        counts = np.stack([np.stack(list(table[f"hits_{name}"])).astype(float) for name in EVALUATIONS], -1)
        hits = np.where(counts < 0, np.inf, counts)
    spent = np.stack([floats(table, name) for name in EVALUATIONS], -1)
    settle = np.stack([floats(table, f"settle_{name}") for name in EVALUATIONS], -1)
    # A descent that converged where nothing is known of the minimum has no settle step: all it spent bounds its cost.
    settle = np.where(converged(table)[:, None], np.where(np.isnan(settle), spent, settle), np.inf)
    pair = table[["instance", "start", "seed"]].to_numpy(dtype=int)
    return Held(setting, pair, settle, spent, hits, final_gaps(table)), len(held_out) > 0


def _paired(row: list[Held | None], targets: int) -> tuple[Held, ...]:
    """The same instances, starts and seeds for all (see ``picks``); what failed is unsolved at each.

    Empty where all failed.
    """
    ran = [held for held in row if held is not None]
    if not ran:
        return ()
    longest = max(ran, key=lambda held: len(held.pair)).pair
    found = []
    for held in row:
        if held is None:
            nothing = np.zeros((0, 3))
            held = Held({}, longest[:0], nothing, nothing, np.zeros((0, targets, 3)), np.zeros(0))
        found.append(_take(held, longest, picks(held.pair, longest)))
    return tuple(found)


def picks(pair: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the descent that stands for each wanted (instance, start, seed), of those in ``pair``; -1 for none.

    A deterministic descent is the same for every seed, so it stands for each.
    """
    at = {tuple(key): i for i, key in enumerate(pair.tolist())}
    if len(np.unique(pair[:, 2])) == 1:
        wanted = np.column_stack([wanted[:, :2], np.full(len(wanted), pair[0, 2])])
    return np.array([at.get(tuple(key), -1) for key in wanted.tolist()], dtype=int)


def _take(held: Held, pair: np.ndarray, pick: np.ndarray) -> Held:
    """Its descents in another order; -1 stands for one that is not stored, and so is unsolved."""

    def taken(values: np.ndarray, lost: float) -> np.ndarray:
        return np.concatenate([values, np.full((1, *values.shape[1:]), lost)])[pick]

    return Held(
        held.setting, pair, taken(held.settle, np.inf), taken(held.spent, 0.0), taken(held.hits, np.inf),
        taken(held.gap, np.inf),
    )  # fmt: skip
