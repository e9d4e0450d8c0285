"""The descents of a cell by their places in a map, read piece by piece: tens of millions of them fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import OUTCOMES
from gdbench.figures.base import Results
from gdbench.figures.choose import axes_of, floats, where
from gdbench.figures.grids import grouped_median, outcome_codes
from gdbench.figures.scale import Scale, scale_of
from gdbench.measures.base import CONVERGED, LOST, SPENT, cost_at_settle, final_gaps

PIECE = 1 << 19
"""Rows of a piece."""


def pieces(
    results: Results, cell: Mapping[str, Any], columns: Iterable[str], at: Mapping[str, float]
) -> Iterator[DataFrame]:
    """The descents of a cell where ``at`` fixes some axes, with these columns, some at a time."""
    wanted = list(dict.fromkeys([*columns, *at]))
    scan = getattr(results, "scan", None)
    if scan is None:  # results that are no stored run are small
        yield where(results.table(wanted, [cell["id"]]), at)
        return
    for batch in scan([cell["id"]]).to_batches(columns=wanted, batch_size=PIECE):
        yield where(batch.to_pandas(), at) if at else batch.to_pandas()


@dataclass(frozen=True, eq=False)
class Placed:
    """Where descents stand along two axes, and how they ended; arrays of one entry a descent.

    Attributes:
        x: index along the horizontal axis.
        y: index along the vertical one.
        scales: values of both axes.
        code: outcome, a place in OUTCOMES.
        rate: signed rate, NaN for none.
    """

    x: np.ndarray
    y: np.ndarray
    scales: tuple[Scale, Scale]
    code: np.ndarray
    rate: np.ndarray


def place(results: Results, cell: Mapping[str, Any], x: str, y: str, at: Mapping[str, float]) -> Placed | None:
    """Read the descents of a cell into a map; None where there are none.

    ``start`` is ordered by its coordinate in one dimension, else by f there (the median over instances).
    """
    flat = cell["problem"]["dim"] == 1
    key = "start_0" if flat else "f_start"
    needed = ["outcome", "rate", x, y] + ([key, "instance", "start"] if "start" in (x, y) else [])
    grids = {name: np.unique(axes_of(cell)[name]["values"]) for name in (x, y) if name != "start"}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("x", "y", "code", "rate")}
    keys: dict[tuple[int, int], float] = {}
    for piece in pieces(results, cell, needed, at):
        for axis, name in (("x", x), ("y", y)):
            values = piece[name].to_numpy()
            parts[axis].append(np.asarray(values if name == "start" else _nearest(grids[name], values), np.int32))
        parts["code"].append(outcome_codes(piece))
        parts["rate"].append(np.asarray(piece["rate"], np.result_type(piece["rate"].dtype, np.float32)))
        if key in piece:
            _note_starts(keys, piece, key)
    made = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    if not len(made["code"]):
        return None
    scales = []
    for axis, name in (("x", x), ("y", y)):
        made[axis], scale = (
            _starts(made[axis], keys, flat) if name == "start" else _axis(made[axis], grids[name], cell, name)
        )
        scales.append(scale)
    return Placed(made["x"], made["y"], (scales[0], scales[1]), made["code"], made["rate"])


def _nearest(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index of the nearest value of an ascending grid."""
    return np.searchsorted((grid[1:] + grid[:-1]) / 2, values)


def _axis(index: np.ndarray, grid: np.ndarray, cell: Mapping[str, Any], name: str) -> tuple[np.ndarray, Scale]:
    """Indices among those values of an axis that have descents (an interrupted run lacks some)."""
    present = np.bincount(index, minlength=len(grid)) > 0
    if not present.all():
        index, grid = (np.cumsum(present) - 1)[index], grid[present]
    return index, scale_of(grid, axes_of(cell)[name]["scale"])


def _note_starts(keys: dict[tuple[int, int], float], piece: DataFrame, key: str) -> None:
    """What starts are ordered by, each once an instance."""
    instance, start = (piece[name].to_numpy(dtype=np.int64) for name in ("instance", "start"))
    width = int(start.max(initial=0)) + 1
    last = np.full((int(instance.max(initial=0)) + 1) * width, -1)
    last[instance * width + start] = np.arange(len(piece))
    places = last[last >= 0]
    keys.update(zip(zip(instance[places], start[places], strict=True), floats(piece, key)[places], strict=True))


