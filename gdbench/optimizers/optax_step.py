"""How a transformation of optax becomes an optimizer of gdbench.

Every update is told what it asks for and nothing else, which is found by looking into it: a chain of transformations
is a function that closes over those of its parts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.errors import SuiteError
from gdbench.lazy import jax, jnp, optax
from gdbench.optimizers.optax_facts import JUDGED

EXTRA = ("value", "grad", "value_fn", "obj_fn", "grad_fn")
"""What an update may ask for beside gradient, state and parameters."""


class Asked(NamedTuple):
    """What was found in a transformation: the extra arguments it takes, and the functions of optax that made it."""

    extra: frozenset[str]
    made_by: frozenset[str]

    @property
    def judged(self) -> str | None:
        """Which of the methods that are judged elsewhere than at x it holds."""
        return next((kind for kind in JUDGED if kind in self.made_by), None)


def _parts(thing: Any) -> list[Any]:
    """What a function, a container or a method holds."""
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, (tuple, list)):
        return list(thing)
    if isinstance(thing, Mapping):
        return list(thing.values())
    if inspect.ismethod(thing):
        return [thing.__func__, *vars(thing.__self__).values()] if hasattr(thing.__self__, "__dict__") else []
    if inspect.isfunction(thing):
        return [value for value in inspect.getclosurevars(thing).nonlocals.values()]
    return []


def _takes(update: Any) -> tuple[set[str], bool]:
    """Names that an update function takes after gradient, state and parameters, and whether it takes any other."""
    parameters = list(inspect.signature(update).parameters.values())
    names = {p.name for p in parameters[2:]} & set(EXTRA)
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)


def look_into(transformation: Any) -> Asked:
    """What a transformation asks for, its parts included."""
    extra, takes_any = _takes(transformation.update)
    inner: set[str] = set()
    made_by: set[str] = set()
    seen: dict[int, Any] = {}
    queue = [transformation.update, transformation.init]
    while queue:
        thing = queue.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        queue += _parts(thing)
        if inspect.isfunction(thing):
            if (thing.__module__ or "").split(".")[0] == "optax":
                made_by.add(thing.__qualname__.split(".")[0])
            if "state" in list(inspect.signature(thing).parameters)[1:2]:
                inner |= _takes(thing)[0]
    return Asked(frozenset(extra | inner if takes_any else extra), frozenset(made_by))


class Calls:
    """What is asked through functions handed to an update, counted where the calls are written down.

    A call within a loop of the update's own counts once: line searches say themselves how often theirs went round.
    """

    def __init__(self, oracle: Oracle) -> None:
        self.oracle, self.f, self.g = oracle, 0, 0

    def value(self) -> Callable[[Any], Array]:
        """params -> f, which counts one f, or one g where it is differentiated."""

        def plain(params: Any) -> Array:
            return self.oracle.value(self.oracle.ravel(params))

        @jax.custom_jvp
        def value(params: Any) -> Array:
            self.f += 1
            return plain(params)

        @value.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            self.g += 1
            return jax.jvp(plain, primals, tangents)

        return lambda params: value(params)

    def gradient(self, params: Any, _: Any = None) -> Any:
        """Params -> gradient; the second argument would choose a batch, and a step has but one."""
        self.g += 1
        return self.oracle.unravel(self.oracle.value_and_grad(self.oracle.ravel(params))[1])


class Walk(NamedTuple):
    """What goes from step to step.

    Attributes:
        inner: optax's own state.
        known: value and gradient at x, where the search that chose x left them; () where none did.
        point: where the method wants to be judged, flat; () for x itself.
    """

    inner: Any
    known: Any = ()
    point: Any = ()


def searches(state: Any) -> list[Any]:
    """The states of line searches, and of Hutchinson's estimator, within a state."""
    kinds = (
        optax.ScaleByZoomLinesearchState, optax.ScaleByBacktrackingLinesearchState, optax.contrib.HutchinsonState,
    )  # fmt: skip
    return [s for s in jax.tree.leaves(state, is_leaf=lambda s: isinstance(s, kinds)) if isinstance(s, kinds)]


def last_search(state: Any) -> Any:
    """The state of a line search that ends a chain and stores the gradient at the point it chose; None without."""
    while type(state) is tuple and state:
        state = state[-1]
    kinds = (optax.ScaleByZoomLinesearchState, optax.ScaleByBacktrackingLinesearchState)
    return state if isinstance(state, kinds) and state.grad is not None else None


def search_cost(before: Any, after: Any) -> Cost:
    """What one line search, or one estimate of the Hessian, asked for in a step."""
    if isinstance(after, optax.contrib.HutchinsonState):
        # The key moves on with every estimate.
        keys = [jax.random.key_data(state.key) for state in (before, after)]
        return Cost(0, 0, jnp.any(keys[0] != keys[1]).astype(jnp.int32))
    tries = after.info.num_linesearch_steps
    if isinstance(after, optax.ScaleByZoomLinesearchState):
        return Cost(0, tries)
    # Backtracking tries values; where it stores the gradient, that of the last try comes with it.
    return Cost(tries) if after.grad is None else Cost(tries - 1, 1)


