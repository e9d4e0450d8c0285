"""The answer tables as one table of numbers, a row an answer: for CSV, Parquet and anyone's own analysis."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.report.answers import Answer, AnswerTable, Judged
from gdbench.report.lines import leaders
from gdbench.report.study import Results, Study


def answers_frame(results: Results, study: Study) -> DataFrame:
    """A row an answer, in the order of the report.

    Columns: where it stands (``experiment``, ``problem``, ``dtype``, ``parameter_<name>`` of an axis of the problem);
    what is judged (``optimizer``, ``regime``, ``setting_<name>``, ``settings`` it was chosen from, ``untuned`` axes,
    ``tuning_cost``); on how many held-out descents (``n``, of which ``k`` converged, from ``units`` starts); ``share``,
    ``cost`` in evaluations (infinite: more than half did not converge), each with ``_low`` and ``_high`` of its 95%
    interval, and the median cost at other weights of a gradient (``cost_c_4``, ``cost_c_dimension``); ``gap`` (where
    ``gap_known`` is false, the final value); ``usable_low``, ``usable_high``, ``usable_width`` in decades and whether
    it is ``usable_open`` at an end of the grid; ``diverged`` over the whole grid; ``oracle``, ``alias``, ``leads``
    (first, or not told apart from the first); a ``note`` where nothing was judged; ``cell``. What is not known is null.
    """
    known = {cell["id"]: cell["problem"]["minimum"] is not None for cell in results.cells}
    places = list(dict.fromkeys(name for table in study.tables for name in table.at))
    settings = list(dict.fromkeys(name for row in study.answers for name in row.setting))
    others = dict.fromkeys(name for row in study.answers if row.judged for name in row.judged.other_costs)
    rows = []
    for table in study.tables:
        leading = {id(row) for row in leaders(table)}
        for row in table.rows:
            rows.append(
                _place(table, places)
                | _setting(row, settings)
                | _judged(row.judged, list(others))
                | _facts(row, id(row) in leading, known[row.cell])
            )
    frame = DataFrame(rows)
    return frame.astype({"usable_open": "boolean"}) if rows else frame


def _place(table: AnswerTable, names: list[str]) -> dict[str, Any]:
    at = {f"parameter_{name}": table.at.get(name, np.nan) for name in names}
    return {"experiment": table.experiment, "problem": table.problem, "dtype": table.dtype, **at}


def _setting(row: Answer, names: list[str]) -> dict[str, Any]:
    chosen = {f"setting_{name}": row.setting.get(name, np.nan) for name in names}
    told: dict[str, Any] = {"optimizer": row.optimizer, "regime": row.regime}
    untuned = ", ".join(row.edges)
    return told | chosen | {"settings": row.settings, "untuned": untuned, "tuning_cost": float(row.tuning_cost)}


def _judged(judged: Judged | None, others: list[str]) -> dict[str, Any]:
    """The figures of a row; none judged leaves them unknown."""
    if judged is None:
        numbers = ("share", "share_low", "share_high", "cost", "cost_low", "cost_high")
        costs = dict.fromkeys(map(_column, others), np.nan)
        return {"n": 0, "k": 0, "units": 0, **dict.fromkeys(numbers, np.nan), **costs, "gap": np.nan, **_usable(None)}
    share, cost = judged.interval, judged.cost
    return {
        "n": judged.descents, "k": judged.converged, "units": judged.units,
        "share": judged.share, "share_low": share.low, "share_high": share.high,
        "cost": cost.value, "cost_low": cost.low, "cost_high": cost.high,
        **{_column(name): judged.other_costs.get(name, np.nan) for name in others},
        "gap": judged.gap, **_usable(judged),
    }  # fmt: skip


def _column(name: str) -> str:
    """cost_c_4 for the cost at "c = 4"."""
    return "cost_" + re.sub(r"\W+", "_", name).strip("_")


def _usable(judged: Judged | None) -> dict[str, Any]:
    usable = judged.usable if judged else None
    if usable is None:
        return {"usable_low": np.nan, "usable_high": np.nan, "usable_width": np.nan, "usable_open": None}
    ends: Mapping[str, float | None] = {"usable_low": usable.low, "usable_high": usable.high}
    width = {"usable_width": usable.width, "usable_open": usable.open}
    return {name: np.nan if end is None else end for name, end in ends.items()} | width


def _facts(row: Answer, leads: bool, known: bool) -> dict[str, Any]:
    return {
        "gap_known": known, "diverged": row.diverged, "oracle": row.oracle, "alias": row.alias, "leads": leads,
        "note": row.note, "cell": row.cell,
    }  # fmt: skip
