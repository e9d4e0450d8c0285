"""Methods that are no JAX programs, run on the host descent by descent and recorded like all others.

The method walks first, asking a jitted problem for values and gradients that are counted here. What it visited is then
replayed by the plain kernel as the steps of an optimizer, so that judging, outcomes and columns are the same.

The problem is evaluated in the cell's precision and on the CPU, also where the replay runs on a GPU: a call at a time
is what a GPU is slowest at. A block is walked by one thread, and nothing that one lane does reaches another.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, Oracle
from gdbench.errors import CellError
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import Descent, Lane, Shared
from gdbench.kernels.execute import Program

MOST_EVALUATIONS = 1000
"""Evaluations that a method may spend on one step, for each coordinate and ten more, before it counts as hanging."""

F, G, H = range(3)


class Finished(Exception):
    """Raised through a method whose budget is over."""


class Hangs(ArithmeticError):
    """Raised through a method that asks on and on without ending a step."""


class HostOracle:
    """What a method on the host may ask of a problem, in NumPy and float64; every call is counted.

    Attributes:
        steps: the budget of steps.
        dim: number of coordinates.
        eps: the precision in which values are computed, as the spacing of numbers at 1.
        width: the widest side of the start box; without a box max(1, largest |coordinate| of the start).
        seed: a number of the descent's own, to draw random numbers from.
        counts: evaluations so far: values, gradients, Hessian-vector products.
    """

    def __init__(self, program: HostProgram, arguments: tuple[Any, Any], path: np.ndarray, spent: np.ndarray) -> None:
        self._program, self._arguments, self._path, self._spent = program, arguments, path, spent
        self._dtype, self._visits, self._weights = path.dtype, 0, np.array([1, COST_OF_GRADIENT, COST_OF_HVP])
        self._most = MOST_EVALUATIONS * (path.shape[1] + 10)
        self._joint: tuple[np.ndarray, dict[str, Any]] = np.empty(0), {}
        self.steps, self.dim = path.shape
        self.eps, self.width, self.seed = float(np.finfo(path.dtype).eps), 1.0, 0
        self.counts = np.zeros(3, np.int64)
        self.broken: np.ndarray | None = None

    def _ask(self, name: str, x: Any, *more: Any) -> list[np.ndarray]:
        """Call a jitted function at x; remembers where the answer was not finite."""
        since = self.counts - (self._spent[self._visits - 1] if self._visits else 0)
        if since.sum() > self._most:
            raise Hangs(f"{since.sum()} evaluations within a step: it hangs")
        if time.perf_counter() > self._program.deadline:
            raise CellError("timed out: what it finished is kept; a longer --timeout goes on from there")
        given = [np.asarray(part, self._dtype) for part in (x, *more)]
        answer = self._program.functions[name](*given, *self._arguments)
        parts = [np.asarray(part) for part in jax.tree.leaves(answer)]
        for part in parts:
            if not np.isfinite(part).all():
                # Of several points, the first bad one.
                bad = given[0].ndim > 1 and np.argmin(np.isfinite(part))
                self.broken = given[0] if bad is False else given[0][bad]
        return parts

    def value(self, x: Any) -> float:
        """f(x)."""
        self.counts[F] += 1
        return float(self._ask("value", x)[0])

    def values(self, points: Any) -> np.ndarray:
        """f at each of the points [n, dim], in one call: n values."""
        self.counts[F] += len(points)
        return self._ask("values", points)[0].astype(float)

    def value_and_grad(self, x: Any) -> tuple[float, np.ndarray]:
        """f(x) and its gradient, shape [dim]."""
        self.counts[G] += 1
        value, gradient = self._ask("both", x)
        return float(value), gradient.astype(float)

    def value_first(self, x: Any) -> float:
        """f(x), for methods that ask for value and gradient apart.

        A value alone, until ``gradient`` is asked at the same point: then both are one joint evaluation. Where the
        gradient was asked before, the value is known.
        """
        return float(self._half("value", x))

    def gradient(self, x: Any) -> np.ndarray:
        """The gradient at x, shape [dim]; see ``value_first``."""
        return self._half("gradient", x).astype(float)

    def _half(self, name: str, x: Any) -> np.ndarray:
        """One half of a joint evaluation; the halves that were not asked yet are kept for the point of the last one."""
        at, halves = self._joint
        if name not in halves or not np.array_equal(at, np.asarray(x, self._dtype), equal_nan=True):
            self.counts[F if name == "value" else G] += 1
            value, gradient = self._ask("both", x)
            halves = {"value": value, "gradient": gradient}
            self._joint = np.array(x, self._dtype), halves
        elif name == "gradient":
            self.counts += (-1, 1, 0)
        return halves.pop(name)

    def hvp(self, x: Any, v: Any) -> np.ndarray:
        """The Hessian at x times v, shape [dim]."""
        self.counts[H] += 1
        return self._ask("hvp", x, v)[0].astype(float)

    def hessian(self, x: Any) -> np.ndarray:
        """The Hessian at x, shape [dim, dim]: dim products with a vector."""
        self.counts[H] += self.dim
        return self._ask("hessian", x)[0].astype(float)

    def visit(self, x: Any) -> None:
        """Say that a step ended at x; raises ``Finished`` when the budget is over."""
        if self._visits < self.steps:
            self._path[self._visits], self._spent[self._visits] = x, self.counts
            self._visits += 1
        budget = self._program.descent.shape.budget
        if self._visits >= self.steps or (budget and float(self.counts @ self._weights) >= budget):
            raise Finished

    def end(self, x: Any) -> None:
        """Say where the method ended: one more step where its last one ended elsewhere."""
        if not self._visits or not np.array_equal(self._path[self._visits - 1], np.asarray(x, self._dtype)):
            self.visit(x)

    def close(self, x0: np.ndarray) -> None:
        """Hold the last point for the rest of the budget; what was spent after it falls on the next step."""
        self._path[self._visits :] = self._path[self._visits - 1] if self._visits else x0
        self._spent[self._visits :] = self.counts


def walk(oracle: HostOracle, descent: Descent, x0: np.ndarray, h: SimpleNamespace) -> None:
    """Let a method walk until it ends or its budget does."""
    run = descent.optimizer.host
    assert run is not None
    try:
        with np.errstate(all="ignore"):
            run(oracle, np.array(x0, float), h)
    except Finished:
        pass
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        # What a library raises once it has seen NaN or infinity is a descent that broke there; else it is a fault.
        if oracle.broken is None:
            raise CellError(f"{descent.optimizer.name} raised {type(error).__name__}: {error}") from error
        try:
            oracle.visit(oracle.broken)
        except Finished:
            pass
    with np.errstate(all="ignore"):
        oracle.close(x0)


def host_functions(descent: Descent) -> dict[str, Any]:
    """The jitted functions that a host oracle asks, compiled at their first call."""

    def at(ask: Any) -> Any:
        def function(x: Any, *arguments: Any) -> Any:
            *more, data, parameters = arguments
            return ask(descent.oracle(data, parameters), x, *more)

        return jit(function, "cpu")

    def product(oracle: Oracle, x: Any, v: Any) -> Any:
        assert oracle.hvp is not None
        return oracle.hvp(x, v)

    def hessian(oracle: Oracle, x: Any) -> Any:
        return jax.vmap(lambda v: product(oracle, x, v))(jnp.eye(x.shape[0], dtype=x.dtype))

    return {
        "value": at(lambda oracle, x: oracle.value(x)), "both": at(lambda oracle, x: oracle.value_and_grad(x)),
        "values": at(lambda oracle, points: jax.vmap(oracle.value)(points)), "hvp": at(product), "hessian": at(hessian),
    }  # fmt: skip


def host_device() -> Any:
    """The CPU, or what there is in a process that was given no CPU."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return jax.local_devices()[0]


