"""The engine ``lanes`` for descents that are judged as they go: of most chunks only how far they reach is followed.

Steps of a chunk go together (``together``), and what they reach is taken at once. Where something happens in a lane,
the chunk is gone through again and judged, and what comes of that is kept for this lane alone: the two ways may differ
in rounding, and what other lanes do must change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gdbench.kernels import lanes, record, together
from gdbench.kernels.chunks import Range, Steps, ranges
from gdbench.kernels.descent import Descent, Lane, Shared, join
from gdbench.kernels.judging import Told
from gdbench.kernels.scan import Run, State

NOTHING = Lane({}, {}, (), (), (), ())
"""No arguments that a block has in common: they are joined to those of the lane."""


def quick_ranges(descent: Descent, own: Lane, common: Lane, shared: Shared) -> list[bool]:
    """For each range of steps of a descent whether its steps go together, given the arguments of a block of lanes and
    what these share; none where more of a chunk is asked for than how far it reaches.
    """
    shape, own = descent.shape, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), own)
    parts = ranges(shape, descent.layout)
    asked = shape.trace_steps or shape.path_steps or shape.targets or shape.bare or descent.counted
    if descent.engine != "lanes" or descent.problem.stochastic or asked:
        return [False] * len(parts)
    # Where more is followed, at the beginning and the end, a loop of its own takes longer to compile than it saves.
    light = [not (within.opening or within.early or within.late or within.deeds) for within in parts]
    return [
        is_light and _goes_together(Steps(descent, within), own, common, shared)
        for within, is_light in zip(parts, light, strict=True)
    ]


def _goes_together(steps: Steps, own: Lane, common: Lane, shared: Shared) -> bool:
    """Whether the loop over the steps of a chunk is one that LLVM vectorizes."""

    def begin(own: Lane, common: Lane, shared: Shared) -> Any:
        given = join(own, common), NOTHING, shared
        return (*steps.begin(given), steps.nothing(given))

    def look(own: Lane, common: Lane, shared: Shared, carry: Any) -> Any:
        return steps.look((join(own, common), NOTHING, shared), *carry)

    first, carry = jax.make_jaxpr(begin, return_shape=True)(own, common, shared)
    body = jax.make_jaxpr(look)(own, common, shared, carry).jaxpr
    given = [part is own for part in (own, common, shared) for _ in jax.tree.leaves(part)]
    flags = lanes.dependent(first.jaxpr, [*[False] * len(first.consts), *given])
    moves = [a is not b for a, b in zip(body.invars[len(given) :], body.outvars, strict=True)]
    differ, held = ([f for f, move in zip(flags, moves, strict=True) if move == which] for which in (True, False))
    known = [*[False] * len(body.constvars), *given, *held]
    return together.fits(together.loop_body(body, moves, len(given)), known, differ)


class Now(NamedTuple):
    """What goes from chunk to chunk: state and what is told; lanes in which something happened stand before the chunk
    ``eventful`` says so of, ``before`` is the state there as far as lanes do not differ in it.
    """

    s: list[Any]
    told: Told
    before: list[Any]
    eventful: Any
    some: Any
    active: Any


class Reach(Run):
    """One descent whose chunks are taken at once, or again."""

    def __init__(self, descent: Descent, lane: Lane, shared: Shared, quick: list[bool]) -> None:
        super().__init__(descent, lane, shared)
        self.given, self.quick = (lane, NOTHING, shared), quick

    def apart(self, s: State) -> list[Any]:
        """The numbers of a state, each by itself, so that those of all lanes lie together."""
        return [leaf.reshape(-1)[i] for leaf in jax.tree.leaves(s) for i in range(leaf.size)]

    def whole(self, numbers: list[Any]) -> State:
        """The state of these numbers."""
        left = iter(numbers)

        def leaf(like: Any) -> Any:
            if not like.shape:
                return next(left)
            parts = [next(left) for _ in range(like.size)]
            return jnp.stack(parts).reshape(like.shape) if parts else jnp.zeros(like.shape, like.dtype)

        return jax.tree.map(leaf, self.form)

    def light_chunks(self) -> int:
        """All chunks go through one loop."""
        return 0

    def chunks_until(self, loop: Any, end: int, watched: bool) -> Any:
        """Chunks until so many are done or all lanes have ended."""
        last = end * self.layout.chunk
        parts = [part for part in ranges(self.shape, self.layout) if part.first < last]
        loops = [
            self.taken(part, min(part.until, last)) if quick else self.left(part, min(part.until, last))
            for part, quick in zip(parts, self.quick, strict=False)
        ]

        def more(now: Now) -> Any:
            return (self.whole(now.s).k < last) & now.active

        def some_chunks(now: Now) -> Now:
            for loop in loops:
                now = loop(now)
            # A loop of one trip at most: a branch would have what is carried copied, whether taken or not.
            return lax.while_loop(lambda now: now.some, self.again, now)

        _, active, (s, told) = loop
        self.form = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), s)
        s = self.apart(s)
        now = Now(s, told, s, jnp.isnan(self.lane.x0[0]), jnp.bool_(False), active)
        now = lax.while_loop(more, some_chunks, now)
        return end, now.active, (self.whole(now.s), now.told)

    def taken(self, within: Range, until: int) -> Callable[[Now], Now]:
        """Chunks within a range of steps, each at once, until something happens in one."""
        steps = Steps(self.descent, within)

        def look(carry: Any) -> Any:
            s, t, reach = carry
            s, t, reach = steps.look(self.given, self.whole(s), t, reach)
            return self.apart(s), t, reach

        def chunk(now: Now) -> Now:
            s, told = now.s, now.told
            after, t, reach = together.walk(look, (s, told.t, steps.nothing(self.given)), self.layout.chunk)
            k, k_after = self.whole(s).k, self.whole(after).k

            def happens(_: Any) -> Any:
                return steps.events(self.given, k, t, reach)

            # In a loop of its own: else it would be computed again for each number that it decides about.
            eventful = together.walk(happens, jnp.where(jnp.isnan(self.lane.x0[0]), 1, 0), 1) > 0
            taken = told._replace(t=steps.take(self.given, k_after, t, reach))
            taken = self.judging.close(taken, self.layout.chunk, k_after)
            # Which of them: what lanes do not differ in is that after the chunk.
            s_now, told_now = lanes.choose(~eventful, (after, taken), (s, told))
            return Now(s_now, told_now, s, eventful, lanes.in_any_lane(eventful), now.active)

        return lambda now: lax.while_loop(lambda now: (self.whole(now.s).k < until) & ~now.some, chunk, now)

    def left(self, within: Range, until: int) -> Callable[[Now], Now]:
        """A chunk that is judged point by point, whatever happens in it."""

        def chunk(now: Now) -> Now:
            s = self.whole(now.s)
            after = self.apart(s._replace(k=s.k + self.layout.chunk))
            every = ~jnp.isnan(self.lane.x0[0]) | True
            return Now(after, now.told, now.s, every, jnp.bool_(True), now.active)

        return lambda now: lax.while_loop(lambda now: (self.whole(now.s).k < until) & ~now.some, chunk, now)

    def again(self, now: Now) -> Now:
        """The chunk before, point by point, of the lanes in which something happened."""
        s = self.whole(lanes.in_common(now.before, now.s))
        s, told = lanes.scan(self.body(True), s, self.layout.chunk, self.judging.stages(), now.told, True)
        told = self.judging.close(told._replace(reach=()), self.layout.chunk, s.k)
        s, told = lanes.choose(now.eventful, (self.apart(s), told), (now.s, now.told))
        return now._replace(
            s=s, told=told, some=jnp.bool_(False), active=lanes.in_any_lane(told.t.stop == record.NEVER)
        )  # fmt: skip


def descend(descent: Descent, lane: Lane, shared: Shared, quick: list[bool]) -> dict[str, Any]:
    """The record of one descent, whose ranges of steps are quick or not."""
    return Reach(descent, lane, shared, quick).record()
