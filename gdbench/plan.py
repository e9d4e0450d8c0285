"""Suite to cells: what is traced, what is static, how lanes are laid out, and what a run will cost."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdbench.choices import OptimizerChoice, ProblemChoice, choose_optimizer, resolve_optimizer, resolve_problem
from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, VALUES, Cost, Optimizer, Problem
from gdbench.errors import NotApplicableError, SuiteError
from gdbench.grid import Grid
from gdbench.identity import code_identity, numerical_code, only_ours
from gdbench.kernels import curvature, execute, scale
from gdbench.kernels.descent import Descent, layout_of
from gdbench.kernels.layout import Shape, window_length
from gdbench.suite import Suite, Trial, grid_of

SHOWN_COORDINATES = 3
"""Starts and end points are columns of the table up to this dimension."""

CLASSIFIED_DIMENSION = 16
"""Resting points are classified by their Hessian up to this dimension."""

SHARD_ROWS = 1 << 18
SHARD_BYTES = 128 << 20
"""Descents in one file: at most so many rows, and so many bytes of records on the way to it."""

TOLERANCE = {"float32": 1e-5, "float64": 1e-8}
"""c in tol = max(c min(1, S), 64 eps |f*|)."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One (problem, optimizer, dtype) of an experiment with its whole grid: one compiled program.

    Attributes:
        key: hash of everything that decides its rows; names its shards.
        info: what readers of the run need to know, plain JSON.
        descent: the kernel.
        fixed: hyperparameters that are traced but have one value.
        thresholds: per setting of the parameter axes, in their order: arrays by name.
        starts: float64 [n, dim].
        block: lanes of a block.
        shard: lanes of a shard, a multiple of the block.
        error: what tracing it raised; such a cell fails, and the others run.
    """

    key: str
    info: dict[str, Any]
    choice: ProblemChoice
    optimizer: OptimizerChoice
    dtype: str
    grid: Grid
    descent: Descent
    fixed: dict[str, float]
    starts: np.ndarray
    seed: int
    targets: tuple[float, ...]
    block: int
    shard: int
    platform: str
    error: Exception | None = None

    @property
    def label(self) -> str:
        """For messages: experiment, problem and optimizer."""
        return f"{self.info['experiment']} / {self.info['problem']['label']} / {self.info['optimizer']['label']}"

    @property
    def lanes_per_instance(self) -> int:
        """Rows of one instance; data are constant among them."""
        return self.grid.size // len(self.choice.instances)

    def units(self) -> Iterator[tuple[int, int]]:
        """Ranges of rows that each become one shard; none spans two instances."""
        each = self.lanes_per_instance
        for begin in range(0, self.grid.size, each):
            for first in range(begin, begin + each, self.shard):
                yield first, min(first + self.shard, begin + each)

    def paths_of(self, first: int, last: int) -> np.ndarray:
        """Which rows of a range have their path recorded: an even sample over the whole grid."""
        wanted = self.info["paths"]
        rows = np.arange(first, last)
        if wanted >= self.grid.size:
            return np.ones(len(rows), bool)
        if not wanted:
            return np.zeros(len(rows), bool)
        # Whole settings are sampled with a stride, the same ones in every instance, each with its first starts.
        starts, instances = len(self.starts), len(self.choice.instances)
        few = min(starts, max(1, int(np.sqrt(wanted))))
        total = self.lanes_per_instance // starts
        settings = max(1, wanted // (few * instances))
        chosen = np.unique(np.linspace(0, total - 1, min(settings, total)).round().astype(int))
        return np.isin((rows // starts) % total, chosen) & (rows % starts < few)


def log_steps(steps: int, points: int, stride: int = 1) -> tuple[int, ...]:
    """At most ``points`` steps from 0 to the last, log-spaced, at multiples of the stride; the last is included."""
    if points < 1:
        return ()
    spread = np.geomspace(1, steps + 1, max(1, points)) - 1
    snapped = {int(round(s / stride) * stride) for s in spread}
    return tuple(sorted({s for s in snapped if s <= steps} | {0, steps}))


PATH_POINTS = 64


def path_steps(steps: int, orbit: int = 0) -> tuple[int, ...]:
    """The steps of a recorded path: log-spaced ones, and the last ``orbit`` of all."""
    return tuple(sorted({*log_steps(steps, PATH_POINTS), *range(max(0, steps - orbit + 1), steps + 1)}))


def shape_of(trial: Trial, problem: Problem, steps: int, budget: float = 0.0, cut: bool = False) -> Shape:
    """The static shape of a trial's descents on a problem."""
    stride = layout_of(problem, steps).stride
    return Shape(
        steps,
        log_steps(steps, trial.trace, stride),
        path_steps(steps, trial.orbit) if trial.paths else (),
        len(targets_of(trial, problem)),
        problem.dim <= CLASSIFIED_DIMENSION,
        budget,
        cut,
        trial.record == "full" or "overshoots" in trial.record,
        _bare(trial, problem),
    )


