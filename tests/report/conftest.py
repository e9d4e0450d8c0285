"""Runs made up for the tests: NumPy gradient descents in the shape that ``gdbench.results.Results`` has."""

from __future__ import annotations

import copy
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from gdbench.contracts import FLAGS, OUTCOMES, RESTS

STEPS = 200
RATES = [float(r) for r in np.geomspace(1e-3, 10, 9)]

ENVIRONMENT = {
    "python": "3.11.2", "jax": "0.10.2", "jaxlib": "0.10.2", "optax": "0.2.8", "numpy": "2.3.4", "device_kind": "cpu",
    "device_count": 2, "platform": "cpu", "cpu": "Example CPU", "commit": "0123abc", "dirty": False,
    "started": "2025-11-21T08:00:00+00:00", "flags": "",
}  # fmt: skip


def problem(**facts: Any) -> dict[str, Any]:
    """A quadratic in two dimensions, with other facts where given."""
    return {
        "name": "quadratic", "label": "quadratic", "settings": {"dim": 2}, "parameters": {}, "dim": 2,
        "formula": "x² + 10 y²", "source": "", "box": [[-2.0, -2.0], [2.0, 2.0]], "minimum": 0.0,
        "minimizers": [[0.0, 0.0]],
        "all_minimizers": True, "curvature": [1.0, 10.0], "curvature_is_local": False, "goal": "minimum",
        "offset": 0.0, "target": None, "stochastic": False, "scale": 5.0, "gradient_scale": 5.0, "tolerance": 1e-5,
        "judge_every": 1, "batch_share": 1.0,
    } | facts  # fmt: skip


def optimizer(name: str = "gd", momentum: float = 0.0, **facts: Any) -> dict[str, Any]:
    """Gradient descent with a fixed momentum, under some name."""
    return {
        "name": name, "label": name, "hyperparameters": {"learning_rate": None, "momentum": momentum},
        "defaults": {"learning_rate": None, "momentum": momentum},
        "theory": "heavy_ball" if momentum else "gradient_descent", "family": "gradient",
        "notes": "", "cost": [0, 1, 0], "uses_gradient": True,
    } | facts  # fmt: skip


