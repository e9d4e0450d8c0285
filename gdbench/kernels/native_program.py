"""Cells of the engine ``native``: columns of lanes in, columns of records out, groups of lanes spread over threads."""

from __future__ import annotations

import concurrent.futures
import ctypes
import functools
import itertools
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from gdbench.kernels import llvm, native, saved
from gdbench.kernels.descent import Lane, Shared, divide
from gdbench.kernels.execute import Program, shapes_of


@functools.cache
def _threads(count: int) -> concurrent.futures.ThreadPoolExecutor:
    """So many threads, kept for all programs: the code that they run lets the interpreter go on."""
    return concurrent.futures.ThreadPoolExecutor(count, "native")


class Leaf(NamedTuple):
    """One array of the arguments or of the record of a lane.

    Attributes:
        shape: without the lanes.
        dtype: its type.
        differ: whether lanes have their own.
        asked: which elements something reads.
    """

    shape: tuple[int, ...]
    dtype: str
    differ: bool
    asked: tuple[bool, ...]


@dataclass(eq=False)
class Pending:
    """A dispatch: so many lanes, groups of which are begun one after the other by the threads that run it.

    Its arrays live as long as any of its threads does.
    """

    code: llvm.Code
    given: list[np.ndarray | None]
    records: list[np.ndarray]
    lanes: int
    groups: int
    running: list[concurrent.futures.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = ctypes.c_int64(0)
        sides = self.given, self.records
        self._tables = [np.array([0 if c is None else c.ctypes.data for c in side], np.uintp) for side in sides]

    def run(self) -> None:
        """Take groups until all are begun."""
        given, records = (table.ctypes.data for table in self._tables)
        self.code.run(given, records, ctypes.addressof(self._begun), self.groups)

    def block_until_ready(self) -> Pending:
        """Wait for it."""
        for future in self.running:
            future.result()
        return self


class NativeProgram(Program):
    """A cell as machine code that threads run, one a device."""

    _given: list[Leaf]
    _records: dict[str, Leaf]
    _code: llvm.Code

    @property
    def width(self) -> int:
        """Lanes of a group."""
        return native.group_lanes(self.descent, self.dtype)

    def _compile(self, shared: Shared) -> None:
        with self._context():
            own, common = divide(self.lanes(1), self.descent.varying)
            own, common = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), (own, common))
            given = own, common, jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), shared)
            key = self._name(given)
            kept = saved.recall_code(key)
            if kept is None:
                kept = self._build(given)
                saved.remember_code(key, kept)
        code, self._given, self._records = kept
        self._code = llvm.Code(code)

    def _name(self, given: Any) -> str | None:
        """The name of the saved code, which depends on neither devices nor blocks."""
        d = self.descent
        if d.identity is None:
            return None
        varying = None if d.varying is None else sorted(d.varying)
        return saved.key_of(
            "native", d.identity, sorted(d.static.items()), d.shape, varying, self.width, shapes_of(given),
            llvm.version(),
        )  # fmt: skip

    def _build(self, given: Any) -> tuple[bytes, list[Leaf], dict[str, Leaf]]:
        """The machine code, and what its columns are."""
        group = native.group_program(self.descent, given, self.width)
        read = {v for eqn in group.program.jaxpr.eqns for v in eqn.invars if not hasattr(v, "val")}
        left = iter(group.program.jaxpr.invars)
        leaves = [
            Leaf(a.shape, str(a.dtype), differs, tuple(v in read for v in itertools.islice(left, a.size)))
            for a, differs in zip(jax.tree.leaves(given), group.differ, strict=True)
        ]
        records = {
            name: Leaf(a.shape, str(a.dtype), True, (True,) * a.size) for name, a in sorted(group.results.items())
        }
        return native.machine_code(group, self.width, self.dtype), leaves, records

    def place(self, shared: Shared) -> Shared:
        """The shared arguments as they are."""
        return shared

    def start(self, lanes: Lane, shared: Shared) -> Pending:
        """Dispatch up to ``blocks * block`` lanes; returns at once. Missing lanes of a group repeat the last one."""
        n = len(lanes.x0)
        groups = -(-n // self.width)
        own, common = divide(lanes, self.descent.varying)
        common = jax.tree.map(lambda a: a[0], common)
        values = jax.tree.leaves((own, common, shared))
        columns = [
            column
            for value, leaf in zip(values, self._given, strict=True)
            for column in _columns(np.asarray(value), leaf, groups * self.width)
        ]
        out = [
            np.empty(groups * self.width, leaf.dtype)
            for leaf in self._records.values()
            for _ in range(int(np.prod(leaf.shape)))
        ]
        pending = Pending(self._code, columns, out, n, groups)
        count = self.mesh.devices.size
        pending.running = [_threads(count).submit(pending.run) for _ in range(min(count, groups))]
        return pending

    def fetch(self, pending: Pending) -> dict[str, np.ndarray]:
        """Wait for a dispatch; its records as NumPy arrays [lanes, …]."""
        left = iter(pending.block_until_ready().records)
        records = {}
        for name, leaf in self._records.items():
            parts = [next(left)[: pending.lanes] for _ in range(int(np.prod(leaf.shape)))]
            whole = parts[0] if not leaf.shape else np.stack(parts, 1) if parts else np.empty(0, leaf.dtype)
            records[name] = whole.reshape(pending.lanes, *leaf.shape)
        return records


def _columns(value: np.ndarray, leaf: Leaf, lanes: int) -> list[np.ndarray | None]:
    """A contiguous column for each element that is asked for: of lanes, the last one repeated, or of one number."""
    if not leaf.differ:
        flat = value.astype(leaf.dtype, copy=False).reshape(-1)
        return [flat[i : i + 1] if asked else None for i, asked in enumerate(leaf.asked)]
    parts = value.reshape(len(value), -1)
    return [_column(parts[:, i], leaf.dtype, lanes) if asked else None for i, asked in enumerate(leaf.asked)]


def _column(column: np.ndarray, dtype: str, lanes: int) -> np.ndarray:
    if len(column) == lanes:
        return np.ascontiguousarray(column, dtype)
    whole = np.empty(lanes, dtype)
    whole[: len(column)] = column
    whole[len(column) :] = column[-1]
    return whole
