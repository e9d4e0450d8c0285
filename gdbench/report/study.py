"""Everything the report says that comes from the descents, read one cell at a time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pandas import DataFrame

from gdbench.contracts import FLAGS
from gdbench.figures import base as figures
from gdbench.measures.base import SPENT
from gdbench.measures.outcome_shares import outcome_counts
from gdbench.report.answers import Answer, AnswerTable, answer_tables, cell_answers
from gdbench.report.verdict import Verdict, verdicts

RECORD = (
    "outcome", "flag", "steps", "settle_step", "f_final", "gap_final", *SPENT, "start", "seed",
)  # fmt: skip
"""The columns of the table that the report needs, beside the axes."""


class Results(figures.Results, Protocol):
    """What the report asks of a run; ``gdbench.results.Results`` provides it."""

    @property
    def path(self) -> Path | None:
        """The run's folder, None for a sweep in memory."""
        ...

    @property
    def environment(self) -> dict[str, Any]:
        """What it ran on."""
        ...

    @property
    def timing(self) -> list[dict[str, Any]]:
        """Seconds by phase, an entry a cell."""
        ...

    @property
    def failures(self) -> list[dict[str, Any]]:
        """An entry a failed cell."""
        ...

    def need_whole(self, what: str) -> None:
        """Refuse what cannot be told from part of a record."""
        ...


@dataclass(frozen=True)
class CellSummary:
    """What one cell's descents add up to.

    Attributes:
        cell: the cell.
        descents: number of rows.
        starts: number of different starts among them.
        seeds: number of different seeds among them.
        outcomes: number of each of the six outcomes.
        flags: number of each flag, the empty one left out.
        seconds: compile, first run and steady run; empty where nothing was timed.
    """

    cell: Mapping[str, Any]
    descents: int
    starts: int
    seeds: int
    outcomes: Mapping[str, int]
    flags: Mapping[str, int]
    seconds: Mapping[str, Any]

    @property
    def share(self) -> dict[str, float]:
        """Share of each outcome; empty for no descents."""
        return {name: n / self.descents for name, n in self.outcomes.items()} if self.descents else {}

    @property
    def name(self) -> str:
        """Optimizer, problem and dtype in words."""
        return f"{self.cell['optimizer']['label']} on {self.cell['problem']['label']}, {self.cell['dtype']}"


@dataclass(frozen=True)
class Twins:
    """The same cell in float32 and float64: how many descents end differently."""

    name: str
    descents: int
    changed: int


@dataclass(frozen=True)
class Study:
    """The numbers of a report."""

    cells: tuple[CellSummary, ...]
    tables: tuple[AnswerTable, ...]
    twins: tuple[Twins, ...]
    verdicts: tuple[Verdict, ...] = ()

    @property
    def descents(self) -> int:
        """Descents of all cells."""
        return sum(cell.descents for cell in self.cells)

    @property
    def answers(self) -> list[Answer]:
        """The rows of all answer tables."""
        return [row for table in self.tables for row in table.rows]


def read_cell(results: Results, cell: Mapping[str, Any]) -> DataFrame:
    """The rows of one cell, only the columns that the report needs."""
    axes = [axis["name"] for axis in cell["axes"] if axis["name"] not in RECORD]
    return results.table([*RECORD, *axes], [cell["id"]])


def summarise(cell: Mapping[str, Any], frame: DataFrame, seconds: Mapping[str, Any]) -> CellSummary:
    """What the rows of a cell add up to."""
    flags = frame["flag"].value_counts().to_dict()
    return CellSummary(
        cell=cell,
        descents=len(frame),
        starts=len(np.unique(frame["start"].to_numpy())),
        seeds=len(np.unique(frame["seed"].to_numpy())),
        outcomes=outcome_counts(frame),
        flags={name: int(flags.get(name, 0)) for name in FLAGS if name},
        seconds=seconds,
    )


def twins_of(results: Results, cells: tuple[CellSummary, ...]) -> tuple[Twins, ...]:
    """Pairs of cells that differ in dtype alone, compared row by row (the same grid has the same order)."""
    single, double = ({}, {})
    for summary in cells:
        cell = summary.cell
        key = (cell["experiment"], cell["problem"]["label"], cell["optimizer"]["label"])
        if summary.descents and cell["dtype"] in ("float32", "float64"):
            (single if cell["dtype"] == "float32" else double)[key] = cell
    found = []
    for key in single.keys() & double.keys():
        pair = [results.table(["outcome", "start", "seed"], [side[key]["id"]]) for side in (single, double)]
        if len(pair[0]) == len(pair[1]):
            outcomes = [frame["outcome"].astype(str).to_numpy() for frame in pair]
            changed = int(np.sum(outcomes[0] != outcomes[1]))
            found.append(Twins(f"{key[2]} on {key[1]} ({key[0]})", len(outcomes[0]), changed))
    return tuple(sorted(found, key=lambda twins: twins.name))


def read(results: Results) -> Study:
    """Read a run: one pass over its cells, of which one is in memory at a time.

    Bootstrap intervals are drawn from the suite's seed, so the same run gives the same report.
    """
    seed = int(results.suite["suite"].get("seed") or 0)
    timing = {entry["cell"]: entry for entry in results.timing}
    summaries, rows = [], []
    for cell in results.cells:
        frame = read_cell(results, cell)
        summaries.append(summarise(cell, frame, timing.get(cell["id"], {})))
        # The same cell has the same intervals in any run, whatever else is in it.
        rows += cell_answers(results, cell, frame, np.random.default_rng([seed, zlib.crc32(cell["id"].encode())]))
    cells = tuple(summaries)
    return Study(
        cells,
        tuple(answer_tables(rows)),
        twins_of(results, cells),
        tuple(verdicts(results, np.random.default_rng(seed))),
    )