def _bare(trial: Trial, problem: Problem) -> bool:
    """Whether a trial asks for values alone."""
    asked = trial.targets or trial.trace or trial.paths or trial.evaluations
    return not isinstance(trial.record, str) and set(trial.record) <= set(VALUES) and not (asked or problem.stochastic)


def descent_of(trial: Trial, problem: Problem, optimizer: OptimizerChoice) -> Descent:
    """The kernel of a trial's descents: where every step costs the same, a budget of evaluations is one of steps."""
    rule, static = optimizer.optimizer, optimizer.static
    whole = Descent(problem, rule, static, shape_of(trial, problem, trial.steps))
    if not trial.evaluations:
        return whole
    # A hair less, so that the rounding of the quotient buys no step.
    budget = trial.evaluations / problem.batch_share * (1 - 1e-12)
    if whole.facts.cost is None:
        return Descent(problem, rule, static, shape_of(trial, problem, trial.steps, budget))
    left, each = budget - total_cost(rule.init_cost), total_cost(Cost(*whole.facts.cost))
    if left <= 0:  # what comes before the first step has spent it: none is begun
        return Descent(problem, rule, static, shape_of(trial, problem, 1, budget))
    steps = min(trial.steps, math.ceil(left / each)) if each else trial.steps
    return Descent(problem, rule, static, shape_of(trial, problem, steps, cut=steps < trial.steps))


def plain_descent(problem: str, optimizer: str) -> Descent:
    """Some steps of an optimizer by its name, with its defaults, on a problem with its own: for what a step holds."""
    needed = {n: 0.1 for n, spec in resolve_optimizer(optimizer).hyperparameters.items() if spec.default is None}
    choice = choose_optimizer({"name": optimizer, **needed}, None)
    descent = Descent(resolve_problem(problem), choice.optimizer, choice.static, Shape(100))
    descent.varying = frozenset({"learning_rate"})
    return descent


def total_cost(cost: Cost) -> float:
    """f + c g + h hvp."""
    return cost.f + COST_OF_GRADIENT * cost.g + COST_OF_HVP * cost.h


def targets_of(trial: Trial, problem: Problem) -> tuple[float, ...]:
    """τ of the targets f* + τ S; none where neither minimum nor target says what f* is."""
    return trial.targets.values if trial.targets and problem.goal in ("minimum", "target") else ()


