"""What single figures need of a comparison beyond costs: scores, traces, and what every setting was worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.figures.base import Results
from gdbench.figures.choose import RECORD, keep, known, rows, split, trace_columns, trace_costs, where
from gdbench.figures.comparison import Comparison, Held, Place, picks, rankings
from gdbench.measures.base import converged, final_gaps


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


def traces(results: Results, told: Comparison) -> list[list[tuple[np.ndarray, np.ndarray] | None]]:
    """Cost and best gap so far of each held-out descent at its stored steps, by place and optimizer.

    Returns:
        Two arrays [n, stored steps] for each, the gap infinite where nothing is known; None where no trace is stored.
    """
    return [
        [_trace(results, _cell(results, told, place, label), place, held)
         for label, held in zip(told.optimizers, row, strict=True)]
        for place, row in zip(told.places, told.held, strict=True)
    ]  # fmt: skip


def tried(results: Results, told: Comparison) -> list[list[np.ndarray]]:
    """Mean held-out score of every setting, in the order of the ranking by the other descents, by place and optimizer.

    The order is what tuning would have chosen, the value what the choice is worth. A failed cell has one setting that
    is worth 0.
    """
    return [
        [_tried(results, _cell(results, told, place, label), place) for label in told.optimizers]
        for place in told.places
    ]  # fmt: skip


def _cell(results: Results, told: Comparison, place: Place, label: str) -> Mapping[str, Any]:
    wanted = (told.experiment, told.dtype, place.label, label)
    return next(
        c for c in results.cells if (c["experiment"], c["dtype"], c["problem"]["label"], c["optimizer"]["label"]) == wanted
    )


def _trace(
    results: Results, cell: Mapping[str, Any], place: Place, held: Held
) -> tuple[np.ndarray, np.ndarray] | None:
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
    return trace_costs(table, cell)[pick], best


def _tried(results: Results, cell: Mapping[str, Any], place: Place) -> np.ndarray:
    order = DataFrame() if cell["failed"] else rankings(results, cell, place.at)
    if order.empty:
        return np.zeros(1)
    names = [name for name in order.columns if not name.startswith("_")]
    table = rows(results, cell, RECORD, place.at)
    held_out = split(table)[1]
    table = held_out if len(held_out) else table
    value = score(place, final_gaps(table), converged(table))
    if not names:
        return np.array([value.mean()])
    means = table[names].assign(value=value).groupby(names, observed=True)["value"].mean()
    return order[names].merge(means.reset_index(), how="left", on=names)["value"].fillna(0.0).to_numpy(dtype=float)