def _starts(start: np.ndarray, keys: Mapping[tuple[int, int], float], flat: bool) -> tuple[np.ndarray, Scale]:
    numbers = np.array([number for _, number in keys])
    ordered_by = grouped_median(np.array(list(keys.values())), numbers, int(numbers.max()) + 1)
    present = np.unique(numbers)
    order = present[np.lexsort((present, ordered_by[present]))]
    place_of = np.empty(len(ordered_by), np.int32)
    place_of[order] = np.arange(len(order))
    values = ordered_by[order]
    return place_of[start], scale_of(values, "linear") if flat else Scale("rank", tuple(values.tolist()))


def best_settings(
    results: Results, cell: Mapping[str, Any], at: Mapping[str, float], along: str | None = None
) -> dict[float | None, dict[str, float]]:
    """What ``choose.best_setting`` says, for as many descents as there may be; for each value of a parameter ``along``.

    Two passes: shares first, then medians of those settings alone that share the highest share of convergence.
    """
    hyper = axes_of(cell, "hyperparameter")
    names = ([along] if along else []) + list(hyper)
    grids = [np.unique(axes_of(cell)[name]["values"]) for name in names]
    groups = int(np.prod([len(grid) for grid in grids], dtype=int))
    halved = [name for name in ("start", "seed") if name in axes_of(cell)]

    def judged(columns: Iterable[str]) -> Iterator[tuple[DataFrame, np.ndarray, np.ndarray]]:
        for piece in pieces(results, cell, [*columns, *names, *halved], at):
            index = [_nearest(grid, piece[name].to_numpy()) for grid, name in zip(grids, names, strict=True)]
            flat = np.ravel_multi_index(index, [len(grid) for grid in grids]) if names else np.zeros(len(piece), int)
            odd = [piece[name].to_numpy(dtype=int) % 2 == 1 for name in halved]
            yield piece, flat, ~np.any(odd, axis=0) if odd else np.ones(len(piece), bool)

    total, won, alive = (np.zeros(groups, int) for _ in range(3))
    lost = [OUTCOMES.index(name) for name in LOST]
    for piece, flat, even in judged(["outcome"]):
        code = outcome_codes(piece)
        total += np.bincount(flat[even], minlength=groups)
        won += np.bincount(flat[even & (code == OUTCOMES.index(CONVERGED))], minlength=groups)
        alive += np.bincount(flat[~np.isin(code, lost)], minlength=groups)
    each = len(grids[0]) if along else 1
    share = np.where(total, won / np.maximum(total, 1), -1.0).reshape(each, -1)
    top = (share == share.max(axis=1, keepdims=True)) & (share >= 0)
    cost, value = _medians(judged(["outcome", "f_final", "gap_final", *SPENT]), top.ravel(), groups)
    found: dict[float | None, dict[str, float]] = {}
    for i in range(each):
        if not alive.reshape(each, -1)[i].any() or not top[i].any():
            continue
        rank = np.lexsort((value.reshape(each, -1)[i], cost.reshape(each, -1)[i], ~top[i]))
        at_best = np.unravel_index(rank[0], [len(axis["values"]) for axis in hyper.values()] or [1])
        held = {name: float(np.unique(hyper[name]["values"])[j]) for name, j in zip(hyper, at_best, strict=False)}
        found[float(grids[0][i]) if along else None] = held
    return found


def _medians(
    judged: Iterator[tuple[DataFrame, np.ndarray, np.ndarray]], top: np.ndarray, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median cost to converge and final value of the settings at the top; infinite elsewhere."""
    if top.sum() == 1:  # nothing to choose between
        return np.full(groups, np.inf), np.full(groups, np.inf)
    costs, values, flats = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.int64)]
    for piece, flat, even in judged:
        kept = even & top[flat]
        if kept.any():
            some = piece[kept]
            costs.append(cost_at_settle(some))
            values.append(final_gaps(some))
            flats.append(flat[kept])
    flat = np.concatenate(flats)
    both = [grouped_median(np.concatenate(each), flat, groups) for each in (costs, values)]
    cost, value = (np.where(np.isnan(each), np.inf, each) for each in both)
    return cost, value
