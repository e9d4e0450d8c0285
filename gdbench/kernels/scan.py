"""The plain kernel: a block of lanes as ``vmap`` over a scan of steps.

``vmap`` stands outside the scan, so step counters stay unbatched, and optimizer state is never masked: a lane that
has ended runs on, with its record closed. A block ends early when all of its lanes have ended.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from gdbench.kernels import calm, lanes, record, together
from gdbench.kernels.descent import Descent, Lane, Shared
from gdbench.kernels.judging import Last
from gdbench.kernels.record import Seen
from gdbench.kernels.run import LIGHT_FROM, Run, State


def descend(descent: Descent, lane: Lane, shared: Shared) -> dict[str, Any]:
    """The record of one descent."""
    run = Whole(descent, lane, shared)
    return run.values() if descent.shape.bare else run.record()


def walk(descent: Descent, lane: Lane, shared: Shared) -> tuple[Seen, Any, Last]:
    """All that the steps of one descent show, for a judge apart: what is seen [steps], iterates [steps, dim] where a
    path is asked for, and what is measured at the last point.
    """
    return Whole(descent, lane, shared).walk()


class Whole(Run):
    """A whole descent."""

    def record(self) -> dict[str, Any]:
        """The whole descent; its loops end early when every lane of the block has ended."""
        chunks, rest = divmod(self.shape.steps, self.layout.chunk)
        light = self.light_chunks()
        s = self.begin()
        told = self.judging.begin(s.k, len(s.x), self.dtype)

        def loops(loop: Any) -> Any:
            _, _, (s, told) = loop
            quiet = calm.Calm(self, self.chunks_until)
            if quiet.serves(s, told.t):
                loop = quiet.descend(loop)
                if quiet.until == chunks:
                    return loop
            elif light:
                loop = self.chunks_until(loop, light, False)
            return self.chunks_until(loop, chunks, True)

        _, active, carry = loops((jnp.int32(0), jnp.bool_(True), (s, told)))
        if rest:
            carry = lax.cond(active, lambda c: self.chunk(c, rest, True), lambda c: c, carry)
        s, told = carry
        return self.judging.finish(told, self.last(s))

    def values(self) -> dict[str, Any]:
        """The last value and the best of all steps; nothing is judged."""

        def step(now: tuple[State, Any]) -> Any:
            after, seen = self.advance(now[0], False)
            return after, jnp.where(seen.value < now[1], seen.value, now[1])

        def loop(now: Any) -> Any:
            if self.descent.engine == "lanes":
                return together.walk(step, now, self.shape.steps)
            return lax.fori_loop(0, self.shape.steps, lambda _, now: step(now), now)

        s, best = loop((self.begin(), jnp.full((), jnp.inf, self.dtype)))
        final = self.judge(s.x, s.optimizer)[0]
        return self.judging.values(final, jnp.where(final < best, final, best))

    def walk(self) -> tuple[Seen, Any, Last]:
        """The whole descent, and what it shows."""
        by_elements, body = self.descent.engine == "lanes", self.body(True)
        show = [lanes.Stage(lambda emitted, _: emitted)]

        def loop(s: State) -> Any:
            return lanes.scan(body, s, self.shape.steps, show, (), by_elements)

        s, (seen, xs) = loop(self.begin())
        return seen, xs, self.last(s)

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
            return n + 1, lanes.in_any_lane(inner[1].t.stop == record.NEVER), inner

        return lax.while_loop(more, one_more, loop)
