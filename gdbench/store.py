"""Run folders: atomic Parquet shards, a manifest, provenance, one lock.

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
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gdbench.errors import StoreError
from gdbench.rows import SCHEMA_VERSION

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


FEW = 1 << 16
"""Distinct numbers, of the first of a column, that are worth a dictionary."""


def _encodings(table: pa.Table) -> dict[str, Any]:
    """How the columns are written: reals byte by byte, for a dictionary of numbers that all differ is larger than they
    are; those that repeat (coordinates of the grid, counts) with a dictionary.
    """
    split = []
    for field in table.schema:
        if pa.types.is_floating(field.type):
            some = table[field.name].slice(0, 4 * FEW)
            if len(some.unique()) > min(FEW, len(some) // 4):
                split.append(field.name)
    others = [name for name in table.column_names if name not in split]
    return {"compression": "zstd", "use_dictionary": others, "use_byte_stream_split": split, **_PAGES}


# Recent releases of pyarrow begin a page every 20,000 rows, and what repeats from one to the next is then not found:
# a descent took 36 bytes, and with pages of a shard's length 23. Older ones know no such bound.
_PAGES = {"max_rows_per_page": 1 << 20} if "max_rows_per_page" in signature(pq.write_table).parameters else {}


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
            lambda file: pq.write_table(table, file, write_page_checksum=True, **_encodings(table)),
        )

    def noted(self, cell: str) -> bool:
        """Whether the last that the manifest says of a cell is that it is done."""
        said = [line for line in read_lines(self.path / "manifest.jsonl") if line.get("cell") == cell]
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


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a manifest; one cut off by a killed process is left out."""
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(text)
        except json.JSONDecodeError:
            continue  # the last line of a process that was killed while it wrote


ASIDES = ("directions", "clock")
"""What is measured of a problem beside its surface, where an experiment asks for it."""


def surface_file(label: str) -> str:
    """File name for the surface of a problem."""
    return hashlib.sha256(label.encode()).hexdigest()[:16]


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
