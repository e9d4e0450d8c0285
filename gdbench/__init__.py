"""gdbench: where does an optimizer converge, how fast, and when does it break?

    import gdbench as gd
    f = gd.problem("rosenbrock", dim=2)
    s = gd.sweep(f, "adam", learning_rate=gd.log_axis(1e-4, 1, 256), starts=gd.starts("sobol", 64), steps=1000)
    s.table                          # pandas, a row a descent
    s.map("learning_rate", "start")  # a matplotlib figure
    run = gd.run("suites/quickstart.toml")
    run.table(); run.report(); gd.load(run.path)

Importing gdbench does not import JAX; running something does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gdbench.contracts import Cost, Optimizer, Problem, Step
    from gdbench.face import Run, Sweep, load, problem, run, sweep
    from gdbench.grid import linear_axis, log_axis, starts
    from gdbench.optimizers.from_functions import optimizer

_HOMES = {
    "Cost": "contracts", "Optimizer": "contracts", "Problem": "contracts", "Run": "face", "Step": "contracts",
    "Sweep": "face", "linear_axis": "grid", "load": "face", "log_axis": "grid",
    "optimizer": "optimizers.from_functions", "problem": "face", "run": "face", "starts": "grid", "sweep": "face",
}  # fmt: skip

__all__ = [
    "Cost", "Optimizer", "Problem", "Run", "Step", "Sweep", "__version__", "linear_axis", "load", "log_axis",
    "optimizer", "problem", "run", "starts", "sweep",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that the command line starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gdbench' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"gdbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
