"""What every kernel executes: a problem and an optimizer with their static settings, and the arguments of a lane."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gdbench.contracts import Cost, Optimizer, Oracle, Problem, Step
from gdbench.kernels import layout
from gdbench.kernels.layout import Layout, Shape, Thresholds


@contextlib.contextmanager
def numerics(dtype: Any) -> Iterator[None]:
    """How every program of gdbench is traced and called, whatever the process around it has set.

    64-bit types where the dtype asks for them, matrix products at full precision, implicit rank promotion allowed.
    """
    with (
        jax.enable_x64(np.dtype(dtype) == np.float64),
        jax.default_matmul_precision("highest"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


class Lane(NamedTuple):
    """The arguments of one descent: traced scalars, the start [dim], and the two indices that key its noise."""

    hyperparameters: dict[str, Any]
    parameters: dict[str, Any]
    x0: Any
    start: Any
    seed: Any
    thresholds: Thresholds


class Shared(NamedTuple):
    """The arguments that all lanes of a block share: problem data, two words that key the noise, facts."""

    data: Any
    key_words: Any
    minimizers: Any
    targets: Any
    held_out: Any = ()


def unravel_of(problem: Problem) -> Callable[[Any], Any]:
    """Flat vector -> the problem's own x."""
    if problem.template is None:
        return lambda x: x
    template = problem.template

    def unravel(x: Any) -> Any:
        like = jax.tree.map(lambda leaf: jnp.zeros(np.shape(leaf), x.dtype), template)
        return ravel_pytree(like)[1](x)

    return unravel


LAPACK = ("lu", "svd", "qr", "geqrf", "geqp3", "householder_product", "eigh", "eig", "schur", "hessenberg", "cholesky")
"""Primitives that JAX hands to LAPACK on a CPU."""


def primitives(jaxpr: Any) -> Iterator[str]:
    """Names of the primitives of a jaxpr and of those within it."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from primitives(inner)


def fixed_cost(cost: Cost) -> bool:
    """Whether a step states its cost as plain integers."""
    return all(isinstance(n, int) for n in cost)


def layout_of(problem: Problem, steps: int, uses_gradient: bool = True) -> Layout:
    """Lengths of chunk and windows; a stochastic problem is judged once a chunk."""
    window = layout.window_length(steps)
    by_gradient = problem.goal == "rest" and uses_gradient
    if problem.stochastic:
        stride = max(1, min(problem.judge_every, steps // 4))
        return Layout(stride, stride, window, max(1, steps // stride // 32), by_gradient)
    chunk = layout.chunk_length(steps)
    return Layout(chunk, 1, window, layout.rate_window(steps, chunk), by_gradient)


class Descent:
    """One (problem, optimizer) with its static settings and the shape of its record: what a program is compiled for."""

    def __init__(self, problem: Problem, optimizer: Optimizer, static: Mapping[str, Any], shape: Shape) -> None:
        self.problem, self.optimizer, self.static, self.shape = problem, optimizer, dict(static), shape
        self.layout = layout_of(problem, shape.steps, optimizer.uses_gradient)
        self.unravel = unravel_of(problem)

    def oracle(self, data: Any, parameters: Any, key: Any = None, minimum: Any = None) -> Oracle:
        """What a step may ask, on these data."""
        problem = self.problem

        def value(x: Any) -> Any:
            return jnp.asarray(problem.objective(self.unravel(x), data, parameters), x.dtype)

        def residuals(x: Any) -> Any:
            assert problem.residuals is not None
            return jnp.asarray(problem.residuals(self.unravel(x), data, parameters), x.dtype)

        def hvp(x: Any, v: Any) -> Any:
            return jax.jvp(jax.grad(value), (x,), (v,))[1]

        ravel = (lambda tree: tree) if problem.template is None else (lambda tree: ravel_pytree(tree)[0])
        return Oracle(
            value, jax.value_and_grad(value), self.unravel, ravel, problem.stochastic, hvp,
            residuals if problem.residuals else None, minimum if problem.minimum is not None else None,
            problem.quadratic, key, self.shape.steps,
        )  # fmt: skip

    @property
    def counted(self) -> bool:
        """Whether evaluations must be counted as the descent goes: steps differ in cost, or some are not begun."""
        return bool(self.shape.budget) or not fixed_cost(self.step_cost)

    def _trial(self, x: Any) -> tuple[Any, Step]:
        """State and first step with every traced number at one: for shapes and costs, never for values."""
        h = SimpleNamespace(
            **self.static, **{n: jnp.ones(a.shape, a.dtype) for n, a in self.arguments(x.dtype).items()}
        )
        parameters = {name: jnp.ones((), x.dtype) for name in self.problem.parameters}
        data, key = jax.tree.map(jnp.asarray, self.problem.data), jax.random.key(0)
        if self.problem.sample is not None:
            data = self.problem.sample(data, key)
        oracle = self.oracle(data, parameters, lambda: key, jnp.zeros((), x.dtype))
        state = self.optimizer.init(oracle, x, h)
        return state, self.optimizer.step(oracle, x, state, h, jnp.int32(0))

    @functools.cached_property
    def _first_step(self) -> tuple[Cost, bool]:
        """What the first step costs, and whether it calls LAPACK."""
        cost: list[Cost] = []

        def once(x: Any) -> Any:
            step = self._trial(x)[1]
            cost.append(step.cost)
            return step.x

        with numerics(np.float32):
            traced = jax.make_jaxpr(once)(jax.ShapeDtypeStruct((self.problem.dim,), np.float32))
        return cost[0], any(name in LAPACK for name in primitives(traced.jaxpr))

    @property
    def step_cost(self) -> Cost:
        """Cost of one step as the step states it: integers, or tracers where it varies."""
        return self._first_step[0]

    @property
    def calls_lapack(self) -> bool:
        """Whether a step decomposes matrices, which on a CPU is done by LAPACK."""
        return self._first_step[1]

    def initial_state(self, x: Any) -> Any:
        """The optimizer's state before the first step."""
        return self._trial(x)[0]

    def arguments(self, dtype: Any) -> dict[str, Any]:
        """Shapes of what a lane brings along for its optimizer: traced hyperparameters, or the path to replay."""
        if self.optimizer.host is not None:
            steps = self.shape.steps
            path = jax.ShapeDtypeStruct((steps, self.problem.dim), dtype)
            return {"path": path, "path_costs": jax.ShapeDtypeStruct((steps, 3), np.int32)}
        return {name: jax.ShapeDtypeStruct((), dtype) for name in self.traced}

    @property
    def traced(self) -> list[str]:
        """Names of the hyperparameters that are traced."""
        return [name for name in self.optimizer.hyperparameters if name not in self.static]