class HostProgram(Program):
    """A program whose lanes are walked on the host, one after the other, before the kernel replays them."""

    _arguments: Any = None

    def compile(self, shared: Shared) -> None:
        """Compile the replay."""
        super().compile(shared)
        self.functions = host_functions(self.descent)

    def place(self, shared: Shared) -> Shared:
        """The shared arguments on every device, and on the host."""
        with self._context():
            self._arguments = jax.device_put((shared.data,), host_device())
        self._words = [int(word) for word in shared.key_words]
        return super().place(shared)

    def start(self, lanes: Lane, shared: Shared) -> Any:
        """Walk the lanes, then dispatch their replay."""
        n, steps, dim = len(lanes.x0), self.descent.shape.steps, self.descent.problem.dim
        path, spent = np.empty((n, steps, dim), self.dtype), np.empty((n, steps, 3), np.int64)
        with self._context(), jax.default_device(host_device()):
            for i, x0 in enumerate(lanes.x0):
                h = {**self.descent.static, **{name: float(a[i]) for name, a in lanes.hyperparameters.items()}}
                parameters = jax.device_put({name: a[i] for name, a in lanes.parameters.items()}, host_device())
                oracle = HostOracle(self, (*self._arguments, parameters), path[i], spent[i])
                oracle.width = float(lanes.thresholds.width[i]) or max(1.0, float(np.abs(x0).max()))
                words = [*self._words, int(lanes.start[i]), int(lanes.seed[i])]
                oracle.seed = int(np.random.SeedSequence(words).generate_state(1)[0])
                walk(oracle, self.descent, x0, SimpleNamespace(**h))
        costs = np.diff(spent, axis=1, prepend=0).astype(np.int32)
        return super().start(lanes._replace(hyperparameters={"path": path, "path_costs": costs}), shared)
