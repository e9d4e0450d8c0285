"""Methods that are no JAX programs, run on the host descent by descent and recorded like all others.

The method walks first, asking a jitted problem for values and gradients that are counted here. What it visited is then
replayed by the plain kernel as the steps of an optimizer, so that judging, outcomes and columns are the same.
"""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP
from gdbench.errors import CellError
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import Descent, Lane, Shared, numerics
from gdbench.kernels.execute import Program

MOST_EVALUATIONS = 1000
"""Evaluations that a method may spend on each step of the budget before it counts as hanging."""


class Finished(Exception):
    """Raised through a method whose budget is over."""


class HostOracle:
    """What a method on the host may ask of a problem, in NumPy and float64; every call is counted.

    Attributes:
        steps: the budget of steps.
        dim: number of coordinates.
        eps: the precision in which values are computed, as the spacing of numbers at 1.
    """

    def __init__(self, functions: Any, arguments: tuple[Any, Any], descent: Descent, dtype: np.dtype) -> None:
        self._functions, self._arguments, self._dtype, self._descent = functions, arguments, dtype, descent
        self.steps, self.dim, self.eps = descent.shape.steps, descent.problem.dim, float(np.finfo(dtype).eps)
        self.counts = np.zeros(3, np.int64)
        self.path: list[np.ndarray] = []
        self.spent: list[np.ndarray] = []
        self.broken: np.ndarray | None = None

    def _ask(self, kind: int, x: Any, *more: Any) -> Any:
        if self.counts.sum() > MOST_EVALUATIONS * self.steps:
            raise CellError(f"{self._descent.optimizer.name} asked {MOST_EVALUATIONS} times a step: it hangs")
        self.counts[kind] += 1
        given = np.asarray(x, self._dtype)
        with numerics(self._dtype):
            answer = self._functions[kind](given, *[np.asarray(m, self._dtype) for m in more], *self._arguments)
            answer = jax.device_get(answer)
        if not all(np.all(np.isfinite(part)) for part in jax.tree.leaves(answer)):
            self.broken = given
        return answer

    def value(self, x: Any) -> float:
        """f(x)."""
        return float(self._ask(0, x))

    def value_and_grad(self, x: Any) -> tuple[float, np.ndarray]:
        """f(x) and its gradient, shape [dim]."""
        value, gradient = self._ask(1, x)
        return float(value), np.asarray(gradient, np.float64)

    def hvp(self, x: Any, v: Any) -> np.ndarray:
        """The Hessian at x times v, shape [dim]."""
        return np.asarray(self._ask(2, x, v), np.float64)

    def visit(self, x: Any) -> None:
        """Say that a step ended at x; raises ``Finished`` when the budget is over."""
        self.path.append(np.array(x, self._dtype))
        self.spent.append(self.counts.copy())
        budget, weights = self._descent.shape.budget, (1, COST_OF_GRADIENT, COST_OF_HVP)
        if len(self.path) >= self.steps or (budget and float(self.counts @ weights) >= budget):
            raise Finished


def run_one(oracle: HostOracle, descent: Descent, x0: np.ndarray, h: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    """The points that a method visited, [steps, dim], and what each step cost, [steps, 3]; the last point is held."""
    run = descent.optimizer.host
    assert run is not None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            run(oracle, np.asarray(x0, np.float64), h)
    except Finished:
        pass
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        # What a library raises on NaN and infinity is a descent that broke there; anything else is a fault.
        if oracle.broken is None:
            raise
        oracle.path.append(oracle.broken)
        oracle.spent.append(oracle.counts.copy())
    steps = descent.shape.steps
    visited, spent = oracle.path[:steps], oracle.spent[:steps]
    path = np.concatenate(
        [np.reshape(visited, (len(visited), oracle.dim)), np.empty((steps - len(visited), oracle.dim))]
    )
    path[len(visited) :] = visited[-1] if visited else x0
    totals = np.zeros((steps + 1, 3), np.int64)
    totals[1 : len(spent) + 1] = np.reshape(spent, (len(spent), 3))
    totals[len(spent) + 1 :] = oracle.counts
    return path, np.diff(totals, axis=0).astype(np.int32)


class HostProgram(Program):
    """A program whose lanes are walked on the host, one after the other, before the kernel replays them."""

    _data: Any = None

    def compile(self, shared: Shared) -> None:
        """Compile the replay, and set up the functions that the host asks (compiled at their first call)."""
        super().compile(shared)
        descent = self.descent
        self._functions = [
            jit(lambda x, data, parameters: descent.oracle(data, parameters).value(x)),
            jit(lambda x, data, parameters: descent.oracle(data, parameters).value_and_grad(x)),
            jit(lambda x, v, data, parameters: descent.oracle(data, parameters).hvp(x, v)),
        ]

    def place(self, shared: Shared) -> Shared:
        """The shared arguments on every device; the host keeps its own."""
        self._data = shared.data
        return super().place(shared)

    def start(self, lanes: Lane, shared: Shared) -> Any:
        """Walk the lanes, then dispatch their replay."""
        paths, costs = [], []
        for i, x0 in enumerate(lanes.x0):
            h, parameters = (jax.tree.map(lambda a: a[i], t) for t in (lanes.hyperparameters, lanes.parameters))  # noqa: B023
            oracle = HostOracle(self._functions, (self._data, parameters), self.descent, self.dtype)
            path, cost = run_one(oracle, self.descent, x0, SimpleNamespace(**self.descent.static, **h))
            paths.append(path)
            costs.append(cost)
        walked = {"path": np.stack(paths).astype(self.dtype), "path_costs": np.stack(costs)}
        return super().start(lanes._replace(hyperparameters=walked), shared)
