"""The rules of the articles and of the theory, each written as its formula.

``g`` is the gradient, ``x`` the iterate, ``h`` the hyperparameters, ``k`` the step, counted from 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gdbench.contracts import Array, Hyperparameter
from gdbench.lazy import jnp
from gdbench.optimizers.rules import gradient_rule


def _gd(g: Array, x: Array, state: Any, h: Any, k: Array) -> tuple[Array, Any]:
    """x ← x − α g

    A lesson on it: suites/articles.toml.

    Source: Cauchy, Comptes Rendus 25 (1847), 536–538.
    """
    return -h.learning_rate * g, state


gd = gradient_rule(_gd, theory="gradient_descent")


class Velocity(NamedTuple):
    """Exponentially weighted sum of past gradients, shape [dim]."""

    velocity: Array


def _still(x: Array, h: Any) -> Velocity:
    return Velocity(jnp.zeros_like(x))


def _momentum(g: Array, x: Array, state: Velocity, h: Any, k: Array) -> tuple[Array, Velocity]:
    """m ← β m + g;  x ← x − α m   (heavy ball)

    Source: Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964), 1–17; the form of optax.sgd(momentum=β).
    """
    velocity = h.momentum * state.velocity + g
    return -h.learning_rate * velocity, Velocity(velocity)


MOMENTUM = Hyperparameter(0.9, "Goodfellow, Bengio, Courville, Deep Learning (2016), section 8.3.2")

momentum = gradient_rule(_momentum, _still, theory="heavy_ball", momentum=MOMENTUM)


def _nesterov(g: Array, x: Array, state: Velocity, h: Any, k: Array) -> tuple[Array, Velocity]:
    """m ← β m + g;  x ← x − α (g + β m)   (the gradient is taken at the extrapolated point, which is x here)

    Source: Nesterov, Soviet Math. Dokl. 27 (1983), 372–376, in the variables of Sutskever et al., ICML 2013;
    the form of optax.sgd(momentum=β, nesterov=True).
    """
    velocity = h.momentum * state.velocity + g
    return -h.learning_rate * (g + h.momentum * velocity), Velocity(velocity)


nesterov = gradient_rule(_nesterov, _still, theory="nesterov", momentum=MOMENTUM)


def _ema_momentum(g: Array, x: Array, state: Velocity, h: Any, k: Array) -> tuple[Array, Velocity]:
    """m ← β m + (1 − β) g;  x ← x − α m   (the average starts at 0 and is not corrected for it)

    Heavy ball at the rate α (1 − β), so that the step does not grow with β.

    Source: Ma, Yarats, ICLR 2019, arXiv 1810.06801, equation 1 ("momentum" there, torch.optim.SGD(dampening=β) but for
    its first step).
    """
    velocity = h.momentum * state.velocity + (1 - h.momentum) * g
    return -h.learning_rate * velocity, Velocity(velocity)


ema_momentum = gradient_rule(_ema_momentum, _still, theory="ema_momentum", momentum=MOMENTUM)


def _quasi_hyperbolic(g: Array, x: Array, state: Velocity, h: Any, k: Array) -> tuple[Array, Velocity]:
    """m ← β m + (1 − β) g;  x ← x − α ((1 − ν) g + ν m)   (ν = 0 is gradient descent, ν = 1 ema_momentum)

    Source: Ma, Yarats, ICLR 2019, arXiv 1810.06801, equations 3 and 4.
    """
    velocity = h.momentum * state.velocity + (1 - h.momentum) * g
    return -h.learning_rate * ((1 - h.nu) * g + h.nu * velocity), Velocity(velocity)


quasi_hyperbolic = gradient_rule(
    _quasi_hyperbolic,
    _still,
    theory="quasi_hyperbolic",
    momentum=Hyperparameter(0.999, "Ma and Yarats (2019), their rule of thumb"),
    nu=Hyperparameter(0.7, "Ma and Yarats (2019), their rule of thumb"),
)


def _decayed_gd(g: Array, x: Array, state: Any, h: Any, k: Array) -> tuple[Array, Any]:
    """x ← x − α g − α w x   (decoupled weight decay; the point of rest moves from g = 0 to g = −w x)

    Source: Loshchilov, Hutter, ICLR 2019, arXiv 1711.05101, algorithm 1 without momentum.
    """
    return -h.learning_rate * (g + h.weight_decay * x), state


decayed_gd = gradient_rule(
    _decayed_gd,
    theory="weight_decay",
    weight_decay=Hyperparameter(0.0, "gdbench: 0, because decay moves the minimum"),
)


class SquaredSum(NamedTuple):
    """Sum, or moving average, of squared gradients, shape [dim]."""

    square: Array


def _adagrad(g: Array, x: Array, state: SquaredSum, h: Any, k: Array) -> tuple[Array, SquaredSum]:
    """s ← s + g²;  x ← x − α g / √(s + ε),  s₀ = initial_accumulator

    Source: Duchi, Hazan, Singer, JMLR 12 (2011), 2121–2159; ε inside the root as in optax.adagrad.
    """
    square = state.square + g * g
    # Where nothing was ever accumulated the gradient is zero too, and so is the step.
    scale = jnp.where(square > 0, 1 / jnp.sqrt(jnp.where(square > 0, square, 1) + h.eps), 0)
    return -h.learning_rate * g * scale, SquaredSum(square)


adagrad = gradient_rule(
    _adagrad,
    lambda x, h: SquaredSum(jnp.full_like(x, h.initial_accumulator)),
    initial_accumulator=Hyperparameter(0.1, "optax.adagrad"),
    eps=Hyperparameter(1e-7, "optax.adagrad"),
)


def _rmsprop(g: Array, x: Array, state: SquaredSum, h: Any, k: Array) -> tuple[Array, SquaredSum]:
    """s ← ρ s + (1 − ρ) g²;  x ← x − α g / √(s + ε)

    Source: Tieleman, Hinton, Coursera lecture 6.5 (2012); ε inside the root as in optax.rmsprop.
    """
    square = h.decay * state.square + (1 - h.decay) * g * g
    return -h.learning_rate * g / jnp.sqrt(square + h.eps), SquaredSum(square)


rmsprop = gradient_rule(
    _rmsprop,
    lambda x, h: SquaredSum(jnp.zeros_like(x)),
    decay=Hyperparameter(0.9, "Tieleman and Hinton (2012)"),
    eps=Hyperparameter(1e-8, "optax.rmsprop"),
)


class Moments(NamedTuple):
    """Moving averages of the gradient and of its square, shape [dim] each."""

    mean: Array
    square: Array


def _adam(g: Array, x: Array, state: Moments, h: Any, k: Array) -> tuple[Array, Moments]:
    """m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  x ← x − α m̂ / (√v̂ + ε),  m̂ = m/(1 − β₁ᵏ⁺¹), v̂ = v/(1 − β₂ᵏ⁺¹)

    Source: Kingma, Ba, ICLR 2015, arXiv 1412.6980, algorithm 1.
    """
    mean = h.b1 * state.mean + (1 - h.b1) * g
    square = h.b2 * state.square + (1 - h.b2) * g * g
    n = (k + 1).astype(x.dtype)
    unbiased = mean / (1 - h.b1**n)
    return -h.learning_rate * unbiased / (jnp.sqrt(square / (1 - h.b2**n)) + h.eps), Moments(mean, square)


adam = gradient_rule(
    _adam,
    lambda x, h: Moments(jnp.zeros_like(x), jnp.zeros_like(x)),
    b1=Hyperparameter(0.9, "Kingma and Ba (2015)"),
    b2=Hyperparameter(0.999, "Kingma and Ba (2015)"),
    eps=Hyperparameter(1e-8, "Kingma and Ba (2015)"),
)
