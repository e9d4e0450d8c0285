"""What is told of a descent, from what its steps show: chunk by chunk, and at its end.

Nothing here asks the problem or the optimizer, so cells that differ in nothing else share one compiled judge (see
``execute``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.contracts import CONVERGED, COST_OF_GRADIENT, COST_OF_HVP, SPENT, UNFINISHED
from gdbench.kernels import lanes, record
from gdbench.kernels.layout import Layout, Shape
from gdbench.kernels.record import Rows, Seen, Tracker


class Rules(NamedTuple):
    """What is static about the judging of a descent."""

    shape: Shape
    layout: Layout
    goal: str
    stochastic: bool
    counted: bool
    uses_gradient: bool
    target_unit: float | None


class Told(NamedTuple):
    """What is known after a chunk, and the step at which it began."""

    first: Any
    t: Tracker
    rows: Rows
    path: Any
    reach: Any = ()


class Last(NamedTuple):
    """What is measured at the last point: the iterate, the point where the method wants to be judged if that is not it,
    value and length of the gradient there, the value on data held out, evaluations spent and steps begun; () for what
    nothing asks for.
    """

    x: Any
    point: Any
    value: Any
    gradient_norm: Any
    unseen: Any
    counts: Any
    begun: Any


def begun_after(counts: Any, shape: Shape) -> Any:
    """Whether a step is begun after so many evaluations; None where all are."""
    if not shape.budget:
        return None
    weights = jnp.array([1, COST_OF_GRADIENT, COST_OF_HVP], jnp.float32)
    return jnp.sum(counts * weights) < shape.budget


def restless(uses_gradient: bool, length: Any, moved: Any, limits: Any) -> Any:
    """The deed of a gradient norm; without a gradient, at rest means that nothing moved."""
    if uses_gradient:
        if not record.asked(length):
            return 0
        moved = ~(length <= record.AT_REST * limits.gradient_scale)
    return jnp.where(moved, record.RESTLESS, 0)


class Judge:
    """What is known of one descent beforehand, and the distance that is too far; methods are traced.

    ``targets`` come in units of the problem, ``minimizers`` are [n, dim].
    """

    def __init__(self, rules: Rules, limits: Any, x0: Any, targets: Any, minimizers: Any) -> None:
        self.rules, self.limits, self.x0, self.minimizers = rules, limits, x0, minimizers
        self.shape, self.layout = rules.shape, rules.layout
        self.far = record.FAR_AWAY * jnp.where(limits.width > 0, limits.width, jnp.maximum(1, jnp.max(jnp.abs(x0))))
        unit = limits.scale if rules.target_unit is None else rules.target_unit
        self.targets = limits.floor + targets * unit

    def begin(self, first: Any, dim: int, dtype: Any) -> Told:
        """Before the first point."""
        path = jnp.full((len(self.shape.path_steps), dim), jnp.nan, dtype)
        t = record.new_tracker(self.shape, dtype, self.rules.counted)
        return Told(first, t, record.new_rows(self.shape, dtype, self.rules.counted), path)

    def point(self, told: Told, k: Any, seen: Seen) -> Told:
        """What one point adds that is judged apart from its step."""
        t = record.judge(told.t, k, seen, self.far, self.limits, self.shape, self.layout)
        t = t._replace(window=jnp.maximum(t.window, record.followed(seen, self.limits, self.layout)))
        t = record.tally(t, k[None], seen.value[None], self.limits, self.shape, self.layout)
        rows = self.filled(told.rows, t, k[None], (seen.value[None], t.best[None]), seen.counts)
        return told._replace(t=t, rows=rows)

    def close(self, told: Told, length: int, after: Any) -> Told:
        """After a chunk of so many steps, before step ``after``: a window of ``rate`` may end here."""
        told = told._replace(first=after, reach=())
        if length != self.layout.chunk:
            return told
        t = record.close_window(told.t, after // self.layout.stride, self.limits, self.layout)
        return told._replace(t=t)

    def stages(self) -> list[lanes.Stage]:
        """What the steps of a chunk tell: each takes what they emitted, (Seen, iterates), and what was known before."""
        limits, shape, layout = self.limits, self.shape, self.layout

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
            if self.rules.stochastic:
                return told._replace(t=t)
            return told._replace(t=t, rows=self.filled(told.rows, t, k, (seen.value, bests), seen.counts))

        def late(emitted: Any, told: Told) -> Any:
            return steps(emitted, told)[-1] >= shape.steps - 2 * layout.window

        def tally(emitted: Any, told: Told) -> Told:
            return told._replace(t=record.tally(told.t, steps(emitted, told), emitted[0].value, limits, shape, layout))

        def walk(emitted: Any, told: Told) -> Told:
            first, xs = told.first, emitted[1]
            wanted = jnp.asarray(np.array(self.shape.path_steps, np.int32))
            here = (wanted >= first) & (wanted < first + len(xs)) & (wanted <= record.stop_step(told.t.stop))
            path = jnp.where(here[:, None], xs[jnp.clip(wanted - first, 0, len(xs) - 1)], told.path)
            return told._replace(path=path)

        if self.rules.stochastic:
            stages = [lanes.Stage(one_by_one)]
        else:
            judged = lanes.Stage(one_by_one) if self.rules.counted else lanes.Stage(at_once, calm, one_by_one)
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
        counts = counts.reshape(-1, 3) if self.rules.counted else None
        return record.fill_rows(rows, t, k, *both, counts, self.targets, self.shape, self.layout.stride)

    def finish(self, told: Told, last: Last) -> dict[str, Any]:
        """The record of the descent: its last point is judged, and what was measured there is added."""
        shape, nan = self.shape, jnp.full_like(last.gradient_norm, jnp.nan)
        point = last.point if record.asked(last.point) else last.x
        away = jnp.maximum(jnp.max(jnp.abs(last.x - self.x0)), jnp.max(jnp.abs(point - self.x0)))
        own = last.gradient_norm if self.rules.uses_gradient else jnp.zeros_like(nan)
        seen = Seen(
            last.value, away, restless(self.rules.uses_gradient, own, jnp.bool_(False), self.limits), own, last.counts
        )
        told = self.point(told, jnp.full((), shape.steps, jnp.int32), seen)
        t = told.t
        ended = record.stop_step(t.stop) <= shape.steps
        out = record.conclude(t, shape, self.rules.goal, self.rules.stochastic, self.limits, self.layout)
        out |= self.values(jnp.where(ended, t.final, last.value), jnp.minimum(t.best, t.start))
        traced = -self.limits.floor if self.rules.goal == "minimum" else self.limits.offset
        out |= {"f_start": t.start + self.limits.offset, "hits": told.rows.hits}
        out |= {"trace": told.rows.trace + traced, "trace_best": told.rows.trace_best + traced}
        kept = t.gradient_norm if record.asked(t.gradient_norm) and self.rules.uses_gradient else nan
        out["grad_norm_final"] = jnp.where(ended, kept, last.gradient_norm)
        distance, nearest = self._nearest(point)
        out["distance"] = jnp.where(ended, nan, distance)
        out["basin"] = jnp.where(out["outcome"] == CONVERGED, nearest, -1)
        if shape.endpoint:
            out["endpoint"] = jnp.where(ended, nan, point)
        if record.asked(last.unseen):
            out["f_held_out"] = jnp.where(ended, nan, last.unseen + self.limits.offset)
        if self.rules.counted:
            out["counts"] = jnp.where(ended, t.counts, last.counts)
            if shape.budget:
                spent = ~begun_after(out["counts"], shape) & (out["outcome"] == UNFINISHED)
                out["flag"] = jnp.where(spent, SPENT, out["flag"]).astype(jnp.int8)
                out["steps"] = jnp.minimum(out["steps"], last.begun)
            out |= {"settle_counts": t.settle_counts, "trace_counts": told.rows.trace_counts}
            out["hit_counts"] = told.rows.hit_counts
        if shape.cut:
            spent = (out["outcome"] == UNFINISHED) & (out["flag"] == 0)
            out["flag"] = jnp.where(spent, SPENT, out["flag"]).astype(jnp.int8)
        if shape.path_steps:
            final = np.array(shape.path_steps, np.int32) == shape.steps
            reached = record.stop_step(t.stop) >= shape.steps
            out["path"] = jnp.where(final[:, None] & reached, last.x, told.path)
        return out

    def _nearest(self, point: Any) -> tuple[Any, Any]:
        """Distance to the nearest minimizer, and its index; NaN and -1 where none is known."""
        if not self.minimizers.shape[0]:
            return jnp.full((), jnp.nan, point.dtype), jnp.full((), -1, jnp.int32)
        distances = jnp.sqrt(jnp.sum((self.minimizers - point) ** 2, axis=1))
        return jnp.min(distances), jnp.argmin(distances).astype(jnp.int32)

    def values(self, final: Any, best: Any) -> dict[str, Any]:
        """Values of f, and gaps where the minimum is known."""
        offset, floor, known = self.limits.offset, self.limits.floor, self.rules.goal == "minimum"
        unknown = jnp.full_like(final, jnp.nan)
        return {
            "f_final": final + offset, "f_best": best + offset,
            "gap_final": final - floor if known else unknown, "gap_best": best - floor if known else unknown,
        }  # fmt: skip


def judge_apart(judge: Judge, seen: Seen, xs: Any, last: Last) -> dict[str, Any]:
    """The record of a descent from all that its steps showed (see ``scan.walk``)."""
    stages, length = judge.stages(), judge.layout.chunk
    chunks, rest = divmod(judge.shape.steps, length)

    def tell(told: Told, part: Any, length: int) -> Told:
        after = told.first + length
        return judge.close(lanes.tell(part, stages, told), length, after)

    def one_more(n: Any, told: Told) -> Told:
        part = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, n * length, length), (seen, xs))
        return tell(told, part, length)

    told = judge.begin(jnp.int32(0), len(last.x), last.gradient_norm.dtype)
    told = lax.fori_loop(0, chunks, one_more, told)
    if rest:
        told = tell(told, jax.tree.map(lambda a: a[chunks * length :], (seen, xs)), rest)
    return judge.finish(told, last)
