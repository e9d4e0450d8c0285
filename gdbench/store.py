"""Run folders: atomic Parquet shards, a manifest, provenance, one lock; read back as pandas or a lazy dataset.

    results/<suite>/<run>/
      run.json           resolved suite and cells
      environment.json   versions, device, flags
      manifest.jsonl     one line for every finished shard and every failed cell; can be rebuilt from the shards
      descents/<cell>-<first row>-<last row>.parquet
      surfaces/<problem>.parquet

The existence of a shard is the truth: it is written to a temporary name, synced and renamed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gdbench.errors import StoreError, did_you_mean
from gdbench.rows import CATEGORIES, CONSTANT_COLUMNS, SCHEMA_VERSION, empty_schema, found_basins

RESULTS = Path("results")


def shard_name(cell: str, first: int, last: int) -> str:
    """File name of the rows first ≤ row < last of a cell."""
    return f"{cell}-{first:012d}-{last:012d}.parquet"


def write_atomically(path: Path, write: Any) -> None:
    """Call ``write(file)`` on a temporary file beside ``path``, sync it and rename it there.

    Raises:
        StoreError: when the disk is full or the folder cannot be written; nothing else is touched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(_explain(path, error)) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{path}: no room left on the disk; what was written before is good: free some and run again"
    return f"{path}: cannot be written: {error.strerror or error}"


def write_json(path: Path, content: Any) -> None:
    """A JSON file, atomically."""
    write_atomically(path, lambda file: file.write((json.dumps(content, indent=1) + "\n").encode()))


class RunFolder:
    """A run folder opened for writing; one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Any = None

    def __enter__(self) -> RunFolder:
        try:
            for folder in ("descents", "surfaces"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "w")  # held open as long as the folder is
        except OSError as error:
            raise StoreError(_explain(self.path, error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise StoreError(f"{self.path}: another process is writing this run: wait for it, or stop it") from None
        for left in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
            left.unlink()  # what a killed process was writing
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def begin(self, suite: dict[str, Any], cells: Sequence[dict[str, Any]], environment: dict[str, Any]) -> None:
        """Write what the run is, before its first row."""
        write_json(self.path / "environment.json", environment)
        write_json(self.path / "run.json", {"schema": SCHEMA_VERSION, "suite": suite, "cells": list(cells)})

    def shard(self, cell: str, first: int, last: int) -> Path:
        """Where a shard is, or will be."""
        return self.path / "descents" / shard_name(cell, first, last)

    def has(self, cell: str, first: int, last: int) -> bool:
        """Whether a shard is there and whole; one that cannot be read is removed, to be made again."""
        path = self.shard(cell, first, last)
        if not path.exists():
            return False
        if _whole(path, last - first):
            return True
        path.unlink()
        return False

    def adopt(self, cell: str, first: int, last: int, root: Path) -> bool:
        """Take the same shard from another run under ``root``, as a hard link where the disk can do that."""
        name, own = shard_name(cell, first, last), self.shard(cell, first, last)
        for found in sorted(root.glob(f"*/*/descents/{name}")):
            if found == own or not _whole(found, last - first):
                continue
            try:
                os.link(found, own)
            except OSError:
                write_atomically(own, lambda file, found=found: file.write(found.read_bytes()))
            return True
        return False

    def write(self, cell: str, first: int, last: int, table: pa.Table, provenance: dict[str, str]) -> None:
        """Write one shard."""
        told = {"gdbench.schema": SCHEMA_VERSION, "gdbench.cell": cell, **provenance}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **told})
        path = self.shard(cell, first, last)
        write_atomically(
            path,
            lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True),
        )

    def noted(self, cell: str) -> bool:
        """Whether the last that the manifest says of a cell is that it is done."""
        said = [line for line in _read_lines(self.path / "manifest.jsonl") if line.get("cell") == cell]
        events = [line["event"] for line in said if line.get("event") in ("cell", "failed")]
        return bool(events) and events[-1] == "cell"

    def note(self, **line: Any) -> None:
        """Append a line to the manifest."""
        try:
            with open(self.path / "manifest.jsonl", "a+b") as file:
                # A process that was killed may have left half a line.
                file.seek(0, os.SEEK_END)
                whole = file.tell() == 0 or (file.seek(-1, os.SEEK_END), file.read(1))[1] == b"\n"
                file.write((b"" if whole else b"\n") + json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise StoreError(_explain(self.path / "manifest.jsonl", error)) from error


def _whole(path: Path, rows: int) -> bool:
    """Whether a shard is what its name says, down to the checksum of every page."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            told = file.metadata.metadata or {}
            if file.metadata.num_rows != rows or told.get(b"gdbench.schema") != SCHEMA_VERSION.encode():
                return False
            for i in range(file.metadata.num_row_groups):
                file.read_row_group(i)
    except (OSError, pa.ArrowException):
        return False
    return True


