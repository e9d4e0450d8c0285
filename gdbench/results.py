"""Runs read back, without JAX: as pandas, as a lazy Arrow dataset, with everything that explains them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gdbench.errors import StoreError, did_you_mean
from gdbench.rows import CATEGORIES, CONSTANT_COLUMNS, SCHEMA_VERSION, empty_schema, found_basins
from gdbench.store import RESULTS, read_lines, surface_file


class Results:
    """A finished or unfinished run, read without JAX: the table, and everything that explains it.

    Attributes:
        path: the run folder; None for a sweep in memory.
        suite: the resolved suite.
        cells: what is known of every cell, in the order of the table.
        environment: versions, device, flags.
        memo: what readers worked out of the rows and need again, by a key of theirs.
    """

    def __init__(
        self, path: Path | None, suite: dict[str, Any], cells: list[dict[str, Any]], environment: dict[str, Any]
    ):
        self.path, self.suite, self.cells, self.environment = path, suite, cells, environment
        self.memo: dict[Any, Any] = {}
        self._memory: dict[str, list[pa.Table]] = {}
        self._surfaces: dict[str, pd.DataFrame] = {}
        self._asides: dict[tuple[str, str], pd.DataFrame | None] = {}
        self._lines: list[dict[str, Any]] | None = None

    def shards(self, cell: dict[str, Any]) -> list[Path]:
        """The shards of a cell, in the order of their rows."""
        return [] if self.path is None else sorted((self.path / "descents").glob(f"{cell['key']}-*.parquet"))

    def _items(self, cell: dict[str, Any]) -> list[Any]:
        """The pieces of a cell's table: files, or tables in memory."""
        return self.shards(cell) if self.path is not None else self._memory.get(cell["id"], [])

    def keep(self, cell: str, table: pa.Table) -> None:
        """Add rows of a sweep that is not stored."""
        self._memory.setdefault(cell, []).append(table)

    def scan(self, cells: Sequence[str] | None = None) -> Any:
        """A lazy Arrow dataset of all rows, for more of them than fit in memory; ``cells`` are cell ids.

        Filter and project with ``.to_table(columns=…, filter=…)`` or ``.to_batches(…)``.
        """
        import pyarrow.dataset as ds  # takes 0.3 s to import

        chosen = [c for c in self.cells if cells is None or c["id"] in cells]
        schema = empty_schema(self.cells)
        if self.path is None:
            return ds.dataset(
                [self._with_constants(c, t) for c in chosen for t in self._memory.get(c["id"], [])], schema
            )
        paths: list[str] = []
        constants = []
        for cell in chosen:
            expression = None
            for name, value in _constants(cell).items():
                equal = ds.field(name) == value
                expression = equal if expression is None else expression & equal
            for path in self.shards(cell):
                paths.append(str(path))
                constants.append(expression)
        from pyarrow.fs import LocalFileSystem

        return ds.FileSystemDataset.from_paths(
            paths, schema=schema, format=ds.ParquetFileFormat(), filesystem=LocalFileSystem(), partitions=constants
        )

    def _with_constants(self, cell: dict[str, Any], table: pa.Table) -> pa.Table:
        for name, value in _constants(cell).items():
            table = table.append_column(name, pa.array([value] * len(table), pa.string()))
        missing = [f for f in empty_schema(self.cells) if f.name not in table.column_names]
        for field in missing:
            table = table.append_column(field, pa.nulls(len(table), field.type))
        schema = empty_schema(self.cells)
        return table.select(schema.names).cast(schema)

    def table(self, columns: Sequence[str] | None = None, cells: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows as pandas, one a descent, in the order of the suite and its grids.

        Args:
            columns: only these; None for all.
            cells: only the cells with these ids.

        Raises:
            StoreError: for a column that the run has not, or a shard that cannot be read.
        """
        names = empty_schema(self.cells).names
        for name in columns or ():
            if name not in names:
                raise StoreError(f"this run has no column {name!r}: {did_you_mean(name, names)}")
        wanted = list(columns) if columns is not None else names
        parts = []
        for cell in self.cells:
            if cells is None or cell["id"] in cells:
                parts += [self._read(cell, wanted, item) for item in self._items(cell)]
        whole = pa.concat_tables(parts) if parts else _as_read(empty_schema(self.cells), wanted).empty_table()
        whole = whole.unify_dictionaries()
        frame = _categorical(whole.to_pandas())
        if "basin" in wanted:
            self._find_basins(frame, cells)
        return frame

    def _find_basins(self, frame: pd.DataFrame, cells: Sequence[str] | None) -> None:
        """Number the basins of cells whose minimizers are not known, in place."""
        first = 0
        for cell in self.cells:
            if cells is not None and cell["id"] not in cells:
                continue
            last = first + sum(rows_of(item) for item in self._items(cell))
            if cell["problem"]["minimizers"] is None and 1 <= cell["problem"]["dim"] <= 3:
                ends = [f"end_{i}" for i in range(cell["problem"]["dim"])]
                found = found_basins(self.table(["rest", "outcome", "f_final", *ends], [cell["id"]]), cell)
                if found is not None:
                    frame.iloc[first:last, frame.columns.get_loc("basin")] = found
            first = last

    def _read(self, cell: dict[str, Any], wanted: list[str], item: pa.Table | Path) -> pa.Table:
        schema = empty_schema(self.cells)
        if isinstance(item, Path):
            try:
                file = pq.ParquetFile(item, page_checksum_verification=True)
                table = file.read([n for n in wanted if n in file.schema_arrow.names])
            except (OSError, pa.ArrowException) as error:
                raise StoreError(
                    f"{item}: cannot be read ({_first_line(error)}): run the suite again to rebuild it"
                ) from error
            rows = file.metadata.num_rows
        else:
            rows, table = len(item), item.select([n for n in wanted if n in item.column_names])
        constants = _constants(cell)
        arrays = []
        for name in wanted:
            field = schema.field(name)
            if name in constants:
                nought = pa.array(np.zeros(rows, np.int32))
                arrays.append(pa.chunked_array([pa.DictionaryArray.from_arrays(nought, [constants[name]])]))
            elif name in table.column_names:
                arrays.append(table[name] if table[name].type == field.type else table[name].cast(field.type))
            else:
                arrays.append(pa.chunked_array([pa.nulls(rows, field.type)]))
        return pa.table(arrays, schema=_as_read(schema, wanted))

    def counts(self) -> dict[str, dict[str, int]]:
        """Descents per outcome for every cell, read one shard at a time."""
        found: dict[str, dict[str, int]] = {}
        for cell in self.cells:
            tally: dict[str, int] = {}
            for item in self._items(cell):
                for pair in self._read(cell, ["outcome"], item)["outcome"].value_counts().to_pylist():
                    outcome = pair["values"] or "not judged"
                    tally[outcome] = tally.get(outcome, 0) + pair["counts"]
            found[cell["id"]] = tally
        return found

    @property
    def partial(self) -> list[str] | None:
        """The recorded columns where a suite asked for some of them alone; None where the record is whole."""
        return next((list(c["record"]) for c in self.cells if not isinstance(c.get("record", ""), str)), None)

    def need_whole(self, what: str) -> None:
        """Refuse what cannot be told from part of a record.

        Raises:
            StoreError: where a suite asked for some columns alone.
        """
        if self.partial is not None:
            only = ", ".join(self.partial)
            raise StoreError(f"{what} needs the whole record, and this run keeps {only} alone: set record = 'outcome'")

    def keep_surface(self, label: str, frame: pd.DataFrame) -> None:
        """Hold the surface of a problem in memory."""
        self._surfaces[label] = frame

    def surface(self, problem: str) -> pd.DataFrame | None:
        """Values and gradients of a 1-D or 2-D problem over its box, or None.

        ``problem`` is what a cell names its surface, or a label: then the first problem of that label is meant.
        """
        problem = self._surface_name(problem)
        if problem not in self._surfaces and self.path is not None:
            path = self.path / "surfaces" / f"{surface_file(problem)}.parquet"
            if path.exists():
                frame = pd.read_parquet(path)
                quotients = path.with_suffix(".quotients.parquet")
                if quotients.exists():
                    frame.attrs["quotients"] = pd.read_parquet(quotients)
                self._surfaces[problem] = frame
        return self._surfaces.get(problem)

    def _surface_name(self, problem: str) -> str:
        """What cells name the surface of a problem: its label stands for the first problem of that label."""
        by_label = {cell["problem"]["label"]: cell["problem"]["surface"] for cell in reversed(self.cells)}
        return by_label.get(problem, problem)

    def keep_aside(self, kind: str, label: str, frame: pd.DataFrame | None) -> None:
        """Hold in memory what was measured of a problem beside its surface: one of ``store.ASIDES``."""
        self._asides[kind, label] = frame

    def directions(self, problem: str) -> pd.DataFrame | None:
        """Slopes of a problem along unit vectors, where its experiment asked for them; ``problem`` as for a surface."""
        return self._aside("directions", problem)

    def clock(self, problem: str) -> pd.DataFrame | None:
        """Seconds of a value and of a gradient, where an experiment asked for them; ``problem`` as for a surface."""
        return self._aside("clock", problem)

    def _aside(self, kind: str, problem: str) -> pd.DataFrame | None:
        problem = self._surface_name(problem)
        if (kind, problem) not in self._asides and self.path is not None:
            path = self.path / "surfaces" / f"{surface_file(problem)}.{kind}.parquet"
            self._asides[kind, problem] = pd.read_parquet(path) if path.exists() else None
        return self._asides.get((kind, problem))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The manifest, a dict a line; a line cut off by a killed process is left out."""
        if self._lines is None:
            self._lines = list(read_lines(self.path / "manifest.jsonl")) if self.path else []
        return self._lines

    def add_line(self, **line: Any) -> None:
        """Add a line to the manifest of a sweep in memory."""
        self.lines.append(line)

    @property
    def timing(self) -> list[dict[str, Any]]:
        """Per cell: seconds to compile, of the first dispatch, of the others; descents and steps they ran."""
        found = {}
        for line in self.lines:
            if line.get("event") == "cell":
                found[line["cell"]] = {k: v for k, v in line.items() if k != "event"}
        return [found[c["id"]] for c in self.cells if c["id"] in found]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Cells whose last try failed, with the reason; ``refused`` where the optimizer is not made for the problem."""
        last = {line["cell"]: line for line in self.lines if line.get("event") in ("cell", "failed")}
        return [
            {
                "cell": c["id"], "experiment": c["experiment"], "problem": c["problem"]["label"],
                "optimizer": c["optimizer"]["label"], "error": last[c["id"]]["error"],
                "refused": last[c["id"]].get("refused", False),
            }
            for c in self.cells if last.get(c["id"], {}).get("event") == "failed"
        ]  # fmt: skip


def rows_of(item: Any) -> int:
    """Rows of a table in memory or of a shard."""
    return pq.read_metadata(item).num_rows if isinstance(item, Path) else len(item)


def _constants(cell: dict[str, Any]) -> dict[str, str]:
    return dict(
        zip(
            CONSTANT_COLUMNS,
            (cell["id"], cell["experiment"], cell["problem"]["label"], cell["optimizer"]["label"], cell["dtype"]),
            strict=True,
        )
    )


def _as_read(schema: pa.Schema, wanted: Sequence[str]) -> pa.Schema:
    """The schema of these columns in a table: labels are dictionary-encoded, which is quick and small."""
    label = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([(n, label if n in CONSTANT_COLUMNS else schema.field(n).type) for n in wanted])


def _categorical(frame: pd.DataFrame) -> pd.DataFrame:
    """Outcomes and their like with all their categories, in the catalogue's order (labels are categories already)."""
    for name in frame.columns:
        if name in CATEGORIES:
            frame[name] = pd.Categorical(frame[name], categories=list(CATEGORIES[name]))
    return frame


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def load(path: str | Path) -> Results:
    """A run from its folder, or the newest run of a suite from the suite's folder.

    Raises:
        StoreError: when there is no run, or it cannot be read.
    """
    path = Path(path)
    folder = path if (path / "run.json").exists() else newest_run(path)
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise StoreError(f"{folder}: not a run that can be read: {error}") from error
    if not isinstance(told, dict) or not isinstance(environment, dict):
        raise StoreError(f"{folder}: not a run that can be read: run.json and environment.json must be tables")
    if told.get("schema") != SCHEMA_VERSION:
        raise StoreError(f"{folder}: schema version {told.get('schema')!r}, this gdbench reads {SCHEMA_VERSION!r}")
    if missing := {"suite", "cells"} - set(told):
        raise StoreError(f"{folder}: not a run that can be read: run.json lacks {sorted(missing)[0]!r}")
    results = Results(folder, told["suite"], told["cells"], environment)
    failed = {f["cell"]: {"failed": f["error"], "refused": f["refused"]} for f in results.failures}
    results.cells = [cell | failed.get(cell["id"], {"failed": None, "refused": False}) for cell in results.cells]
    return results


def newest_run(path: Path) -> Path:
    """The run under a suite's folder that was started last."""
    runs = sorted(path.glob("*/run.json"), key=lambda p: p.stat().st_mtime_ns) if path.is_dir() else []
    if runs:
        return runs[-1].parent
    known = [str(p.parent) for p in RESULTS.glob("*/*/run.json")]
    raise StoreError(f"{path}: no run there: {did_you_mean(str(path), known) if known else 'run a suite first'}")
