"""What every kernel executes: a problem and an optimizer with their static settings, and the arguments of a lane."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.flatten_util import ravel_pytree

from gdbench.contracts import Cost, Optimizer, Oracle, Problem
from gdbench.kernels import layout, saved
from gdbench.kernels.judging import Rules
from gdbench.kernels.lanes import batched_carry, dependent, survey
from gdbench.kernels.layout import Layout, Shape


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
    thresholds: Any


def divide(lane: Lane, varying: frozenset[str] | None) -> tuple[Lane, Lane]:
    """What differs between lanes, and what does not: two halves of the arguments, empty where the other one is not.

    The thresholds follow from the problem's parameters.
    """
    if varying is None:
        return lane, lane._replace(hyperparameters={}, parameters={}, x0=(), start=(), seed=(), thresholds=())

    def part(values: dict[str, Any], differ: bool) -> dict[str, Any]:
        return {name: value for name, value in values.items() if (name in varying or value.ndim > 1) == differ}

    differ = not varying.isdisjoint(lane.parameters)
    own = lane._replace(
        hyperparameters=part(lane.hyperparameters, True), parameters=part(lane.parameters, True),
        thresholds=lane.thresholds if differ else (),
    )  # fmt: skip
    common = Lane(
        part(lane.hyperparameters, False), part(lane.parameters, False), (), (), (), () if differ else lane.thresholds
    )
    return own, common


def join(own: Lane, common: Lane) -> Lane:
    """The arguments of a lane from the two halves."""
    return own._replace(
        hyperparameters=common.hyperparameters | own.hyperparameters, parameters=common.parameters | own.parameters,
        thresholds=own.thresholds or common.thresholds,
    )  # fmt: skip


class Shared(NamedTuple):
    """The arguments that all lanes of a block share: problem data, two words that key the noise, facts."""

    data: Any
    key_words: Any
    minimizers: Any
    targets: Any
    held_out: Any = ()


_gradients: weakref.WeakKeyDictionary[Problem, dict[Any, Any]] = weakref.WeakKeyDictionary()
"""Jaxprs of value and gradient, by the types of what they are asked with."""


def value_and_gradient(problem: Problem, value: Callable[..., Any], *given: Any) -> Any:
    """``value(x, data, parameters)`` and its gradient: traced once for all optimizers that meet the problem, which
    takes longer than to repeat what came of it.
    """
    leaves, tree = jax.tree.flatten(given)
    key = tree, tuple(str(jax.typeof(leaf)) for leaf in leaves)
    known = _gradients.setdefault(problem, {})
    if key not in known:
        known[key] = jax.make_jaxpr(jax.value_and_grad(value))(*given)
    return tuple(jaxpr_as_fun(known[key])(*leaves))


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
    rate_window = layout.rate_window(steps, layout.chunk_length(steps))
    return Layout(min(rate_window, layout.chunk_length(steps)), 1, window, rate_window, by_gradient)


class Facts(NamedTuple):
    """What tracing a step tells: its cost where that is fixed, why the engine ``lanes`` cannot serve it, why it is slow
    where it can, operations on lanes, whether it calls LAPACK, and how many numbers the optimizer's state has.
    """

    cost: list[int] | None
    refusal: str | None
    slow: str | None
    operations: int
    calls_lapack: bool
    words: int


class Descent:
    """One (problem, optimizer) with its static settings and the shape of its record: what a program is compiled for."""

    engine = "scan"
    """Which kernel executes it."""

    one_piece = False
    """Whether its loops are compiled to one piece of code."""

    apart = False
    """Whether it is judged by a program of its own, after its last step."""

    identity: str | None = None
    """What stands for problem and optimizer between processes; None where code from elsewhere takes part."""

    varying: frozenset[str] | None = None
    """Hyperparameters and parameters that differ between lanes; None for all. The others are one number a block."""

    def __init__(self, problem: Problem, optimizer: Optimizer, static: Mapping[str, Any], shape: Shape) -> None:
        self.problem, self.optimizer, self.static, self.shape = problem, optimizer, dict(static), shape
        self.layout = layout_of(problem, shape.steps, optimizer.uses_gradient)
        self.unravel = unravel_of(problem)

    def oracle(self, data: Any, parameters: Any, key: Any = None, minimum: Any = None) -> Oracle:
        """What a step may ask, on these data."""
        problem = self.problem

        def value_at(x: Any, data: Any, parameters: Any) -> Any:
            return jnp.asarray(problem.objective(self.unravel(x), data, parameters), x.dtype)

        def value(x: Any) -> Any:
            return value_at(x, data, parameters)

        def both(x: Any) -> Any:
            return value_and_gradient(problem, value_at, x, data, parameters)

        def residuals(x: Any) -> Any:
            assert problem.residuals is not None
            return jnp.asarray(problem.residuals(self.unravel(x), data, parameters), x.dtype)

        def hvp(x: Any, v: Any) -> Any:
            return jax.jvp(jax.grad(value), (x,), (v,))[1]

        ravel = (lambda tree: tree) if problem.template is None else (lambda tree: ravel_pytree(tree)[0])
        return Oracle(
            value, both, self.unravel, ravel, problem.stochastic, hvp,
            residuals if problem.residuals else None, minimum if problem.minimum is not None else None,
            problem.quadratic, key, self.shape.steps,
        )  # fmt: skip

    @property
    def counted(self) -> bool:
        """Whether evaluations must be counted as the descent goes: steps differ in cost, or some are not begun."""
        return not self.shape.bare and (bool(self.shape.budget) or self.facts.cost is None)

    @property
    def rules(self) -> Rules:
        """What is static about how it is judged."""
        problem, optimizer = self.problem, self.optimizer
        return Rules(
            self.shape, self.layout, problem.goal, problem.stochastic, self.counted, optimizer.uses_gradient,
            problem.target_unit,
        )  # fmt: skip

    def _given(self, dtype: Any) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
        """Shapes of what a step is given beside x and its state: hyperparameters, parameters, data, minimum."""
        scalar = jax.ShapeDtypeStruct((), dtype)
        data = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, self.problem.data))
        return self.arguments(dtype), dict.fromkeys(self.problem.parameters, scalar), data, scalar

    def _init(self, x: Any, h: Any, parameters: Any, data: Any, minimum: Any) -> Any:
        """The state before the first step."""
        return self.optimizer.init(*self._asked(x, h, parameters, data, minimum))

    def _asked(self, x: Any, h: Any, parameters: Any, data: Any, minimum: Any) -> tuple[Oracle, Any, SimpleNamespace]:
        def key() -> Any:
            return jax.random.key(0)

        if self.problem.sample is not None:
            data = self.problem.sample(data, key())
        return self.oracle(data, parameters, key, minimum), x, SimpleNamespace(**self.static, **h)

    @functools.cached_property
    def _first_step(self) -> tuple[Cost, Any, Any, list[bool], int]:
        """What a step costs, its jaxpr and that of the state, which arguments of the step differ between lanes, and how
        many numbers the state has.
        """
        cost: list[Cost] = []

        def once(x: Any, state: Any, k: Any, *given: Any) -> Any:
            oracle, _, h = self._asked(x, *given)
            step = self.optimizer.step(oracle, x, state, h, k)
            cost.append(step.cost)
            judged = step.x if self.optimizer.judge is None else self.optimizer.judge(step.x, step.state, h)
            return step.x, step.state, judged, step.value, step.gradient

        with numerics(np.float32):
            x, given = jax.ShapeDtypeStruct((self.problem.dim,), np.float32), self._given(np.float32)
            init, state = jax.make_jaxpr(self._init, return_shape=True)(x, *given)
            step = jax.make_jaxpr(once)(x, state, jax.ShapeDtypeStruct((), np.int32), *given)
        varying = self.varying

        def differ(values: dict[str, Any]) -> dict[str, bool]:
            return {name: varying is None or name in varying or bool(a.shape) for name, a in values.items()}

        h, parameters, data, _ = given
        more = [differ(h), differ(parameters), jax.tree.map(lambda _: False, data), any(differ(parameters).values())]
        after = jax.tree.leaves(more)
        at_start = dependent(init.jaxpr, [*[False] * len(init.consts), True, *after])
        held = [False] * len(step.consts)
        carried = batched_carry(step.jaxpr, held, [True, *at_start], [False, *after])
        words = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state))
        return cost[0], step, init, [*carried, False, *after], words

    @property
    def step_cost(self) -> Cost:
        """Cost of one step as the step states it: integers, or tracers where it varies."""
        return self._first_step[0]

    @functools.cached_property
    def facts(self) -> Facts:
        """What a step tells when it is traced, or was told by an earlier process."""
        varying = None if self.varying is None else sorted(self.varying)
        key = self.identity and saved.key_of("facts", self.identity, self.static, varying, self.shape.steps)
        known = key and saved.recall(key)
        if known:
            return Facts(*known)
        cost, step, init, varies, words = self._first_step
        refusal, several, operations = survey(step, varies)
        slow = f"{several[0]} is computed one number at a time" if several else None
        lapack = any(name in LAPACK for jaxpr in (step, init) for name in primitives(jaxpr.jaxpr))
        facts = Facts([int(n) for n in cost] if fixed_cost(cost) else None, refusal, slow, operations, lapack, words)
        if key:
            saved.remember(key, facts)
        return facts

    def step_program(self) -> tuple[Any, list[bool]]:
        """The jaxpr of a step, and which of its arguments differ between lanes."""
        return self._first_step[1], self._first_step[3]

    def init_program(self) -> tuple[Any, list[bool]]:
        """The jaxpr of the state before the first step, and which of its arguments differ between lanes."""
        _, _, init, varies, _ = self._first_step
        return init, [True, *varies[len(varies) - len(init.jaxpr.invars) + 1 :]]

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