def step_cost(before: Walk, inner: Any, calls: Calls, k: Array) -> Cost:
    """What a step of the lane's own asked for."""
    # A gradient left by the search was asked for then, apart from the first.
    g = (k == 0).astype(jnp.int32) if before.known else 1
    spent = [search_cost(*pair) for pair in zip(searches(before.inner), searches(inner), strict=True)]
    if not spent:
        return Cost(calls.f, g + calls.g)
    return Cost(*(sum(parts) for parts in zip(Cost(0, g), *spent, strict=True)))


def _judged_point(kind: str, inner: Any, moved: Any) -> Any:
    """Where the method wants to be judged, as the problem's own x."""
    if kind == "lookahead":
        return moved.slow
    state_type: Any = optax.contrib.ScheduleFreeState if kind == "schedule_free" else optax.contrib.SAMState
    states = jax.tree.leaves(inner, is_leaf=lambda s: isinstance(s, state_type))
    state: Any = next(s for s in states if isinstance(s, state_type))
    if kind == "schedule_free":
        return optax.contrib.schedule_free_eval_params(state, moved)
    if state.cache is None:
        return moved
    # Between two of its real steps x stands where f is worst nearby.
    return jax.tree.map(lambda x, real: jnp.where(state.steps_since_sync == 0, x, real), moved, state.cache)


def _like(new: Any, old: Any) -> Any:
    """The new value in the type of the old: the carry of a scan must not change its own."""
    new = jnp.asarray(new)
    return new if new.dtype == old.dtype else new.astype(old.dtype)


class Run:
    """An optax transformation as init and step; ``build(oracle, h)`` makes it anew inside the traced step."""

    def __init__(self, name: str, build: Callable[[Oracle, Any], Any], judged: str | None) -> None:
        self.name, self.build, self.judged = name, build, judged

    def init(self, oracle: Oracle, x: Array, h: Any) -> Walk:
        """Optax's state, and what is known before the first step."""
        transformation = self.build(oracle, h)
        if look_into(transformation).judged != self.judged:
            raise SuiteError([f"{self.name} is judged elsewhere than at x: give it as a finished transformation"])
        params = oracle.unravel(x)
        if self.judged == "lookahead":
            params = optax.LookaheadParams.init_synced(params)
        inner = transformation.init(params)
        reused = last_search(inner) is not None and not oracle.stochastic
        return Walk(inner, oracle.value_and_grad(x) if reused else (), x if self.judged else ())

    def step(self, oracle: Oracle, x: Array, state: Walk, h: Any, k: Array) -> Step:
        """One update, applied."""
        transformation, calls = self.build(oracle, h), Calls(oracle)
        asked = look_into(transformation)
        value, gradient = state.known or oracle.value_and_grad(x)
        params, grads = oracle.unravel(x), oracle.unravel(gradient)
        value_fn = self._value_fn(state, oracle, calls)
        offers = {"value": value, "grad": grads, "value_fn": value_fn, "obj_fn": value_fn, "grad_fn": calls.gradient}
        if self.judged == "lookahead":
            params = optax.LookaheadParams(fast=params, slow=oracle.unravel(state.point))
        offered = {"value": value, "grad": grads, "grad_fn": calls.gradient}
        told = {
            name: offered[name] if name in offered else self._value_fn(state, oracle, calls) for name in asked.extra
        }
        if "differentially_private_aggregate" in asked.made_by:
            grads = jax.tree.map(lambda g: g[None], grads)  # a batch of one example
        told = {name: offers[name] for name in asked.extra}
        updates, inner = transformation.update(grads, state.inner, params, **told)
        inner = jax.tree.map(_like, inner, state.inner)
        moved: Any = optax.apply_updates(params, updates)
        cost = step_cost(state, inner, calls, k)
        after = Walk(inner, self._left_by_search(state, inner, oracle), self._point(inner, moved, oracle, x))
        x_next = oracle.ravel(moved.fast if self.judged == "lookahead" else moved)
        return Step(x_next.astype(x.dtype), after, value, gradient, cost)

    def _value_fn(self, state: Walk, oracle: Oracle, calls: Calls) -> Callable[[Any], Array]:
        """The objective of the problem's own x, counted call by call where nothing else tells."""
        if searches(state.inner):
            return lambda params: oracle.value(oracle.ravel(params))
        return calls.value()

    def _left_by_search(self, state: Walk, inner: Any, oracle: Oracle) -> Any:
        """Value and gradient at the new x, as the search left them."""
        if not state.known:
            return ()
        search = last_search(inner)
        left = (search.value, oracle.ravel(search.grad))
        # A search that found no step says so by a rate of 0, and leaves what it tried last.
        return tuple(jnp.where(search.learning_rate > 0, a, b) for a, b in zip(left, state.known, strict=True))

    def _point(self, inner: Any, moved: Any, oracle: Oracle, x: Array) -> Any:
        if not self.judged:
            return ()
        return oracle.ravel(_judged_point(self.judged, inner, moved)).astype(x.dtype)


def from_builder(
    name: str,
    build: Callable[[Oracle, Any], Any],
    hyperparameters: Mapping[str, Hyperparameter],
    judged: str | None = None,
    **facts: Any,
) -> Optimizer:
    """An optimizer from ``build(oracle, h) -> optax.GradientTransformation``.

    ``x`` and the gradient reach it as the problem's own pytree. ``judged`` is one of ``JUDGED``.
    """
    run = Run(name, build, judged)
    return Optimizer(
        name,
        run.init,
        run.step,
        dict(hyperparameters),
        judge=(lambda x, state, h: state.point) if judged else None,
        **facts,
    )
