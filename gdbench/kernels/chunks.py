"""What the engine ``fused`` does with one lane: chunks of which only the reach is kept, or judged point by point."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdbench.kernels import record
from gdbench.kernels.descent import Descent, Lane, Shared, join
from gdbench.kernels.layout import Layout, Shape, Thresholds
from gdbench.kernels.record import Extent, Tracker
from gdbench.kernels.scan import Run, State

Given = tuple[Lane, Lane, Shared]
"""The arguments of a lane: its own, those that its block has in common, and those that the cell has."""


class Reach(NamedTuple):
    """What the points of a chunk reach so far: values and distances from the start, NaN if any is; the last step above
    the tolerance, -1 for none; the largest of what ``rate`` follows, deeds, overshoots and the last gradient norm, ()
    for what nothing asks for.
    """

    low: Any
    high: Any
    away: Any
    above: Any
    tracked: Any = ()
    deeds: Any = ()
    overshoots: Any = ()
    gradient_norm: Any = ()


def _at_most(top: Any, value: Any) -> Any:
    """The larger; NaN is left out."""
    return jnp.where(value > top, value, top)


def _tallied(t: Tracker, k: Any, value: Any, lane: Thresholds, shape: Shape, layout: Layout) -> Tracker:
    """``record.tally`` of one point."""
    since, gap = shape.steps - layout.window, value - lane.floor
    late, early = k > since, (k > since - layout.window) & (k <= since)
    return t._replace(
        sum_late=t.sum_late + jnp.where(late, gap, 0),
        sum_early=t.sum_early + jnp.where(early, gap, 0),
        max_late=jnp.where(late, _at_most(t.max_late, gap), t.max_late),
        max_early=jnp.where(early, _at_most(t.max_early, gap), t.max_early),
    )


class Steps:
    """What becomes of a lane, as functions of its arguments and of what is carried.

    ``watched``: steps show all of themselves, else their values alone, as in ``scan``.
    """

    def __init__(self, descent: Descent, watched: bool) -> None:
        self.descent, self.watched = descent, watched
        self.shape, self.layout = descent.shape, descent.layout

    def run(self, given: Given) -> Run:
        """The descent with these arguments."""
        own, common, shared = given
        return Run(self.descent, join(own, common), shared)

    def begin(self, given: Given) -> tuple[State, Tracker]:
        """Before the first step."""
        run = self.run(given)
        return run.begin(), record.new_tracker(self.shape, run.dtype, self.descent.counted)

    def nothing(self, given: Given) -> Reach:
        """Before the first point of a chunk."""
        dtype, full = given[0].x0.dtype, self.watched and self.shape.full
        top, none = jnp.full((), jnp.inf, dtype), jnp.zeros((), jnp.int32)
        return Reach(
            top, -top, jnp.zeros((), dtype), none - 1, -top if self.layout.by_gradient else (),
            none if self.watched else (), none if full else (), top if full else (),
        )  # fmt: skip

    def look(self, given: Given, s: State, t: Tracker, reach: Reach) -> tuple[State, Tracker, Reach]:
        """One step of which only the reach is kept, and the tally."""
        run = self.run(given)
        after, seen = run.advance(s, self.watched)
        limits, value, k = run.lane.thresholds, seen.value, s.k
        reach = reach._replace(
            low=jnp.minimum(reach.low, value), high=jnp.maximum(reach.high, value),
            away=jnp.maximum(reach.away, seen.away),
            above=jnp.where(value - limits.floor <= limits.tolerance, reach.above, k),
        )  # fmt: skip
        if record.asked(reach.tracked):
            reach = reach._replace(tracked=_at_most(reach.tracked, record.followed(seen, limits, self.layout)))
        if record.asked(reach.deeds):
            late = jnp.where(k >= self.shape.steps - self.layout.window, seen.deeds, 0)
            reach = reach._replace(deeds=reach.deeds | late)
            t = _tallied(t, k, value, limits, self.shape, self.layout)
        if record.asked(reach.overshoots):
            crossed = (seen.deeds & record.OVERSHOT > 0).astype(jnp.int32)
            reach = reach._replace(overshoots=reach.overshoots + crossed, gradient_norm=seen.gradient_norm)
        return after, t, reach

    def events(self, given: Given, k: Any, t: Tracker, reach: Reach) -> Any:
        """1 where the chunk from step k on has to be judged point by point, else 0."""
        run = self.run(given)
        # Asked after the first windows only, when it no longer matters whether single points are resolved.
        extent = Extent(reach.low, reach.high, reach.low, reach.high, reach.away)
        calm = record.uneventful(t, k[None], t.start, extent, run.far, run.lane.thresholds, self.layout)
        return jnp.where(calm, 0, 1)

    def take(self, given: Given, t: Tracker, reach: Reach) -> Tracker:
        """The tracker after a chunk in which nothing happened."""
        alive, floor = t.stop == record.NEVER, self.run(given).lane.thresholds.floor
        t = t._replace(
            best=jnp.where(alive, jnp.minimum(t.best, reach.low), t.best),
            last_above=jnp.where(alive, jnp.maximum(t.last_above, reach.above), t.last_above),
            window=_at_most(t.window, reach.tracked if record.asked(reach.tracked) else reach.high - floor),
        )
        if record.asked(reach.deeds):
            t = t._replace(lately=jnp.where(alive, t.lately | reach.deeds, t.lately))
        if record.asked(reach.overshoots):
            t = t._replace(
                overshoots=jnp.where(alive, t.overshoots + reach.overshoots, t.overshoots),
                gradient_norm=jnp.where(alive, reach.gradient_norm, t.gradient_norm),
            )
        return t

    def judge(self, given: Given, s: State, t: Tracker) -> tuple[State, Tracker]:
        """One step, its point judged by itself."""
        run = self.run(given)
        after, seen = run.advance(s, self.watched)
        limits = run.lane.thresholds
        t = record.judge(t, s.k, seen, run.far, limits, self.shape, self.layout)
        t = t._replace(window=_at_most(t.window, record.followed(seen, limits, self.layout)))
        if self.watched:
            t = _tallied(t, s.k, seen.value, limits, self.shape, self.layout)
        return after, t

    def close(self, given: Given, k: Any, t: Tracker) -> Tracker:
        """After a chunk, at step k."""
        return record.close_window(t, k, self.run(given).lane.thresholds, self.layout)

    def finish(self, given: Given, s: State, t: Tracker) -> dict[str, Any]:
        """The record after the last step."""
        run = self.run(given)
        told = run.judging.begin(s.k, len(s.x), run.dtype)._replace(t=t)
        return run.judging.finish(told, run.end(s))
