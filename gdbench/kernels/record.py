"""What a descent leaves behind: numbers that follow it from step to step, and the outcome drawn from them at the end.

Everything is elementwise and of one lane. ``judge`` and ``move`` are called at every step, ``close_window`` after every
chunk of steps; a step that is not *watched* is judged by its value alone, for what the others say is asked for at the
beginning and at the end of a descent only, unless the record is to be full.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

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

AT_REST = 1e-6
"""A gradient norm below this share of the problem's gradient scale is at rest."""

FAR_AWAY = 1e6
"""|f| or |x - x0| beyond this multiple of the problem's scale or box width has diverged."""


class Tracker(NamedTuple):
    """What is known of a lane so far; all scalars but the counts [3]."""

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


class Rows(NamedTuple):
    """What was asked for at certain steps and targets: [n], counts [n, 3]."""

    trace: Any
    trace_best: Any
    trace_counts: Any
    hits: Any
    hit_counts: Any


def new_tracker(shape: Shape, dtype: Any, counted: bool) -> Tracker:
    """A tracker before the first point."""
    top = jnp.full((), jnp.inf, dtype)
    zero, nan, never = jnp.zeros((), dtype), jnp.full((), jnp.nan, dtype), jnp.full((), -1, jnp.int32)
    counts = jnp.zeros((3,), jnp.int32) if counted else ()
    return Tracker(
        stop=jnp.full((), NEVER, jnp.int32), start=nan, final=nan, gradient_norm=nan, best=top, last_above=never,
        last_restless=never, last_moved=never, overshoots=jnp.zeros((), jnp.int32), last_overshoot=never,
        idle=jnp.full((), NEVER, jnp.int32) if shape.budget else (),
        sum_late=zero, sum_early=zero, max_late=-top, max_early=-top, window=-top,
        early=zero, early_at=never, late=zero, late_at=never, first=zero, first_at=never, last=zero, last_at=never,
        counts=counts, settle_counts=counts,
    )  # fmt: skip


def new_rows(shape: Shape, dtype: Any, counted: bool) -> Rows:
    """Rows before the first point."""
    n = len(shape.trace_steps)
    nan = jnp.full((n,), jnp.nan, dtype)
    return Rows(
        nan, nan, jnp.zeros((n, 3), jnp.int32) if counted else (), jnp.full((shape.targets,), -1, jnp.int32),
        jnp.zeros((shape.targets, 3), jnp.int32) if counted else (),
    )  # fmt: skip


def stop_step(stop: Any) -> Any:
    """The step at which a lane stopped; larger than any step while it has not."""
    return stop // 2


def goes_on(stop: Any, k: Any) -> Any:
    """Whether a lane has not stopped at step k or before."""
    return stop >= 2 * k + 2


def stop_at(stop: Any, k: Any, lost: Any, finite: Any) -> Any:
    """The stop after step k, at which a lane may be lost: twice the step, plus one where it is finite (diverged).

    So nonfinite comes before diverged at the same step.
    """
    return jnp.where(lost, jnp.minimum(stop, jnp.where(finite, 2 * k + 1, 2 * k)), stop)


class Seen(NamedTuple):
    """A judged point: its step, value and gradient norm, how far it is from the start, and the evaluations spent before
    it [3] (or None).
    """

    k: Any
    value: Any
    gradient_norm: Any
    away: Any
    counts: Any


def judge(t: Tracker, seen: Seen, far: Any, lane: Thresholds, shape: Shape, layout: Layout, watched: bool) -> Tracker:
    """The tracker after a judged point x_k."""
    k, value = seen.k, seen.value
    f, before = value + lane.offset, t.stop >= 2 * k
    if watched:
        t = t._replace(start=jnp.where(k == 0, value, t.start))
    bound = FAR_AWAY * jnp.maximum(lane.scale, jnp.abs(t.start + lane.offset)) + lane.minimum
    bound = jnp.minimum(bound, float(jnp.finfo(f.dtype).max))
    stays = (jnp.abs(f) <= bound) & (seen.away <= far)
    stop = stop_at(t.stop, k, ~stays, jnp.isfinite(f) & (seen.away < jnp.inf))
    # What stopped at an earlier step stays as it was; the record of a lane ends with the point at which it stops.
    alive, gap = goes_on(stop, k), value - lane.floor
    t = t._replace(
        stop=stop,
        final=jnp.where(before, value, t.final),
        best=jnp.where(alive, jnp.minimum(t.best, value), t.best),
        last_above=jnp.where(alive & ~(gap <= lane.tolerance), k, t.last_above),
    )
    if seen.counts is not None:
        # What was spent at the first judged point after the last one above the tolerance, as long as that stands.
        fresh = (k > t.last_above) & (k - t.last_above <= layout.stride)
        t = t._replace(
            counts=jnp.where(before, seen.counts, t.counts),
            settle_counts=jnp.where(fresh, seen.counts, t.settle_counts),
        )
    followed = seen.gradient_norm**2 if layout.by_gradient else gap
    t = t._replace(window=jnp.maximum(t.window, followed))
    return _watch(t, seen, alive, before, gap, followed, lane, shape, layout) if watched else t


