"""Which rows a figure draws: cells, fixed values, and the setting that an optimizer is shown at.

Settings are chosen on even-numbered starts and seeds and shown on odd ones: judged where it was chosen, the best of
many settings looks better than it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
from pandas import DataFrame

from gdbench.contracts import EVALUATIONS
from gdbench.figures.base import Results
from gdbench.figures.style import number
from gdbench.measures.base import LOST, SPENT, converged, cost_at_settle, final_gaps, halves

RECORD = ["outcome", "steps", "settle_step", "f_final", "gap_final", *SPENT]
"""Columns that choosing a setting needs."""


def cell_of(results: Results, identity: str) -> dict[str, Any]:
    """The cell with that id."""
    return next(cell for cell in results.cells if cell["id"] == identity)


def cells_of(results: Results, experiment: str, problem: str, dtype: str) -> list[dict[str, Any]]:
    """Cells that ran, of one experiment, problem and dtype: one an optimizer."""
    return [cell for cell in ran(results) if place(cell) == (experiment, problem, dtype)]


def ran(results: Results) -> list[dict[str, Any]]:
    """Cells that did not fail and have descents (an interrupted run has cells without)."""
    cells = [cell for cell in results.cells if not cell["failed"]]
    if not cells:
        return []
    table = results.table(columns=["cell"], cells=[cell["id"] for cell in cells])
    present = set(table["cell"].astype(str).unique())
    return [cell for cell in cells if cell["id"] in present]


def place(cell: Mapping[str, Any]) -> tuple[str, str, str]:
    """Experiment, problem label and dtype of a cell: what cells that are compared have in common."""
    return cell["experiment"], cell["problem"]["label"], cell["dtype"]


def places(cells: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """The different places of cells, in table order."""
    return list(dict.fromkeys(place(cell) for cell in cells))


def surface_of(cell: Mapping[str, Any]) -> str:
    """The name of a cell's surface; its label where it names none."""
    return cell["problem"].get("surface", cell["problem"]["label"])


def axes_of(cell: Mapping[str, Any], *kinds: str) -> dict[str, dict[str, Any]]:
    """Axes of these kinds (all, when none is named) by name; an axis of one value is none."""
    wanted = (axis for axis in cell["axes"] if len(axis["values"]) > 1 and (not kinds or axis["kind"] in kinds))
    return {axis["name"]: axis for axis in wanted}


def heading(experiment: str, problem: str, dtype: str, *more: str) -> str:
    """The line above a picture."""
    return " · ".join((experiment, problem, dtype, *more))


def parameter_values(cell: Mapping[str, Any], skip: Iterable[str] = (), most: int = 3) -> list[dict[str, float]]:
    """Values at which a figure holds the problem's parameters: first, middle and last of each axis.

    Descents on different functions must not be averaged. ``[{}]`` when the problem has no such axis.
    """
    axes = {name: axis["values"] for name, axis in axes_of(cell, "parameter").items() if name not in skip}
    picked = []
    for values in axes.values():
        index = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
        picked.append([float(values[i]) for i in index])
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*picked)]


def rows(results: Results, cell: Mapping[str, Any], columns: list[str], at: Mapping[str, float] | None) -> DataFrame:
    """The descents of a cell with these columns and the axes' own, where ``at`` fixes some axes."""
    grid = [axis["name"] for axis in cell["axes"] if axis["kind"] in ("hyperparameter", "parameter")]
    wanted = list(dict.fromkeys(["instance", "start", "seed", *grid, *columns]))
    return where(results.table(columns=wanted, cells=[cell["id"]]), at or {})


def where(table: DataFrame, at: Mapping[str, float]) -> DataFrame:
    """Rows whose columns have these values, to single precision (a float32 axis holds rounded ones)."""
    kept = np.ones(len(table), dtype=bool)
    for name, value in at.items():
        kept &= np.isclose(floats(table, name), value, rtol=1e-6, atol=0.0)
    return keep(table, kept)


def keep(table: DataFrame, mask: Any) -> DataFrame:
    """The rows where a mask holds (an indexing that type checkers can follow)."""
    return cast(DataFrame, table[mask])


def floats(table: DataFrame, column: str) -> np.ndarray:
    """A column as float64, null as NaN."""
    return table[column].to_numpy(dtype=float, na_value=np.nan)


def known(table: DataFrame, column: str) -> np.ndarray:
    """Where a column is not null."""
    return table[column].notna().to_numpy(dtype=bool)


