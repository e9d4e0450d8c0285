"""Plan to rows: compile ahead, execute tile by tile, store shard by shard, go on where a run stopped."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
import pyarrow as pa

import gdbench
from gdbench import store
from gdbench.contracts import CONVERGED, RESTS, TRAPPED
from gdbench.errors import CellError, GdbenchError
from gdbench.kernels import execute, rest, surface
from gdbench.plan import CLASSIFIED_DIMENSION, Cell, make_plan, noise_word, thresholds
from gdbench.results import Results, load
from gdbench.rows import to_table
from gdbench.store import RunFolder
from gdbench.suite import Suite, Trial

MOST_TILE = 16
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

    def add(self, seconds: float, descents: int) -> None:
        """Count a dispatch."""
        if self.descents:
            self.steady_seconds += seconds
        else:
            self.first_seconds = seconds
        self.descents += descents


@dataclass
class CellRun:
    """A compiled cell, ready to run ranges of its rows."""

    cell: Cell
    trial: Trial
    program: execute.Program
    timing: Timing = field(default_factory=Timing)

    def shared(self, instance: int) -> execute.Shared:
        """The arguments that all lanes of an instance share."""
        cell = self.cell
        problem = cell.choice.instances[instance]
        minimizers = np.zeros((0, problem.dim)) if problem.minimizers is None else np.asarray(problem.minimizers)
        words = (np.uint32(cell.seed), np.uint32(noise_word(problem)))
        return execute.to_dtype(
            execute.Shared(problem.data, words, minimizers, np.asarray(cell.targets, float)), cell.dtype
        )

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
        at, value = cell.grid.indices(first, last), cell.grid.coordinates(first, last)
        hyper = {name: value[name] if name in value else np.full(n, cell.fixed[name]) for name in cell.descent.traced}
        fixed = cell.choice.problem.parameters
        parameters = {name: value[name] if name in value else np.full(n, fixed[name]) for name in fixed}
        axes = list(cell.choice.axes)
        setting = np.zeros(n, int)
        for name in axes:
            setting = setting * len(cell.choice.axes[name]) + at[name]
        mine = execute.Thresholds(*[np.asarray(column)[setting] for column in limits])
        lane = execute.Lane(hyper, parameters, cell.starts[at["start"]], at["start"], at["seed"], mine)
        return execute.to_dtype(lane, cell.dtype)

    def rows(self, first: int, last: int, progress: Progress, deadline: float) -> pa.Table:
        """Run a range of rows (of one instance) and give them as a table."""
        instance = first // self.cell.lanes_per_instance
        limits = thresholds(self.cell.choice, self.trial, self.cell.dtype, instance)
        lanes = self.lanes(first, last, limits)
        shared = self.program.place(self.shared(instance))
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
        return to_table(
            self.cell.info, self.cell.grid.coordinates(first, last), np.asarray(lanes.x0), records,
            self._rests(instance, lanes, records, limits), self.cell.paths_of(first, last),
        )  # fmt: skip

    def _rests(
        self, instance: int, lanes: execute.Lane, records: dict[str, np.ndarray], limits: execute.Thresholds
    ) -> np.ndarray:
        """What the rows at rest rest at; 'stalled' where no move was proposed although the gradient is not at rest."""
        problem = self.cell.choice.instances[instance]
        kinds = np.zeros(len(records["outcome"]), np.int8)
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
    tile = tile or max(1, min(MOST_TILE, -(-blocks // len(devices))))
    return CellRun(cell, trial, execute.Program(cell.descent, cell.dtype, cell.block, tile, devices))


def compiled_ahead(runs: Sequence[CellRun], progress: Progress) -> Iterator[tuple[CellRun, Exception | None]]:
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


@dataclass
class Options:
    """How a run is executed; none of it changes a row, but for ``block``, where rounding may differ.

    ``devices`` limits the local devices, ``tile`` sets the blocks a dispatch, ``timeout`` the seconds a cell may take,
    ``block`` the lanes of a block in place of the rule (a power of two of at least 64).
    """

    devices: int | None = None
    tile: int | None = None
    timeout: float = float("inf")
    progress: Progress = field(default_factory=Silent)
    block: int | None = None


def run_in_memory(suite: Suite, options: Options) -> Results:
    """Run a suite without storing it.

    Raises:
        CellError: when a cell fails.
    """
    devices, cells = _plan(suite, options)
    results = Results(None, suite.resolved, [c.info for c in cells], store.environment(devices, suite.header.seed))
    _keep_surfaces(cells, results.keep_surface)

    def keep(run: CellRun, first: int, last: int, table: pa.Table) -> None:
        results.keep(run.cell.info["id"], table)

    work = [(cell, list(cell.units())) for cell in cells]
    for run, error in _execute(suite, work, devices, options, keep):
        if error is not None:
            raise CellError(f"{run.cell.label}: {one_line(error)}") from error
        results.add_line(event="cell", cell=run.cell.info["id"], **vars(run.timing), steps=run.cell.info["steps"])
    return results


def run_folder_of(suite: Suite, cells: Sequence[Cell], root: Path) -> Path:
    """results/<suite>/<run>, where the run is a hash of its cells: the same suite goes on in the same folder."""
    names = [(c.key, c.info["experiment"]) for c in cells]
    return root / suite.header.name / hashlib.sha256(repr(names).encode()).hexdigest()[:8]


def run_suite(suite: Suite, options: Options, root: Path = store.RESULTS, folder: Path | None = None) -> Results:
    """Run a suite into its folder: only what is not there yet, in this run or in another under ``root``."""
    devices, cells = _plan(suite, options)
    path = folder or run_folder_of(suite, cells, root)
    infos = [c.info for c in cells]
    with RunFolder(path) as target:
        target.begin(suite.resolved, infos, store.environment(devices, suite.header.seed))
        _store_surfaces(cells, path)
        work = list(_missing(cells, target, root, options.progress))
        waiting = {cell.key for cell, _ in work}
        for info in infos:
            if info["key"] not in waiting and not target.noted(info["id"]):
                # Its rows came from another run, or from a process that was killed before it could say so.
                target.note(event="cell", cell=info["id"], **vars(Timing()), steps=info["steps"])
        ids = {info["key"]: [i["id"] for i in infos if i["key"] == info["key"]] for info in infos}

        def write(run: CellRun, first: int, last: int, table: pa.Table) -> None:
            told = {"gdbench.cell.json": json.dumps(run.cell.info), "gdbench.version": gdbench.__version__}
            target.write(run.cell.key, first, last, table, told)
            target.note(event="shard", cell=run.cell.info["id"], rows=[first, last])

        for run, error in _execute(suite, work, devices, options, write):
            for cell in ids[run.cell.key]:
                if error is None:
                    target.note(event="cell", cell=cell, **vars(run.timing), steps=run.cell.info["steps"])
                else:
                    target.note(event="failed", cell=cell, error=one_line(error))
                    options.progress.warn(f"{run.cell.label} failed: {one_line(error)}")
    return load(path)


def cache_folder() -> Path:
    """Where compiled programs are kept between processes."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("GDBENCH_CACHE") or Path(home) / "gdbench")


