"""Methods that ask for values alone and keep the best point they know."""

from __future__ import annotations

from typing import Any, NamedTuple

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.lazy import jax, jnp, lax
from gdbench.optimizers.rules import documented


class Known(NamedTuple):
    """The value at the iterate, which the next step need not ask for again."""

    value: Array


def _begin(oracle: Oracle, x: Array, h: Any) -> Known:
    return Known(oracle.value(x))


def _trial_and_error(oracle: Oracle, x: Array, state: Known, h: Any, k: Array) -> Step:
    """For each i in turn: x ← x + δ eᵢ if that lowers f, else x − δ eᵢ if that does, else x

    One step goes once through all parameters and costs one evaluation a parameter that improves at the first try,
    two otherwise. On a stochastic problem the value at x is asked for anew, since the batch is another. A lesson on it:
    suites/articles.toml.

    Source: the coordinate search that introductory texts set against the gradient; compare Hooke, Jeeves,
    J. ACM 8 (1961), 212–229.
    """
    start = oracle.value(x) if oracle.stochastic else state.value
    increment = jnp.asarray(h.increment, x.dtype)

    def try_one(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], None]:
        x, best, spent = carry
        up, down = x.at[i].add(increment), x.at[i].add(-increment)
        f_up = oracle.value(up)
        rises = f_up < best
        # Asked only where it is needed; a block of lanes computes it for all of them.
        f_down = lax.cond(rises, lambda: best, lambda: oracle.value(down))
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
    costs="n to 2n f",
)


def kept(oracle: Oracle, x: Array, state: Known, proposed: Array, value: Array, spent: int) -> Step:
    """The proposed point, of that value, if it is below x; ``spent`` values were asked for on the way.

    On a stochastic problem the value at x is asked for anew, since the batch is another.
    """
    here = oracle.value(x) if oracle.stochastic else state.value
    lower = value < here
    after = Known(jnp.where(lower, value, here))
    cost = Cost(f=spent + oracle.stochastic)
    return Step(jnp.where(lower, proposed, x), after, None if oracle.stochastic else here, None, cost)


def _random_search(oracle: Oracle, x: Array, state: Known, h: Any, k: Array) -> Step:
    """y = x + δ N(0, I);  x ← y if f(y) < f(x)

    Source: Matyas, Automation and Remote Control 26 (1965), 246–253; Solis, Wets, Math. Oper. Res. 6 (1981), 19–30.
    """
    # Drawn in float32, so that both precisions try the same.
    move = jax.random.normal(oracle.key(), x.shape, "float32")  # pyright: ignore[reportOptionalCall]: always given
    proposed = x + jnp.asarray(h.increment, x.dtype) * move.astype(x.dtype)
    return kept(oracle, x, state, proposed, oracle.value(proposed), 1)


_FORMULA, _SOURCE = documented(_random_search)

random_search = Optimizer(
    "random_search",
    _begin,
    _random_search,
    {"increment": Hyperparameter(0.1, "gdbench: that of trial_and_error")},
    _FORMULA,
    _SOURCE,
    family="derivative-free",
    uses_gradient=False,
    rests=False,
    random=True,
    init_cost=Cost(f=1),
    costs="1 f",
)

AT_ONCE = 256
"""Combinations whose values are computed beside each other: memory for as many points, whatever 2ⁿ is."""


def _exhaustive_signs(oracle: Oracle, x: Array, state: Known, h: Any, k: Array) -> Step:
    """y = the best of the 2ⁿ points x ± δ e₁ ± … ± δ eₙ;  x ← y if f(y) < f(x)

    Every coordinate moves at once, so that trying all signs costs 2ⁿ values a step, where a gradient costs one. A
    lesson on it: suites/articles.toml.

    Source: the two-level factorial design of Box, Applied Statistics 6 (1957), 81–101, taken in full.
    """
    dim = x.shape[0]
    increment = jnp.asarray(h.increment, x.dtype)

    def corner(code: Array) -> Array:
        return x + increment * (2 * ((code >> jnp.arange(dim)) & 1) - 1).astype(x.dtype)

    def best_of(best: tuple[Array, Array], codes: Array) -> tuple[tuple[Array, Array], None]:
        values = jax.vmap(lambda code: oracle.value(corner(code)))(codes)
        values = jnp.where(jnp.isnan(values), jnp.inf, values)
        i = jnp.argmin(values)
        lower = values[i] < best[0]
        return (jnp.where(lower, values[i], best[0]), jnp.where(lower, codes[i], best[1])), None

    codes = jnp.arange(2**dim, dtype=jnp.int32).reshape(-1, min(AT_ONCE, 2**dim))
    (value, code), _ = lax.scan(best_of, (jnp.full((), jnp.inf, x.dtype), jnp.int32(0)), codes)
    return kept(oracle, x, state, corner(code), value, 2**dim)


_FORMULA, _SOURCE = documented(_exhaustive_signs)

exhaustive_signs = Optimizer(
    "exhaustive_signs",
    _begin,
    _exhaustive_signs,
    {"increment": Hyperparameter(0.1, "gdbench: that of trial_and_error")},
    _FORMULA,
    _SOURCE,
    family="derivative-free",
    uses_gradient=False,
    init_cost=Cost(f=1),
    most_dim=16,
    costs="2^n f",
)
