"""The engine ``lanes`` on a long descent: chunks of which a lane keeps the reach alone, as long as nothing happens.

The steps of a chunk, and how far its points reach (``chunks``), are one loop over the lanes (``together``) that hands
nothing over through memory. Such chunks follow each other until something happens in a lane of the block. Then the
last of them are gone through again and judged point by point, and of the lanes in which something happened the tracker
is taken from there. That of the others, and every iterate, are those of the first time: the two may round differently,
and so what a lane returns does not depend on its neighbours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gdbench.kernels import lanes, record, together
from gdbench.kernels.chunks import Given, Range, Reach, Steps, larger
from gdbench.kernels.compiler import MANY, pairs_checked
from gdbench.kernels.descent import Lane
from gdbench.kernels.judging import Told
from gdbench.kernels.layout import Thresholds
from gdbench.kernels.record import Tracker
from gdbench.kernels.run import Run, State

SPAN = 200
"""Steps between two looks whether something happened, about: each costs as much as two steps. They are the steps that
are gone through again.
"""

WINDOWS = "window", "early", "early_at", "late", "late_at"
"""What changes of the tracker though nothing happens: the windows of ``rate``."""


class Now(NamedTuple):
    """What goes from chunk to chunk.

    Attributes:
        s: the state.
        reach: since something happened; its lengths since one looked, its gaps and largest numbers of the last chunk.
        high: the largest value since something happened.
        total: the sum of the gaps of W, or of the window before it, a chunk at a time: in one order for a lane,
            whatever happens beside it.
        t: what changes of the tracker.
    """

    s: State
    reach: Reach
    high: Any
    total: Any
    t: dict[str, Any]


class Running(Steps):
    """Steps whose reach goes on from chunk to chunk; the first of their points was seen before."""

    def nothing(self, given: Given) -> Reach:
        """Before the first point."""
        reach = super().nothing(given)
        reach = reach._replace(gaps=jnp.zeros_like(reach.lengths))
        return reach._replace(first=(), last=reach.last[1]) if self.within.opening else reach

    def at_ends(self, reach: Reach, k: Any, value: Any, tracked: Any) -> Reach:
        """With the last point."""
        return reach._replace(last=tracked)

    def with_ends(self, t: Tracker, k: Any, alive: Any, reach: Reach) -> Tracker:
        """With the last point before step k, while single points are asked for."""
        now = alive & (k <= 2 * self.layout.rate_window)
        return t._replace(last=jnp.where(now, reach.last, t.last), last_at=jnp.where(now, k - 1, t.last_at))

    def tallied(self, t: Tracker, k: Any, value: Any, lane: Thresholds) -> Tracker:
        """Nothing: sums are taken from the reach."""
        return t

    def events(self, given: Given, k: Any, t: Tracker, reach: Reach) -> Any:
        """Whether something happens in the chunks from step k on."""
        event = super().events(given, k, t, reach) > 0
        if self.within.opening:
            # As long as single points are asked for, the first of them has to be known.
            event |= (t.first_at < 0) & (k < 2 * self.layout.rate_window) & (t.stop >= 2 * k)
        return event

    def take_all(self, given: Given, t: Tracker, now: Now) -> Tracker:
        """The tracker after chunks in which nothing happened, or none."""
        k, top = now.s.k, now.high - given[0].thresholds.floor
        taken = self.take(given, k, t, now.reach)._replace(window=t.window)
        late, early = k > self.since, (k > self.since - self.layout.window) & (k <= self.since)
        taken = taken._replace(
            lately=jnp.where(late, taken.lately, t.lately),
            sum_early=jnp.where(early, now.total, t.sum_early),
            sum_late=jnp.where(late, now.total, t.sum_late),
            max_early=jnp.where(early, jnp.maximum(t.max_early, top), t.max_early),
            max_late=jnp.where(late, jnp.maximum(t.max_late, top), t.max_late),
        )
        return choose(now.reach.low < jnp.inf, taken, t)


class After(NamedTuple):
    """How it is after some chunks: how many are done, the state, and the tracker; how all this was when one looked for
    the last time but one, ``begun``; whether something happened since (``again``), and in which lanes (``event``).
    """

    n: Any
    s: State
    t: Tracker
    begun: tuple[Any, State, Tracker]
    event: Any
    again: Any


class Phase:
    """Chunks that are asked for the same.

    Attributes:
        steps: what becomes of a lane in them.
        first: of these chunks.
        ends: the chunks before which the reach is taken, the last of them behind the last of these.
        opening: chunks in which ``rate`` may have to be taken between single points.
    """

    def __init__(self, run: Run, within: Range, first: int, ends: Sequence[int]) -> None:
        self.run, self.layout = run, run.layout
        self.given = run.lane, Lane({}, {}, (), (), (), ()), run.shared
        self.steps, self.first, self.ends = Running(run.descent, within), first, ends
        self.opening = ends[0] if within.opening else 0

    def fits(self, s: State, t: Tracker) -> bool:
        """Whether LLVM makes of a chunk what it is meant to be."""
        return together.fits(self.look(t), self.carried(self.start(s, t)))

    def start(self, s: State, t: Tracker) -> Now:
        """Nothing happened so far."""
        reach, since = self.steps.nothing(self.given), self.steps.since
        total = jnp.where(s.k >= since, t.sum_late, jnp.where(s.k >= since - self.layout.window, t.sum_early, 0))
        return Now(s, reach, reach.high, total, {name: getattr(t, name) for name in WINDOWS})

    def carried(self, now: Now) -> tuple[State, Reach]:
        """What goes from step to step."""
        lowest = jnp.full_like(now.reach.high, -jnp.inf)
        reach = now.reach._replace(high=lowest, gaps=jnp.zeros_like(lowest))
        return now.s, reach._replace(tracked=lowest) if record.asked(reach.tracked) else reach

    def look(self, t: Tracker) -> Callable[[Any], Any]:
        """A step."""

        def step(carried: tuple[State, Reach]) -> tuple[State, Reach]:
            s, _, reach = self.steps.look(self.given, carried[0], t, carried[1])
            return s, reach

        return step

    def chunk(self, t: Tracker, now: Now) -> Now:
        """After one more chunk."""
        limits = self.run.lane.thresholds
        s, reach = together.walk(self.look(t), self.carried(now), self.layout.chunk)
        top = reach.tracked if record.asked(reach.tracked) else reach.high - limits.floor
        t = t._replace(**now.t)
        t = record.close_window(t._replace(window=larger(t.window, top)), s.k, limits, self.layout)
        moving = {name: getattr(t, name) for name in WINDOWS}
        return Now(s, reach, larger(now.high, reach.high), now.total + reach.gaps, moving)

    def go_on(self, n: Any, s: State, t: Tracker, may: Any) -> After:
        """Chunks from n on until something happens, or they come to an end; none if they may not."""
        until = self.ends[-1]
        for end in self.ends[-2::-1]:
            until = jnp.where(n < end, end, until)
        until = jnp.where(may & (n >= self.first), until, n)
        span = max(1, SPAN // self.layout.chunk)

        def some(carry: Any) -> Any:
            _, _, n, now, _, _ = carry
            end = jnp.minimum(until, n + jnp.where(n < self.opening, 1, span))
            # Summed anew between two looks: where a lane is looked at must not depend on when others were.
            fresh = now._replace(reach=now.reach._replace(lengths=jnp.zeros_like(now.reach.lengths)))
            after = lax.fori_loop(n, end, lambda _, now: self.chunk(t, now), fresh)
            reach = after.reach._replace(high=after.high, gaps=after.total)
            event = self.steps.events(self.given, now.s.k, t, reach)
            return n, now, end, after, event, lanes.in_any_lane(event)

        start = self.start(s, t)
        first = n, start, n, start, jnp.zeros_like(start.reach.low, bool), jnp.bool_(False)
        begun, before, n, now, event, again = lax.while_loop(lambda c: (c[2] < until) & ~c[5], some, first)
        return After(n, now.s, self.take(t, now), (begun, before.s, self.take(t, before)), event, again)

    def take(self, t: Tracker, now: Now) -> Tracker:
        """The tracker with what is kept of these chunks."""
        return self.steps.take_all(self.given, t._replace(**now.t), now)


class Calm:
    """A descent that goes so, its end too; ``judge(loop, until, watched)`` judges chunks point by point."""

    def __init__(self, run: Run, judge: Callable[[Any, Any, bool], Any]) -> None:
        self.run, self.layout, self.judge = run, run.layout, judge
        chunk, window, steps = run.layout.chunk, run.layout.window, run.shape.steps
        since = steps - window
        # An overshoot takes two updates, so the chunk before W is watched, too; what it does is left.
        self.ends = -(-2 * run.layout.rate_window // chunk), (since - window) // chunk, since // chunk - 1
        watched = since // chunk, steps // chunk
        self.phases = [
            Phase(run, Range(0, since, run.shape.full, opening=True, early=False, late=False), 0, self.ends),
            Phase(run, Range(since, steps, True, opening=False, early=False, late=True), self.ends[-1], watched),
        ]

    def serves(self, s: State, t: Tracker) -> bool:
        """Whether nothing is asked for at certain steps, W is made of whole chunks, and LLVM makes of a chunk what it
        is meant to be.
        """
        run, shape, layout = self.run, self.run.shape, self.layout
        if run.descent.engine != "lanes" or run.descent.counted or run.problem.stochastic or pairs_checked() < MANY:
            return False
        if shape.trace_steps or shape.targets or shape.path_steps or list(self.ends) != sorted(self.ends):
            return False
        if shape.steps % layout.chunk or layout.window % layout.chunk or not self.phases[0].fits(s, t):
            return False
        self.phases = [phase for phase in self.phases if phase.fits(s, t)]
        self.until, self.watched = self.phases[-1].ends[-1], shape.full or len(self.phases) > 1
        return True

    def begin(self, s: State, told: Told) -> Told:
        """What is known of the first point, before the first step."""
        limits = self.run.lane.thresholds
        value, length = self.run.judge(s.x, s.optimizer)
        first = record.followed(record.Seen(value, (), gradient_norm=length), limits, self.layout)
        usable = jnp.isfinite(first) & (first > record.resolution(limits, first.dtype))
        at = jnp.where(usable, 0, -1).astype(jnp.int32)
        return told._replace(t=told.t._replace(start=value, first=first, first_at=at, last=first, last_at=at))

    def go_on(self, n: Any, s: State, t: Tracker) -> After:
        """Chunks from n on until something happens, or they come to an end."""
        first, *more = self.phases
        after = first.go_on(n, s, t, jnp.bool_(True))
        for phase in more:
            last = phase.go_on(after.n, after.s, after.t, ~after.again)
            begun, event = choose(after.again, (after.begun, after.event), (last.begun, last.event))
            after = last._replace(begun=begun, event=event, again=after.again | last.again)
        return after

    def descend(self, loop: Any) -> Any:
        """Chunks until that of ``until``, from (chunks done, whether a lane goes on, (state, what is known))."""

        def go_on(loop: Any) -> Any:
            n, active, (s, told) = loop
            n, s, t, (begun, state, known), event, again = self.go_on(n, s, told.t)

            def point_by_point() -> Tracker:
                before = begun, active, (state, told._replace(first=state.k, t=known))
                _, _, (_, judged) = self.judge(before, n, self.watched)
                return choose(event, judged.t, t)

            t = lax.cond(again, point_by_point, lambda: t)
            return n, lanes.in_any_lane(t.stop == record.NEVER), (s, told._replace(first=s.k, t=t))

        n, active, (s, told) = loop
        first = n, active, (s, self.begin(s, told))
        return lax.while_loop(lambda loop: (loop[0] < self.until) & loop[1], go_on, first)


def choose(question: Any, yes: Any, no: Any) -> Any:
    """One of two, leaf by leaf."""
    return jax.tree.map(functools.partial(jnp.where, question), yes, no)
