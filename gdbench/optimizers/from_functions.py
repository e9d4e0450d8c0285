"""Optimizers from two plain functions, whose cost is found by looking at what the step asks for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.errors import SuiteError, did_you_mean
from gdbench.lazy import jax, jnp
from gdbench.optimizers.rules import RATE, documented

SAY_THE_COST = "say what it costs: return Step(x, state, cost=Cost(g=…))"


def optimizer(
    init: Callable[..., Any],
    step: Callable[..., Any],
    name: str = "",
    *,
    uses_gradient: bool = True,
    **defaults: Any,
) -> Optimizer:
    """An optimizer from ``init(x) -> state`` and ``step(oracle, x, state, learning_rate, momentum=0.9) -> (x, state)``.

    x is a flat vector, state any pytree of arrays. ``oracle.value(x)``, ``oracle.value_and_grad(x)`` and
    ``oracle.hvp(x, v)`` answer; ``gdbench.contracts.Oracle`` has the rest. Arguments after the first three are
    hyperparameters, asked for by name: with a float as default, or none, traced, and so an axis; with an integer, a
    flag or a text static; with None left out unless a number is given. ``k`` is the number of the step, from 0 on.
    ``init`` may name hyperparameters too, after x.

    What a step costs is counted in its own program. Where that depends on values (a loop that ends when it is done),
    return a ``Step`` that says it.

    Args:
        init: state before the first step.
        step: one step; returns (x, state), or a ``Step``.
        name: its name in tables, in place of the step's own.
        uses_gradient: whether a vanishing gradient means that it is at rest; otherwise that nothing moves.
        **defaults: other defaults for hyperparameters.

    Raises:
        SuiteError: in one line, for a function of another form, or a default for what is no hyperparameter.
    """
    called = name or getattr(step, "__name__", type(step).__name__).strip("_")
    asked, begins = _names(step, 3, called), _names(init, 1, called)
    specs = {n: _spec(p) for n, p in {**begins, **asked}.items()}
    for key, value in defaults.items():
        if key not in specs:
            raise SuiteError([f"{called} has no hyperparameter {key!r}: {did_you_mean(key, specs)}"])
        specs[key] = _with_default(called, key, specs[key], value)

    def begin(oracle: Oracle, x: Array, h: Any) -> Any:
        given = init(x, **{n: getattr(h, n) for n in begins})
        return _as_arrays(called, given, x)

    def one(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
        told = {n: getattr(h, n) for n in asked} | ({"k": k} if _wants_number(step) else {})
        return _checked(called, lambda o, x, s: step(o, x, s, **told), oracle, x, state)

    formula, source = documented(step)
    return Optimizer(
        called, begin, one, specs, formula, source or f"{getattr(step, '__module__', '')}:{called}",
        family="gradient" if uses_gradient else "derivative-free", uses_gradient=uses_gradient,
        costs="counted in its program",
    )  # fmt: skip


def is_pair(given: Any) -> bool:
    """Whether something is a pair (init, step) of plain functions."""
    return isinstance(given, (tuple, list)) and len(given) == 2 and all(callable(part) for part in given)


# Hyperparameters


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    known = inspect.signature(function).parameters.values()
    return [p for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _wants_number(step: Callable[..., Any]) -> bool:
    return any(p.name == "k" for p in _parameters(step)[3:])


def _names(function: Callable[..., Any], skip: int, called: str) -> dict[str, inspect.Parameter]:
    """The arguments of a function that are hyperparameters: those after the first ones, but for ``k``."""
    form = "init(x)" if skip == 1 else "step(oracle, x, state, learning_rate, …)"
    try:
        parameters = _parameters(function)
    except (TypeError, ValueError):
        raise SuiteError([f"{called} must be a pair of functions init(x) and {form}, got {function!r}"]) from None
    places = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    if len(places) < skip:
        got = ", ".join(p.name for p in parameters)
        raise SuiteError([f"{called} must be {form}, got {getattr(function, '__name__', 'a function')}({got})"])
    return {p.name: p for p in parameters[skip:] if p.name != "k" and _is_number(p.default)}


def _is_number(default: Any) -> bool:
    """Whether an argument with this default is a hyperparameter: not where it is an object, a function say."""
    return default is inspect.Parameter.empty or default is None or isinstance(default, (bool, int, float, str))


def _spec(parameter: inspect.Parameter) -> Hyperparameter:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return RATE if parameter.name == "learning_rate" else Hyperparameter(None, "none: a value must be given")
    if default is None:
        return Hyperparameter(None, "its signature", optional=True)
    return Hyperparameter(default, "its signature", static=not isinstance(default, float))


def _with_default(called: str, key: str, spec: Hyperparameter, value: Any) -> Hyperparameter:
    """The hyperparameter with another default of the same kind."""
    if spec.static:
        fits = type(value) is type(spec.default)
    else:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits:
        kind = type(spec.default).__name__ if spec.static else "number"
        raise SuiteError([f"{called}: the default of {key!r} must be one {kind}, got {value!r}"])
    return Hyperparameter(value if spec.static else float(value), "given", spec.static)


# What the functions return


def _as_arrays(called: str, state: Any, x: Array) -> Any:
    """The state as arrays of fixed types: plain numbers take the precision of x."""

    def array(leaf: Any) -> Any:
        if isinstance(leaf, float):
            return jnp.asarray(leaf, x.dtype)
        if isinstance(leaf, (bool, int)):
            return jnp.asarray(leaf, bool if isinstance(leaf, bool) else jnp.int32)
        if not hasattr(leaf, "dtype"):
            raise SuiteError([f"{called}: init must return arrays, got a {type(leaf).__name__} in the state"])
        return jnp.asarray(leaf)

    return jax.tree.map(array, state)


def _checked(called: str, step: Callable[..., Any], oracle: Oracle, x: Array, state: Any) -> Step:
    """One step of a user's function, with what it returned put into form, and its cost."""
    given = step(oracle, x, state)
    if not isinstance(given, Step):
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            got = f"{len(given)} things" if isinstance(given, (tuple, list)) else "one array or something else"
            raise SuiteError([f"{called}: step must return (x, state) or a Step, it returns {got}"])
        given = Step(given[0], given[1])
    moved = jnp.asarray(given.x)
    if moved.shape != x.shape:
        raise SuiteError([f"{called}: step must return x of shape {x.shape}, it returns {moved.shape}"])
    if not jnp.issubdtype(moved.dtype, jnp.floating):
        raise SuiteError([f"{called}: step must return x of type {x.dtype}, it returns {moved.dtype}"])
    after = _like(called, given.state, state)
    # The very object that stands in the contract as default: no cost was said.
    unsaid = given.cost is None or given.cost is Step._field_defaults["cost"]
    cost = _count(called, step, oracle, x, state) if unsaid else Cost(*given.cost)
    return given._replace(x=moved.astype(x.dtype), state=after, cost=cost)


