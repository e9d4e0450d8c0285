"""What a descent leaves behind: trackers fed chunk by chunk, and the outcome drawn from them at the end.

A chunk is a run of consecutive steps. The scan over its steps only emits what it saw (value, gradient norm, a few
bits); everything here reduces those arrays afterwards, which is cheaper than carrying a dozen trackers from step to
step. The reductions are written over arrays whose last axis is the lanes, [points, lanes]: ``vmap`` would put the
lanes first and make every reduction a strided one (ten times slower on a CPU).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.contracts import (
    BELOW,
    CONVERGED,
    DIVERGED,
    NOISE,
    NONFINITE,
    OSCILLATING,
    ROUNDING,
    TRAPPED,
    UNFINISHED,
    UNVERIFIED,
)
from gdbench.kernels.layout import Layout, Shape, Thresholds

NEVER = np.int32(2**31 - 2)
"""No stop yet: larger than any stop code."""

OVERSHOT, MOVED, FAR, BROKEN, IDLE = 1, 2, 4, 8, 16
"""Bits that a step emits: update points against the one before; x changed; too far from x0; x not finite; it was not
begun, for the budget of evaluations is spent."""

AT_REST = 1e-6
"""A gradient norm below this share of the problem's gradient scale is at rest."""

FAR_AWAY = 1e6
"""|f| or |x - x0| beyond this multiple of the problem's scale or box width has diverged."""


class Points(NamedTuple):
    """Judged points of a chunk: step [points], value of the objective and gradient norm [points, lanes]."""

    k: Any
    value: Any
    gradient_norm: Any


class Tracker(NamedTuple):
    """What is known of a lane so far."""

    stop: Any
    start: Any
    final: Any
    gradient_norm: Any
    best: Any
    last_above: Any
    last_restless: Any
    last_moved: Any
    overshoots: Any
    last_overshoot: Any
    idle: Any
    sum_late: Any
    sum_early: Any
    max_late: Any
    max_early: Any
    window: Any
    early: Any
    early_at: Any
    late: Any
    late_at: Any
    first: Any
    first_at: Any
    last: Any
    last_at: Any
    counts: Any
    settle_counts: Any
    trace: Any
    trace_best: Any
    trace_counts: Any
    hits: Any
    hit_counts: Any


def new_tracker(shape: Shape, dtype: Any, counted: bool) -> Tracker:
    """A tracker before the first point."""
    top = jnp.full((), jnp.inf, dtype)
    zero, nan, never = jnp.zeros((), dtype), jnp.full((), jnp.nan, dtype), jnp.full((), -1, jnp.int32)
    n = len(shape.trace_steps)
    return Tracker(
        stop=jnp.full((), NEVER, jnp.int32), start=nan, final=nan, gradient_norm=nan, best=jnp.full((), jnp.inf, dtype),
        last_above=never, last_restless=never, last_moved=never, overshoots=jnp.zeros((), jnp.int32),
        last_overshoot=never,
        idle=jnp.full((), NEVER, jnp.int32) if shape.budget else (),
        sum_late=zero, sum_early=zero, max_late=-top, max_early=-top, window=-top,
        early=zero, early_at=never, late=zero, late_at=never, first=zero, first_at=never, last=zero, last_at=never,
        counts=jnp.zeros((3,), jnp.int32) if counted else (),
        settle_counts=jnp.zeros((3,), jnp.int32) if counted else (),
        trace=jnp.full((n,), jnp.nan, dtype), trace_best=jnp.full((n,), jnp.nan, dtype),
        trace_counts=jnp.zeros((n, 3), jnp.int32) if counted else (),
        hits=jnp.full((shape.targets,), -1, jnp.int32),
        hit_counts=jnp.zeros((shape.targets, 3), jnp.int32) if counted else (),
    )  # fmt: skip


def _pick(at: Any, index: Any, values: Any) -> Any:
    """values[i, …, lane] where at[i] == index[lane], else 0: each lane's own index, without a gather."""
    chosen = at[:, None] == index
    chosen = chosen.reshape(chosen.shape[:1] + (1,) * (values.ndim - 2) + chosen.shape[1:])
    return jnp.sum(jnp.where(chosen, values, 0), axis=0, dtype=values.dtype)