def cell(
    name: str = "c0", experiment: str = "rates", dtype: str = "float32", starts: int = 16, seeds: int = 1,
    rates: list[float] = RATES, problem: dict | None = None, optimizer: dict | None = None, axes: list | None = None,
    failed: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A cell with a grid of learning rates and starts; ``axes`` are further axes of the problem."""
    grid = [
        {"name": "learning_rate", "kind": "hyperparameter", "values": rates, "scale": "log"},
        *(axes or []),
        {"name": "instance", "kind": "instance", "values": [0], "scale": "list"},
        {"name": "start", "kind": "start", "values": list(range(starts)), "scale": "list"},
        {"name": "seed", "kind": "seed", "values": list(range(seeds)), "scale": "list"},
    ]
    return {
        "id": name, "experiment": experiment, "dtype": dtype, "steps": STEPS, "window": 32, "engine": "scan",
        "block": 64, "lanes": len(rates) * starts * seeds, "failed": failed, "axes": grid,
        "problem": problem or globals()["problem"](), "optimizer": optimizer or globals()["optimizer"](),
        "starts": {"kind": "sobol", "num": starts}, "trace_steps": [], "path_steps": [], "targets": [],
    }  # fmt: skip


def coordinates(cell: dict[str, Any]) -> pd.DataFrame:
    """The product of a cell's axes, a row a descent."""
    names = [axis["name"] for axis in cell["axes"]]
    return pd.MultiIndex.from_product([axis["values"] for axis in cell["axes"]], names=names).to_frame(index=False)


def gaps(cell: dict[str, Any], grid: pd.DataFrame) -> np.ndarray:
    """Gap of x²/2 + condition y²/2 after each step of gradient descent, shape [descents, steps + 1].

    Start and end of each descent are added to the grid.
    """
    x0 = np.random.default_rng(0).uniform(-2, 2, size=(1 + int(grid["start"].max()), 2))[grid["start"]]
    rate, beta = grid["learning_rate"].to_numpy()[:, None], cell["optimizer"]["hyperparameters"]["momentum"]
    condition = grid["condition"].to_numpy() if "condition" in grid else np.full(len(grid), 10.0)
    curvature = np.stack([np.ones(len(grid)), condition], axis=1)
    x, before, found = x0, x0, [np.sum(curvature * x0**2, axis=1) / 2]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(cell["steps"]):
            x, before = x - rate * curvature * x + beta * (x - before), x
            found.append(np.sum(curvature * x**2, axis=1) / 2)
    for i in range(2):
        grid[f"start_{i}"], grid[f"end_{i}"] = x0[:, i], x[:, i]
    return np.stack(found, axis=1)


def descents(cell: dict[str, Any]) -> pd.DataFrame:
    """The table of a cell, from real descents on the quadratic."""
    grid = coordinates(cell)
    path, steps, tolerance = gaps(cell, grid), cell["steps"], cell["problem"]["tolerance"]
    final = path[:, -1]
    above = ~(path <= tolerance)
    settle = np.where(above.any(axis=1), steps + 1 - np.argmax(above[:, ::-1], axis=1), 0)
    outcome = np.full(len(grid), "unfinished", dtype=object)
    outcome[settle <= steps - cell["window"]] = "converged"
    outcome[final > 1e6 * path[:, 0].max()] = "diverged"
    outcome[~np.isfinite(final)] = "nonfinite"
    known = cell["problem"]["minimum"] is not None
    return grid.assign(
        outcome=pd.Categorical(outcome, list(OUTCOMES)), rest=pd.Categorical([""] * len(grid), list(RESTS)),
        flag=pd.Categorical([""] * len(grid), list(FLAGS)), steps=steps,
        settle_step=pd.array(np.where(outcome == "converged", settle, -1), dtype="Int64"),
        f_start=path[:, 0], f_final=final, f_best=path.min(axis=1), gap_final=final if known else np.nan,
        gap_best=path.min(axis=1) if known else np.nan, f_evals=0, g_evals=steps, hvp_evals=0, basin=0, rate=np.nan,
    ).assign(
        settle_step=lambda frame: frame["settle_step"].where(frame["settle_step"] >= 0), settle_f_evals=0.0,
        settle_g_evals=lambda frame: frame["settle_step"].astype("Float64"), settle_hvp_evals=0.0,
    )  # fmt: skip


@dataclass
class FakeResults:
    """A run in memory with the interface of ``gdbench.results.Results``."""

    cells: list[dict[str, Any]]
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    path: Path | None = None
    suite: dict[str, Any] = field(default_factory=lambda: {"suite": {"name": "example", "seed": 0}, "experiment": []})
    environment: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(ENVIRONMENT))
    memo: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Run the descents of the cells that did not fail."""
        for entry in self.cells:
            frame = descents(entry)
            self.frames.setdefault(entry["id"], frame.iloc[:0] if entry["failed"] else frame)

    @property
    def timing(self) -> list[dict[str, Any]]:
        """One entry a cell that ran."""
        return [
            {"cell": c["id"], "compile_seconds": 0.21, "first_seconds": 0.034, "steady_seconds": 0.0031,
             "descents": c["lanes"], "steps": c["steps"]}
            for c in self.cells if not c["failed"]
        ]  # fmt: skip

    @property
    def failures(self) -> list[dict[str, Any]]:
        """One entry a cell that failed."""
        return [
            {"cell": c["id"], "experiment": c["experiment"], "problem": c["problem"]["label"],
             "optimizer": c["optimizer"]["label"], "error": c["failed"]}
            for c in self.cells if c["failed"]
        ]  # fmt: skip

    def table(self, columns: list[str] | None = None, cells: list[str] | None = None) -> pd.DataFrame:
        """The rows of some cells."""
        wanted = [c for c in self.cells if cells is None or c["id"] in cells]
        parts = []
        for c in wanted:
            names = {"cell": c["id"], "experiment": c["experiment"], "problem": c["problem"]["label"],
                     "optimizer": c["optimizer"]["label"], "dtype": c["dtype"]}  # fmt: skip
            parts.append(self.frames[c["id"]].assign(**names))
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        return table if columns is None else table[list(columns)]

    def need_whole(self, what: str) -> None:
        """The records here are whole."""

    def directions(self, problem_label: str) -> pd.DataFrame | None:
        """No directions either."""
        return None

    def clock(self, problem_label: str) -> pd.DataFrame | None:
        """Nor times."""
        return None

    def surface(self, problem_label: str) -> pd.DataFrame | None:
        """No surface: figures that want one have nothing to say."""
        return None


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders of this file."""
    return SimpleNamespace(cell=cell, problem=problem, optimizer=optimizer, results=FakeResults, rates=RATES)


@pytest.fixture
def run(tmp_path: Path) -> FakeResults:
    """Two optimizers on one problem, sixteen starts."""
    return FakeResults([cell("c0"), cell("c1", optimizer=optimizer("momentum", 0.5))], path=tmp_path)


@pytest.fixture(scope="module")
def chromium():
    """A browser, or the reason why there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: browser)")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or os.environ.get("CHROMIUM")
    if path is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens a page, offline; at the end of the test nothing may have been complained of, or fetched."""
    contexts, faults = [], []

    def opened(path, width=1400, script=True, fragment="", init="", **settings):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, offline=True, java_script_enabled=script, accept_downloads=True,
            **{"reduced_motion": "reduce", **settings},
        )  # fmt: skip
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        scheme = lambda url: urlsplit(url).scheme in ("file", "data", "blob")  # noqa: E731
        tab.on("request", lambda request: None if scheme(request.url) else faults.append(request.url))
        if init:
            tab.add_init_script(init)
        tab.goto(path.as_uri() + fragment)
        if script:
            tab.wait_for_selector("html[data-ready]", state="attached")
        return tab

    opened.faults = faults
    yield opened
    for context in contexts:
        context.close()
    assert faults == []