def make_plan(suite: Suite, platform: str | None = None, block: int | None = None, engine: str = "auto") -> list[Cell]:
    """The cells of a suite, in the order of the table.

    ``block`` replaces the rule for the lanes of a block, ``engine`` that for the engine.

    Raises:
        SuiteError: naming every cell that cannot be planned.
    """
    if engine not in execute.ENGINES:
        raise SuiteError([f"no engine {engine!r}: give one of {', '.join(execute.ENGINES)}"])
    on = platform or execute.local_devices(1)[0].platform
    cells, faults = [], []
    for trial in suite.trials:
        for problem in trial.problems:
            for optimizer in trial.optimizers:
                for dtype in suite.dtypes:
                    try:
                        cells.append(make_cell(trial, problem, optimizer, dtype, suite.header.seed, on, block, engine))
                    except SuiteError as error:
                        faults += [f"{trial.name}: {fault}" for fault in error.problems]
    if faults:
        raise SuiteError(faults)
    seen: dict[str, int] = {}
    for cell in cells:
        # The same cell may stand in two experiments: one set of shards, two ids.
        seen[cell.key] = seen.get(cell.key, 0) + 1
        cell.info["id"] = cell.key if seen[cell.key] == 1 else f"{cell.key}-{seen[cell.key]}"
    return cells


