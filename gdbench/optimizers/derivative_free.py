"""Methods that ask for values alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.lazy import jnp, lax
from gdbench.optimizers.rules import documented


class Known(NamedTuple):
    """The value at the iterate, which the next step need not ask for again."""

    value: Array


def _begin(oracle: Oracle, x: Array, h: Any) -> Known:
    return Known(oracle.value(x))


def _trial_and_error(oracle: Oracle, x: Array, state: Known, h: Any, k: Array) -> Step:
    """For each i in turn: x ← x + δ eᵢ if that lowers f, else x − δ eᵢ if that does, else x

    One step goes once through all parameters and costs one evaluation a parameter that improves at the first try,
    two otherwise. On a stochastic problem the value at x is asked for anew, since the batch is another.

    Source: the coordinate search that introductory texts set against the gradient; compare Hooke, Jeeves,
    J. ACM 8 (1961), 212–229.
    """
    start = oracle.value(x) if oracle.stochastic else state.value
    increment = jnp.asarray(h.increment, x.dtype)

    def try_one(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], None]:
        x, best, spent = carry
        up, down = x.at[i].add(increment), x.at[i].add(-increment)
        f_up, f_down = oracle.value(up), oracle.value(down)
        rises = f_up < best
        falls = ~rises & (f_down < best)
        x = jnp.where(rises, up, jnp.where(falls, down, x))
        best = jnp.where(rises, f_up, jnp.where(falls, f_down, best))
        return (x, best, spent + jnp.where(rises, 1, 2)), None

    spent = jnp.asarray(1 if oracle.stochastic else 0, jnp.int32)
    (moved, best, spent), _ = lax.scan(try_one, (x, start, spent), jnp.arange(x.shape[0]))
    return Step(moved, Known(best), None if oracle.stochastic else start, None, Cost(f=spent))


_FORMULA, _SOURCE = documented(_trial_and_error)

trial_and_error = Optimizer(
    "trial_and_error",
    _begin,
    _trial_and_error,
    {"increment": Hyperparameter(0.1, "gdbench: the step of the difference quotients in the founding articles")},
    _FORMULA,
    _SOURCE,
    family="derivative-free",
    uses_gradient=False,
    init_cost=Cost(f=1),
)