def _last(k: Any, flag: Any) -> Any:
    """The last k at which a flag [points, lanes] holds, or -1."""
    return jnp.max(jnp.where(flag, k[:, None], -1), axis=0)


def _first(k: Any, flag: Any) -> Any:
    """The first k at which a flag [points, lanes] holds, or NEVER."""
    return jnp.min(jnp.where(flag, k[:, None], NEVER), axis=0)


def stop_step(stop: Any) -> Any:
    """The step at which a lane stopped; larger than any step while it has not."""
    return stop // 2


def last_step(t: Tracker) -> Any:
    """The step at which a lane stopped or spent its budget; larger than any step while it goes on."""
    return stop_step(t.stop) if isinstance(t.idle, tuple) else jnp.minimum(stop_step(t.stop), t.idle)


def _find_stop(t: Tracker, points: Points, moves: Any, lane: Thresholds) -> Any:
    """The earliest stop code: twice the step, plus one for diverged (at the same step nonfinite comes first)."""
    f, k = points.value + lane.offset, points.k[:, None]
    bound = FAR_AWAY * jnp.maximum(lane.scale, jnp.abs(t.start + lane.offset)) + lane.minimum
    code = jnp.where(jnp.isfinite(f), jnp.where(jnp.abs(f) > bound, 2 * k + 1, NEVER), 2 * k)
    stop = jnp.minimum(t.stop, jnp.min(code, axis=0))
    if moves is None:
        return stop
    after, bits = 2 * (moves[0][:, None] + 1), moves[1]
    code = jnp.where(bits & BROKEN > 0, after, jnp.where(bits & FAR > 0, after + 1, NEVER))
    return jnp.minimum(stop, jnp.min(code, axis=0))


def _absorb_moves(t: Tracker, k: Any, bits: Any) -> Tracker:
    """Overshoots and standstill, from the bits of the steps before the stop."""
    alive = k[:, None] < stop_step(t.stop)
    overshot = alive & (bits & OVERSHOT > 0)
    if not isinstance(t.idle, tuple):
        t = t._replace(idle=jnp.minimum(t.idle, _first(k, bits & IDLE > 0)))
    return t._replace(
        overshoots=t.overshoots + jnp.sum(overshot, axis=0, dtype=jnp.int32),
        last_overshoot=jnp.maximum(t.last_overshoot, _last(k, overshot)),
        last_moved=jnp.maximum(t.last_moved, _last(k, alive & (bits & MOVED > 0))),
    )


