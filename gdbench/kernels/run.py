"""One descent step by step: what goes from step to step, what is seen at each point, and a chunk of steps judged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdbench.contracts import Oracle, Step
from gdbench.kernels import lanes, record
from gdbench.kernels.descent import Descent, Lane, Shared
from gdbench.kernels.judging import Judge, Last, Told, begun_after, restless
from gdbench.kernels.record import Seen


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

Carry = tuple[State, Told]
"""What goes from chunk to chunk."""


class Run:
    """The arguments of one descent with what follows from them; all methods are traced, none keeps state."""

    def __init__(self, descent: Descent, lane: Lane, shared: Shared) -> None:
        self.descent, self.lane, self.shared = descent, lane, shared
        self.problem, self.optimizer = descent.problem, descent.optimizer
        self.shape, self.layout = descent.shape, descent.layout
        self.dtype = lane.x0.dtype
        self.h = SimpleNamespace(**descent.static, **lane.hyperparameters)
        self.full = descent.oracle(shared.data, lane.parameters)
        if not descent.apart:
            self.judging = Judge(descent.rules, lane.thresholds, lane.x0, shared.targets, shared.minimizers)

    def key_at(self, k: Any) -> Any:
        """What draws the random numbers of step k."""
        (seed, word), lane = self.shared.key_words, self.lane
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), word), lane.start)
        return jax.random.fold_in(jax.random.fold_in(key, lane.seed), k)

    def oracle_at(self, k: Any) -> Oracle:
        """What step k may ask: the whole data, or its own mini-batch."""
        data = self.shared.data
        if self.problem.sample is not None:
            data = self.problem.sample(data, self.key_at(k))

        def own_key() -> Any:
            return jax.random.fold_in(self.key_at(k), OWN_NOISE)

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
        return value, self.length(gradient)

    def length(self, gradient: Any) -> Any:
        """How a step measures its gradient."""
        return norm(gradient)

    def value_at(self, s: State, step: Step) -> tuple[Any, Any]:
        """Value and gradient norm where the method is judged: what the step computed there if it did."""
        given = step.value is not None and (step.gradient is not None or not self.optimizer.uses_gradient)
        if self.optimizer.judge is not None or not given:
            return self.judge(s.x, s.optimizer)
        return step.value, self.length(step.gradient) if self.optimizer.uses_gradient else jnp.zeros((), self.dtype)

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
        state, begun = step.state, begun_after(s.counts, self.shape)
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
            seen = seen._replace(deeds=self.deeds(length, moved, jnp.sum(update * s.update)))
        if (watched and self.shape.full) or self.layout.by_gradient:
            seen = seen._replace(gradient_norm=length)
        counts = s.counts
        if self.descent.counted:
            seen = seen._replace(counts=counts)
            spent = jnp.stack([jnp.asarray(n, jnp.int32) for n in step.cost])
            counts = counts + (spent if begun is None else jnp.where(begun, spent, 0))
        steps = () if begun is None else s.begun + begun.astype(jnp.int32)
        return State(s.k + 1, x, state, update if watched else s.update, counts, steps), seen

    def deeds(self, length: Any, moved: Any, turn: Any) -> Any:
        """What a step shows of itself; ``turn``: the product of its update and the one before."""
        deeds = jnp.where(moved, record.MOVED, 0) | jnp.where(turn < 0, record.OVERSHOT, 0)
        return deeds | self.restless(length, moved)

    def restless(self, length: Any, moved: Any) -> Any:
        """The deed of a gradient norm."""
        return restless(self.optimizer.uses_gradient, length, moved, self.lane.thresholds)

    def judged(self, s: State) -> Seen:
        """What is seen at a point that is judged apart from its step."""
        value, length = self.judge(s.x, s.optimizer)
        return Seen(value, self.away(s.x, s.optimizer), self.restless(length, jnp.bool_(False)), length, s.counts)

    def body(self, watched: bool) -> Any:
        """One step for a loop."""

        def step(s: State, _: None) -> Any:
            after, seen = self.advance(s, watched)
            return after, (seen, s.x if self.shape.path_steps else ())

        return step

    def chunk(self, carry: Carry, length: int, watched: bool) -> Carry:
        """So many steps, and what they tell."""
        s, told = carry
        if self.problem.stochastic:
            # Judged once, on the whole data, where the chunk begins.
            told = self.judging.point(told, s.k, self.judged(s))
        by_elements = self.descent.engine == "lanes"
        s, told = lanes.scan(self.body(watched), s, length, self.judging.stages(), told, by_elements)
        return s, self.judging.close(told, length, s.k)

    def begin(self) -> State:
        """Before the first step."""
        x0, init_cost = self.lane.x0, np.array(self.optimizer.init_cost, np.int32)
        state = self.optimizer.init(self.oracle_at(jnp.int32(self.shape.steps)), x0, self.h)
        counts = jnp.asarray(init_cost) if self.descent.counted else ()
        none = jnp.zeros((), jnp.int32)
        return State(none, x0, state, jnp.zeros_like(x0), counts, none if self.shape.budget else ())

    def last(self, s: State) -> Last:
        """What is measured at the last point."""
        point = self.judged_point(s.x, s.optimizer)
        value, gradient = self.full.value_and_grad(point)
        unseen: Any = ()
        if self.problem.held_out is not None:
            unseen = self.descent.oracle(self.shared.held_out, self.lane.parameters).value(point)
        own = () if self.optimizer.judge is None else point
        return Last(s.x, own, value, norm(gradient), unseen, s.counts, s.begun)


def norm(gradient: Any) -> Any:
    """Euclidean length."""
    return jnp.sqrt(jnp.sum(gradient * gradient))