def failed(table: DataFrame) -> np.ndarray:
    """Which descents diverged or became nonfinite."""
    return table["outcome"].isin(LOST).to_numpy(dtype=bool)


def final_value(table: DataFrame) -> tuple[np.ndarray, str]:
    """What a descent ended at, and its name: the gap, or f where no minimum is known.

    A failed descent, or one without a value, counts as infinite, never as missing.
    """
    name = "gap_final" if known(table, "gap_final").any() else "f_final"
    return np.where(failed(table), np.inf, final_gaps(table)), name


def step_cost(cell: Mapping[str, Any]) -> float | None:
    """Cost of one step: evaluations of f + gradients + 2 Hessian-vector products; None where steps differ.

    An evaluation of a mini-batch counts as its share of the data.
    """
    if cell["optimizer"]["cost"] is None:
        return None
    f, g, h = cell["optimizer"]["cost"]
    return float(f + g + 2 * h) * cell["problem"]["batch_share"]


def trace_columns(cell: Mapping[str, Any]) -> list[str]:
    """The columns that ``costs_of_trace`` needs."""
    return [f"trace_{name}" for name in EVALUATIONS] if step_cost(cell) is None else []


def split(table: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Rows to choose a setting on (even starts and seeds) and rows to show it on (odd ones).

    The second part is empty where there is one start and one seed: nothing is held out then.
    """
    even, odd = halves(table)
    return keep(table, even), keep(table, odd)


def shown_on(table: DataFrame) -> tuple[DataFrame, str]:
    """The rows that a chosen setting is shown on, and the words for it."""
    held_out = split(table)[1]
    return (held_out, "held-out starts") if len(held_out) else (table, "not evaluated on held-out starts")


def ranking(table: DataFrame, cell: Mapping[str, Any]) -> DataFrame:
    """Settings of all hyperparameter axes together, best first, judged on even starts and seeds.

    Best is the highest share converged, then the lowest median cost to converge, then the lowest median final value.

    Returns:
        A row a setting: its hyperparameters, ``_converged`` (share), ``_cost`` and ``_value`` (medians). Without a
        hyperparameter axis, one row; of an empty table, none.
    """
    names = [axis["name"] for axis in cell["axes"] if axis["kind"] == "hyperparameter"]
    judged = split(table)[0]
    frame = judged[names].reset_index(drop=True)
    frame["_converged"] = converged(judged).astype(float)
    frame["_cost"], frame["_value"] = cost_at_settle(judged), final_gaps(judged)
    groups = frame.groupby(names or [np.zeros(len(frame), dtype=int)], observed=True)
    summary = groups.agg({"_converged": "mean", "_cost": "median", "_value": "median"}).reset_index(drop=not names)
    order = np.lexsort((summary["_value"], summary["_cost"], -summary["_converged"]))
    return summary.iloc[order].reset_index(drop=True)


def best_setting(table: DataFrame, cell: Mapping[str, Any]) -> dict[str, float] | None:
    """The best setting of the hyperparameter axes, or None where all descents failed."""
    ranked = ranking(table, cell)
    if ranked.empty or failed(table).all():
        return None
    return {name: float(ranked[name].iloc[0]) for name in ranked.columns if not name.startswith("_")}


def edges(cell: Mapping[str, Any], setting: Mapping[str, float]) -> list[str]:
    """Hyperparameters of a setting that lie on the edge of their grid: a better value may lie beyond.

    A list of two values is a choice and has no edge; 0 as the lowest value is a bound of nature.
    """
    found = []
    for name, axis in axes_of(cell, "hyperparameter").items():
        low, high = min(axis["values"]), max(axis["values"])
        choice = axis["scale"] == "list" and len(axis["values"]) < 3
        ends = [high] + ([low] if low != 0 else [])
        if name in setting and not choice and bool(np.isclose(ends, setting[name], rtol=1e-6, atol=0).any()):
            found.append(name)
    return found


def setting_text(cell: Mapping[str, Any], setting: Mapping[str, float]) -> str:
    """An optimizer with its setting, for a legend; it says when the setting is untuned."""
    words = [f"{name.replace('_', ' ')} {number(value)}" for name, value in setting.items()]
    words += ["untuned: edge of its grid"] if edges(cell, setting) else []
    return cell["optimizer"]["label"] + (f" ({', '.join(words)})" if words else "")
