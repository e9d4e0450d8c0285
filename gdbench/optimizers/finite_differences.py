"""Gradient descent on gradients that are made of values alone."""

from __future__ import annotations

from typing import Any

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.errors import SuiteError
from gdbench.lazy import jax, jnp, lax
from gdbench.optimizers.rules import RATE, documented

AT_ONCE = 16
"""Coordinates whose values are computed beside each other: memory for as many points, whatever the dimension is."""


def _nothing(oracle: Oracle, x: Array, h: Any) -> tuple[()]:
    return ()


def _begin_differences(oracle: Oracle, x: Array, h: Any) -> tuple[()]:
    if h.difference not in ("forward", "central"):
        raise SuiteError([f"finite_difference: difference must be 'forward' or 'central', got {h.difference!r}"])
    return ()


def _finite_difference(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
    """x ← x − α d,  dᵢ = (f(x + h eᵢ) − f(x)) / h (difference = "forward") or (f(x + h eᵢ) − f(x − h eᵢ)) / 2h
    ("central"),  h = spacing

    Without a spacing hᵢ = √ε max(1, |xᵢ|) forward and ∛ε max(1, |xᵢ|) central, ε the spacing of numbers at 1, which
    balances the error of the formula with that of rounding.

    Source: Nocedal, Wright, Numerical Optimization (2006), section 8.1; the spacings as in Dennis, Schnabel, Numerical
    Methods for Unconstrained Optimization (1983), section 5.4.
    """
    forward = h.difference == "forward"
    rounding = float(jnp.finfo(x.dtype).eps)
    wanted = rounding ** (1 / 2 if forward else 1 / 3) * jnp.maximum(1, jnp.abs(x)) if h.spacing is None else h.spacing
    up = x + wanted
    # The difference that is there after rounding, not the one that was wanted.
    down = x if forward else x - wanted
    value = oracle.value(x) if forward else None

    def along(i: Array) -> Array:
        below = value if forward else oracle.value(x.at[i].set(down[i]))
        return (oracle.value(x.at[i].set(up[i])) - below) / (up[i] - down[i])

    slope = lax.map(along, jnp.arange(x.shape[0]), batch_size=AT_ONCE)
    cost = Cost(f=x.shape[0] + 1 if forward else 2 * x.shape[0])
    return Step(x - h.learning_rate * slope, state, value, None, cost)


_FORMULA, _SOURCE = documented(_finite_difference)

finite_difference = Optimizer(
    "finite_difference",
    _begin_differences,
    _finite_difference,
    {
        "learning_rate": RATE,
        "difference": Hyperparameter("forward", "the cheaper one", static=True),
        "spacing": Hyperparameter(None, "None: √ε or ∛ε, times max(1, |x|)", optional=True),
    },
    _FORMULA,
    _SOURCE,
    family="derivative-free",
    uses_gradient=False,
    theory="gradient_descent",
    costs="n+1 f forward, 2n f central",
)


def _spsa(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
    """x ← x − α_k d,  dᵢ = (f(x + c_k Δ) − f(x − c_k Δ)) / (2 c_k Δᵢ),  Δᵢ = ±1 at random,
    α_k = α / (k + 1 + A)^gain_decay,  c_k = c / (k + 1)^spacing_decay,  c = spacing, A = stability (0.1 K without it)

    Two values a step, whatever the dimension. K is the budget of steps.

    Source: Spall, IEEE Trans. Automatic Control 37 (1992), 332–341; the gains as in Spall, IEEE Trans. Aerospace and
    Electronic Systems 34 (1998), 817–823.
    """
    n = (k + 1).astype(x.dtype)
    stability = 0.1 * oracle.steps if h.stability is None else h.stability
    rate = h.learning_rate / (n + stability) ** h.gain_decay
    spacing = (h.spacing / n**h.spacing_decay).astype(x.dtype)
    # From bits, so that both precisions draw the same.
    bits = jax.random.bits(oracle.key(), x.shape, "uint32")  # pyright: ignore[reportOptionalCall]: always given
    signs = jnp.where(bits & 1, 1, -1).astype(x.dtype)
    up, down = x + spacing * signs, x - spacing * signs
    slope = (oracle.value(up) - oracle.value(down)) / (2 * spacing) * signs
    return Step((x - rate * slope).astype(x.dtype), state, cost=Cost(f=2))


_FORMULA, _SOURCE = documented(_spsa)

spsa = Optimizer(
    "spsa",
    _nothing,
    _spsa,
    {
        "learning_rate": RATE,
        "spacing": Hyperparameter(0.01, "Spall (1998): small where f is exact; else the noise's standard deviation"),
        "gain_decay": Hyperparameter(0.602, "Spall (1998)"),
        "spacing_decay": Hyperparameter(0.101, "Spall (1998)"),
        "stability": Hyperparameter(None, "None: a tenth of the steps, Spall (1998)", optional=True),
    },
    _FORMULA,
    _SOURCE,
    family="derivative-free",
    uses_gradient=False,
    rests=False,
    random=True,
    costs="2 f",
)