def _like(called: str, new: Any, old: Any) -> Any:
    """The new state with the types of the old one; another form is refused."""

    def form(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: f"{jnp.asarray(leaf).dtype}{list(jnp.shape(leaf))}", tree)

    def cast(after: Any, before: Any) -> Any:
        after = jnp.asarray(after)
        kinds = [next((k for k in kinds_of if jnp.issubdtype(a.dtype, k)), a.dtype) for a in (after, before)]
        if after.shape != before.shape or kinds[0] != kinds[1]:
            raise ValueError
        return after if after.dtype == before.dtype else after.astype(before.dtype)

    kinds_of = (jnp.floating, jnp.integer)
    try:
        return jax.tree.map(cast, new, old)
    except (TypeError, ValueError):
        told = form(old), form(new)
    raise SuiteError([f"{called}: step must return a state of the form it was given, {told[0]}, it returns {told[1]}"])


# What a step costs


def _count(called: str, step: Callable[..., Any], oracle: Oracle, x: Array, state: Any) -> Cost:
    """The evaluations that a step asks for, counted in its program.

    Raises:
        SuiteError: where they depend on values.
    """

    def moved(x: Array, state: Any) -> Any:
        given = step(_marked(oracle, x), x, state)
        return given[0]

    jaxpr = jax.make_jaxpr(moved)(x, state)
    try:
        return _sum(jaxpr.jaxpr)
    except _DependsOnValues as loop:
        what = f"{called}: how often its step asks depends on values (it asks inside {loop}): {SAY_THE_COST}"
    raise SuiteError([what])


