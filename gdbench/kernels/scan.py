"""The plain kernel: a block of lanes as ``vmap`` over a scan of steps.

``vmap`` stands outside the scan, so step counters stay unbatched, and optimizer state is never masked: a lane that
has ended runs on, with its record closed. A block ends early when all of its lanes have ended.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.contracts import CONVERGED, Oracle, Step
from gdbench.kernels import record
from gdbench.kernels.descent import Descent, Lane, Shared
from gdbench.kernels.layout import LANES
from gdbench.kernels.record import Tracker


class State(NamedTuple):
    """What goes from step to step: the iterate [dim], the optimizer's state, the last update, evaluations spent."""

    k: Any
    x: Any
    optimizer: Any
    update: Any
    counts: Any


Carry = tuple[State, Tracker, Any]
"""What goes from chunk to chunk: state, tracker, recorded iterates."""


def descend(descent: Descent, count: Any, lane: Lane, shared: Shared) -> dict[str, Any]:
    """The record of one descent; ``count`` (lanes in use, unbatched) is 0 for padding, which is skipped."""
    return Run(descent, lane, shared).record(count)


class Run:
    """The arguments of one descent with what follows from them; all methods are traced, none keeps state."""

    def __init__(self, descent: Descent, lane: Lane, shared: Shared) -> None:
        self.descent, self.lane, self.shared = descent, lane, shared
        self.problem, self.optimizer = descent.problem, descent.optimizer
        self.shape, self.layout = descent.shape, descent.layout
        self.dtype = lane.x0.dtype
        self.h = SimpleNamespace(**descent.static, **lane.hyperparameters)
        self.full = descent.oracle(shared.data, lane.parameters)
        seed, word = shared.key_words
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), word), lane.start)
        self.key = jax.random.fold_in(key, lane.seed)
        width = lane.thresholds.width
        self.far = record.FAR_AWAY * jnp.where(width > 0, width, jnp.maximum(1, jnp.max(jnp.abs(lane.x0))))
        unit = lane.thresholds.scale if self.problem.target_unit is None else self.problem.target_unit
        self.targets = lane.thresholds.floor + shared.targets * unit
        self.absorb = record.absorber(descent.shape, descent.layout)

    def oracle_at(self, k: Any) -> Oracle:
        """What step k may ask: the whole data, or its own mini-batch."""
        if self.problem.sample is None:
            return self.full
        batch = self.problem.sample(self.shared.data, jax.random.fold_in(self.key, k))
        return self.descent.oracle(batch, self.lane.parameters)

    def judged_point(self, x: Any, state: Any) -> Any:
        """Where the method wants to be judged."""
        return x if self.optimizer.judge is None else self.optimizer.judge(x, state, self.h)

    def judge(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Value of the objective and gradient norm on the whole data; without gradients the norm is 0."""
        point = self.judged_point(x, state)
        if not self.optimizer.uses_gradient:
            return self.full.value(point), jnp.zeros((), self.dtype)
        value, gradient = self.full.value_and_grad(point)
        return value, norm(gradient)

    def seen(self, s: State, step: Step) -> tuple[Any, ...]:
        """What is judged at x_k: what the step computed there if it did, nothing here on a stochastic problem."""
        if self.problem.stochastic:
            return ()
        given = step.value is not None and (step.gradient is not None or not self.optimizer.uses_gradient)
        if self.optimizer.judge is not None or not given:
            return self.judge(s.x, s.optimizer)
        return step.value, norm(step.gradient) if self.optimizer.uses_gradient else jnp.zeros((), self.dtype)

    def advance(self, s: State) -> tuple[State, Any]:
        """One step, and what it saw: the judged point x_k, and the bits of the move."""
        step = self.optimizer.step(self.oracle_at(s.k), s.x, s.optimizer, self.h, s.k)
        x = jnp.asarray(step.x, self.dtype)
        seen = self.seen(s, step)
        update, x0 = x - s.x, self.lane.x0
        away = jnp.max(jnp.abs(x - x0))
        if self.optimizer.judge is not None:
            away = jnp.maximum(away, jnp.max(jnp.abs(self.judged_point(x, step.state) - x0)))
        bits = (
            jnp.where(jnp.sum(update * s.update) < 0, record.OVERSHOT, 0)
            + jnp.where(jnp.any(x != s.x), record.MOVED, 0)
            + jnp.where(away <= self.far, 0, record.FAR)
            + jnp.where(away < jnp.inf, 0, record.BROKEN)
        ).astype(jnp.int8)
        counts = s.counts
        if self.descent.counted:
            counts = counts + jnp.stack([jnp.asarray(n, jnp.int32) for n in step.cost])
        return State(s.k + 1, x, step.state, update, counts), (seen, bits)

    def chunk(self, carry: Carry, length: int) -> Carry:
        """So many steps, and what they tell."""
        first, t, path = carry

        def body(s: State, _: None) -> tuple[State, Any]:
            after, (seen, bits) = self.advance(s)
            return after, (seen, bits, s.counts, s.x if self.shape.path_steps else ())

        s, (seen, bits, counts, xs) = lax.scan(body, first, None, length=length)
        k = first.k + jnp.arange(length, dtype=jnp.int32)
        if self.problem.stochastic:
            # Judged once, on the whole data, where the chunk begins.
            value, gradient_norm = self.judge(first.x, first.optimizer)
            k, seen, counts = k[:1], (value[None], gradient_norm[None]), jax.tree.map(lambda a: a[None], first.counts)
        counts = counts if self.descent.counted else None
        t = self.absorb(k, t, seen, bits, counts, self.lane.thresholds, self.targets)
        if self.shape.path_steps:
            wanted = jnp.asarray(np.array(self.shape.path_steps, np.int32))
            here = (wanted >= first.k) & (wanted < first.k + length) & (wanted <= record.stop_step(t.stop))
            at = jnp.clip(wanted - first.k, 0, length - 1)
            path = jnp.where(here[:, None], xs[at], path)
        return s, t, path

    def begin(self) -> Carry:
        """Before the first step."""
        x0, init_cost = self.lane.x0, np.array(self.optimizer.init_cost, np.int32)
        state = self.optimizer.init(self.oracle_at(jnp.int32(self.shape.steps)), x0, self.h)
        counts = jnp.asarray(init_cost) if self.descent.counted else ()
        s = State(jnp.zeros((), jnp.int32), x0, state, jnp.zeros_like(x0), counts)
        t = record.new_tracker(self.shape, self.dtype, self.descent.counted)
        return s, t, jnp.full((len(self.shape.path_steps), x0.shape[0]), jnp.nan, self.dtype)

    def record(self, count: Any) -> dict[str, Any]:
        """The whole descent; the loop ends early when every lane of the block has ended."""
        chunks, rest = divmod(self.shape.steps, self.layout.chunk)

        def more(carry: Any) -> Any:
            n, active, _ = carry
            return (n < chunks) & active

        def one_more(carry: Any) -> Any:
            n, _, inner = carry
            s, t, path = self.chunk(inner, self.layout.chunk)
            # A lane that stops exactly at s.k still has its last value to hand in. The collective makes the flag
            # one for the block, so that the loop ends for all lanes at once.
            going = lax.pmax((record.stop_step(t.stop) >= s.k).astype(jnp.int32), LANES) > 0
            return n + 1, going, (s, t, path)

        _, active, carry = lax.while_loop(more, one_more, (jnp.int32(0), count > 0, self.begin()))
        if rest:
            carry = lax.cond(active, lambda c: self.chunk(c, rest), lambda c: c, carry)
        return self.finish(*carry)

    def finish(self, s: State, t: Tracker, path: Any) -> dict[str, Any]:
        """Judge the last point, close the record, and measure what is measured once."""
        uses_gradient, counted = self.optimizer.uses_gradient, self.descent.counted
        point = self.judged_point(s.x, s.optimizer)
        value, gradient = self.full.value_and_grad(point)
        at_end = jnp.full((1,), self.shape.steps, jnp.int32)
        # Without a gradient, at rest means that nothing moved; its tracker then follows the moves.
        last = (value[None], (norm(gradient) if uses_gradient else jnp.zeros((), self.dtype))[None])
        counts = s.counts[None] if counted else None
        t = self.absorb(at_end, t, last, None, counts, self.lane.thresholds, self.targets)
        if not uses_gradient:
            t = t._replace(last_restless=t.last_moved)
        ended = record.stop_step(t.stop) <= self.shape.steps
        out = record.conclude(
            t, self.shape, self.problem.goal, self.problem.stochastic, self.lane.thresholds, self.layout
        )
        out |= self.values(t, jnp.where(ended, t.final, value))
        nan = jnp.full((), jnp.nan, self.dtype)
        out["grad_norm_final"] = jnp.where(ended, t.gradient_norm if uses_gradient else nan, norm(gradient))
        out |= self.place(point, ended, out["outcome"] == CONVERGED)
        if self.problem.held_out is not None:
            unseen = self.descent.oracle(self.shared.held_out, self.lane.parameters).value(point)
            out["f_held_out"] = jnp.where(ended, nan, unseen + self.lane.thresholds.offset)
        if counted:
            out["counts"] = jnp.where(ended, t.counts, s.counts)
            out |= {"trace_counts": t.trace_counts, "hit_counts": t.hit_counts}
        if self.shape.path_steps:
            final = np.array(self.shape.path_steps, np.int32) == self.shape.steps
            out["path"] = jnp.where(final[:, None] & (record.stop_step(t.stop) >= self.shape.steps), s.x, path)
        return out

    def values(self, t: Tracker, final: Any) -> dict[str, Any]:
        """Values of f, and gaps where the minimum is known."""
        offset, floor = self.lane.thresholds.offset, self.lane.thresholds.floor
        best, known = jnp.minimum(t.best, t.start), self.problem.goal == "minimum"
        unknown = jnp.full((), jnp.nan, self.dtype)
        traced = -floor if known else offset
        return {
            "f_start": t.start + offset, "f_final": final + offset, "f_best": best + offset,
            "gap_final": final - floor if known else unknown, "gap_best": best - floor if known else unknown,
            "trace": t.trace + traced, "trace_best": t.trace_best + traced, "hits": t.hits,
        }  # fmt: skip

    def place(self, point: Any, ended: Any, converged: Any) -> dict[str, Any]:
        """Where it came to lie: distance to the nearest minimizer, its index, and the end point itself."""
        nan = jnp.full((), jnp.nan, self.dtype)
        distance, nearest = nan, jnp.full((), -1, jnp.int32)
        if self.shared.minimizers.shape[0]:
            away = jnp.sqrt(jnp.sum((self.shared.minimizers - point) ** 2, axis=1))
            nearest = jnp.argmin(away).astype(jnp.int32)
            distance = jnp.where(ended, nan, away[nearest])
        out = {"distance": distance, "basin": jnp.where(converged, nearest, -1)}
        return out | ({"endpoint": jnp.where(ended, nan, point)} if self.shape.endpoint else {})


def norm(gradient: Any) -> Any:
    """Euclidean length."""
    return jnp.sqrt(jnp.sum(gradient * gradient))
