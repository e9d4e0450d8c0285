"""Rules that take the size of their steps from the gradients they saw, or pay no heed to it."""

from __future__ import annotations

from typing import Any, NamedTuple

from gdbench.contracts import Array, Hyperparameter
from gdbench.lazy import jnp
from gdbench.optimizers.rules import gradient_rule


def scaled(v: Array) -> tuple[Array, Array]:
    """v divided by its largest entry in absolute value, and that entry; 0 and 1 for 0."""
    largest = jnp.max(jnp.abs(v))
    size = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    # NaN is not above 0, and stays in v.
    return v / size, size


def unit(v: Array) -> Array:
    """v / ‖v‖, and 0 for 0; no square leaves the range of the type."""
    direction, _ = scaled(v)
    # At least one entry is 1 where v is not 0.
    return direction / jnp.sqrt(jnp.maximum(jnp.sum(direction * direction), 1))


def _normalized_gd(g: Array, x: Array, state: Any, h: Any, k: Array) -> tuple[Array, Any]:
    """x ← x − α g / ‖g‖   (no step where g = 0)

    Every step is α long, so that it ends in a cycle about the minimum unless the rate falls.

    Source: Shor, Minimization Methods for Non-Differentiable Functions, Springer (1985), section 2.1.
    """
    return -h.learning_rate * unit(g), state


normalized_gd = gradient_rule(_normalized_gd)


class LongMoments(NamedTuple):
    """Moving averages of the gradient and of its square, and the largest such square so far, shape [dim] each."""

    mean: Array
    square: Array
    largest: Array


def _amsgrad(g: Array, x: Array, state: LongMoments, h: Any, k: Array) -> tuple[Array, LongMoments]:
    """m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  v̂ ← max(v̂, v);  x ← x − α m / (√v̂ + ε)

    As published there is no correction for the averages' start at 0, and no ε: where v̂ = 0 no gradient was ever seen,
    and no step is made. With bias_correction, m and v̂ are divided by 1 − β₁ᵏ⁺¹ and 1 − β₂ᵏ⁺¹ where they are used, as
    torch does; the maximum is over the uncorrected v in both. (optax takes it over corrected ones, of which the first
    are the largest, and differs.)

    Source: Reddi, Kale, Kumar, ICLR 2018, arXiv 1904.09237, algorithm 2.
    """
    mean = h.b1 * state.mean + (1 - h.b1) * g
    square = h.b2 * state.square + (1 - h.b2) * g * g
    largest = jnp.maximum(state.largest, square)
    seen = largest > 0
    root, direction = jnp.sqrt(jnp.where(seen, largest, 1)), mean
    if h.bias_correction:
        n = (k + 1).astype(x.dtype)
        root, direction = root / jnp.sqrt(1 - h.b2**n), mean / (1 - h.b1**n)
    step = jnp.where(seen, direction / (root + h.eps), 0)
    return -h.learning_rate * step, LongMoments(mean, square, largest)


def _no_moments(x: Array, h: Any) -> LongMoments:
    return LongMoments(jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros_like(x))


amsgrad = gradient_rule(
    _amsgrad,
    _no_moments,
    b1=Hyperparameter(0.9, "Kingma and Ba (2015), as Reddi, Kale and Kumar (2018) take it"),
    b2=Hyperparameter(0.999, "Kingma and Ba (2015); Reddi, Kale and Kumar (2018) search 0.99 and 0.999"),
    eps=Hyperparameter(0.0, "Reddi, Kale and Kumar (2018): none"),
    bias_correction=Hyperparameter(False, "Reddi, Kale and Kumar (2018): none", static=True),
)


class Sizes(NamedTuple):
    """The gradient of the step before, 0 where its sign was not to count, and the sizes of steps in units of α."""

    gradient: Array
    size: Array


def _rprop(g: Array, x: Array, state: Sizes, h: Any, k: Array) -> tuple[Array, Sizes]:
    """Δᵢ ← min(η⁺ Δᵢ, Δmax) where gᵢ kept its sign;  Δᵢ ← max(η⁻ Δᵢ, Δmin), gᵢ ← 0 where it changed;
    x ← x − Δ sign(g),  Δ₀ = α

    η⁺ = eta_plus, η⁻ = eta_minus, Δmax = step_max, Δmin = step_min. After a change of sign a coordinate waits for one
    step. The sizes are kept in units of α, so that a schedule scales them. The limits end growth and shrinking; a rate
    beyond them stands as it was given.

    Source: Riedmiller, Braun, ICNN 1993, 586–591; Igel, Hüsken, Neurocomputing 50 (2003), 105–123 (iRprop−), the form
    of torch.optim.Rprop.
    """
    agreement = jnp.sign(g) * jnp.sign(state.gradient)
    rate = jnp.where(h.learning_rate > 0, h.learning_rate, 1)
    grown = jnp.minimum(h.eta_plus * state.size, jnp.maximum(state.size, h.step_max / rate))
    shrunk = jnp.maximum(h.eta_minus * state.size, jnp.minimum(state.size, h.step_min / rate))
    size = jnp.where(agreement > 0, grown, jnp.where(agreement < 0, shrunk, state.size))
    counted = jnp.where(agreement < 0, 0, g)
    return -h.learning_rate * size * jnp.sign(counted), Sizes(counted, size)


rprop = gradient_rule(
    _rprop,
    lambda x, h: Sizes(jnp.zeros_like(x), jnp.ones_like(x)),
    eta_plus=Hyperparameter(1.2, "Riedmiller and Braun (1993)"),
    eta_minus=Hyperparameter(0.5, "Riedmiller and Braun (1993)"),
    step_max=Hyperparameter(50.0, "Riedmiller and Braun (1993)"),
    step_min=Hyperparameter(1e-6, "Riedmiller and Braun (1993)"),
)
