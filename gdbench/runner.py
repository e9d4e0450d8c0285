"""Plan to rows: compile ahead, execute tile by tile, store shard by shard, go on where a run stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import pyarrow as pa

import gdbench
from gdbench import store
from gdbench.cells import CellRun, Progress, Silent, Timing, compiled_ahead, prepare
from gdbench.errors import CellError, GdbenchError, NotApplicableError
from gdbench.kept import cache_folder
from gdbench.kernels import execute, saved, surface
from gdbench.kernels.compiler import check_many_pairs
from gdbench.plan import Cell, make_plan
from gdbench.results import Results, load
from gdbench.store import RunFolder
from gdbench.suite import Suite

Keep = Callable[[CellRun, int, int, pa.Table], None]
"""Keeps the rows first ≤ row < last of a cell."""

Done = Callable[[CellRun, Exception | None], None]
"""Hears that a cell is done, or why it failed."""


@dataclass
class Options:
    """How a run is executed; none of it changes a row, but for ``block``, where rounding may differ.

    ``devices`` limits the local devices, ``tile`` sets the blocks a dispatch, ``timeout`` the seconds a cell may take,
    ``block`` the lanes of a block in place of the rule (a power of two of at least 64), ``engine`` "scan", "lanes",
    "native" or "fused".
    """

    devices: int | None = None
    tile: int | None = None
    timeout: float = float("inf")
    progress: Progress = field(default_factory=Silent)
    block: int | None = None
    engine: str = "auto"


def run_in_memory(suite: Suite, options: Options) -> Results:
    """Run a suite without storing it.

    Raises:
        CellError: when a cell fails.
    """
    devices, cells = _plan(suite, options)
    results = Results(None, suite.resolved, [c.info for c in cells], store.environment(devices, suite.header.seed))
    _keep_surfaces(cells, results)

    def keep(run: CellRun, first: int, last: int, table: pa.Table) -> None:
        results.keep(run.cell.info["id"], table)

    def done(run: CellRun, error: Exception | None) -> None:
        if error is not None:
            kind = type(error) if isinstance(error, NotApplicableError) else CellError
            raise kind(f"{run.cell.label}: {one_line(error)}") from error
        results.add_line(event="cell", cell=run.cell.info["id"], **vars(run.timing), steps=run.cell.info["steps"])

    _execute(suite, [(cell, list(cell.units())) for cell in cells], devices, options, keep, done)
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

        def done(run: CellRun, error: Exception | None) -> None:
            for cell in ids[run.cell.key]:
                if error is None:
                    target.note(event="cell", cell=cell, **vars(run.timing), steps=run.cell.info["steps"])
                else:
                    refused = isinstance(error, NotApplicableError)
                    target.note(event="failed", cell=cell, error=one_line(error), refused=refused)
                    if not refused:
                        options.progress.warn(f"{run.cell.label} failed: {one_line(error)}")

        _execute(suite, work, devices, options, write, done)
    return load(path)


def start_jax(devices: int | None = None) -> None:
    """One CPU device a core (or as many as asked for) and the persistent compilation cache, where both are still open.

    What the user set, through JAX's own configuration or environment, is left as it is.
    """
    if execute.split_cpu(devices or os.cpu_count() or 1):
        check_many_pairs()
    if getattr(jax.config, "jax_enable_compilation_cache", True):
        saved.use(cache_folder() / "programs")
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _plan(suite: Suite, options: Options) -> tuple[list[Any], list[Cell]]:
    start_jax(options.devices)
    devices = execute.local_devices(options.devices)
    return devices, make_plan(suite, devices[0].platform, options.block, options.engine)


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


class _Keeper:
    """A thread that keeps rows, in their order, and says which cells are done, while the next rows are computed.

    No more than one table waits for it. What it raises is raised again by the next call that looks.
    """

    def __init__(self, keep: Keep, done: Done) -> None:
        self._keep, self._done = keep, done
        self._failed: dict[int, Exception] = {}
        self._jobs: deque[Future[None]] = deque()

    def __enter__(self) -> _Keeper:
        self._thread = ThreadPoolExecutor(1, "keep")
        return self

    def __exit__(self, *error: Any) -> None:
        # What was handed over is kept, whatever ended the run.
        self._thread.shutdown(wait=True)

    def look(self, wait: bool = False) -> None:
        """Raise what a job has raised; of all of them, or of those that are over."""
        while self._jobs and (wait or self._jobs[0].done()):
            self._jobs.popleft().result()

    def rows(self, run: CellRun, first: int, last: int, table: pa.Table) -> None:
        """Keep a range of rows."""
        self.look(wait=True)
        self._jobs.append(self._thread.submit(self._keep_rows, run, first, last, table))

    def cell(self, run: CellRun, error: Exception | None) -> None:
        """All rows of a cell are handed over, or it failed."""
        self._jobs.append(self._thread.submit(self._end_cell, run, error))

    def _keep_rows(self, run: CellRun, first: int, last: int, table: pa.Table) -> None:
        try:
            self._keep(run, first, last, table)
        except Exception as error:
            self._failed[id(run)] = error
            if isinstance(error, store.StoreError):
                raise  # a full disk concerns the whole run

    def _end_cell(self, run: CellRun, error: Exception | None) -> None:
        error = error or self._failed.pop(id(run), None)
        if not isinstance(error, store.StoreError):
            self._done(run, error)


def _execute(
    suite: Suite, work: Sequence[tuple[Cell, list[tuple[int, int]]]], devices: Sequence[Any], options: Options,
    keep: Keep, done: Done,
) -> None:  # fmt: skip
    """Run every unit; ``done`` hears of each cell whose rows are kept, with the error where it failed."""
    trials = {trial.name: trial for trial in suite.trials}
    # One after the other, so that the program of a cell that is done does not stay.
    runs = (prepare(cell, trials[cell.info["experiment"]], devices, options.tile) for cell, _ in work)
    options.progress.begin(len(work), sum(b - a for _, ranges in work for a, b in ranges))
    with _Keeper(keep, done) as keeper:
        for (run, error), (_, units) in zip(compiled_ahead(runs, options.progress), work, strict=True):
            deadline = time.perf_counter() + options.timeout
            for first, last in units if error is None else ():
                keeper.look()
                try:
                    table = run.rows(first, last, options.progress, deadline)
                except Exception as failure:  # one cell that fails leaves the others to be done
                    error = failure
                    break
                keeper.rows(run, first, last, table)
            keeper.cell(run, error)
        keeper.look(wait=True)


def one_line(error: Exception) -> str:
    """What went wrong, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return text if isinstance(error, GdbenchError) else f"{type(error).__name__}: {text}"