def _absorb_windows(t: Tracker, p0: Any, gap: Any, floor: Any, layout: Layout) -> Tracker:
    """First and last complete window whose maximal gap lies above the floor of resolution; p0 counts judged points."""
    window, points = layout.rate_window, layout.chunk // layout.stride
    if points >= window:
        peaks = jnp.max(gap.reshape(-1, window, gap.shape[-1]), axis=1)
        at = (p0 // window + jnp.arange(points // window)).astype(jnp.int32)
        complete = True
    else:
        running = jnp.maximum(jnp.where(p0 % window == 0, -jnp.inf, t.window), jnp.max(gap, axis=0))
        t = t._replace(window=running)
        peaks, at = running[None], (p0 // window)[None].astype(jnp.int32)
        complete = (p0 + points) % window == 0
    ends = (at + 1) * window * layout.stride
    usable = (peaks > floor) & (ends[:, None] <= stop_step(t.stop)) & complete
    if not isinstance(t.idle, tuple):
        # What stands still because its budget is spent has no rate: its last point is the one at that step.
        usable &= ends[:, None] <= t.idle + layout.stride
    first, last = _first(at, usable), _last(at, usable)
    new = (t.early_at < 0) & (first < NEVER)
    return t._replace(
        early=jnp.where(new, _pick(at, first, peaks), t.early), early_at=jnp.where(new, first, t.early_at),
        late=jnp.where(last >= 0, _pick(at, last, peaks), t.late), late_at=jnp.maximum(t.late_at, last),
    )  # fmt: skip


def _absorb_ends(t: Tracker, k: Any, gap: Any, floor: Any) -> Tracker:
    """First and last single point above the floor: windows of length one, for lanes that end within two windows."""
    usable = (k[:, None] <= last_step(t)) & (gap > floor) & jnp.isfinite(gap)
    first, last = _first(k, usable), _last(k, usable)
    new = (t.first_at < 0) & (first < NEVER)
    return t._replace(
        first=jnp.where(new, _pick(k, first, gap), t.first), first_at=jnp.where(new, first, t.first_at),
        last=jnp.where(last >= 0, _pick(k, last, gap), t.last), last_at=jnp.maximum(t.last_at, last),
    )  # fmt: skip


def _absorb_late(t: Tracker, k: Any, gap: Any, steps: int, window: int) -> Tracker:
    """Sum and maximum of the gap over the last W points and over the W points before them."""
    late = (k > steps - window)[:, None]
    early = (k > steps - 2 * window)[:, None] & ~late
    return t._replace(
        sum_late=t.sum_late + jnp.sum(jnp.where(late, gap, 0), axis=0),
        sum_early=t.sum_early + jnp.sum(jnp.where(early, gap, 0), axis=0),
        max_late=jnp.maximum(t.max_late, jnp.max(jnp.where(late, gap, -jnp.inf), axis=0)),
        max_early=jnp.maximum(t.max_early, jnp.max(jnp.where(early, gap, -jnp.inf), axis=0)),
    )


def _absorb_trace(t: Tracker, shape: Shape, points: Points, best: Any, counts: Any, stride: int) -> Tracker:
    """Value, best value and counts at the shared steps of the trace."""
    wanted = jnp.asarray(np.array(shape.trace_steps, np.int32))
    at = jnp.clip((wanted - points.k[0]) // stride, 0, points.k.shape[0] - 1)
    here = (points.k[at] == wanted)[:, None] & (wanted[:, None] <= stop_step(t.stop))
    t = t._replace(trace=jnp.where(here, points.value[at], t.trace), trace_best=jnp.where(here, best[at], t.trace_best))
    if counts is None:
        return t
    return t._replace(trace_counts=jnp.where(here[:, None], counts[at], t.trace_counts))


def _absorb_hits(t: Tracker, k: Any, best: Any, counts: Any, targets: Any) -> Tracker:
    """The first step at each target [targets, lanes], and the evaluations spent by then."""
    reached = best[:, None] <= targets[None]
    at = jnp.min(jnp.where(reached, k[:, None, None], NEVER), axis=0)
    new = (at < NEVER) & (t.hits < 0)
    t = t._replace(hits=jnp.where(new, at, t.hits))
    if counts is None:
        return t
    first = k[:, None, None] == at[None]
    spent = jnp.sum(jnp.where(first[:, :, None], counts[:, None], 0), axis=0, dtype=jnp.int32)
    return t._replace(hit_counts=jnp.where(new[:, None], spent, t.hit_counts))


def _absorb(
    t: Tracker, points: Points, moves: Any, counts: Any, lane: Thresholds, targets: Any, shape: Shape, layout: Layout
) -> Tracker:
    """The tracker after one more chunk; every array has the lanes last, but for the steps k."""
    k, k0 = points.k, points.k[0]
    t = t._replace(start=jnp.where(k0 == 0, points.value[0], t.start))
    t = t._replace(stop=_find_stop(t, points, moves, lane))
    stop = stop_step(t.stop)
    span = layout.stride * k.shape[0]

    def when(condition: Any, change: Callable[[Any], Any], tree: Any) -> Any:
        # A branch is worth its compilation for a chunk; the final point is one row, and all of it applies there.
        return change(tree) if moves is None else lax.cond(condition, change, lambda tree: tree, tree)

    # The record of an ended lane is closed at the last judged point at or before its stop.
    held = (t.final, t.gradient_norm, t.counts)
    seen = (points.value, points.gradient_norm, () if counts is None else counts)
    closing = (k0 <= stop) & (stop < k0 + span)

    def close(held: Any) -> Any:
        at = _last(k, k[:, None] <= stop)
        return jax.tree.map(lambda old, new: jnp.where(closing, _pick(k, at, new), old), held, seen)

    held = when(jnp.any(closing), close, held)
    t = t._replace(final=held[0], gradient_norm=held[1], counts=held[2])

    alive = k[:, None] < stop
    gap = points.value - lane.floor
    info = jnp.finfo(gap.dtype)
    floor = jnp.maximum(4 * float(info.eps) * lane.minimum, float(info.tiny))
    watched = points.gradient_norm**2 if layout.by_gradient else gap
    values = jnp.where(alive, points.value, jnp.inf)
    before = t.best
    restless = alive & ~(points.gradient_norm <= AT_REST * lane.gradient_scale)
    t = t._replace(
        best=jnp.minimum(before, jnp.min(values, axis=0)),
        last_above=jnp.maximum(t.last_above, _last(k, alive & ~(gap <= lane.tolerance))),
        last_restless=jnp.maximum(t.last_restless, _last(k, restless)),
    )
    if counts is not None:
        # What was spent at the first judged point after the last one above the tolerance, as long as that stands.
        since = _first(k, k[:, None] > t.last_above)
        fresh = (since < NEVER) & (since - t.last_above <= layout.stride)
        t = t._replace(settle_counts=jnp.where(fresh, _pick(k, since, counts), t.settle_counts))
    late_from = shape.steps - 2 * layout.window - span
    t = when(k0 >= late_from, lambda t: _absorb_late(t, k, gap, shape.steps, layout.window), t)
    if moves is not None:
        t = _absorb_moves(t, *moves)
        if layout.chunk == span:
            t = _absorb_windows(t, k0 // layout.stride, watched, floor, layout)
    ends_until = 2 * layout.rate_window * layout.stride
    if moves is not None or shape.steps < ends_until:
        t = when(k0 < ends_until, lambda t: _absorb_ends(t, k, watched, floor), t)
    if not (shape.trace_steps or shape.targets):
        return t

    # A scan, because XLA's cumulative minimum is quadratic on a CPU (17 times slower for the whole descent).
    def lower(low: Any, value: Any) -> tuple[Any, Any]:
        low = jnp.minimum(low, value)
        return low, low

    _, best = lax.scan(lower, before, values)
    if shape.trace_steps:
        t = _absorb_trace(t, shape, points, best, counts, layout.stride)
    return _absorb_hits(t, k, best, counts, targets) if shape.targets else t


def absorber(shape: Shape, layout: Layout) -> Callable[..., Tracker]:
    """``absorb(k, tracker, points, moves, counts, thresholds, targets) -> tracker`` for one lane, fast under vmap.

    ``k`` are the steps of the points (unbatched), ``points`` (value, gradient norm) there, ``moves`` the bits of the
    steps from k[0] on (None after the final point), ``counts`` the evaluations spent before each point [p, 3] (None
    where every step costs the same), ``targets`` the values of the objective to hit.
    """

    def lanes_last(k: Any, t: Tracker, seen: Any, bits: Any, *rest: Any) -> Tracker:
        moves = None if bits is None else (k[0] + jnp.arange(bits.shape[0], dtype=jnp.int32), bits)
        return _absorb(t, Points(k, *seen), moves, *rest, shape=shape, layout=layout)

    @jax.custom_batching.custom_vmap
    def absorb(k: Any, *args: Any) -> Tracker:
        out = lanes_last(k, *jax.tree.map(lambda a: a[..., None], args))
        return jax.tree.map(lambda a: a[..., 0], out)

    @absorb.def_vmap
    def of_block(lanes: int, batched: Any, k: Any, *args: Any) -> tuple[Tracker, Any]:
        def last(flag: bool, a: Any) -> Any:
            return jnp.moveaxis(a, 0, -1) if flag else a[..., None]

        t, *rest = jax.tree.map(last, tuple(batched[1:]), args)
        t = jax.tree.map(lambda a: jnp.broadcast_to(a, (*a.shape[:-1], lanes)), t)
        out = jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0), lanes_last(k, t, *rest))
        return out, jax.tree.map(lambda _: True, out)

    return absorb


def _rate(t: Tracker, layout: Layout) -> Any:
    """Signed rate in decades of gap a step between the first and the last usable window, else NaN."""

    def slope(early: Any, late: Any, at: Any, until: Any, step: int) -> Any:
        fall = jnp.log10(jnp.where(until > at, late, 1)) - jnp.log10(jnp.where(until > at, early, 1))
        return fall / (jnp.maximum(until - at, 1) * step).astype(fall.dtype)

    windows = slope(t.early, t.late, t.early_at, t.late_at, layout.rate_window * layout.stride)
    ends = slope(t.first, t.last, t.first_at, t.last_at, 1)
    by_ends = jnp.where((t.first_at >= 0) & (t.last_at > t.first_at), ends, jnp.nan)
    return jnp.where((t.early_at >= 0) & (t.late_at > t.early_at), windows, by_ends)


def _lasts(before: Any, after: Any) -> Any:
    """Whether a number fell by less than 1%."""
    return before - after < 0.01 * jnp.abs(before)


def conclude(t: Tracker, shape: Shape, goal: str, stochastic: bool, lane: Thresholds, layout: Layout) -> dict[str, Any]:
    """Outcome, flag, rate and steps of a finished lane; see ``contracts.OUTCOMES`` for the order of the rules."""
    steps, since = shape.steps, shape.steps - layout.window
    stopped = stop_step(t.stop) <= steps
    judged = np.arange(0, steps + 1, layout.stride)
    if judged[-1] != steps:
        judged = np.append(judged, steps)
    late = max(1, int(np.sum(judged > since)))
    early = max(1, int(np.sum((judged > since - layout.window) & (judged <= since))))
    mean_late, mean_early = t.sum_late / late, t.sum_early / early

    settled = (t.last_above + 1 <= since) if not stochastic else (mean_late <= lane.tolerance)
    still = t.last_restless < since
    unmoved = t.last_moved < since
    # A cycle whose length does not divide W shifts the mean by its phase; its largest gap stays.
    flat = _lasts(mean_early, mean_late) | _lasts(t.max_early, t.max_late)
    swings = (t.last_overshoot >= since) & flat & (goal != "unbounded")
    rest = {"minimum": TRAPPED, "target": TRAPPED, "rest": CONVERGED, "unbounded": UNFINISHED}[goal]
    known = goal in ("minimum", "target")

    outcome = jnp.where(swings, OSCILLATING, UNFINISHED)
    outcome = jnp.where(still, rest, outcome)
    outcome = jnp.where(settled, CONVERGED, outcome) if known else outcome
    outcome = jnp.where(stopped, jnp.where(t.stop % 2 == 0, NONFINITE, DIVERGED), outcome)
    flag = jnp.where((outcome == UNFINISHED) & unmoved, ROUNDING, 0)
    flag = jnp.where(outcome == CONVERGED, 0 if known else UNVERIFIED, flag)
    flag = jnp.where((outcome == OSCILLATING) & stochastic, NOISE, flag)
    below = t.best - lane.floor < -lane.tolerance if goal == "minimum" else False
    flag = jnp.where(below & ~stopped, BELOW, flag)
    settle = jnp.where(stopped | (t.last_above >= steps) | (not known), -1, t.last_above + 1)
    return {
        "outcome": outcome.astype(jnp.int8),
        "flag": flag.astype(jnp.int8),
        "steps": jnp.where(stopped, stop_step(t.stop), steps).astype(jnp.int32),
        "settle_step": settle.astype(jnp.int32),
        "rate": _rate(t, layout) if goal == "minimum" or layout.by_gradient else jnp.full_like(t.best, jnp.nan),
        "overshoots": t.overshoots,
    }