def start_jax(devices: int | None = None) -> None:
    """One CPU device a core (or as many as asked for) and the persistent compilation cache, where both are still open.

    What the user set, through JAX's own configuration or environment, is left as it is.
    """
    execute.split_cpu(devices or os.cpu_count() or 1)
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _plan(suite: Suite, options: Options) -> tuple[list[Any], list[Cell]]:
    start_jax(options.devices)
    devices = execute.local_devices(options.devices)
    return devices, make_plan(suite, devices[0].platform, options.block)


def _missing(
    cells: Sequence[Cell], target: RunFolder, root: Path, progress: Progress
) -> Iterator[tuple[Cell, list[tuple[int, int]]]]:
    """The cells with the ranges of rows that are not stored yet."""
    seen = set()
    for cell in cells:
        if cell.key in seen:
            continue
        seen.add(cell.key)
        units = []
        for first, last in cell.units():
            if not (target.has(cell.key, first, last) or target.adopt(cell.key, first, last, root)):
                units.append((first, last))
        if units:
            yield cell, units


def _execute(
    suite: Suite,
    work: Sequence[tuple[Cell, list[tuple[int, int]]]],
    devices: Sequence[Any],
    options: Options,
    finish: Callable[[CellRun, int, int, pa.Table], None],
) -> Iterator[tuple[CellRun, Exception | None]]:
    """Run every unit; yields each cell when it is done, with the error where it failed."""
    trials = {trial.name: trial for trial in suite.trials}
    runs = [prepare(cell, trials[cell.info["experiment"]], devices, options.tile) for cell, _ in work]
    units = {id(run): ranges for run, (_, ranges) in zip(runs, work, strict=True)}
    options.progress.begin(len(runs), sum(b - a for _, ranges in work for a, b in ranges))
    for run, error in compiled_ahead(runs, options.progress):
        if error is None:
            deadline = time.perf_counter() + options.timeout
            try:
                for first, last in units[id(run)]:
                    finish(run, first, last, run.rows(first, last, options.progress, deadline))
            except store.StoreError:
                raise  # a full disk concerns the whole run
            except Exception as failure:  # one cell that fails leaves the others to be done
                error = failure
        yield run, error


def one_line(error: Exception) -> str:
    """What went wrong, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return text if isinstance(error, GdbenchError) else f"{type(error).__name__}: {text}"


def _surfaces(cells: Sequence[Cell]) -> Iterator[tuple[str, Any]]:
    seen = set()
    for cell in cells:
        label = cell.info["problem"]["label"]
        if label not in seen and cell.error is None:
            seen.add(label)
            yield label, cell.choice.problem


def _keep_surfaces(cells: Sequence[Cell], keep: Callable[[str, Any], None]) -> None:
    for label, problem in _surfaces(cells):
        frame = surface.surface(problem)
        if frame is not None:
            keep(label, frame)


def _store_surfaces(cells: Sequence[Cell], path: Path) -> None:
    for label, problem in _surfaces(cells):
        file = path / "surfaces" / f"{store.surface_file(label)}.parquet"
        if file.exists():
            continue
        frame = surface.surface(problem)
        if frame is None:
            continue
        quotients = frame.attrs.pop("quotients", None)
        if quotients is not None:
            store.write_atomically(file.with_suffix(".quotients.parquet"), lambda f, q=quotients: q.to_parquet(f))
        store.write_atomically(file, lambda f, frame=frame: frame.to_parquet(f, compression="zstd"))
