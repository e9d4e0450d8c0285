"""What a descent leaves behind: numbers that follow it from step to step, and the outcome drawn from them at the end.

The steps of a chunk say what is *seen* at each point; then the tracker takes the whole chunk at once where nothing
happens in it that needs a look at every step (``take_chunk``), else point by point (``judge``). Both come to the same
tracker, bit for bit but for sums.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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

AT_REST = 1e-6
"""A gradient norm below this share of the problem's gradient scale is at rest."""

FAR_AWAY = 1e6
"""|f| or |x - x0| beyond this multiple of the problem's scale or box width has diverged."""


class Tracker(NamedTuple):
    """What is known of a lane so far; all scalars but the counts [3]."""

    stop: Any
    start: Any
    final: Any
    best: Any
    last_above: Any
    lately: Any
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
    gradient_norm: Any
    overshoots: Any
    idle: Any
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
    none = jnp.zeros((), jnp.int32)
    counts = jnp.zeros((3,), jnp.int32) if counted else ()
    return Tracker(
        stop=jnp.full((), NEVER, jnp.int32), start=nan, final=nan, best=top, last_above=never, lately=none,
        sum_late=zero, sum_early=zero, max_late=-top, max_early=-top, window=-top,
        early=zero, early_at=never, late=zero, late_at=never, first=zero, first_at=never, last=zero, last_at=never,
        gradient_norm=nan if shape.full else (), overshoots=none if shape.full else (),
        idle=jnp.full((), NEVER, jnp.int32) if shape.budget else (), counts=counts, settle_counts=counts,
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


RESTLESS, MOVED, OVERSHOT = np.int32(1), np.int32(2), np.int32(4)
"""What a step shows of itself, in one number: a gradient that is not at rest, an update that changes x, and one that
points against the update before."""


class Seen(NamedTuple):
    """What is seen at x_k: the value, how far it is from the start, deeds of the step, gradient norm, evaluations spent
    before it [3], and whether the step was begun; () for what nothing asks for.
    """

    value: Any
    away: Any
    deeds: Any = ()
    gradient_norm: Any = ()
    counts: Any = ()
    begun: Any = ()


def asked(part: Any) -> bool:
    """Whether a part of what is seen or tracked is there."""
    return not isinstance(part, tuple)


def _bound(start: Any, lane: Thresholds) -> Any:
    bound = FAR_AWAY * jnp.maximum(lane.scale, jnp.abs(start + lane.offset)) + lane.minimum
    return jnp.minimum(bound, float(jnp.finfo(bound.dtype).max))


def followed(seen: Seen, lane: Thresholds, layout: Layout) -> Any:
    """What ``rate`` follows."""
    return seen.gradient_norm**2 if layout.by_gradient else seen.value - lane.floor


def judge(t: Tracker, k: Any, seen: Seen, far: Any, lane: Thresholds, shape: Shape, layout: Layout) -> Tracker:
    """The tracker after the point x_k; without a value (where points are judged now and then) after the step alone."""
    if not asked(seen.value):
        stop = stop_at(t.stop, k, ~(seen.away <= far), seen.away < jnp.inf)
        return _deeds(t._replace(stop=stop), k, seen, shape, layout)
    value = seen.value
    f, before = value + lane.offset, t.stop >= 2 * k
    t = t._replace(start=jnp.where(k == 0, value, t.start))
    stays = (jnp.abs(f) <= _bound(t.start, lane)) & (seen.away <= far)
    stop = stop_at(t.stop, k, ~stays, jnp.isfinite(f) & (seen.away < jnp.inf))
    # What stopped at an earlier step stays as it was; the record of a lane ends with the point at which it stops.
    alive, gap = goes_on(stop, k), value - lane.floor
    t = t._replace(
        stop=stop,
        final=jnp.where(before, value, t.final),
        best=jnp.where(alive, jnp.minimum(t.best, value), t.best),
        last_above=jnp.where(alive & ~(gap <= lane.tolerance), k, t.last_above),
    )
    if asked(t.gradient_norm) and asked(seen.gradient_norm):
        t = t._replace(gradient_norm=jnp.where(before, seen.gradient_norm, t.gradient_norm))
    if asked(seen.counts):
        # What was spent at the first judged point after the last one above the tolerance, as long as that stands.
        fresh = (k > t.last_above) & (k - t.last_above <= layout.stride)
        t = t._replace(
            counts=jnp.where(before, seen.counts, t.counts),
            settle_counts=jnp.where(fresh, seen.counts, t.settle_counts),
        )
    tracked = followed(seen, lane, layout)
    # Windows of length one, for lanes that end within two windows.
    usable = (k < 2 * layout.rate_window * layout.stride) & before & jnp.isfinite(tracked)
    if asked(t.idle):
        usable &= k <= t.idle
    usable &= tracked > resolution(lane, tracked.dtype)
    new = usable & (t.first_at < 0)
    t = t._replace(
        first=jnp.where(new, tracked, t.first), first_at=jnp.where(new, k, t.first_at),
        last=jnp.where(usable, tracked, t.last), last_at=jnp.where(usable, k, t.last_at),
    )  # fmt: skip
    return _deeds(t, k, seen, shape, layout)


def _deeds(t: Tracker, k: Any, seen: Seen, shape: Shape, layout: Layout) -> Tracker:
    """What a step within W did, and what any of them did where that is kept."""
    if asked(t.idle) and asked(seen.begun):
        t = t._replace(idle=jnp.where(seen.begun, t.idle, jnp.minimum(t.idle, k)))
    if not asked(seen.deeds):
        return t
    alive = goes_on(t.stop, k)
    t = t._replace(lately=jnp.where(alive & (k >= shape.steps - layout.window), t.lately | seen.deeds, t.lately))
    if asked(t.overshoots):
        t = t._replace(overshoots=t.overshoots + (alive & (seen.deeds & OVERSHOT > 0)).astype(jnp.int32))
    return t


class Extent(NamedTuple):
    """The least and the largest of a chunk: values, what ``rate`` follows, distance from the start (infinite where a
    value is NaN).
    """

    low: Any
    high: Any
    low_followed: Any
    high_followed: Any
    away: Any


def _least(values: Any) -> Any:
    """The smallest along the first axis, NaN left out: a comparison a number, where ``jnp.min`` takes three."""
    return lax.reduce(values, np.array(np.inf, values.dtype), lambda a, b: lax.select(b < a, b, a), (0,))


def _most(values: Any) -> Any:
    return lax.reduce(values, np.array(-np.inf, values.dtype), lambda a, b: lax.select(b > a, b, a), (0,))


def extent(seen: Seen, lane: Thresholds, layout: Layout) -> Extent:
    """How far a chunk reaches; what is seen has the steps first."""
    low, high = _least(seen.value), _most(seen.value)
    away = _most(jnp.where(seen.value == seen.value, seen.away, jnp.inf))
    if not layout.by_gradient:
        return Extent(low, high, low - lane.floor, high - lane.floor, away)
    tracked = followed(seen, lane, layout)
    return Extent(low, high, _least(tracked), _most(tracked), away)


def uneventful(t: Tracker, k: Any, start: Any, reach: Extent, far: Any, lane: Thresholds, layout: Layout) -> Any:
    """Whether a chunk of steps k [p] can be taken at once: the lane does not stop in it, and while ``rate`` may have to
    be taken between single points all of them are resolved; or it stopped before.
    """
    bound = _bound(jnp.where(k[0] == 0, start, t.start), lane)
    stays = (reach.high + lane.offset <= bound) & (reach.low + lane.offset >= -bound)
    stays &= (reach.away <= far) & (reach.away < jnp.inf)
    resolved = (reach.low_followed > resolution(lane, bound.dtype)) & (reach.high_followed < jnp.inf)
    return (t.stop < 2 * k[0]) | (stays & (resolved | (k[0] >= 2 * layout.rate_window * layout.stride)))


def take_chunk(
    t: Tracker, k: Any, seen: Seen, reach: Extent, lane: Thresholds, shape: Shape, layout: Layout
) -> Tracker:  # fmt: skip
    """The tracker after an uneventful chunk of steps k [p], as ``judge`` leaves it; what is seen: the steps first."""
    alive, gap = t.stop == NEVER, seen.value - lane.floor
    above = jnp.max(jnp.where(gap <= lane.tolerance, -1, k), axis=0)
    tracked = followed(seen, lane, layout)
    single = alive & (k[0] < 2 * layout.rate_window * layout.stride)
    new = single & (t.first_at < 0)
    t = t._replace(
        start=jnp.where(k[0] == 0, seen.value[0], t.start),
        best=jnp.where(alive, jnp.minimum(t.best, reach.low), t.best),
        last_above=jnp.where(alive, jnp.maximum(t.last_above, above), t.last_above),
        first=jnp.where(new, tracked[0], t.first), first_at=jnp.where(new, k[0], t.first_at),
        last=jnp.where(single, tracked[-1], t.last), last_at=jnp.where(single, k[-1], t.last_at),
    )  # fmt: skip
    if asked(t.gradient_norm):
        t = t._replace(gradient_norm=jnp.where(alive, seen.gradient_norm[-1], t.gradient_norm))
    if asked(t.overshoots):
        crossed = jnp.sum(seen.deeds & OVERSHOT > 0, axis=0, dtype=jnp.int32)
        t = t._replace(overshoots=t.overshoots + jnp.where(alive, crossed, 0))
    if not asked(seen.deeds):
        return t
    deeds = jnp.where(k >= shape.steps - layout.window, seen.deeds, 0)
    return t._replace(lately=t.lately | jnp.where(alive, lax.reduce(deeds, np.int32(0), lax.bitwise_or, (0,)), 0))


def tally(t: Tracker, k: Any, value: Any, lane: Thresholds, shape: Shape, layout: Layout) -> Tracker:
    """Sums and largest numbers of W and of the window before, after points k [p] of value [p]: in one order, however
    the points were judged.
    """
    since, gap = shape.steps - layout.window, value - lane.floor
    late, early = k >= since, (k >= since - layout.window) & (k < since)
    return t._replace(
        sum_late=t.sum_late + jnp.sum(jnp.where(late, gap, 0), axis=0),
        sum_early=t.sum_early + jnp.sum(jnp.where(early, gap, 0), axis=0),
        max_late=jnp.maximum(t.max_late, _most(jnp.where(late, gap, -jnp.inf))),
        max_early=jnp.maximum(t.max_early, _most(jnp.where(early, gap, -jnp.inf))),
    )


def resolution(lane: Thresholds, dtype: Any) -> Any:
    """The gap below which nothing is resolved: 4 eps |f*|, or the smallest normal number."""
    info = jnp.finfo(dtype)
    return jnp.maximum(4 * float(info.eps) * lane.minimum, float(info.tiny))


def close_window(t: Tracker, judged: Any, lane: Thresholds, layout: Layout) -> Tracker:
    """After a chunk, when so many points are judged: the first and the last window with a gap that is resolved."""
    n, window = layout.rate_window, t.window
    ended, at = judged % n == 0, judged // n - 1
    usable = ended & (window > resolution(lane, window.dtype)) & (t.stop >= 2 * judged * layout.stride)
    if asked(t.idle):
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
    late = max(1, int(np.sum(judged >= since)))
    early = max(1, int(np.sum((judged >= since - layout.window) & (judged < since))))
    mean_late, mean_early = t.sum_late / late, t.sum_early / early

    settled = (t.last_above + 1 <= since) if not stochastic else (mean_late <= lane.tolerance)
    still = t.lately & RESTLESS == 0
    unmoved = t.lately & MOVED == 0
    # A cycle whose length does not divide W shifts the mean by its phase; its largest gap stays.
    flat = _lasts(mean_early, mean_late) | _lasts(t.max_early, t.max_late)
    swings = (t.lately & OVERSHOT > 0) & flat & (goal != "unbounded")
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
        "overshoots": t.overshoots if asked(t.overshoots) else jnp.zeros((), jnp.int32),
    }
