"""Gradient descent with a step found anew at every point: by a search along the gradient, or from the last two."""

from __future__ import annotations

from typing import Any, NamedTuple

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.errors import SuiteError
from gdbench.lazy import jnp, lax
from gdbench.optimizers.adaptive import scaled, unit
from gdbench.optimizers.rules import RATE, documented

MOST_TRIALS = 60
"""Trials of one backtracking search: halving so often takes a step to 1e-18 of what it was."""


def _nothing(oracle: Oracle, x: Array, h: Any) -> tuple[()]:
    return ()


def exact_step(oracle: Oracle, x: Array, gradient: Array, otherwise: Array) -> Array:
    """gᵀg / gᵀHg, the minimum along the gradient of a quadratic; ``otherwise`` where that is none."""
    direction = unit(gradient)
    bend = jnp.vdot(direction, oracle.hvp(x, direction))  # pyright: ignore[reportOptionalCall]: always given
    bends = bend > 0
    return jnp.where(bends, 1 / jnp.where(bends, bend, 1), otherwise).astype(x.dtype)


def backtracked(oracle: Oracle, x: Array, value: Array, gradient: Array, h: Any) -> tuple[Array, Array]:
    """The first of s, τ s, τ² s, … with f(x − α g) ≤ f(x) − c α ‖g‖², and how many were tried; 0 where none serves."""
    slope = jnp.sum(gradient * gradient)

    def too_high(rate: Array) -> Array:
        # Written so that a value that is no number is too high as well.
        return ~(oracle.value(x - rate * gradient) <= value - h.slope * rate * slope)

    def search(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        rate, _, trials = carry
        rate = h.shrink * rate
        return rate, too_high(rate), trials + 1

    def going(carry: tuple[Array, Array, Array]) -> Array:
        return carry[1] & (carry[2] < MOST_TRIALS)

    first = jnp.asarray(h.initial, x.dtype)
    rate, failed, trials = lax.while_loop(going, search, (first, too_high(first), jnp.int32(1)))
    return jnp.where(failed, 0, rate), trials


def _steepest_descent(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
    """x ← x − α g,  α = gᵀg / gᵀHg on a quadratic;  elsewhere the first α = initial, initial τ, initial τ², … with
    f(x − α g) ≤ f(x) − c α ‖g‖²,  τ = shrink, c = slope

    On a quadratic the step is the exact minimum along the gradient, for one Hessian-vector product (initial where it
    falls for ever). Elsewhere every trial costs one value.

    Source: Cauchy, Comptes Rendus 25 (1847), 536–538; Armijo, Pacific J. Math. 16 (1966), 1–3.
    """
    value, gradient = oracle.value_and_grad(x)
    if oracle.quadratic:
        rate, cost = exact_step(oracle, x, gradient, h.initial), Cost(g=1, h=1)
    else:
        rate, trials = backtracked(oracle, x, value, gradient, h)
        cost = Cost(f=trials, g=jnp.int32(1), h=jnp.int32(0))
    return Step(x - rate * gradient, state, value, gradient, cost)


_FORMULA, _SOURCE = documented(_steepest_descent)

steepest_descent = Optimizer(
    "steepest_descent",
    _nothing,
    _steepest_descent,
    {
        "initial": Hyperparameter(1.0, "Nocedal and Wright, Numerical Optimization (2006), algorithm 3.1"),
        "shrink": Hyperparameter(0.5, "gdbench: halving, as is usual"),
        "slope": Hyperparameter(1e-4, "Nocedal and Wright (2006), section 3.1"),
    },
    _FORMULA,
    _SOURCE,
    costs="counted; 1 g + 1 h on a quadratic",
    notes="a search that fails 60 times makes no step",
)


class Before(NamedTuple):
    """The point before and its gradient, shape [dim] each."""

    x: Array
    gradient: Array


def _barzilai_borwein(oracle: Oracle, x: Array, state: Before, h: Any, k: Array) -> Step:
    """x ← x − α_k g,  α_k = sᵀs / sᵀy (form 1) or sᵀy / yᵀy (form 2),  s = x − x₋₁, y = g − g₋₁;
    α_k = α in the first step and where sᵀy ≤ 0

    Source: Barzilai, Borwein, IMA J. Numer. Anal. 8 (1988), 141–148; the rate where there is no positive curvature as
    in Raydan, SIAM J. Optim. 7 (1997), 26–33, whose search for descent is left out: f may rise.
    """
    value, gradient = oracle.value_and_grad(x)
    # Both divided by their largest entry first, so that no product leaves the range of the type.
    (s, long), (y, high) = scaled(x - state.x), scaled(gradient - state.gradient)
    curved = (k > 0) & (jnp.vdot(s, y) > 0)
    along, length, bend = (jnp.where(curved, jnp.vdot(*pair), 1) for pair in ((s, y), (s, s), (y, y)))
    found = (length / along if h.form == 1 else along / bend) * (long / high)
    rate = jnp.where(curved, found, h.learning_rate).astype(x.dtype)
    return Step(x - rate * gradient, Before(x, gradient), value, gradient, Cost(g=1))


def _no_step_before(oracle: Oracle, x: Array, h: Any) -> Before:
    if h.form not in (1, 2):
        raise SuiteError([f"barzilai_borwein: form must be 1 or 2, got {h.form!r}"])
    return Before(x, jnp.zeros_like(x))


_FORMULA, _SOURCE = documented(_barzilai_borwein)

barzilai_borwein = Optimizer(
    "barzilai_borwein",
    _no_step_before,
    _barzilai_borwein,
    {
        "learning_rate": RATE,
        "form": Hyperparameter(1, "Barzilai and Borwein (1988), the first of the two", static=True),
    },
    _FORMULA,
    _SOURCE,
    # The gradients of two batches differ for another reason than curvature.
    needs=("full batch",),
    notes="the rate serves the first step, and steps without positive curvature",
)