def surface_file(label: str) -> str:
    """File name for the surface of a problem."""
    return hashlib.sha256(label.encode()).hexdigest()[:16]


class Results:
    """A finished or unfinished run, read without JAX: the table, and everything that explains it.

    Attributes:
        path: the run folder; None for a sweep in memory.
        suite: the resolved suite.
        cells: what is known of every cell, in the order of the table.
        environment: versions, device, flags.
    """

    def __init__(
        self, path: Path | None, suite: dict[str, Any], cells: list[dict[str, Any]], environment: dict[str, Any]
    ):
        self.path, self.suite, self.cells, self.environment = path, suite, cells, environment
        self._memory: dict[str, list[pa.Table]] = {}
        self._surfaces: dict[str, pd.DataFrame] = {}
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
                    tally[pair["values"]] = tally.get(pair["values"], 0) + pair["counts"]
            found[cell["id"]] = tally
        return found

    def keep_surface(self, label: str, frame: pd.DataFrame) -> None:
        """Hold the surface of a problem in memory."""
        self._surfaces[label] = frame

    def surface(self, problem: str) -> pd.DataFrame | None:
        """Values and gradients of a 1-D or 2-D problem (by its label) over its box, or None."""
        if problem not in self._surfaces and self.path is not None:
            path = self.path / "surfaces" / f"{surface_file(problem)}.parquet"
            if path.exists():
                frame = pd.read_parquet(path)
                quotients = path.with_suffix(".quotients.parquet")
                if quotients.exists():
                    frame.attrs["quotients"] = pd.read_parquet(quotients)
                self._surfaces[problem] = frame
        return self._surfaces.get(problem)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The manifest, a dict a line; a line cut off by a killed process is left out."""
        if self._lines is None:
            self._lines = list(_read_lines(self.path / "manifest.jsonl")) if self.path else []
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
        """Cells whose last try failed, with the reason."""
        last = {line["cell"]: line for line in self.lines if line.get("event") in ("cell", "failed")}
        return [
            {
                "cell": c["id"], "experiment": c["experiment"], "problem": c["problem"]["label"],
                "optimizer": c["optimizer"]["label"], "error": last[c["id"]]["error"],
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


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(text)
        except json.JSONDecodeError:
            continue  # the last line of a process that was killed while it wrote


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
    failed = {f["cell"]: f["error"] for f in results.failures}
    results.cells = [{**cell, "failed": failed.get(cell["id"])} for cell in results.cells]
    return results


def newest_run(path: Path) -> Path:
    """The run under a suite's folder that was started last."""
    runs = sorted(path.glob("*/run.json"), key=lambda p: p.stat().st_mtime_ns) if path.is_dir() else []
    if runs:
        return runs[-1].parent
    known = [str(p.parent) for p in RESULTS.glob("*/*/run.json")]
    raise StoreError(f"{path}: no run there: {did_you_mean(str(path), known) if known else 'run a suite first'}")


VERSIONS = ("jax", "jaxlib", "optax", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "scikit-learn")


def environment(devices: Iterable[Any], suite_seed: int) -> dict[str, Any]:
    """Where and with what a run is made."""
    devices = list(devices)
    commit, dirty = _commit()
    return {
        "gdbench": importlib.metadata.version("gdbench"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in VERSIONS},
        "platform": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "device_count": len(devices),
        "driver": str(getattr(devices[0].client, "platform_version", "")).strip().replace("\n", " "),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "commit": commit,
        "dirty": dirty,
        "seed": suite_seed,
        "flags": os.environ.get("XLA_FLAGS", ""),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout that gdbench runs from, and whether it has changes; None outside a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None, None
    try:
        git = ["git", "-C", str(root)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        state = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None, None
    return head.stdout.strip(), bool(state.stdout.strip())
