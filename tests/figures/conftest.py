"""A run made of NumPy descents, with the interface of gdbench.results.Results."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gdbench.contracts import FLAGS, OUTCOMES, RESTS


@dataclass
class FakeResults:
    """Frames by cell id, cut together as the store does it."""

    cells: list[dict[str, Any]]
    frames: dict[str, pd.DataFrame]
    surfaces: dict[str, pd.DataFrame] = field(default_factory=dict)
    suite: dict[str, Any] = field(default_factory=lambda: {"suite": {"name": "fake", "seed": 0}, "experiment": []})
    path: None = None
    environment: dict[str, Any] = field(default_factory=dict)
    timing: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    memo: dict[Any, Any] = field(default_factory=dict)
    clocks: dict[str, pd.DataFrame] = field(default_factory=dict)

    def table(self, columns: list[str] | None = None, cells: list[str] | None = None) -> pd.DataFrame:
        frames = [self.frames[name] for name in (cells if cells is not None else self.frames)]
        table = pd.concat(frames, ignore_index=True)
        return table if columns is None else table[columns]

    def directions(self, problem: str) -> pd.DataFrame | None:
        return None

    def clock(self, problem: str) -> pd.DataFrame | None:
        return self.clocks.get(problem)

    def surface(self, problem: str) -> pd.DataFrame | None:
        return self.surfaces.get(problem)


def problem(name: str, f, g, box, **facts) -> dict[str, Any]:
    """The plain record of a problem, with its functions beside it."""
    dim = len(box[0])
    record = {
        "name": name, "label": name, "settings": {}, "parameters": {}, "dim": dim, "formula": "", "source": "",
        "box": box, "minimum": 0.0, "minimizers": [[0.0] * dim], "all_minimizers": True, "curvature": None,
        "curvature_is_local": False, "goal": "minimum", "offset": 0.0, "target": None, "stochastic": False,
        "scale": 10.0, "gradient_scale": 5.0, "tolerance": 1e-8, "judge_every": 1, "batch_share": 1.0,
        "target_unit": None,
    }  # fmt: skip
    return {**record, **facts, "f": f, "g": g}


def quadratic(condition: float = 10.0, **facts) -> dict[str, Any]:
    curvatures = np.array([1.0, condition])
    case = problem(
        "quadratic",
        lambda x: 0.5 * (curvatures * x**2).sum(-1),
        lambda x: curvatures * x,
        [[-5.0, -5.0], [5.0, 5.0]],
        curvature=[1.0, condition],
    )
    return {**case, **facts}


def shifted_parabola() -> dict[str, Any]:
    return problem(
        "shifted_parabola",
        lambda x: ((x - 1) ** 2).sum(-1),
        lambda x: 2 * (x - 1),
        [[-4.0], [6.0]],
        formula="x² − 2x + 3",
        minimizers=[[1.0]],
        offset=2.0,
        curvature=[2.0, 2.0],
    )


def double_well_2d() -> dict[str, Any]:
    return problem(
        "double_well",
        lambda x: ((x**2 - 1) ** 2 / 4).sum(-1),
        lambda x: x**3 - x,
        [[-2.0, -2.0], [2.0, 2.0]],
        minimizers=[[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]],
    )


RULES = {
    "gd": {
        "theory": "gradient_descent",
        "hyperparameters": {"learning_rate": None},
        "defaults": {"learning_rate": None},
    },
    "heavy_ball": {
        "theory": "heavy_ball",
        "hyperparameters": {"learning_rate": None, "momentum": 0.9},
        "defaults": {"learning_rate": None, "momentum": 0.9},
    },
    "sign": {"theory": None, "hyperparameters": {"learning_rate": None}, "defaults": {"learning_rate": 0.1}},
}


def step(rule: str, x, m, gradient, grid):
    rate = grid["learning_rate"][:, None]
    if rule == "sign":
        return x - rate * np.sign(gradient), m
    momentum = grid["momentum"][:, None] if rule == "heavy_ball" else 0.0
    m = momentum * m + gradient
    return x - rate * m, m


def descend(case: dict[str, Any], rule: str, grid: dict[str, np.ndarray], x: np.ndarray, steps: int) -> dict[str, Any]:
    """Iterates [steps + 1, lanes, dim] and gaps [steps + 1, lanes] of one rule."""
    m, xs = np.zeros_like(x), [x]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            x, m = step(rule, x, m, case["g"](x), grid)
            xs.append(x)
        return {"x": np.array(xs), "gap": case["f"](np.array(xs))}


def record(case: dict[str, Any], run: dict[str, np.ndarray], window: int) -> pd.DataFrame:
    """The columns of the table that the figures read."""
    gap, x = run["gap"], run["x"]
    steps, lanes = len(gap) - 1, gap.shape[1]
    within = gap <= (-np.inf if case["tolerance"] is None else case["tolerance"])
    settled = np.where(within[-1], steps + 1 - np.argmin(within[::-1], axis=0), -1)
    settled = np.where(within.all(axis=0), 0, settled)
    code = np.full(lanes, OUTCOMES.index("unfinished"))
    late = (gap[-window + 1 :] > gap[-window:-1]).any(axis=0)
    code[late] = OUTCOMES.index("oscillating")
    code[(settled >= 0) & (settled <= steps - window)] = OUTCOMES.index("converged")
    code[(gap > 1e6 * np.maximum(case["scale"], gap[0])).any(axis=0)] = OUTCOMES.index("diverged")
    code[~np.isfinite(gap).all(axis=0)] = OUTCOMES.index("nonfinite")
    distances = np.abs(x[-1][:, None] - np.array(case["minimizers"])[None]).max(axis=-1)
    near = np.where(distances.min(axis=1) < 1e-2, distances.argmin(axis=1), -1)
    return pd.DataFrame(
        {
            "outcome": pd.Categorical.from_codes(code, categories=OUTCOMES),
            "rest": pd.Categorical.from_codes(np.zeros(lanes, int), categories=RESTS),
            "flag": pd.Categorical.from_codes(np.zeros(lanes, int), categories=FLAGS),
            "steps": steps,
            "settle_step": pd.array([s if s >= 0 else None for s in settled], dtype="Int64"),
            "f_start": gap[0] + case["offset"],
            "f_final": gap[-1] + case["offset"],
            "gap_final": gap[-1] if case["minimum"] is not None else np.nan,
            "basin": np.where(code == OUTCOMES.index("converged"), near, -1),
            "rate": rates(gap),
            "f_evals": 0,
            "g_evals": steps,
            "hvp_evals": 0,
            "settle_f_evals": 0.0,
            "settle_g_evals": np.where(settled >= 0, settled, np.nan),
            "settle_hvp_evals": 0.0,
            **{f"end_{i}": x[-1, :, i] for i in range(x.shape[2])},
        }
    )


def rates(gap: np.ndarray, windows: int = 10) -> np.ndarray:
    """Decades of gap a step, between the first and last of equal windows whose maximum is a normal number."""
    width = (len(gap) - 1) // windows
    tops = gap[1 : 1 + windows * width].reshape(windows, width, -1).max(axis=1)
    usable = np.isfinite(tops) & (tops > 1e-300)
    found = np.full(gap.shape[1], np.nan)
    for lane in np.flatnonzero(usable.sum(axis=0) >= 2):
        first, last = np.flatnonzero(usable[:, lane])[[0, -1]]
        found[lane] = (np.log10(tops[last, lane]) - np.log10(tops[first, lane])) / ((last - first) * width)
    return found


def starts_of(case: dict[str, Any], num: int, kind: str) -> np.ndarray:
    low, high = np.array(case["box"])
    if kind == "grid":
        side = round(num ** (1 / len(low)))
        lines = [np.linspace(a, b, side) for a, b in zip(low, high, strict=True)]
        return np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, len(low))
    return low + (high - low) * np.random.default_rng(3).random((num, len(low)))


def make_cell(
    case, rule, axes, num_starts=8, steps=120, kind="sobol", dtype="float64", experiment="regions", paths=True
):
    """One cell with its rows. ``axes``: hyperparameter values by name; the parameter axis is not simulated here."""
    lines = {**{name: np.asarray(values, float) for name, values in axes.items()}, "start": np.arange(num_starts)}
    lanes = list(itertools.product(*lines.values()))
    grid = dict(zip(lines, np.array(lanes).T, strict=True))
    fixed = RULES[rule]["hyperparameters"]
    everything = {**{k: np.full(len(lanes), v) for k, v in fixed.items() if v is not None}, **grid}
    x = starts_of(case, num_starts, kind)
    num_starts = len(x)
    which = grid["start"].astype(int)
    run = descend(case, rule, everything, x[which], steps)
    window = max(32, steps // 10)
    frame = record(case, run, min(window, steps // 2))
    stored = np.unique(np.geomspace(1, steps, 24).round().astype(int))
    best = np.minimum.accumulate(np.where(np.isnan(run["gap"]), np.inf, run["gap"]), axis=0)
    frame["trace_best"] = list(best[stored].T)
    walk = np.r_[0, stored]
    sampled = (which < 2) & paths
    frame["path"] = [run["x"][walk, i].ravel() if sampled[i] else None for i in range(len(lanes))]
    frame = frame.assign(instance=0, seed=0, start=which, **{name: grid[name] for name in axes})
    frame = frame.assign(**{f"start_{i}": x[which, i] for i in range(x.shape[1])})
    identity = f"{experiment}/{case['label']}/{rule}/{dtype}"
    plain = {key: value for key, value in case.items() if key not in ("f", "g")}
    cell = {
        "id": identity, "experiment": experiment, "dtype": dtype, "steps": steps, "window": window, "engine": "scan",
        "block": 64, "lanes": len(lanes), "failed": None, "problem": plain,
        "optimizer": {
            "name": rule, "label": rule, "family": "gradient", "notes": "", "cost": [0, 1, 0],
            "init_cost": [0, 0, 0], "uses_gradient": True,
            "theory": RULES[rule]["theory"], "defaults": RULES[rule]["defaults"],
            "hyperparameters": {**fixed, **dict.fromkeys(axes)},
        },
        "axes": [
            {"name": name, "kind": "hyperparameter", "values": list(map(float, values)), "scale": "log" if
             name == "learning_rate" else "list"} for name, values in axes.items()
        ] + [{"name": "start", "kind": "start", "values": list(range(num_starts)), "scale": "list"}],
        "starts": {"kind": kind, "num": num_starts}, "trace_steps": stored.tolist(), "path_steps": walk.tolist(),
        "targets": [],
    }  # fmt: skip
    frame["cell"] = identity
    return cell, frame


def make_surface(case: dict[str, Any], side: int = 41) -> pd.DataFrame:
    lines = [np.linspace(a, b, side) for a, b in zip(*case["box"], strict=True)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, len(lines))
    gradient = case["g"](points)
    columns = {f"x{i}": points[:, i] for i in range(len(lines))}
    columns |= {"f": case["f"](points) + case["offset"]}
    return pd.DataFrame(columns | {f"g{i}": gradient[:, i] for i in range(len(lines))})


def collect(pairs, surfaces=()) -> FakeResults:
    """A run of (cell, frame) pairs, with surfaces of these problems."""
    return FakeResults(
        [cell for cell, _ in pairs],
        {cell["id"]: frame for cell, frame in pairs},
        {case["label"]: make_surface(case) for case in surfaces},
    )


def with_condition(conditions, rates_) -> tuple[dict[str, Any], pd.DataFrame]:
    """A gradient descent cell whose quadratic has an axis ``condition``."""
    made = [make_cell(quadratic(c), "gd", {"learning_rate": rates_}) for c in conditions]
    cell = made[0][0]
    cell["axes"].insert(1, {"name": "condition", "kind": "parameter", "values": list(conditions), "scale": "log"})
    cell["problem"]["curvature"] = [1.0, 10.0]
    frames = [frame.assign(condition=float(c)) for c, (_, frame) in zip(conditions, made, strict=True)]
    return cell, pd.concat(frames, ignore_index=True)


def make_contest(costs, budget=100.0, targets=(), lost=(), **facts) -> FakeResults:
    """A run with these costs: the numbers of held-out descents are known without running one.

    Args:
        costs: by optimizer, the cost of each start on each problem; infinite for one that does not converge. It is met
            at the better of two learning rates, 1; at the other, the default 2, all costs are twice as high.
        budget: what an unsolved descent spends.
        targets: τ of recorded targets; the i-th of n is reached at the (i+1)/n of the cost, the first by all.
        lost: (optimizer, problem) pairs whose cell failed.
        facts: of every problem.
    """
    pairs = []
    for label, table in costs.items():
        for i, row in enumerate(table):
            case = {**quadratic(), "name": f"p{i}", "label": f"p{i}", **facts}
            failed = "boom" if (label, i) in lost else None
            pairs.append(_contest_cell(label, case, np.asarray(row, float), budget, tuple(targets), failed))
    return collect(pairs)


def _contest_cell(label, case, row, budget, targets, failed):
    """A cell whose starts 2 i and 2 i + 1 both cost ``row[i]``."""
    identity, n = f"contest/{case['label']}/{label}", 2 * len(row)
    cost = np.concatenate([np.repeat(row, 2), 2 * np.repeat(row, 2)])
    solved = np.isfinite(cost)
    spent = np.where(solved, 2 * cost, budget)
    part = np.where(solved, cost, budget)[:, None] * np.arange(1, len(targets) + 1) / max(len(targets), 1)
    part = np.where(solved[:, None] | (np.arange(len(targets)) == 0), part, -1)
    outcome = pd.Categorical(np.where(solved, "converged", "unfinished"), categories=OUTCOMES)
    gap = np.where(solved, 1e-9, 1.0)
    steps = [1, 10, 100]
    frame = pd.DataFrame({
        "cell": identity, "outcome": outcome, "steps": 100, "f_start": 10.0, "f_final": gap, "gap_final": gap,
        "settle_step": pd.array(np.where(solved, 1, None), dtype="Int64"),
        "rest": pd.Categorical.from_codes(np.zeros(2 * n, int), categories=RESTS),
        "flag": pd.Categorical.from_codes(np.zeros(2 * n, int), categories=FLAGS),
        "f_evals": 0.0, "g_evals": spent, "hvp_evals": 0.0, "settle_f_evals": 0.0,
        "settle_g_evals": np.where(solved, cost, np.nan), "settle_hvp_evals": 0.0, "rate": np.nan, "basin": -1,
        "end_0": 0.0, "end_1": 0.0, "path": None, "instance": 0, "seed": 0, "start": np.tile(np.arange(n), 2),
        "learning_rate": np.repeat([1.0, 2.0], n),
    })  # fmt: skip
    frame["trace_best"] = [np.array([1e-1, 1e-3, g]) for g in gap]
    if targets:
        frame["hits"], frame["hits_g_evals"] = list(part.astype(int)), list(part)
        none = np.where(part < 0, -1.0, 0.0)
        frame["hits_f_evals"], frame["hits_hvp_evals"] = list(none), list(none)
    cell = {
        "id": identity, "experiment": "contest", "dtype": "float64", "steps": 100, "window": 32, "engine": "scan",
        "block": 64, "lanes": 2 * n, "failed": failed,
        "problem": {k: v for k, v in case.items() if k not in ("f", "g")},
        "optimizer": {
            "name": label, "label": label, "family": "gradient", "notes": "", "cost": [0, 1, 0],
            "init_cost": [0, 0, 0], "uses_gradient": True,
            "theory": None, "hyperparameters": {"learning_rate": None}, "defaults": {"learning_rate": 2.0},
        },
        "axes": [
            {"name": "learning_rate", "kind": "hyperparameter", "values": [1.0, 2.0], "scale": "log"},
            {"name": "start", "kind": "start", "values": list(range(n)), "scale": "list"},
        ],
        "starts": {"kind": "sobol", "num": n}, "trace_steps": steps, "path_steps": [], "targets": list(targets),
    }  # fmt: skip
    return cell, frame.iloc[:0] if failed else frame


RATES = np.logspace(-3, 0, 31)


@pytest.fixture(scope="session")
def quadratic_run() -> FakeResults:
    """Three rules on a quadratic with curvatures 1 and 10."""
    case = quadratic()
    pairs = [make_cell(case, rule, {"learning_rate": RATES}, num_starts=16) for rule in RULES]
    return collect(pairs, [case])


@pytest.fixture(scope="session")
def momentum_run() -> FakeResults:
    """Heavy ball over learning rate and momentum."""
    axes = {"learning_rate": np.logspace(-2, 0, 41), "momentum": np.linspace(0, 0.95, 20)}
    return collect([make_cell(quadratic(), "heavy_ball", axes, num_starts=4, steps=200)])


@pytest.fixture(scope="session")
def basin_run() -> FakeResults:
    """A grid of starts in a function of four wells, and scattered ones."""
    case = double_well_2d()
    rates_ = [0.01, 0.3, 0.9]
    grid = make_cell(case, "gd", {"learning_rate": rates_}, 400, kind="grid", steps=150)
    scattered = make_cell(case, "gd", {"learning_rate": rates_}, 64, steps=150, experiment="scattered")
    return collect([grid, scattered], [case])


@pytest.fixture(scope="session")
def parabola_run() -> FakeResults:
    """A one-dimensional problem with difference quotients."""
    case = shifted_parabola()
    results = collect([make_cell(case, rule, {"learning_rate": RATES}) for rule in ("gd", "sign")], [case])
    steps_ = np.logspace(-8, 0, 9)
    quotients = pd.DataFrame({"dtype": "float64", "h": steps_, "error": steps_ + 1e-16 / steps_})
    results.surfaces["shifted_parabola"].attrs["quotients"] = quotients
    return results


@pytest.fixture(scope="session")
def build() -> Any:
    """The makers, for tests that want a run of their own."""

    class Makers:
        cell, quadratic, parabola, wells = make_cell, quadratic, shifted_parabola, double_well_2d
        results, condition, rates = FakeResults, with_condition, RATES
        run, contest = staticmethod(collect), staticmethod(make_contest)

    return Makers