def _watch(
    t: Tracker, seen: Seen, alive: Any, before: Any, gap: Any, followed: Any, lane: Thresholds, shape: Shape,
    layout: Layout,
) -> Tracker:  # fmt: skip
    """Rest, the last two windows of the gap, and the points between which ``rate`` is taken if all else fails."""
    k, since = seen.k, shape.steps - layout.window
    restless = alive & ~(seen.gradient_norm <= AT_REST * lane.gradient_scale)
    late = k > since
    early = (k > since - layout.window) & ~late
    t = t._replace(
        gradient_norm=jnp.where(before, seen.gradient_norm, t.gradient_norm),
        last_restless=jnp.where(restless, k, t.last_restless),
        sum_late=jnp.where(late, t.sum_late + gap, t.sum_late),
        sum_early=jnp.where(early, t.sum_early + gap, t.sum_early),
        max_late=jnp.where(late, jnp.maximum(t.max_late, gap), t.max_late),
        max_early=jnp.where(early, jnp.maximum(t.max_early, gap), t.max_early),
    )
    # Windows of length one, for lanes that end within two windows.
    usable = (k < 2 * layout.rate_window * layout.stride) & before & jnp.isfinite(followed)
    if not isinstance(t.idle, tuple):
        usable &= k <= t.idle
    usable &= followed > resolution(lane, followed.dtype)
    new = usable & (t.first_at < 0)
    return t._replace(
        first=jnp.where(new, followed, t.first), first_at=jnp.where(new, k, t.first_at),
        last=jnp.where(usable, followed, t.last), last_at=jnp.where(usable, k, t.last_at),
    )  # fmt: skip


def resolution(lane: Thresholds, dtype: Any) -> Any:
    """The gap below which nothing is resolved: 4 eps |f*|, or the smallest normal number."""
    info = jnp.finfo(dtype)
    return jnp.maximum(4 * float(info.eps) * lane.minimum, float(info.tiny))


def move(t: Tracker, k: Any, overshot: Any, moved: Any) -> Tracker:
    """The tracker after the update of step k: does it point against the one before, does it change x."""
    alive = goes_on(t.stop, k)
    overshot &= alive
    return t._replace(
        overshoots=t.overshoots + overshot.astype(jnp.int32),
        last_overshoot=jnp.where(overshot, k, t.last_overshoot),
        last_moved=jnp.where(alive & moved, k, t.last_moved),
    )


def close_window(t: Tracker, judged: Any, lane: Thresholds, layout: Layout) -> Tracker:
    """After a chunk, when so many points are judged: the first and the last window with a gap that is resolved."""
    n, window = layout.rate_window, t.window
    ended, at = judged % n == 0, judged // n - 1
    usable = ended & (window > resolution(lane, window.dtype)) & (t.stop >= 2 * judged * layout.stride)
    if not isinstance(t.idle, tuple):
        # What stands still because its budget is spent has no rate: its last point is the one at that step.
        usable &= judged * layout.stride <= t.idle + layout.stride
    new = usable & (t.early_at < 0)
    return t._replace(
        early=jnp.where(new, window, t.early), early_at=jnp.where(new, at, t.early_at),
        late=jnp.where(usable, window, t.late), late_at=jnp.where(usable, at, t.late_at),
        window=jnp.where(ended, -jnp.inf, window),
    )  # fmt: skip


def fill_rows(
    rows: Rows, t: Tracker, k: Any, values: Any, bests: Any, counts: Any, targets: Any, shape: Shape, stride: int
) -> Rows:
    """What a chunk adds: steps k [p], values and best values there [p], evaluations spent before [p, 3] or None."""
    if shape.trace_steps:
        wanted = jnp.asarray(np.array(shape.trace_steps, np.int32))
        at = jnp.clip((wanted - k[0]) // stride, 0, k.shape[0] - 1)
        here = (k[at] == wanted) & (wanted <= stop_step(t.stop))
        rows = rows._replace(
            trace=jnp.where(here, values[at], rows.trace), trace_best=jnp.where(here, bests[at], rows.trace_best)
        )
        if counts is not None:
            rows = rows._replace(trace_counts=jnp.where(here[:, None], counts[at], rows.trace_counts))
    if not shape.targets:
        return rows
    # The first of the best values that is as low; they never rise.
    index = jnp.sum(bests[:, None] > targets, axis=0, dtype=jnp.int32)
    at = jnp.minimum(index, k.shape[0] - 1)
    new = (index < k.shape[0]) & (rows.hits < 0)
    rows = rows._replace(hits=jnp.where(new, k[0] + stride * at, rows.hits))
    if counts is None:
        return rows
    spent = jnp.sum(jnp.where(jnp.arange(k.shape[0])[:, None, None] == at[:, None], counts[:, None], 0), axis=0)
    return rows._replace(hit_counts=jnp.where(new[:, None], spent.astype(jnp.int32), rows.hit_counts))


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
