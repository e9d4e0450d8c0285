"""What single figures need of a comparison beyond costs: scores, traces, and what every setting costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from pandas import DataFrame

from gdbench.figures.base import Results
from gdbench.figures.choose import RECORD, keep, known, rows, split, trace_columns, where
from gdbench.figures.comparison import Comparison, Held, Place, picks, rankings, upper_median
from gdbench.measures.area_over_curve import costs_of_trace
from gdbench.measures.base import cost_at_settle


def score(place: Place, gap: np.ndarray, solved: np.ndarray) -> np.ndarray:
    """Share of the way to the tolerance, in decades: log(S / gap) / log(S / tolerance), within [0, 1].

    1 for a descent that converged, 0 for one that ended no lower than S (or was lost). Without a known minimum there
    is no gap, and a descent scores 1 if it converged, else 0.

    Args:
        place: the problem, with S (``scale``) and its tolerance.
        gap: final gap of each descent, infinite for a lost one.
        solved: whether it converged, of the same shape.
    """
    if not place.tolerance or not place.scale or place.scale <= place.tolerance:
        return solved.astype(float)
    far = np.log(np.clip(gap, place.tolerance, place.scale) / place.tolerance)
    return np.where(solved, 1.0, 1 - far / np.log(place.scale / place.tolerance))


def scores(told: Comparison) -> list[np.ndarray]:
    """``score`` of each held-out descent, a matrix [optimizers, n] a place."""
    return [
        np.stack([score(place, h.gap, np.isfinite(h.settle[:, 0])) for h in row])
        for place, row in zip(told.places, told.held, strict=True)
    ]


class Trace(NamedTuple):
    """Cost and best gap so far of n descents at their stored steps, [n, steps] each; infinite: nothing is known."""

    cost: np.ndarray
    best: np.ndarray


def traces(results: Results, told: Comparison) -> list[list[Trace | None]]:
    """The trace of the held-out descents, by place and optimizer; None where none is stored."""
    return [
        [_trace(results, cell_on(results, told, place, label), place, held)
         for label, held in zip(told.optimizers, row, strict=True)]
        for place, row in zip(told.places, told.held, strict=True)
    ]  # fmt: skip


def tried(results: Results, told: Comparison) -> list[list[np.ndarray]]:
    """Held-out median cost of every setting, in the order of the ranking by the other descents, by place and optimizer.

    The order is what tuning would choose, the cost what the choice is worth; infinite where half or more of the
    held-out descents do not converge. A failed cell counts as one setting that solves nothing.
    """
    return [
        [_tried(results, cell_on(results, told, place, label), place) for label in told.optimizers]
        for place in told.places
    ]  # fmt: skip


def cell_on(results: Results, told: Comparison, place: Place, label: str) -> Mapping[str, Any]:
    """The cell of an optimizer on a place."""
    wanted = (told.experiment, told.dtype, place.label, label)
    return next(
        c
        for c in results.cells
        if (c["experiment"], c["dtype"], c["problem"]["label"], c["optimizer"]["label"]) == wanted
    )


def _trace(results: Results, cell: Mapping[str, Any], place: Place, held: Held) -> Trace | None:
    if cell["failed"] or not cell["trace_steps"]:
        return None
    table = where(rows(results, cell, ["trace_best", *trace_columns(cell)], place.at), held.setting)
    table = keep(table, known(table, "trace_best"))
    if table.empty:
        return None
    pick = picks(table[["instance", "start", "seed"]].to_numpy(dtype=int), held.pair)
    best = np.array([np.asarray(trace, dtype=float) for trace in table["trace_best"]])
    best = np.where(np.isnan(best), np.inf, best)[pick]
    best[pick < 0] = np.inf
    return Trace(costs_of_trace(table, cell)[pick], best)


def _tried(results: Results, cell: Mapping[str, Any], place: Place) -> np.ndarray:
    order = DataFrame() if cell["failed"] else rankings(results, cell, place.at)
    if order.empty:
        return np.full(1, np.inf)
    names = [name for name in order.columns if not name.startswith("_")]
    table = rows(results, cell, RECORD, place.at)
    held_out = split(table)[1]
    table = held_out if len(held_out) else table
    cost = cost_at_settle(table)
    if not names:
        return upper_median(cost)[None]
    frame = table[names].assign(cost=cost).sort_values("cost")
    groups = frame.groupby(names, observed=True)["cost"]
    # The upper median, as ``upper_median`` takes it: the value at half the length of each sorted group.
    medians = keep(frame, groups.cumcount().to_numpy() == groups.transform("size").to_numpy() // 2)
    found = order[names].merge(medians, how="left", on=names)["cost"]
    return found.fillna(np.inf).to_numpy(dtype=float)
