"""One cell at a time: compile it, run ranges of its rows tile by tile, and give them as tables."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np
import pyarrow as pa

from gdbench.contracts import CONVERGED, RESTS, TRAPPED
from gdbench.errors import CellError
from gdbench.kernels import curvature, execute, host, native_program, rest
from gdbench.plan import CLASSIFIED_DIMENSION, Cell, noise_word, thresholds
from gdbench.rows import to_table
from gdbench.suite import Trial

ONE_DEVICE = 4096
"""Lanes up to which short descents run on one device: another one costs a sixth more to compile for than it saves."""

AHEAD = 3
"""Cells compiled ahead of the one that runs."""


class Progress(Protocol):
    """What a run reports while it goes."""

    def begin(self, cells: int, descents: int) -> None:
        """The run starts."""
        ...

    def compiling(self, label: str) -> None:
        """Nothing runs until this cell is compiled."""
        ...

    def compiled(self, label: str, seconds: float) -> None:
        """A cell is compiled."""
        ...

    def advance(self, descents: int) -> None:
        """So many more descents are done."""
        ...

    def warn(self, line: str) -> None:
        """Something that the user should know."""
        ...


class Silent:
    """No report."""

    def begin(self, cells: int, descents: int) -> None:
        """Say nothing."""

    def compiling(self, label: str) -> None:
        """Say nothing."""

    def compiled(self, label: str, seconds: float) -> None:
        """Say nothing."""

    def advance(self, descents: int) -> None:
        """Say nothing."""

    def warn(self, line: str) -> None:
        """Say nothing."""


@dataclass
class Timing:
    """Seconds of a cell: compilation apart from the first dispatch and from the steady rest."""

    compile_seconds: float = 0.0
    first_seconds: float = 0.0
    steady_seconds: float = 0.0
    descents: int = 0
    first_descents: int = 0

    def add(self, seconds: float, descents: int) -> None:
        """Count a dispatch."""
        if self.descents:
            self.steady_seconds += seconds
        else:
            self.first_seconds, self.first_descents = seconds, descents
        self.descents += descents


@dataclass
class CellRun:
    """A compiled cell, ready to run ranges of its rows."""

    cell: Cell
    trial: Trial
    program: execute.Program
    timing: Timing = field(default_factory=Timing)
    _placed: tuple[int, Any] | None = None

    def shared(self, instance: int) -> execute.Shared:
        """The arguments that all lanes of an instance share."""
        cell = self.cell
        problem = cell.choice.instances[instance]
        minimizers = np.zeros((0, problem.dim)) if problem.minimizers is None else np.asarray(problem.minimizers)
        words = (np.uint32(cell.seed), np.uint32(noise_word(problem)))
        targets, held_out = np.asarray(cell.targets, float), () if problem.held_out is None else problem.held_out
        return execute.to_dtype(execute.Shared(problem.data, words, minimizers, targets, held_out), cell.dtype)

    def placed(self, instance: int) -> Any:
        """These on the devices; they stay there until another instance is asked for."""
        if self._placed is None or self._placed[0] != instance:
            self._placed = instance, self.program.place(self.shared(instance))
        return self._placed[1]

    def compile(self) -> CellRun:
        """Compile the cell's program."""
        if self.cell.error is not None:
            raise self.cell.error
        begin = time.perf_counter()
        self.program.compile(self.shared(0))
        self.timing.compile_seconds = time.perf_counter() - begin
        return self

    def lanes(self, first: int, last: int, limits: execute.Thresholds) -> execute.Lane:
        """The arguments of the rows first ≤ row < last."""
        cell, n = self.cell, last - first
        at = cell.grid.indices(first, last)
        values = {axis.name: execute.to_dtype(axis.array, cell.dtype) for axis in cell.grid.axes}

        def columns(names: Iterable[str], fixed: Mapping[str, float]) -> dict[str, Any]:
            return {
                name: np.take(values[name], at[name]) if name in values else self._same(fixed[name], n)
                for name in names
            }

        setting = np.zeros(n if cell.choice.axes else 1, int)
        for name in cell.choice.axes:
            setting = setting * len(cell.choice.axes[name]) + at[name]
        limits = execute.to_dtype(limits, cell.dtype)
        each = [column[setting] if len(column) > 1 else self._same(column[0], n) for column in limits]
        problem = cell.choice.problem
        return execute.Lane(
            columns(cell.descent.traced, cell.fixed), columns(problem.parameters, problem.parameters),
            np.take(self._starts, at["start"], axis=0), at["start"], at["seed"], execute.Thresholds(*each),
        )  # fmt: skip

    def _same(self, number: float, n: int) -> np.ndarray:
        """One number for all of n lanes, which takes the room of one."""
        return np.broadcast_to(execute.to_dtype(number, self.cell.dtype), (n,))

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        return execute.to_dtype(self.cell.starts, self.cell.dtype)

    def rows(self, first: int, last: int, progress: Progress, deadline: float) -> pa.Table:
        """Run a range of rows (of one instance) and give them as a table."""
        instance = first // self.cell.lanes_per_instance
        limits = thresholds(self.cell.choice, self.trial, self.cell.dtype, instance)
        lanes = self.lanes(first, last, limits)
        self.program.deadline = deadline
        shared = self.placed(instance)
        width = self.program.blocks * self.program.block
        tiles = [(i, min(i + width, last - first)) for i in range(0, last - first, width)]
        pending: deque[Any] = deque()
        parts = []
        for n, (a, b) in enumerate(tiles):
            begin = time.perf_counter()
            if begin > deadline:
                raise CellError("timed out: what it finished is kept; a longer --timeout goes on from there")
            pending.append((self.program.start(jax.tree.map(lambda x: x[a:b], lanes), shared), b - a))  # noqa: B023
            # One dispatch runs while the one before it is brought home.
            while len(pending) > (1 if n + 1 < len(tiles) else 0):
                job, size = pending.popleft()
                parts.append(self.program.fetch(job))
                self.timing.add(time.perf_counter() - begin, size)
                begin = time.perf_counter()
                progress.advance(size)
        records = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if self.cell.info["sharpness"]:
            records |= self._sharpness(instance, lanes, records["path"], self.cell.paths_of(first, last))
        return to_table(
            self.cell.info, self.cell.grid.coordinates(first, last), np.asarray(lanes.x0), records,
            self._rests(instance, lanes, records, limits), self.cell.paths_of(first, last),
        )  # fmt: skip

    def _sharpness(
        self, instance: int, lanes: execute.Lane, paths: np.ndarray, sampled: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Value and largest Hessian eigenvalue at the points of the sampled paths, NaN in the others."""
        problem, (_, points, dim) = self.cell.choice.instances[instance], paths.shape
        chosen = {name: np.repeat(np.asarray(v)[sampled], points) for name, v in lanes.parameters.items()}
        found = curvature.along(problem, paths[sampled].reshape(-1, dim), chosen)
        records = {}
        for name, values in zip(("path_f", "sharpness"), found, strict=True):
            records[name] = np.full(paths.shape[:2], np.nan)
            records[name][sampled] = values.reshape(-1, points)
        return records

    def _rests(
        self, instance: int, lanes: execute.Lane, records: dict[str, np.ndarray], limits: execute.Thresholds
    ) -> np.ndarray:
        """What the rows at rest rest at; 'stalled' where no move was proposed although the gradient is not at rest."""
        problem = self.cell.choice.instances[instance]
        kinds = np.zeros(len(lanes.x0), np.int8)
        if "outcome" not in records:
            return kinds
        trapped = records["outcome"] == TRAPPED
        if problem.goal == "rest":
            # Nothing is known here but that they rest: the Hessian says whether it is a minimum.
            trapped |= records["outcome"] == CONVERGED
        if not trapped.any():
            return kinds
        moving = ~(records["grad_norm_final"] <= 1e-6 * np.asarray(lanes.thresholds.gradient_scale))
        kinds[trapped & moving] = RESTS.index("stalled")
        resting = np.flatnonzero(trapped & ~moving)
        if len(resting) and problem.dim <= CLASSIFIED_DIMENSION:
            chosen = {name: np.asarray(values)[resting] for name, values in lanes.parameters.items()}
            curvature = float(limits.gradient_scale[0] / (limits.width[0] or 1.0))
            kinds[resting] = rest.classify(problem, records["endpoint"][resting], chosen, curvature)
        return kinds


def prepare(cell: Cell, trial: Trial, devices: Sequence[Any], tile: int | None = None) -> CellRun:
    """A cell with the program it will compile."""
    blocks = -(-min(cell.lanes_per_instance, cell.shard) // cell.block)
    if cell.descent.optimizer.host is not None:
        return CellRun(cell, trial, host.HostProgram(cell.descent, cell.dtype, cell.block, 1, devices[:1]))
    if cell.platform == "cpu" and cell.error is None and cell.descent.facts.calls_lapack:
        # Decompositions that run on two CPU devices of one process at once may wait for each other for ever
        # (jaxlib 0.10.2: gauss_newton with singular values, 64 lanes a block). The devices change no row.
        devices = devices[:1]
    if cell.descent.apart and cell.lanes_per_instance <= ONE_DEVICE:
        devices = devices[:1]
    tile = tile or execute.tile_of(cell.descent, cell.dtype, cell.block, -(-blocks // len(devices)) * cell.block)
    kind = native_program.NativeProgram if cell.descent.engine == "native" else execute.Program
    return CellRun(cell, trial, kind(cell.descent, cell.dtype, cell.block, tile, devices))


def compiled_ahead(runs: Iterable[CellRun], progress: Progress) -> Iterator[tuple[CellRun, Exception | None]]:
    """The cells in order, each compiled while earlier ones ran; the error instead where that failed."""
    workers = min(2, os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(workers, "compile") as pool:
        waiting: deque[tuple[CellRun, concurrent.futures.Future[CellRun]]] = deque()
        todo = iter(runs)
        try:
            while True:
                while len(waiting) < AHEAD and (run := next(todo, None)) is not None:
                    waiting.append((run, pool.submit(run.compile)))
                if not waiting:
                    return
                run, future = waiting.popleft()
                if not future.done():
                    progress.compiling(run.cell.label)
                try:
                    future.result()
                    progress.compiled(run.cell.label, run.timing.compile_seconds)
                    yield run, None
                except Exception as error:  # whatever tracing a user's code raises belongs to its cell alone
                    yield run, error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
