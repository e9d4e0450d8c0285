"""The plain kernel: a block of lanes as ``vmap`` over a scan of steps.

``vmap`` stands outside the scan, so step counters stay unbatched, and optimizer state is never masked: a lane that
has ended runs on, with its record closed. A block ends early when all of its lanes have ended.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from gdbench.contracts import CONVERGED, Cost, Optimizer, Oracle, Problem, Step
from gdbench.kernels import record
from gdbench.kernels.record import LANES, Layout, Shape, Thresholds, Tracker


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


class State(NamedTuple):
    """What goes from step to step: the iterate [dim], the optimizer's state, the last update, evaluations spent."""

    k: Any
    x: Any
    optimizer: Any
    update: Any
    counts: Any


def unravel_of(problem: Problem) -> Callable[[Any], Any]:
    """Flat vector -> the problem's own x."""
    if problem.template is None:
        return lambda x: x
    template = problem.template

    def unravel(x: Any) -> Any:
        like = jax.tree.map(lambda leaf: jnp.zeros(np.shape(leaf), x.dtype), template)
        return ravel_pytree(like)[1](x)

    return unravel


def fixed_cost(cost: Cost) -> bool:
    """Whether a step states its cost as plain integers."""
    return all(isinstance(n, int) for n in cost)


def layout_of(problem: Problem, steps: int, uses_gradient: bool = True) -> Layout:
    """Lengths of chunk and windows; a stochastic problem is judged once a chunk."""
    window = record.window_length(steps)
    by_gradient = problem.goal == "rest" and uses_gradient
    if problem.stochastic:
        stride = max(1, min(problem.judge_every, steps // 4))
        return Layout(stride, stride, window, max(1, steps // stride // 32), by_gradient)
    chunk = record.chunk_length(steps)
    return Layout(chunk, 1, window, record.rate_window(steps, chunk), by_gradient)


Carry = tuple[State, Tracker, Any]


class Descent:
    """One (problem, optimizer) with its static settings: ``descend`` is the record of one lane, in pure JAX."""

    def __init__(self, problem: Problem, optimizer: Optimizer, static: Mapping[str, Any], shape: Shape) -> None:
        self.problem, self.optimizer, self.static, self.shape = problem, optimizer, dict(static), shape
        self.layout = layout_of(problem, shape.steps, optimizer.uses_gradient)
        self.unravel = unravel_of(problem)

    def _oracle(self, data: Any, parameters: Any) -> Oracle:
        def value(x: Any) -> Any:
            return jnp.asarray(self.problem.objective(self.unravel(x), data, parameters), x.dtype)

        ravel = (lambda tree: tree) if self.problem.template is None else (lambda tree: ravel_pytree(tree)[0])
        return Oracle(value, jax.value_and_grad(value), self.unravel, ravel, self.problem.stochastic)

    def _judged_gradient_norm(self, gradient: Any) -> Any:
        return jnp.sqrt(jnp.sum(gradient * gradient))

    def descend(self, count: Any, lane: Lane, shared: Shared) -> dict[str, Any]:
        """The record of one descent; ``count`` (lanes in use, unbatched) is 0 for padding, which is skipped."""
        problem, optimizer, shape, layout = self.problem, self.optimizer, self.shape, self.layout
        x0, dtype = lane.x0, lane.x0.dtype
        h = SimpleNamespace(**self.static, **lane.hyperparameters)
        full = self._oracle(shared.data, lane.parameters)
        seed, word = shared.key_words
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), word), lane.start)
        key = jax.random.fold_in(key, lane.seed)
        width = lane.thresholds.width
        far = record.FAR_AWAY * jnp.where(width > 0, width, jnp.maximum(1, jnp.max(jnp.abs(x0))))
        targets = lane.thresholds.floor + shared.targets * lane.thresholds.scale
        absorb = record.absorber(shape, layout)

        def oracle_at(k: Any) -> Oracle:
            if problem.sample is None:
                return full
            return self._oracle(problem.sample(shared.data, jax.random.fold_in(key, k)), lane.parameters)

        def judge(x: Any, state: Any) -> tuple[Any, Any]:
            point = x if optimizer.judge is None else optimizer.judge(x, state, h)
            if not optimizer.uses_gradient:
                return full.value(point), jnp.zeros((), dtype)
            value, gradient = full.value_and_grad(point)
            return value, self._judged_gradient_norm(gradient)

        def advance(s: State) -> tuple[State, tuple[Any, Any]]:
            """One step, and what it saw: (value and gradient norm at x_k, where judged) and the bits of the move."""
            step = optimizer.step(oracle_at(s.k), s.x, s.optimizer, h, s.k)
            x = jnp.asarray(step.x, dtype)
            if problem.stochastic:
                seen = ()
            elif optimizer.judge is None and step.value is not None:
                norm = jnp.zeros((), dtype)
                if optimizer.uses_gradient:
                    norm = self._judged_gradient_norm(step.gradient)
                seen = (step.value, norm)
            else:
                seen = judge(s.x, s.optimizer)
            update = x - s.x
            away = jnp.max(jnp.abs(x - x0))
            if optimizer.judge is not None:
                away = jnp.maximum(away, jnp.max(jnp.abs(optimizer.judge(x, step.state, h) - x0)))
            bits = (
                jnp.where(jnp.sum(update * s.update) < 0, record.OVERSHOT, 0)
                + jnp.where(jnp.any(x != s.x), record.MOVED, 0)
                + jnp.where(away <= far, 0, record.FAR)
                + jnp.where(away < jnp.inf, 0, record.BROKEN)
            ).astype(jnp.int8)
            counts = s.counts
            if self.counted:
                counts = counts + jnp.stack([jnp.asarray(n, jnp.int32) for n in step.cost])
            return State(s.k + 1, x, step.state, update, counts), (seen, bits)

        def run_chunk(carry: Carry, length: int) -> Carry:
            s, t, path = carry
            k0, first = s.k, s
            judged = judge(s.x, s.optimizer) if problem.stochastic else None

            def body(s: State, _: None) -> tuple[State, Any]:
                after, (seen, bits) = advance(s)
                return after, (seen, bits, s.counts, s.x if shape.path_steps else ())

            s, (seen, bits, counts, xs) = lax.scan(body, s, None, length=length)
            k = k0 + jnp.arange(length, dtype=jnp.int32)
            if judged is not None:
                k, seen, counts = (
                    k[:1],
                    (judged[0][None], judged[1][None]),
                    jax.tree.map(lambda a: a[None], first.counts),
                )
            t = absorb(k, t, seen, bits, counts if self.counted else None, lane.thresholds, targets)
            if shape.path_steps:
                wanted = jnp.asarray(np.array(shape.path_steps, np.int32))
                here = (wanted >= k0) & (wanted < k0 + length) & (wanted <= record.stop_step(t.stop))
                at = jnp.clip(wanted - k0, 0, length - 1)
                path = jnp.where(here[:, None], xs[at], path)
            return s, t, path

        begin = oracle_at(jnp.int32(shape.steps))
        s = State(
            jnp.zeros((), jnp.int32), x0, optimizer.init(begin, x0, h), jnp.zeros_like(x0),
            jnp.asarray(np.array(optimizer.init_cost, np.int32)) if self.counted else (),
        )  # fmt: skip
        t = record.new_tracker(shape, dtype, self.counted)
        path = jnp.full((len(shape.path_steps), x0.shape[0]), jnp.nan, dtype)
        chunks, rest = divmod(shape.steps, layout.chunk)

        def more(carry: Any) -> Any:
            n, active, _ = carry
            return (n < chunks) & active

        def one_more(carry: Any) -> Any:
            n, _, inner = carry
            s, t, path = run_chunk(inner, layout.chunk)
            # A lane that stops exactly at s.k still has its last value to hand in. The collective makes the flag
            # one for the block, so that the loop ends for all lanes at once.
            going = lax.pmax((record.stop_step(t.stop) >= s.k).astype(jnp.int32), LANES) > 0
            return n + 1, going, (s, t, path)

        _, active, carry = lax.while_loop(more, one_more, (jnp.int32(0), count > 0, (s, t, path)))
        if rest:
            carry = lax.cond(active, lambda c: run_chunk(c, rest), lambda c: c, carry)
        s, t, path = carry
        return self._finish(s, t, path, absorb, lane, shared, full, h, targets)

    def _finish(
        self,
        s: State,
        t: Tracker,
        path: Any,
        absorb: Any,
        lane: Lane,
        shared: Shared,
        full: Oracle,
        h: Any,
        targets: Any,
    ) -> dict[str, Any]:
        """Judge the last point, close the record, and measure what is measured once."""
        optimizer, shape, layout, problem = self.optimizer, self.shape, self.layout, self.problem
        point = s.x if optimizer.judge is None else optimizer.judge(s.x, s.optimizer, h)
        value, gradient = full.value_and_grad(point)
        norm = self._judged_gradient_norm(gradient)
        at_end = jnp.full((1,), shape.steps, jnp.int32)
        counts = s.counts[None] if self.counted else None
        # Without a gradient, at rest means that nothing moved; its tracker then follows the moves.
        seen = norm if optimizer.uses_gradient else jnp.zeros_like(norm)
        t = absorb(at_end, t, (value[None], seen[None]), None, counts, lane.thresholds, targets)
        if not optimizer.uses_gradient:
            t = t._replace(last_restless=t.last_moved)
        ended = record.stop_step(t.stop) <= shape.steps
        nan = jnp.full((), jnp.nan, value.dtype)
        final = jnp.where(ended, t.final, value)
        known = problem.goal == "minimum"
        out = record.conclude(t, shape, problem.goal, problem.stochastic, lane.thresholds, layout)
        gap = (lambda v: v - lane.thresholds.floor) if known else (lambda v: nan)
        distance, nearest = nan, jnp.full((), -1, jnp.int32)
        if shared.minimizers.shape[0]:
            away = jnp.sqrt(jnp.sum((shared.minimizers - point) ** 2, axis=1))
            nearest = jnp.argmin(away).astype(jnp.int32)
            distance = jnp.where(ended, nan, away[nearest])
        offset = lane.thresholds.offset
        out |= {
            "f_start": t.start + offset, "f_final": final + offset, "f_best": jnp.minimum(t.best, t.start) + offset,
            "gap_final": gap(final), "gap_best": gap(jnp.minimum(t.best, t.start)),
            "grad_norm_final": jnp.where(ended, t.gradient_norm if optimizer.uses_gradient else nan, norm),
            "distance": distance,
            "basin": jnp.where(out["outcome"] == CONVERGED, nearest, -1),
            "trace": t.trace - (lane.thresholds.floor if known else -offset),
            "trace_best": t.trace_best - (lane.thresholds.floor if known else -offset),
            "hits": t.hits, "endpoint": jnp.where(ended, nan, point) if shape.endpoint else (),
        }  # fmt: skip
        if self.counted:
            out |= {"counts": jnp.where(ended, t.counts, s.counts)}
            out |= {"trace_counts": t.trace_counts, "hit_counts": t.hit_counts}
        if shape.path_steps:
            last = np.array(shape.path_steps, np.int32) == shape.steps
            out["path"] = jnp.where(last[:, None] & (record.stop_step(t.stop) >= shape.steps), s.x, path)
        return {name: column for name, column in out.items() if not isinstance(column, tuple)}

    @property
    def counted(self) -> bool:
        """Whether evaluations must be counted as the descent goes, because steps differ in cost."""
        return not fixed_cost(self.step_cost)

    def _trial(self, x: Any) -> tuple[Any, Step]:
        """State and first step with every traced number at one: for shapes and costs, never for values."""
        h = SimpleNamespace(**self.static, **{name: jnp.ones((), x.dtype) for name in self.traced})
        parameters = {name: jnp.ones((), x.dtype) for name in self.problem.parameters}
        data = jax.tree.map(jnp.asarray, self.problem.data)
        if self.problem.sample is not None:
            data = self.problem.sample(data, jax.random.key(0))
        oracle = self._oracle(data, parameters)
        state = self.optimizer.init(oracle, x, h)
        return state, self.optimizer.step(oracle, x, state, h, jnp.int32(0))

    @functools.cached_property
    def step_cost(self) -> Cost:
        """Cost of one step as the step states it: integers, or tracers where it varies."""
        cost: list[Cost] = []

        def once(x: Any) -> Any:
            cost.append(self._trial(x)[1].cost)
            return x

        with numerics(np.float32):
            jax.eval_shape(once, jax.ShapeDtypeStruct((self.problem.dim,), np.float32))
        return cost[0]

    def initial_state(self, x: Any) -> Any:
        """The optimizer's state before the first step."""
        return self._trial(x)[0]

    @property
    def traced(self) -> list[str]:
        """Names of the hyperparameters that are traced."""
        return [name for name in self.optimizer.hyperparameters if name not in self.static]