class _DependsOnValues(Exception):
    """A call stands in a loop or a branch."""


VALUE, GRADIENT, HVP = "gdbench_asks_value", "gdbench_asks_gradient", "gdbench_asks_hvp"
MARKS = {VALUE: Cost(f=1), GRADIENT: Cost(g=1), HVP: Cost(h=1)}
"""Names that calls of the oracle have in a program, and what each costs. The first answer of each is one number."""


def _mark(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that shows in a program as a call of that name."""

    def call(*args: Any) -> Any:
        return function(*args)

    call.__name__ = name
    return jax.jit(call)


def _marked(oracle: Oracle, x: Array) -> Oracle:
    """An oracle whose answers are of the right form and mean nothing, and whose calls show in the program.

    What is derived from a call shows as the call of the derivative: a value differentiated is a gradient, a gradient
    differentiated a product with the Hessian, and residuals differentiated are as many gradients as x has coordinates.
    """
    ask_gradient = _mark(GRADIENT, lambda x: (jnp.sum(x), x))
    ask_hvp = _mark(HVP, lambda x, v: (jnp.sum(x * v), x * v))
    value, value_and_grad = jax.custom_jvp(_mark(VALUE, jnp.sum)), jax.custom_jvp(ask_gradient)

    @value.defjvp
    def _(at: Any, along: Any) -> Any:
        answer, gradient = value_and_grad(*at)
        return answer, gradient @ along[0]

    @value_and_grad.defjvp
    def _(at: Any, along: Any) -> Any:
        answer, gradient = ask_gradient(*at)
        return (answer, gradient), (gradient @ along[0], ask_hvp(*at, *along)[1])

    told = oracle._replace(value=value, value_and_grad=value_and_grad, hvp=lambda x, v: ask_hvp(x, v)[1])
    if oracle.residuals is None:
        return told
    count = jax.eval_shape(oracle.residuals, x).shape[0]
    ask_residuals = _mark(VALUE, lambda x: (jnp.sum(x), jnp.broadcast_to(jnp.sum(x), (count,))))
    residuals = jax.custom_jvp(lambda x: ask_residuals(x)[1])

    @residuals.defjvp
    def _(at: Any, along: Any) -> Any:
        columns, _ = jax.vmap(ask_gradient)(jnp.broadcast_to(at[0], (at[0].size, at[0].size)))
        return jnp.broadcast_to(jnp.sum(columns), (count,)), jnp.broadcast_to(columns @ along[0], (count,))

    return told._replace(residuals=residuals)


def _sum(jaxpr: Any) -> Cost:
    """The calls in a program, those in loops as often as they run."""
    total = Cost()
    for equation in jaxpr.eqns:
        name, inside = equation.primitive.name, [_sum(program) for program in _programs(equation.params)]
        mark = MARKS.get(equation.params.get("name"))
        if mark is not None:
            # Under vmap one call answers for many points, each of which was asked for.
            found = _times(mark, math.prod(equation.outvars[0].aval.shape))
        elif name == "cond":
            if len(set(inside)) > 1:
                raise _DependsOnValues("a branch")
            found = inside[0]
        else:
            found = _plus(*inside)
            if name == "while" and any(found):
                raise _DependsOnValues("a loop that ends when it is done")
            found = _times(found, equation.params["length"]) if name == "scan" else found
        total = _plus(total, found)
    return total


def _programs(parameters: Any) -> Iterator[Any]:
    """The programs within an equation of a program."""
    for value in parameters.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part


def _plus(*costs: Cost) -> Cost:
    return Cost(*(sum(parts) for parts in zip(*costs, strict=True))) if costs else Cost()


def _times(cost: Cost, times: int) -> Cost:
    return Cost(*(n * times for n in cost))
