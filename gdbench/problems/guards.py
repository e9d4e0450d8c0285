"""Functions that have no derivative at a point, written so that automatic differentiation gives a finite one there."""

from __future__ import annotations

from typing import Any

from gdbench.lazy import jnp


def root(square: Any) -> Any:
    """Square root of numbers >= 0, with the derivative 0 at 0 (as a norm has a subgradient 0 there)."""
    # The inner where keeps the untaken branch finite: its derivative is multiplied by 0, and 0 times infinity is NaN.
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def squared_sine_of_root(square: Any) -> Any:
    """sin^2(sqrt s) for s >= 0, which is smooth at 0: s - s^2/3 + 2 s^3/45 - s^4/315 + ..."""
    small = square < 1e-3
    series = square * (1 - square * (1 / 3 - square * (2 / 45 - square / 315)))
    return jnp.where(small, series, jnp.sin(jnp.sqrt(jnp.where(small, 1, square))) ** 2)


def one_minus_sinc(u: Any) -> Any:
    """1 - sin(pi u)/(pi u), resolved near u = 0."""
    t = jnp.pi * u
    square = t**2
    small = square < 0.05
    series = square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72 * (1 - square / 110))))
    safe = jnp.where(small, 1, t)
    return jnp.where(small, series, 1 - jnp.sin(safe) / safe)


def one_minus_exp(exponent: Any) -> Any:
    """1 - exp(-q) for q >= 0, resolved near q = 0, and with a slope that keeps its digits far from it."""
    # The derivative of expm1 is formed as expm1 + 1, of which nothing is left where expm1 is near -1.
    near = exponent < 1
    return jnp.where(near, -jnp.expm1(-jnp.where(near, exponent, 0)), 1 - jnp.exp(-exponent))
