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

from gdbench.contracts import CONVERGED, COST_OF_GRADIENT, COST_OF_HVP, SPENT, UNFINISHED, Oracle, Step
from gdbench.kernels import lanes, record
from gdbench.kernels.descent import Descent, Lane, Shared
from gdbench.kernels.layout import LANES
from gdbench.kernels.record import Rows, Seen, Tracker


class State(NamedTuple):
    """What goes from step to step: the iterate [dim], the optimizer's state, the last update, evaluations spent, and
    the steps that were begun (where a budget of evaluations bounds them).
    """

    k: Any
    x: Any
    optimizer: Any
    update: Any
    counts: Any
    begun: Any


LIGHT_FROM = 400
"""Steps from which a second loop, of steps that watch less, is worth its compilation: 0.3 s of a core."""

OWN_NOISE = 0x6F777265
"""Sets the random numbers that an optimizer draws apart from those that draw the mini-batch of the same step."""

Carry = tuple[State, Tracker, Rows, Any]
"""What goes from chunk to chunk: state, tracker, what was asked for at certain steps, recorded iterates."""


def descend(descent: Descent, lane: Lane, shared: Shared) -> dict[str, Any]:
    """The record of one descent."""
    return Run(descent, lane, shared).record()


class Run:
    """The arguments of one descent with what follows from them; all methods are traced, none keeps state."""

    def __init__(self, descent: Descent, lane: Lane, shared: Shared) -> None:
        self.descent, self.lane, self.shared = descent, lane, shared
        self.problem, self.optimizer = descent.problem, descent.optimizer
        self.shape, self.layout = descent.shape, descent.layout
        self.dtype = lane.x0.dtype
        self.h = SimpleNamespace(**descent.static, **lane.hyperparameters)
        seed, word = shared.key_words
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), word), lane.start)
        self.key = jax.random.fold_in(key, lane.seed)
        self.full = descent.oracle(shared.data, lane.parameters)
        width = lane.thresholds.width
        self.far = record.FAR_AWAY * jnp.where(width > 0, width, jnp.maximum(1, jnp.max(jnp.abs(lane.x0))))
        unit = lane.thresholds.scale if self.problem.target_unit is None else self.problem.target_unit
        self.targets = lane.thresholds.floor + shared.targets * unit

    def oracle_at(self, k: Any) -> Oracle:
        """What step k may ask: the whole data, or its own mini-batch."""
        data = self.shared.data
        if self.problem.sample is not None:
            data = self.problem.sample(data, jax.random.fold_in(self.key, k))

        def own_key() -> Any:
            return jax.random.fold_in(jax.random.fold_in(self.key, k), OWN_NOISE)

        return self.descent.oracle(data, self.lane.parameters, own_key, self.lane.thresholds.floor)

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

    def seen(self, s: State, step: Step) -> tuple[Any, Any] | None:
        """What is judged at x_k: what the step computed there if it did, nothing here on a stochastic problem."""
        if self.problem.stochastic:
            return None
        given = step.value is not None and (step.gradient is not None or not self.optimizer.uses_gradient)
        if self.optimizer.judge is not None or not given:
            return self.judge(s.x, s.optimizer)
        return step.value, norm(step.gradient) if self.optimizer.uses_gradient else jnp.zeros((), self.dtype)

    def away(self, x: Any, state: Any) -> Any:
        """The largest distance of the iterate and of the judged point from the start along one coordinate."""
        away = jnp.max(jnp.abs(x - self.lane.x0))
        if self.optimizer.judge is None:
            return away
        return jnp.maximum(away, jnp.max(jnp.abs(self.judged_point(x, state) - self.lane.x0)))

    def advance(self, s: State, t: Tracker, watched: bool) -> tuple[State, Tracker, Any]:
        """One step, what it tells the tracker, and the value at x_k (none on a stochastic problem)."""
        step = self.optimizer.step(self.oracle_at(s.k), s.x, s.optimizer, self.h, s.k)
        x = jnp.asarray(step.x, self.dtype)
        state, begun = step.state, self.begun(s.counts)
        if begun is not None:
            # The state stands still with x, for it may hold what is known there.
            x = jnp.where(begun, x, s.x)
            state = jax.tree.map(lambda new, old: jnp.where(begun, new, old), state, s.optimizer)
            t = t._replace(idle=jnp.where(begun, t.idle, jnp.minimum(t.idle, s.k)))
        seen, away = self.seen(s, step), self.away(s.x, s.optimizer)
        if seen is not None:
            t = self.judged(t, Seen(s.k, *seen, away, s.counts), watched)
        else:
            t = t._replace(stop=record.stop_at(t.stop, s.k, ~(away <= self.far), away < jnp.inf))
        update = x - s.x
        if watched:
            # A descent that may spend nothing more stands still, but is not at rest; nor is one that draws proposals.
            goes_on = jnp.any(x != s.x) if begun is None else jnp.any(x != s.x) | ~begun
            t = record.move(t, s.k, jnp.sum(update * s.update) < 0, goes_on if self.optimizer.rests else True)
        counts = s.counts
        if self.descent.counted:
            spent = jnp.stack([jnp.asarray(n, jnp.int32) for n in step.cost])
            counts = counts + (spent if begun is None else jnp.where(begun, spent, 0))
        steps = () if begun is None else s.begun + begun.astype(jnp.int32)
        return State(s.k + 1, x, state, update if watched else s.update, counts, steps), t, seen and seen[0]

    def judged(self, t: Tracker, seen: Seen, watched: bool) -> Tracker:
        """The tracker after a judged point."""
        seen = seen if self.descent.counted else seen._replace(counts=None)
        return record.judge(t, seen, self.far, self.lane.thresholds, self.shape, self.layout, watched)

    def begun(self, counts: Any) -> Any:
        """Whether a step is begun after so many evaluations; None where all are."""
        if not self.shape.budget:
            return None
        weights = jnp.array([1, COST_OF_GRADIENT, COST_OF_HVP], jnp.float32)
        return jnp.sum(counts * weights) < self.shape.budget

    def chunk(self, carry: Carry, length: int, watched: bool) -> Carry:
        """So many steps, and what they tell."""
        first, t, rows, path = carry
        if self.problem.stochastic:
            # Judged once, on the whole data, where the chunk begins.
            value, length_of_gradient = self.judge(first.x, first.optimizer)
            seen = Seen(first.k, value, length_of_gradient, self.away(first.x, first.optimizer), first.counts)
            t = self.judged(t, seen, watched)
        asked = bool(self.shape.trace_steps or self.shape.targets)

        def body(now: tuple[State, Tracker], _: None) -> Any:
            s, t, value = self.advance(*now, watched)
            emitted = () if value is None or not asked else (value, t.best, now[0].counts)
            return (s, t), (emitted, now[0].x if self.shape.path_steps else ())

        scan = lanes.scan if self.descent.engine == "lanes" else lax.scan
        before = t
        (s, t), (emitted, xs) = scan(body, (first, t), None, length)
        if asked:
            k = first.k + jnp.arange(length, dtype=jnp.int32)
            if self.problem.stochastic:
                k, emitted = k[:1], jax.tree.map(lambda a: a[None], (value, before.best, first.counts))
            counts = emitted[2] if self.descent.counted else None
            values, bests = emitted[:2]
            rows = record.fill_rows(rows, t, k, values, bests, counts, self.targets, self.shape, self.layout.stride)
        if length == self.layout.chunk:
            t = record.close_window(t, s.k // self.layout.stride, self.lane.thresholds, self.layout)
        if self.shape.path_steps:
            wanted = jnp.asarray(np.array(self.shape.path_steps, np.int32))
            here = (wanted >= first.k) & (wanted < first.k + length) & (wanted <= record.stop_step(t.stop))
            at = jnp.clip(wanted - first.k, 0, length - 1)
            path = jnp.where(here[:, None], xs[at], path)
        return s, t, rows, path

    def begin(self) -> Carry:
        """Before the first step."""
        x0, init_cost = self.lane.x0, np.array(self.optimizer.init_cost, np.int32)
        state = self.optimizer.init(self.oracle_at(jnp.int32(self.shape.steps)), x0, self.h)
        counts = jnp.asarray(init_cost) if self.descent.counted else ()
        none = jnp.zeros((), jnp.int32)
        s = State(none, x0, state, jnp.zeros_like(x0), counts, none if self.shape.budget else ())
        counted = self.descent.counted
        t = record.new_tracker(self.shape, self.dtype, counted)
        rows = record.new_rows(self.shape, self.dtype, counted)
        return s, t, rows, jnp.full((len(self.shape.path_steps), x0.shape[0]), jnp.nan, self.dtype)

    def record(self) -> dict[str, Any]:
        """The whole descent; its loops end early when every lane of the block has ended."""
        chunks, rest = divmod(self.shape.steps, self.layout.chunk)
        light = self.light_chunks(chunks, rest)
        start = (jnp.int32(0), jnp.bool_(True), self.begin())

        def loops(loop: Any) -> Any:
            if light is None:
                return self.chunks_until(loop, chunks, True)
            first, last = light

            # Watched, light, watched: twice around, so that what is watched is compiled once.
            def segment(i: Any, loop: Any) -> Any:
                n, active, (s, *more) = loop
                loop = n, active, (s._replace(update=jnp.zeros_like(s.update)), *more)
                loop = self.chunks_until(loop, jnp.where(i == 0, first, chunks), True)
                return self.chunks_until(loop, last, False)

            return lax.fori_loop(0, 2, segment, loop)

        run = lanes.one_piece(loops) if self.descent.one_piece else loops
        _, active, carry = run(start)
        if rest:
            carry = lax.cond(active, lambda c: self.chunk(c, rest, True), lambda c: c, carry)
        return self.finish(*carry)

    def light_chunks(self, chunks: int, rest: int) -> tuple[int, int] | None:
        """The first and the last chunk judged by their values alone; None where they are not worth a loop."""
        short = self.shape.steps < LIGHT_FROM
        if short or self.shape.full or self.shape.budget or self.problem.stochastic:
            return None
        first = 2 * self.layout.rate_window // self.layout.chunk
        # One step more than the two windows: an overshoot takes two updates.
        last = chunks - -(-(2 * self.layout.window + 1 - rest) // self.layout.chunk)
        return (first, last) if 2 * (last - first) > chunks else None

    def chunks_until(self, loop: Any, end: Any, watched: bool) -> Any:
        """Chunks until so many are done or all lanes have ended."""

        def more(loop: Any) -> Any:
            n, active, _ = loop
            return (n < end) & active

        def one_more(loop: Any) -> Any:
            n, _, inner = loop
            inner = self.chunk(inner, self.layout.chunk, watched)
            # The collective makes the flag one for the block, so that the loop ends for all lanes at once.
            going = lax.pmax((inner[1].stop == record.NEVER).astype(jnp.int32), LANES) > 0
            return n + 1, going, inner

        return lax.while_loop(more, one_more, loop)

    def finish(self, s: State, t: Tracker, rows: Rows, path: Any) -> dict[str, Any]:
        """Judge the last point, close the record, and measure what is measured once."""
        uses_gradient, counted = self.optimizer.uses_gradient, self.descent.counted
        point = self.judged_point(s.x, s.optimizer)
        value, gradient = self.full.value_and_grad(point)
        at_end = jnp.full((), self.shape.steps, jnp.int32)
        length = norm(gradient) if uses_gradient else jnp.zeros((), self.dtype)
        t = self.judged(t, Seen(at_end, value, length, self.away(s.x, s.optimizer), s.counts), True)
        if self.shape.trace_steps or self.shape.targets:
            last = (at_end[None], value[None], t.best[None], s.counts[None] if counted else None)
            rows = record.fill_rows(rows, t, *last, self.targets, self.shape, self.layout.stride)
        if not uses_gradient:
            # Without a gradient, at rest means that nothing moved; its tracker then follows the moves.
            t = t._replace(last_restless=t.last_moved)
        ended = record.stop_step(t.stop) <= self.shape.steps
        out = record.conclude(
            t, self.shape, self.problem.goal, self.problem.stochastic, self.lane.thresholds, self.layout
        )
        out |= self.values(t, rows, jnp.where(ended, t.final, value))
        nan = jnp.full((), jnp.nan, self.dtype)
        kept = uses_gradient and self.shape.full
        out["grad_norm_final"] = jnp.where(ended, t.gradient_norm if kept else nan, norm(gradient))
        out |= self.place(point, ended, out["outcome"] == CONVERGED)
        if self.problem.held_out is not None:
            unseen = self.descent.oracle(self.shared.held_out, self.lane.parameters).value(point)
            out["f_held_out"] = jnp.where(ended, nan, unseen + self.lane.thresholds.offset)
        if counted:
            out["counts"] = jnp.where(ended, t.counts, s.counts)
            if self.shape.budget:
                spent = ~self.begun(out["counts"]) & (out["outcome"] == UNFINISHED)
                out["flag"] = jnp.where(spent, SPENT, out["flag"]).astype(jnp.int8)
                out["steps"] = jnp.minimum(out["steps"], s.begun)
            out |= {"settle_counts": t.settle_counts, "trace_counts": rows.trace_counts}
            out["hit_counts"] = rows.hit_counts
        if self.shape.cut:
            spent = (out["outcome"] == UNFINISHED) & (out["flag"] == 0)
            out["flag"] = jnp.where(spent, SPENT, out["flag"]).astype(jnp.int8)
        if self.shape.path_steps:
            final = np.array(self.shape.path_steps, np.int32) == self.shape.steps
            out["path"] = jnp.where(final[:, None] & (record.stop_step(t.stop) >= self.shape.steps), s.x, path)
        return out

    def values(self, t: Tracker, rows: Rows, final: Any) -> dict[str, Any]:
        """Values of f, and gaps where the minimum is known."""
        offset, floor = self.lane.thresholds.offset, self.lane.thresholds.floor
        best, known = jnp.minimum(t.best, t.start), self.problem.goal == "minimum"
        unknown = jnp.full((), jnp.nan, self.dtype)
        traced = -floor if known else offset
        return {
            "f_start": t.start + offset, "f_final": final + offset, "f_best": best + offset,
            "gap_final": final - floor if known else unknown, "gap_best": best - floor if known else unknown,
            "trace": rows.trace + traced, "trace_best": rows.trace_best + traced, "hits": rows.hits,
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