def _surfaces(cells: Sequence[Cell]) -> Iterator[tuple[str, Any, dict[str, int]]]:
    """The different problems of cells, by the name of their surface, each with what is to be measured of it beside."""
    asked: dict[str, dict[str, int]] = {}
    for cell in cells:
        problem = cell.info["problem"]
        wanted = asked.setdefault(problem["surface"], dict.fromkeys(store.ASIDES, 0))
        wanted |= {kind: max(count, problem[kind]) for kind, count in wanted.items()}
    for cell in cells:
        name = cell.info["problem"]["surface"]
        if name in asked and cell.error is None:
            yield name, cell.choice.problem, {kind: count for kind, count in asked.pop(name).items() if count}


def _measured(kind: str, problem: Any, count: int) -> Any:
    """Slopes along so many directions, or seconds of an evaluation; None where that cannot be said of the problem."""
    return surface.directions(problem, count) if kind == "directions" else surface.clock(problem)


def _keep_surfaces(cells: Sequence[Cell], results: Results) -> None:
    for label, problem, asked in _surfaces(cells):
        frame = surface.surface(problem)
        if frame is not None:
            results.keep_surface(label, frame)
        for kind, count in asked.items():
            results.keep_aside(kind, label, _measured(kind, problem, count))


def _store_surfaces(cells: Sequence[Cell], path: Path) -> None:
    def write(file: Path, frame: Any) -> None:
        store.write_atomically(file, lambda f: frame.to_parquet(f, compression="zstd"))

    for label, problem, asked in _surfaces(cells):
        file = path / "surfaces" / f"{store.surface_file(label)}.parquet"
        for kind, count in asked.items():
            aside = file.with_suffix(f".{kind}.parquet")
            if not aside.exists() and (measured := _measured(kind, problem, count)) is not None:
                write(aside, measured)
        if file.exists() or (frame := surface.surface(problem)) is None:
            continue
        quotients = frame.attrs.pop("quotients", None)
        if quotients is not None:
            write(file.with_suffix(".quotients.parquet"), quotients)
        write(file, frame)