def make_cell(
    trial: Trial,
    choice: ProblemChoice,
    optimizer: OptimizerChoice,
    dtype: str,
    seed: int,
    platform: str,
    block: int | None = None,
    engine: str = "auto",
) -> Cell:
    """One cell: grid, static shape, block, identity."""
    problem = choice.problem
    starts = trial.starts.draw(problem, seed)
    grid = grid_of(trial, choice, optimizer)
    names = {axis.name for axis in grid.axes}
    targets = targets_of(trial, problem)
    fixed = {n: v.values[0] for n, v in optimizer.axes.items() if n not in names}
    error, unresolved = None, ""
    descent = Descent(problem, optimizer.optimizer, optimizer.static, shape_of(trial, problem, trial.steps))
    refusal = optimizer.optimizer.refusal(problem)
    try:
        if refusal:
            raise NotApplicableError(f"{refusal}: {problem.label} does not serve it")
        descent = descent_of(trial, problem, optimizer)
        descent.identity = _identity_of(problem, optimizer.optimizer)
        # A learning rate has its lanes even where it has one value: more of them must change no row.
        descent.varying = frozenset({*names, "learning_rate"})
        descent.apart = execute.judged_apart(descent, platform)
        descent.engine = execute.engine_of(descent, platform, engine)
        descent.apart &= descent.engine not in ("fused", "native")
        block = block or execute.block_lanes(descent, dtype, platform)
        cost, limits = descent.facts.cost, thresholds(choice, trial, dtype)
        unresolved = _unresolved(targets, choice, limits, dtype)
        limits_of = [_digest(thresholds(choice, trial, dtype, i)) for i in range(len(choice.instances))]
    except Exception as failure:  # tracing runs the user's code: what it raises belongs to this cell alone
        error, block, cost, limits, limits_of = failure, execute.LEAST_LANES, [0, 0, 0], None, []
    if unresolved:
        raise SuiteError([unresolved])
    info = describe_cell(trial, choice, optimizer, dtype, grid, descent.shape, descent.engine)
    info |= {"block": block, "problem": describe_problem(choice, limits)}
    info["optimizer"]["cost"] = cost
    identity = {
        "info": {k: v for k, v in info.items() if k != "experiment"},
        "starts": _digest(starts), "data": [_digest((p.data, p.held_out)) for p in choice.instances], "seed": seed,
        "targets": targets, "limits": limits_of, "facts": [_facts(p) for p in choice.instances],
        "code": [numerical_code(), *_user_code(choice, optimizer)], "platform": platform,
        "versions": _versions(descent.engine),
    }  # fmt: skip
    text = json.dumps(identity, sort_keys=True, default=str)
    info["id"] = info["key"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    # Neither this nor what theory is told decides a row, so they have no part in the identity.
    info["problem"] |= {"directions": trial.directions, "clock": trial.clock}
    if error is None and info["optimizer"]["theory"]:
        info["problem"] |= describe_curvature(problem, tuple((n, v.values) for n, v in choice.axes.items()))
    return Cell(
        info["key"], info, choice, optimizer, dtype, grid, descent, fixed, starts, seed, tuple(targets), block,
        _shard_lanes(descent, block), platform, error,
    )  # fmt: skip


def _unresolved(targets: Sequence[float], choice: ProblemChoice, limits: execute.Thresholds, dtype: str) -> str:
    """Why a target cannot be told from the minimum in this dtype; "" where all can.

    The kernels compute f less its offset: an ulp of what that is at the minimum is the least gap there is.
    """
    problem = choice.problem
    unit = float(np.min(limits.scale)) if problem.target_unit is None else problem.target_unit
    least = float(np.finfo(dtype).eps * np.max(np.abs(limits.floor)))
    lost = [tau for tau in targets if tau * unit < least]
    if not lost:
        return ""
    return (
        f"{problem.label}: the target {min(lost):g} lies {min(lost) * unit:.1e} above the minimum, where {dtype} "
        f"resolves no less than {least:.1e}: give targets of {least / unit:.1e} or more, or dtype float64"
    )


HOST_BLOCKS = 4
"""Blocks in a shard of a method that runs on the host: slow ones must not lose hours when they are stopped."""

HOST_STEP = 1e-4
"""Seconds that a step on the host takes, with its few calls of the problem; most descents end before their budget."""


def _shard_lanes(descent: Descent, block: int) -> int:
    """Lanes of a shard: a power of two, bounded in rows and bytes."""
    if descent.optimizer.host is not None:
        return HOST_BLOCKS * block
    shape, dim = descent.shape, descent.problem.dim
    words = 32 + 5 * len(shape.trace_steps) + len(shape.path_steps) * dim + 4 * shape.targets + dim
    fitting = min(SHARD_ROWS, SHARD_BYTES // (8 * words))
    return max(block, 1 << (max(1, fitting).bit_length() - 1))


def describe_cell(
    trial: Trial, choice: ProblemChoice, optimizer: OptimizerChoice, dtype: str, grid: Grid, shape: Shape, engine: str
) -> dict[str, Any]:
    """What readers of a run are told of a cell."""
    axes = {axis.name for axis in grid.axes if len(axis) > 1}
    values = {n: v.values[0] for n, v in optimizer.axes.items()} | optimizer.static
    rule = optimizer.optimizer
    return {
        "id": "", "key": "", "experiment": trial.name, "dtype": dtype, "steps": shape.steps,
        "evaluations": trial.evaluations, "window": window_length(shape.steps), "engine": engine,
        "record": trial.record, "lanes": grid.size,
        "failed": None,
        "optimizer": {
            "name": rule.name, "label": optimizer.label,
            "hyperparameters": {n: None if n in axes else v for n, v in values.items()},
            "defaults": {n: spec.default for n, spec in rule.hyperparameters.items()},
            "theory": rule.theory(values) if callable(rule.theory) else rule.theory,
            "rule": rule.rule(values) if callable(rule.rule) else rule.rule,
            "family": rule.family, "notes": rule.notes, "formula": rule.formula, "source": rule.source,
            "init_cost": [int(n) for n in rule.init_cost], "uses_gradient": rule.uses_gradient,
        },
        "axes": [
            {"name": a.name, "kind": a.kind, "values": list(a.values.values), "scale": a.values.scale}
            for a in grid.axes if len(a) > 1 or a.kind in ("start", "hyperparameter")
        ],
        "starts": trial.starts.describe() | {"num": len(grid.axes[-1])},
        "trace_steps": list(shape.trace_steps), "path_steps": list(shape.path_steps),
        "targets": list(targets_of(trial, choice.problem)), "paths": trial.paths,
        "orbit": trial.orbit, "sharpness": trial.sharpness,
    }  # fmt: skip


def describe_problem(choice: ProblemChoice, limits: execute.Thresholds | None) -> dict[str, Any]:
    """The facts of a cell's problem; thresholds are those at the first setting of its parameters, None if unknown."""
    problem = choice.problem
    listed = problem.minimizers is not None and problem.minimizers.size <= 4096
    box = None
    if problem.box is not None:
        low, high = (np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box)
        # A cube of many dimensions is named by one of its sides.
        box = [low.tolist(), high.tolist()] if problem.dim <= 64 else [low[:1].tolist(), high[:1].tolist()]
    return {
        "name": problem.name, "label": problem.label, "settings": dict(problem.settings),
        "surface": f"{problem.label} {sorted(problem.settings.items())} {sorted(problem.parameters.items())}",
        "parameters": dict(problem.parameters), "dim": problem.dim, "formula": problem.formula,
        "source": problem.source, "box": box, "minimum": problem.minimum,
        "minimizers": np.asarray(problem.minimizers, float).tolist() if listed else None,
        "all_minimizers": problem.all_minimizers,
        "curvature": list(map(float, problem.curvature(problem.parameters))) if problem.curvature else None,
        "curvature_is_local": problem.curvature_is_local, "goal": problem.goal, "offset": problem.offset,
        "target": problem.target, "stochastic": problem.stochastic, "judge_every": problem.judge_every,
        "batch_share": problem.batch_share, "held_out": problem.held_out is not None,
        "target_origin": problem.target_origin, "target_unit": problem.target_unit,
        "convex": problem.convex, "separable": problem.separable,
        "within_box": problem.within_box, "notes": problem.notes,
        "scale": float(limits.scale[0]) if limits else None, "scale_origin": scale.origins(problem)[0],
        "gradient_scale": float(limits.gradient_scale[0]) if limits else None,
        "gradient_scale_origin": scale.origins(problem)[1],
        "tolerance": float(limits.tolerance[0]) if limits else None,
    }  # fmt: skip


@functools.lru_cache(maxsize=4096)
def describe_curvature(problem: Problem, axes: tuple[tuple[str, tuple[float, ...]], ...]) -> dict[str, Any]:
    """Ends of the Hessian's spectrum at the defaults of the problem's parameters, and at each setting of their axes."""
    settings = [dict(problem.parameters), *_settings(problem, axes)]
    try:
        (default, *each), local = curvature.ends_of(problem, settings)
    except Exception:  # a function that can be differentiated once alone, whatever it raises, has no theory; it may run
        return {}
    return {"curvature": default, "curvature_is_local": local, "curvatures": each}


def thresholds(choice: ProblemChoice, trial: Trial, dtype: str, instance: int = 0) -> execute.Thresholds:
    """The thresholds of the outcomes, arrays with one entry for each setting of the parameter axes."""
    problem, own = choice.instances[instance], trial.outcomes
    scales = np.array(_scales(problem, tuple((n, v.values) for n, v in choice.axes.items())))
    s = np.full(len(scales), own.scale) if own.scale else scales[:, 0]
    g = np.full(len(scales), own.gradient_scale) if own.gradient_scale else scales[:, 1]
    goal = problem.goal
    aim = {"minimum": problem.minimum, "target": problem.target}.get(goal) or 0.0
    if goal != "minimum":
        tolerance = np.zeros(len(s))
    elif own.tolerance or problem.tolerance:
        tolerance = np.full(len(s), own.tolerance or problem.tolerance)
    else:
        tolerance = np.maximum(TOLERANCE[dtype] * np.minimum(1, s), 64 * float(np.finfo(dtype).eps) * abs(aim))
    width = 0.0 if problem.box is None else float(np.max(np.asarray(problem.box[1]) - np.asarray(problem.box[0])))
    same = np.ones(len(s))
    floor = aim - problem.offset if goal in ("minimum", "target") else 0.0
    return execute.Thresholds(tolerance, s, g, floor * same, problem.offset * same, abs(aim) * same, width * same)


@functools.lru_cache(maxsize=4096)
def _scales(problem: Problem, axes: tuple[tuple[str, tuple[float, ...]], ...]) -> list[tuple[float, float]]:
    return scale.scales_of(problem, _settings(problem, axes))


def _settings(problem: Problem, axes: tuple[tuple[str, tuple[float, ...]], ...]) -> list[dict[str, float]]:
    """The parameters of a problem at each point of the grid of their axes, in its order."""
    names = [name for name, _ in axes]
    return [
        {**problem.parameters, **dict(zip(names, values, strict=True))}
        for values in np.stack([m.ravel() for m in np.meshgrid(*[v for _, v in axes], indexing="ij")], 1)
    ] if axes else [dict(problem.parameters)]  # fmt: skip


def noise_word(problem: Problem) -> int:
    """The 32-bit word that stands for problem and instance in the key of the noise."""
    return zlib.crc32(f"{problem.name} {sorted(problem.settings.items())}".encode())


def _facts(problem: Problem) -> list[Any]:
    """What an instance's rows are judged by, beside its data and thresholds."""
    listed = None if problem.minimizers is None else _digest(np.asarray(problem.minimizers, float))
    form = _digest(problem.template)
    return [problem.offset, problem.minimum, problem.target, listed, form, sorted(problem.settings.items())]


def _digest(tree: Any) -> str:
    import jax

    digest = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


@functools.cache
def _version(name: str) -> str:
    return importlib.metadata.version(name)


def _versions(engine: str) -> list[str]:
    compilers = ("jax", "jaxlib", "llvmlite") if engine == "native" else ("jax", "jaxlib")
    return [_version(name) for name in (*compilers, "optax", "optimistix", "scipy", "cma")]


@functools.lru_cache(maxsize=4096)
def _identity_of(problem: Problem, optimizer: Optimizer) -> str | None:
    """What stands for both in the name of a saved program; None where code from elsewhere takes part."""
    return code_identity((problem, optimizer)) if only_ours((problem, optimizer)) else None


def _user_code(choice: ProblemChoice, optimizer: OptimizerChoice) -> list[str]:
    """What stands for the code of problem and optimizer."""
    problem, rule = choice.problem, optimizer.optimizer
    return [code_identity(f) for f in (problem.objective, problem.sample, rule.init, rule.step, rule.judge, rule.host)]


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost; bytes and seconds are rough."""

    cells: int
    descents: int
    evaluations: int
    peak_bytes: int
    disk_bytes: int
    seconds: float


def estimate(cells: Sequence[Cell], cores: int) -> Estimate:
    """What a plan will cost.

    The time is a second a cell to compile and 1e8 coordinate-steps per second and core, which holds within a factor
    of about 3 for test functions on a CPU; model problems cost more. Methods on the host are counted with their whole
    budget, of which they may need a hundredth.
    """
    steps = sum(c.grid.size * c.info["steps"] for c in cells)
    work = sum(c.grid.size * c.info["steps"] * (c.descent.problem.dim + 2) for c in cells)
    walked = sum(c.grid.size * c.info["steps"] for c in cells if c.descent.optimizer.host is not None)
    row = 45  # measured on a million descents without traces
    return Estimate(
        cells=len(cells),
        descents=sum(c.grid.size for c in cells),
        evaluations=steps,
        peak_bytes=max((_peak(c) for c in cells), default=0),
        disk_bytes=sum(c.grid.size for c in cells) * row,
        seconds=len(cells) * 1.0 / min(2, cores) + work / (1e8 * cores) + walked * HOST_STEP,
    )


def _peak(cell: Cell) -> int:
    row = 8 * (40 + 5 * len(cell.info["trace_steps"]) + len(cell.info["path_steps"]) * cell.descent.problem.dim)
    # What a method on the host visits is replayed from a copy of its own on the device.
    host = cell.descent.optimizer.host is not None
    path = 3 * 8 * cell.block * cell.info["steps"] * (cell.descent.problem.dim + 2) if host else 0
    return 500_000_000 + 3 * row * min(cell.shard, cell.grid.size) + path
