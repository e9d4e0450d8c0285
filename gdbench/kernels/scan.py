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
"""Steps from which a second loop, of steps that show less of themselves, is worth its compilation: 0.3 s of a core."""

OWN_NOISE = 0x6F777265
"""Sets the random numbers that an optimizer draws apart from those that draw the mini-batch of the same step."""


class Told(NamedTuple):
    """What is known after a chunk, and the step at which it began."""

    first: Any
    t: Tracker
    rows: Rows
    path: Any
    reach: Any = ()


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

    def value_at(self, s: State, step: Step) -> tuple[Any, Any]:
        """Value and gradient norm where the method is judged: what the step computed there if it did."""
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

    def advance(self, s: State, watched: bool) -> tuple[State, Seen]:
        """One step, and what is seen at x_k; on a stochastic problem no value."""
        step = self.optimizer.step(self.oracle_at(s.k), s.x, s.optimizer, self.h, s.k)
        x = jnp.asarray(step.x, self.dtype)
        state, begun = step.state, self.begun(s.counts)
        if begun is not None:
            # The state stands still with x, for it may hold what is known there.
            x = jnp.where(begun, x, s.x)
            state = jax.tree.map(lambda new, old: jnp.where(begun, new, old), state, s.optimizer)
        seen, update = Seen((), self.away(s.x, s.optimizer), begun=() if begun is None else begun), x - s.x
        length: Any = ()
        if not self.problem.stochastic:
            value, length = self.value_at(s, step)
            seen = seen._replace(value=value)
        if watched:
            # A descent that may spend nothing more stands still, but is not at rest; nor is one that draws proposals.
            moved = jnp.any(x != s.x) if self.optimizer.rests else True
            moved = jnp.asarray(moved if begun is None else moved | ~begun)
            overshot = jnp.sum(update * s.update) < 0
            deeds = jnp.where(moved, record.MOVED, 0) | jnp.where(overshot, record.OVERSHOT, 0)
            seen = seen._replace(deeds=deeds | self.restless(length, moved))
        if (watched and self.shape.full) or self.layout.by_gradient:
            seen = seen._replace(gradient_norm=length)
        counts = s.counts
        if self.descent.counted:
            seen = seen._replace(counts=counts)
            spent = jnp.stack([jnp.asarray(n, jnp.int32) for n in step.cost])
            counts = counts + (spent if begun is None else jnp.where(begun, spent, 0))
        steps = () if begun is None else s.begun + begun.astype(jnp.int32)
        return State(s.k + 1, x, state, update if watched else s.update, counts, steps), seen

    def restless(self, length: Any, moved: Any) -> Any:
        """The deed of a gradient norm; without a gradient, at rest means that nothing moved."""
        if self.optimizer.uses_gradient:
            if not record.asked(length):
                return 0
            moved = ~(length <= record.AT_REST * self.lane.thresholds.gradient_scale)
        return jnp.where(moved, record.RESTLESS, 0)

    def judged(self, t: Tracker, s: State, value: Any, length: Any, moved: bool) -> Tracker:
        """The tracker after one point, judged apart from its step."""
        seen = Seen(value, self.away(s.x, s.optimizer), self.restless(length, jnp.asarray(moved)), length, s.counts)
        t = record.judge(t, s.k, seen, self.far, self.lane.thresholds, self.shape, self.layout)
        t = t._replace(window=jnp.maximum(t.window, record.followed(seen, self.lane.thresholds, self.layout)))
        return record.tally(t, s.k[None], value[None], self.lane.thresholds, self.shape, self.layout)

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
            t = self.judged(t, first, value, length_of_gradient, False)
            rows = self.filled(rows, t, first.k[None], (value[None], t.best[None]), first.counts)

        def body(s: State, _: None) -> Any:
            after, seen = self.advance(s, watched)
            return after, (seen, s.x if self.shape.path_steps else ())

        s, told = lanes.scan(
            body, first, length, self.stages(), Told(first.k, t, rows, path), self.descent.engine == "lanes"
        )
        _, t, rows, path, _ = told
        if length == self.layout.chunk:
            t = record.close_window(t, s.k // self.layout.stride, self.lane.thresholds, self.layout)
        return s, t, rows, path

    def stages(self) -> list[lanes.Stage]:
        """What the steps of a chunk tell: each takes what they emitted, (Seen, iterates), and what was known before."""
        limits, shape, layout = self.lane.thresholds, self.shape, self.layout

        def steps(emitted: Any, told: Told) -> Any:
            return told.first + jnp.arange(emitted[0].away.shape[0], dtype=jnp.int32)

        def look(emitted: Any, told: Told) -> Told:
            reach, t = record.extent(emitted[0], limits, layout), told.t
            return told._replace(reach=reach, t=t._replace(window=jnp.maximum(t.window, reach.high_followed)))

        def calm(emitted: Any, told: Told) -> Any:
            seen, k = emitted[0], steps(emitted, told)
            events = ~record.uneventful(told.t, k, seen.value[0], told.reach, self.far, limits, layout)
            return ~lanes.in_any_lane(events)

        def at_once(emitted: Any, told: Told) -> Told:
            seen, k, t = emitted[0], steps(emitted, told), told.t
            alive = t.stop == record.NEVER
            bests = jnp.where(alive, jnp.minimum(lax.cummin(seen.value), t.best), t.best) if self.asked else ()
            t = record.take_chunk(t, k, seen, told.reach, limits, shape, layout)
            return told._replace(t=t, rows=self.filled(told.rows, t, k, (seen.value, bests), ()))

        def one_by_one(emitted: Any, told: Told) -> Told:
            def judge(t: Tracker, at: tuple[Any, Seen]) -> tuple[Tracker, Any]:
                t = record.judge(t, at[0], at[1], self.far, limits, shape, layout)
                return t, t.best if self.asked else ()

            seen, k = emitted[0], steps(emitted, told)
            t, bests = lax.scan(judge, told.t, (k, seen))
            if self.problem.stochastic:
                return told._replace(t=t)
            return told._replace(t=t, rows=self.filled(told.rows, t, k, (seen.value, bests), seen.counts))

        def late(emitted: Any, told: Told) -> Any:
            return steps(emitted, told)[-1] > shape.steps - 2 * layout.window

        def tally(emitted: Any, told: Told) -> Told:
            return told._replace(t=record.tally(told.t, steps(emitted, told), emitted[0].value, limits, shape, layout))

        def walk(emitted: Any, told: Told) -> Told:
            first, xs = told.first, emitted[1]
            wanted = jnp.asarray(np.array(self.shape.path_steps, np.int32))
            here = (wanted >= first) & (wanted < first + len(xs)) & (wanted <= record.stop_step(told.t.stop))
            path = jnp.where(here[:, None], xs[jnp.clip(wanted - first, 0, len(xs) - 1)], told.path)
            return told._replace(path=path)

        if self.problem.stochastic:
            stages = [lanes.Stage(one_by_one)]
        else:
            judged = lanes.Stage(one_by_one) if self.descent.counted else lanes.Stage(at_once, calm, one_by_one)
            stages = [lanes.Stage(look), judged, lanes.Stage(tally, late, lambda _, told: told)]
        return [*stages, lanes.Stage(walk)] if self.shape.path_steps else stages

    @property
    def asked(self) -> bool:
        """Whether something is asked for at certain steps or targets."""
        return bool(self.shape.trace_steps or self.shape.targets)

    def filled(self, rows: Rows, t: Tracker, k: Any, both: tuple[Any, Any], counts: Any) -> Rows:
        """The rows after points k [p] with their values and the best values there; counts [p, 3] or of one point."""
        if not self.asked:
            return rows
        counts = counts.reshape(-1, 3) if self.descent.counted else None
        return record.fill_rows(rows, t, k, *both, counts, self.targets, self.shape, self.layout.stride)

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
        light = self.light_chunks()

        def loops(loop: Any) -> Any:
            if light:
                loop = self.chunks_until(loop, light, False)
            return self.chunks_until(loop, chunks, True)

        run = lanes.one_piece(loops) if self.descent.one_piece else loops
        _, active, carry = run((jnp.int32(0), jnp.bool_(True), self.begin()))
        if rest:
            carry = lax.cond(active, lambda c: self.chunk(c, rest, True), lambda c: c, carry)
        return self.finish(*carry)

    def light_chunks(self) -> int:
        """Chunks whose steps show their values alone; 0 where they are not worth a loop.

        Those that take W are watched from one step before it on: an overshoot takes two updates.
        """
        if self.shape.steps < LIGHT_FROM or self.shape.full or self.shape.budget or self.problem.stochastic:
            return 0
        return (self.shape.steps - self.layout.window - 1) // self.layout.chunk

    def chunks_until(self, loop: Any, end: Any, watched: bool) -> Any:
        """Chunks until so many are done or all lanes have ended."""

        def more(loop: Any) -> Any:
            n, active, _ = loop
            return (n < end) & active

        def one_more(loop: Any) -> Any:
            n, _, inner = loop
            inner = self.chunk(inner, self.layout.chunk, watched)
            return n + 1, lanes.in_any_lane(inner[1].stop == record.NEVER), inner

        return lax.while_loop(more, one_more, loop)

    def finish(self, s: State, t: Tracker, rows: Rows, path: Any) -> dict[str, Any]:
        """Judge the last point, close the record, and measure what is measured once."""
        uses_gradient, counted = self.optimizer.uses_gradient, self.descent.counted
        point = self.judged_point(s.x, s.optimizer)
        value, gradient = self.full.value_and_grad(point)
        length = norm(gradient) if uses_gradient else jnp.zeros((), self.dtype)
        s = s._replace(k=jnp.full((), self.shape.steps, jnp.int32))
        t = self.judged(t, s, value, length, False)
        rows = self.filled(rows, t, s.k[None], (value[None], t.best[None]), s.counts)
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
