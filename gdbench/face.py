"""The public face in Python: ``problem``, ``sweep``, ``run``, ``load``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdbench import callables, store
from gdbench.choices import ProblemChoice, choose_optimizer, resolve_optimizer, resolve_problem, with_schedule
from gdbench.contracts import Optimizer, Problem, ProblemFamily
from gdbench.errors import SuiteError, did_you_mean
from gdbench.forms import Header, OutcomeSettings
from gdbench.grid import Starts, as_starts, as_values, default_start
from gdbench.pytrees import is_tree, points_of
from gdbench.results import Results
from gdbench.results import load as read_run
from gdbench.suite import Suite, Trial, build_suite, describe_suite, paths_of, read_suite

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def problem(name: str | Callable[..., Any], /, **settings: Any) -> Problem:
    """A problem of the catalogue with its settings, or one made of a function of your own.

    ``gd.problem("rosenbrock", dim=10)`` is callable (``f(x)``, in JAX and differentiable) and carries what is known of
    it: ``f.dim``, ``f.box``, ``f.minimum``, ``f.minimizers``, ``f.source``.

    ``gd.problem(function, x0=start, …)`` makes the same of a function f(x) in JAX that returns a scalar; x has the form
    of ``x0``, a vector or a pytree. Facts are keywords (``minimum``, ``minimizers``, ``box``, ``target``, …). With
    ``data``, a pytree of arrays, the function is f(x, data); ``batch`` then draws so many rows anew for every step, and
    ``held_out`` are data of the same form that no step sees. Further arguments of the function that have a float as
    default, ``def f(x, *, width=1.0)``, become traced parameters, and so axes of a sweep.

    Raises:
        UnknownNameError: for a name that the catalogue has not, with the nearest one.
        SuiteError: for a setting that the problem has not, or a value that breaks its rule.
    """
    return resolve_problem(name, **settings)


@dataclass(frozen=True, eq=False)
class Run:
    """A run: its table, its pictures, its report."""

    results: Results

    @property
    def path(self) -> Path | None:
        """The run folder; None where nothing is stored."""
        return self.results.path

    @property
    def cells(self) -> list[dict[str, Any]]:
        """What is known of every cell."""
        return self.results.cells

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Cells that failed, with the reason."""
        return self.results.failures

    def table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All descents as pandas, a row each."""
        return self.results.table(columns)

    def scan(self) -> Any:
        """All descents as a lazy Arrow dataset, for more of them than fit in memory."""
        return self.results.scan()

    def map(self, x: str = "learning_rate", y: str = "start") -> Figure:
        """Region maps over two axes, one panel for every cell that has both."""
        return _map(self.results, x, y)

    def full_map(self, path: str | Path, x: str = "learning_rate", y: str = "start", cell: str | None = None) -> Path:
        """Write the region map of a cell as PNG with a pixel for every point of its grid, however large it is.

        ``cell`` is the id of one of ``cells``, needed where several have both axes.
        """
        return _full_map(self.results, Path(path), x, y, cell)

    def claims(self) -> pd.DataFrame:
        """The claims of the suite with the numbers that decide them and their verdicts; empty where it claims nothing.

        See ``gdbench.claims.verdicts.claims_frame`` for the columns.
        """
        from gdbench.claims.verdicts import claims_frame

        return claims_frame(self.results)

    def report(self, folder: str | Path | None = None) -> Path:
        """Write the report (one HTML page, its figures, a Markdown summary) and give the page's path."""
        from gdbench.report import write_report

        return write_report(self.results, Path(folder) if folder is not None else None)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One problem, one optimizer, one grid, in memory."""

    results: Results

    @property
    def table(self) -> pd.DataFrame:
        """All descents as pandas, a row each."""
        return self.results.table()

    def map(self, x: str = "learning_rate", y: str = "start") -> Figure:
        """A region map over two axes: signed rate as colour, outcomes outlined, theory where it is known."""
        return _map(self.results, x, y)


def _map(results: Results, x: str, y: str) -> Figure:
    from gdbench.figures import base, region_map

    cases = [{"cell": cell["id"], "x": x, "y": y} for cell in _mapped(results, x, y)]
    return base.render(region_map.FIGURE, results, cases)


def _full_map(results: Results, path: Path, x: str, y: str, cell: str | None) -> Path:
    from gdbench.figures.full_map import write_full_map

    cells = {one["id"]: one for one in _mapped(results, x, y)}
    if cell is None and len(cells) != 1:
        told = ", ".join(f"{i} ({c['optimizer']['label']} on {c['problem']['label']})" for i, c in cells.items())
        raise SuiteError([f"{len(cells)} cells vary along {x!r} and {y!r}: name one of them by its id: {told}"])
    if cell is not None and cell not in cells:
        raise SuiteError([f"no cell {cell!r} varies along {x!r} and {y!r}: {did_you_mean(cell, cells)}"])
    return write_full_map(results, path, cells[cell or next(iter(cells))], x, y)


def _mapped(results: Results, x: str, y: str) -> list[dict[str, Any]]:
    """The cells that vary along both axes."""
    results.need_whole("a map")
    axes = {axis["name"] for cell in results.cells for axis in cell["axes"] if len(axis["values"]) > 1}
    for name in (x, y):
        if name not in axes:
            raise SuiteError([f"nothing varies along {name!r}: {did_you_mean(name, axes)}"])
    return [
        cell for cell in results.cells
        if {x, y} <= {axis["name"] for axis in cell["axes"] if len(axis["values"]) > 1}
    ]  # fmt: skip


def sweep(
    problem: str | Problem | Callable[..., Any],
    optimizer: Any,
    *,
    steps: int = 1000,
    x0: Any = None,
    data: Any = None,
    batch: int | None = None,
    held_out: Any = None,
    starts: Starts | Mapping[str, Any] | None = None,
    seeds: int = 1,
    seed: int = 0,
    dtype: str = "float32",
    targets: Any = None,
    trace: int = 0,
    paths: int = 0,
    orbit: int = 0,
    sharpness: bool = False,
    outcomes: Mapping[str, float] | None = None,
    evaluations: float | None = None,
    record: str | Sequence[str] = "outcome",
    engine: str = "auto",
    devices: int | None = None,
    tile: int | None = None,
    block: int | None = None,
    **axes: Any,
) -> Sweep:
    """Run one optimizer on one problem over a whole grid, as one compiled program.

    Args:
        problem: a name of the catalogue, a Problem, or a function of x that returns a scalar. What is known of a
            function are keywords (``minimum``, ``minimizers``, ``box``, ``target``, …), as in ``gd.problem``.
        optimizer: a name of the catalogue, an Optimizer, a pair of functions (init, step) as in ``gd.optimizer``, or an
            optax constructor such as ``optax.adam``.
        steps: budget of every descent.
        x0: one start [dim], several [n, dim], or one pytree (a dict, a tuple of arrays); instead of ``starts``.
        data: a pytree of arrays: the function is then f(x, data).
        batch: rows of the data that a step sees, drawn anew for each; all of them by default.
        held_out: data of the same form that no step sees: the column ``f_held_out`` judges the end point on them.
        starts: ``gd.starts("sobol", 64)``; by default the problem's own start.
        seeds: noise seeds, where problem or optimizer draws random numbers.
        seed: seeds starts and noise.
        dtype: "float32" or "float64".
        targets: τ of the targets f* + τ S whose first hits are recorded.
        trace: points of the recorded convergence curve.
        paths: descents whose iterates are recorded.
        orbit: last iterates that every recorded path keeps, one by one; of 1,024 paths where ``paths`` says nothing.
        sharpness: whether value and largest Hessian eigenvalue are recorded at the points of the paths (16 by default).
        outcomes: thresholds in place of the problem's own: tolerance, scale, gradient_scale.
        evaluations: no step of a descent is begun once it has spent so much, f + g + 2 hvp; ``steps`` caps it.
        record: what is kept of a descent: "outcome", or "full", which counts overshoots and keeps the last gradient
            norm of descents that stop early, and takes longer; or a list of columns, of which f_final, f_best,
            gap_final and gap_best alone are found quickest: nothing is judged, and the best is that of all steps.
        engine: "scan", "lanes", "native" or "fused" in place of the rule; rounding may differ.
        devices: use at most so many local devices.
        tile: blocks a dispatch; changes nothing but speed.
        block: lanes of a block, a power of two of at least 64, in place of the rule; rounding may differ.
        **axes: hyperparameters and traced parameters, each a number, a list or ``gd.log_axis(…)``; and
            ``schedule``, the name of a schedule of the learning rate, whose numbers are axes like the optimizer's.

    Returns:
        A Sweep: ``.table`` is a pandas DataFrame with a row a descent, ``.map(x, y)`` a matplotlib figure.

    Raises:
        SuiteError: for anything that cannot be run, with the name and the nearest valid one.
    """
    facts = {name: axes.pop(name) for name in callables.FACTS if name in axes}
    given = {"data": data, "batch": batch, "held_out": held_out}
    facts |= {name: value for name, value in given.items() if value is not None}
    problem, x0 = _swept(problem, x0, starts, facts, axes)
    rule = with_schedule(resolve_optimizer(optimizer), axes)
    _check_names(axes, rule, problem)
    over = {name: as_values(axes.pop(name)) for name in list(axes) if name in problem.parameters}
    problem = replace(problem, parameters={**problem.parameters, **{n: v.values[0] for n, v in over.items()}})
    choice = ProblemChoice((problem,), {n: v for n, v in over.items() if len(v) > 1})
    header = {"name": "sweep", "seed": seed, "dtype": dtype}
    form = _form(
        header, steps=steps, seeds=seeds, trace=trace, paths=paths, outcomes=dict(outcomes or {}),
        evaluations=evaluations, record=record if isinstance(record, str) else list(record), orbit=orbit,
        sharpness=sharpness,
    )  # fmt: skip
    trial = Trial(
        "sweep", (choice,), (choose_optimizer({"name": rule, **axes}, None),), steps,
        as_starts(x0 if x0 is not None else starts if starts is not None else {"kind": "default"}), seeds,
        None if targets is None else as_values(targets), trace, paths_of(paths, orbit, sharpness), form,
        evaluations or 0.0,
        record=record if isinstance(record, str) else tuple(dict.fromkeys(record)), orbit=orbit, sharpness=sharpness,
    )  # fmt: skip
    faults = trial.starts.faults(problem)
    if faults:
        raise SuiteError(faults)
    if block is not None and (block < 64 or block & (block - 1)):
        raise SuiteError([f"block must be a power of two of at least 64, got {block!r}"])
    from gdbench import runner

    checked = Header.model_validate(header)
    suite = Suite(checked, (trial,), describe_suite(checked, (trial,)))
    return Sweep(runner.run_in_memory(suite, runner.Options(devices=devices, tile=tile, block=block, engine=engine)))


def _check_names(axes: Mapping[str, Any], rule: Optimizer, problem: Problem) -> None:
    """Every axis belongs to the optimizer or to the problem."""
    known = {**rule.hyperparameters, **problem.parameters}
    for name in axes:
        if name not in known:
            settings = [*known, *inspect.signature(sweep).parameters, *callables.FACTS]
            raise SuiteError([f"neither {rule.name} nor {problem.label} has {name!r}: {did_you_mean(name, settings)}"])


def _swept(
    problem: Any, x0: Any, starts: Any, facts: dict[str, Any], axes: dict[str, Any]
) -> tuple[Problem, np.ndarray | None]:
    """The problem of a sweep, and where x0 begins [n, dim]; its static arguments leave the axes."""
    if not callable(problem) or isinstance(problem, (Problem, ProblemFamily)):
        if facts:
            raise SuiteError([f"{sorted(facts)[0]!r} is known of a catalogue problem already"])
        if x0 is not None and starts is not None:
            raise SuiteError(["x0 and starts both say where to begin: give one of them"])
        return resolve_problem(problem), x0
    static = callables.arguments_of(problem, "data" in facts)[1]
    facts |= {name: axes.pop(name) for name in static if name in axes}
    points = None if x0 is None or is_tree(x0) else points_of(x0)
    made = callables.from_function(problem, x0=x0 if points is None else points[0], **facts)
    points = default_start(made)[None] if points is None else points
    # With starts of a kind, x0 says how many coordinates there are and where a ball has its centre.
    return resolve_problem(made), points if starts is None else None


def _form(header: dict[str, Any], **settings: Any) -> OutcomeSettings:
    """Check the settings by the rules of a suite file."""
    experiment = {"problems": ["parabola"], "optimizers": [{"name": "gd", "learning_rate": 1.0}], **settings}
    build_suite({"suite": header, "experiment": [experiment]}, "sweep")
    return OutcomeSettings.model_validate(settings["outcomes"])


def run(
    suite: str | Path | Mapping[str, Any],
    *,
    allow_code: bool = False,
    problems: Sequence[str] = (),
    optimizers: Sequence[str] = (),
    add: Sequence[str] = (),
    quick: bool = False,
    devices: int | None = None,
    tile: int | None = None,
    engine: str = "auto",
    timeout: float = float("inf"),
    results: str | Path = store.RESULTS,
    progress: Any = None,
) -> Run:
    """Run a suite into ``results/<suite>/<run>/``; what is there already, here or in another run, is not run again.

    Args:
        suite: a TOML file, or what it says as a dict.
        allow_code: let the suite import ``package.module:attribute``.
        problems: only these.
        optimizers: only these.
        add: further optimizers for every experiment.
        quick: a thinned grid, in a folder of its own.
        devices: use at most so many local devices.
        tile: blocks a dispatch; changes nothing but speed.
        engine: "scan", "lanes", "native" or "fused" in place of the rule; rounding may differ.
        timeout: seconds a cell may take.
        results: where the runs are.
        progress: a ``gdbench.runner.Progress``.

    Raises:
        SuiteError: with every fault of the suite.
        StoreError: when the folder cannot be written.
    """
    options = {"allow_code": allow_code, "problems": problems, "optimizers": optimizers, "add": add, "quick": quick}
    read = build_suite(suite, **options) if isinstance(suite, Mapping) else read_suite(suite, **options)
    from gdbench import runner

    how = runner.Options(devices, tile, timeout, progress or runner.Silent(), engine=engine)
    return Run(runner.run_suite(read, how, Path(results)))


def load(path: str | Path) -> Run:
    """A run from its folder (or the newest run of a suite's folder), without JAX."""
    return Run(read_run(path))
