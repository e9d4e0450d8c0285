"""What becomes of one lane by the engines ``fused`` and ``native``, and by ``lanes`` on calm chunks: chunks of which
only the reach is kept, or judged point by point.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdbench.kernels import record
from gdbench.kernels.descent import Descent, Lane, Shared, join
from gdbench.kernels.layout import Layout, Shape, Thresholds
from gdbench.kernels.record import Extent, Seen, Tracker
from gdbench.kernels.run import LIGHT_FROM, Run, State, norm

Given = tuple[Lane, Lane, Shared]
"""The arguments of a lane: its own, those that its block has in common, and those that the cell has."""


class Reach(NamedTuple):
    """What the points of a chunk reach so far; () for what nothing asks for.

    Attributes:
        low: the least value, and ``high`` the largest; a NaN may be lost here.
        lengths: sum of x_i² over all points: a sum costs the least, and what it tells of the largest of its terms is
            enough nearly always; NaN where a coordinate, a value or a gradient is not finite.
        gaps: sum of the gaps; then it tells of values that are not finite.
        above: the last step above the tolerance, -1 for none.
        tracked: the largest of what ``rate`` follows, and ``least_tracked`` the least.
        first: value and what ``rate`` follows at the first point, and ``last`` at the last one.
        moved: whether an update changed x; ``turn`` the least product of two updates, ``steep`` the largest squared
            length of a gradient: of the steps within W.
        overshoots: so many, and ``gradient_norm`` the last one.
    """

    low: Any
    high: Any
    lengths: Any
    above: Any
    tracked: Any = ()
    least_tracked: Any = ()
    first: Any = ()
    last: Any = ()
    moved: Any = ()
    turn: Any = ()
    steep: Any = ()
    overshoots: Any = ()
    gradient_norm: Any = ()
    gaps: Any = ()


class Deeds(NamedTuple):
    """What ``record`` draws the deeds of a step from."""

    length: Any
    moved: Any
    turn: Any


class Look(Run):
    """A descent whose steps show what their deeds are drawn from, and squares of lengths where those are enough."""

    @property
    def by_square(self) -> bool:
        """Whether nothing asks for the lengths themselves."""
        return not (self.shape.full or self.layout.by_gradient)

    def length(self, gradient: Any) -> Any:
        """The squared length, or the length."""
        return jnp.sum(gradient * gradient) if self.by_square else norm(gradient)

    def deeds(self, length: Any, moved: Any, turn: Any) -> Any:
        """What they are drawn from."""
        return Deeds(length, moved, turn)


def larger(top: Any, value: Any) -> Any:
    """The larger; NaN is left out."""
    return jnp.where(value > top, value, top)


def _at_least(bottom: Any, value: Any) -> Any:
    """The smaller, the later of two zeros."""
    return jnp.where(bottom < value, bottom, value)


class Range(NamedTuple):
    """Steps of a loop over chunks, first ≤ k < until, and what they are asked for.

    Attributes:
        watched: steps keep their updates.
        opening: ``rate`` may have to be taken between single points.
        early: some are in the window before W, and ``late`` in W.
    """

    first: int
    until: int
    watched: bool
    opening: bool
    early: bool
    late: bool


def ranges(shape: Shape, layout: Layout) -> list[Range]:
    """The loops of a descent: each shows no more of its steps than is asked for."""
    steps, chunk, since = shape.steps, layout.chunk, shape.steps - layout.window
    opening = min(steps, 2 * layout.rate_window)
    cuts = {opening, steps}
    if steps >= LIGHT_FROM:
        cuts |= {(since - layout.window) // chunk * chunk, since // chunk * chunk}
    found, first = [], 0
    for until in sorted(cuts - {0}):
        early, late = until > since - layout.window and first < since, until > since
        # An overshoot takes two updates, so W begins with a step that is watched.
        watched = shape.full or until > (since - layout.window) // chunk * chunk
        found.append(Range(first, until, watched, first < opening, early, late))
        first = until
    return found


class Steps:
    """What becomes of a lane, as functions of its arguments and of what is carried, within a range of steps."""

    def __init__(self, descent: Descent, within: Range) -> None:
        self.descent, self.within = descent, within
        self.shape, self.layout = descent.shape, descent.layout
        self.since = self.shape.steps - self.layout.window

    def run(self, given: Given, kind: type[Run] = Run) -> Any:
        """The descent with these arguments."""
        own, common, shared = given
        return kind(self.descent, join(own, common), shared)

    def rounded(self, value: Any) -> Any:
        """A value as it is stored: where a compiler may contract it with a sum, it must not."""
        return value

    def begin(self, given: Given) -> tuple[State, Tracker]:
        """Before the first step."""
        run = self.run(given)
        return run.begin(), record.new_tracker(self.shape, run.dtype, self.descent.counted)

    def nothing(self, given: Given) -> Reach:
        """Before the first point of a chunk."""
        dtype, full, within = given[0].x0.dtype, self.shape.full, self.within
        top, none, zero = jnp.full((), jnp.inf, dtype), jnp.zeros((), jnp.int32), jnp.zeros((), dtype)
        reach = Reach(top, -top, zero, none - 1)
        if self.layout.by_gradient:
            reach = reach._replace(tracked=-top, least_tracked=top if within.opening else ())
        if within.opening:
            reach = reach._replace(first=(zero, zero), last=(zero, zero))
        if within.late:
            reach = reach._replace(moved=jnp.bool_(False), turn=zero, steep=zero)
        return reach._replace(overshoots=none, gradient_norm=zero) if full else reach

    def look(self, given: Given, s: State, t: Tracker, reach: Reach) -> tuple[State, Tracker, Reach]:
        """One step of which only the reach is kept, and the tally."""
        run = self.run(given, Look)
        after, seen = run.advance(s, self.within.watched)
        seen = seen._replace(value=self.rounded(seen.value))
        limits, value, k = run.lane.thresholds, seen.value, s.k
        gap = value - limits.floor
        lengths = reach.lengths + jnp.sum(s.x * s.x)
        if run.optimizer.judge is not None:
            point = run.judged_point(s.x, s.optimizer)
            lengths += jnp.sum(point * point)
        reach = reach._replace(
            low=_at_least(reach.low, value), high=larger(reach.high, value), lengths=lengths,
            above=jnp.where(gap <= limits.tolerance, reach.above, k),
        )  # fmt: skip
        if record.asked(reach.gaps):
            reach = reach._replace(gaps=reach.gaps + gap)
        else:
            reach = reach._replace(lengths=reach.lengths + 0 * value)
        tracked = record.followed(seen, limits, self.layout)
        if record.asked(reach.tracked):
            reach = reach._replace(tracked=larger(reach.tracked, tracked))
        if record.asked(reach.least_tracked):
            reach = reach._replace(least_tracked=_at_least(reach.least_tracked, tracked))
        if self.within.opening:
            reach = self.at_ends(reach, k, value, tracked)
        return after, self.tallied(t, k, value, limits), self._with_deeds(reach, k, seen)

    def at_ends(self, reach: Reach, k: Any, value: Any, tracked: Any) -> Reach:
        """What a point adds if it is the first or the last one."""
        at_first = k % self.layout.chunk == 0
        first = tuple(jnp.where(at_first, new, old) for new, old in zip((value, tracked), reach.first, strict=True))
        return reach._replace(first=first, last=(value, tracked))

    def _with_deeds(self, reach: Reach, k: Any, seen: Seen) -> Reach:
        """What a step adds of its deeds."""
        if self.within.late:
            length, moved, turn = seen.deeds
            if self.within.first < self.since:
                late = k >= self.since
                moved, turn, length = moved & late, jnp.where(late, turn, 0), jnp.where(late, length, 0)
            reach = reach._replace(
                moved=reach.moved | moved, turn=_at_least(turn, reach.turn), steep=larger(reach.steep, length),
                lengths=reach.lengths + 0 * length,
            )  # fmt: skip
        if self.shape.full:
            crossed = (seen.deeds.turn < 0).astype(jnp.int32)
            reach = reach._replace(overshoots=reach.overshoots + crossed, gradient_norm=seen.gradient_norm)
        return reach

    def tallied(self, t: Tracker, k: Any, value: Any, lane: Thresholds) -> Tracker:
        """``record.tally`` of one point."""
        gap = value - lane.floor
        if self.within.early:
            early = (k >= self.since - self.layout.window) & (k < self.since)
            t = t._replace(
                sum_early=t.sum_early + jnp.where(early, gap, 0),
                max_early=jnp.where(early, larger(t.max_early, gap), t.max_early),
            )
        if self.within.late:
            late = k >= self.since
            t = t._replace(
                sum_late=t.sum_late + jnp.where(late, gap, 0),
                max_late=jnp.where(late, larger(t.max_late, gap), t.max_late),
            )
        return t

    def events(self, given: Given, k: Any, t: Tracker, reach: Reach) -> Any:
        """1 where the chunk from step k on has to be judged point by point, else 0."""
        run = self.run(given)
        # Where the sum of all squared distances is near enough, each of them is; sums are rounded.
        room = run.judging.far - jnp.max(jnp.abs(run.lane.x0))
        near = (1.01 * reach.lengths <= room * room) & jnp.isfinite(reach.lengths)
        near &= (room > 0) & (room * room >= float(jnp.finfo(run.dtype).tiny))
        if record.asked(reach.gaps):
            near &= jnp.isfinite(reach.gaps)
        floor = run.lane.thresholds.floor
        low = reach.least_tracked if record.asked(reach.least_tracked) else reach.low - floor
        high = reach.tracked if record.asked(reach.tracked) else reach.high - floor
        extent = Extent(reach.low, reach.high, low, high, jnp.where(near, 0, jnp.inf))
        start = reach.first[0] if reach.first else t.start
        calm = record.uneventful(t, k[None], start, extent, run.judging.far, run.lane.thresholds, self.layout)
        return jnp.where(calm, 0, 1)

    def take(self, given: Given, k: Any, t: Tracker, reach: Reach) -> Tracker:
        """The tracker before step k, after a chunk in which nothing happened."""
        run = self.run(given)
        alive, floor = t.stop == record.NEVER, run.lane.thresholds.floor
        t = t._replace(
            best=jnp.where(alive, jnp.minimum(t.best, reach.low), t.best),
            last_above=jnp.where(alive, jnp.maximum(t.last_above, reach.above), t.last_above),
            window=larger(t.window, reach.tracked if record.asked(reach.tracked) else reach.high - floor),
        )
        if self.within.opening:
            t = self.with_ends(t, k, alive, reach)
        if self.within.late:
            by_square = run.optimizer.uses_gradient and not (self.shape.full or self.layout.by_gradient)
            deeds = run.deeds(jnp.sqrt(reach.steep) if by_square else reach.steep, reach.moved, reach.turn)
            t = t._replace(lately=jnp.where(alive, t.lately | deeds, t.lately))
        if self.shape.full:
            t = t._replace(
                overshoots=jnp.where(alive, t.overshoots + reach.overshoots, t.overshoots),
                gradient_norm=jnp.where(alive, reach.gradient_norm, t.gradient_norm),
            )
        return t

    def with_ends(self, t: Tracker, k: Any, alive: Any, reach: Reach) -> Tracker:
        """With the first and the last point of the chunk before step k."""
        begin = (k - 1) // self.layout.chunk * self.layout.chunk
        new = alive & (t.first_at < 0)
        return t._replace(
            start=jnp.where(begin == 0, reach.first[0], t.start),
            first=jnp.where(new, reach.first[1], t.first), first_at=jnp.where(new, begin, t.first_at),
            last=jnp.where(alive, reach.last[1], t.last), last_at=jnp.where(alive, k - 1, t.last_at),
        )  # fmt: skip

    def judge(self, given: Given, s: State, t: Tracker) -> tuple[State, Tracker]:
        """One step, its point judged by itself."""
        run = self.run(given)
        after, seen = run.advance(s, self.within.watched)
        seen = seen._replace(value=self.rounded(seen.value))
        limits = run.lane.thresholds
        if not (self.within.late or self.shape.full):
            seen = seen._replace(deeds=())
        t = record.judge(t, s.k, seen, run.judging.far, limits, self.shape, self.layout)
        t = t._replace(window=larger(t.window, record.followed(seen, limits, self.layout)))
        return after, self.tallied(t, s.k, seen.value, limits)

    def close(self, given: Given, k: Any, t: Tracker) -> Tracker:
        """After a chunk, at step k."""
        return record.close_window(t, k, self.run(given).lane.thresholds, self.layout)

    def finish(self, given: Given, s: State, t: Tracker) -> dict[str, Any]:
        """The record after the last step."""
        run = self.run(given)
        told = run.judging.begin(s.k, len(s.x), run.dtype)._replace(t=t)
        return run.judging.finish(told, run.last(s))
