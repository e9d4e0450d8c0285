"""Schedules of the learning rate. k is the step, K the budget of steps, t = k/(K−1) the share of it that is over."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gdbench.contracts import Array, Hyperparameter, Schedule
from gdbench.lazy import jnp
from gdbench.schedules.base import progress


def _schedule(factor: Callable[[Array, int, Any], Array], **hyperparameters: Hyperparameter) -> Schedule:
    """A schedule from its factor; name, formula (first line) and source stand in the factor's docstring."""
    formula, _, source = (inspect.getdoc(factor) or "").partition("\n\nSource:")
    return Schedule(factor.__name__.strip("_"), factor, hyperparameters, formula, " ".join(source.split()))


def _constant(k: Array, steps: int, h: Any) -> Array:
    """1"""
    return jnp.ones_like(h.learning_rate)


def _warm_up(k: Array, steps: int, h: Any) -> Array:
    """min(1, (k+1)/(w K)),  w = warmup

    Source: Goyal et al., arXiv 1706.02677 (2017), section 2.2.
    """
    n = (k + 1).astype(h.learning_rate.dtype)
    ramp = h.warmup * steps
    return jnp.where(n < ramp, n / jnp.where(ramp > 0, ramp, 1), 1)


def _cosine(k: Array, steps: int, h: Any) -> Array:
    """ramp · (φ + (1 − φ) (1 + cos πt)/2),  φ = final, ramp = min(1, (k+1)/(w K))

    Source: Loshchilov, Hutter, ICLR 2017, arXiv 1608.03983, without restarts.
    """
    fall = (1 + jnp.cos(jnp.pi * progress(k, steps, h.learning_rate.dtype))) / 2
    return _warm_up(k, steps, h) * (h.final + (1 - h.final) * fall)


def _linear(k: Array, steps: int, h: Any) -> Array:
    """ramp · (1 − (1 − φ) t),  φ = final, ramp = min(1, (k+1)/(w K))

    Source: Defazio et al., arXiv 2310.07831 (2023).
    """
    return _warm_up(k, steps, h) * (1 - (1 - h.final) * progress(k, steps, h.learning_rate.dtype))


def _exponential(k: Array, steps: int, h: Any) -> Array:
    """φᵗ,  φ = final

    Source: optax.exponential_decay, with the decay told by the factor that is left at the end.
    """
    return h.final ** progress(k, steps, h.learning_rate.dtype)


def _step(k: Array, steps: int, h: Any) -> Array:
    """dropⁱ,  i = ⌊k / (every K)⌋

    Source: He et al., CVPR 2016, arXiv 1512.03385, section 3.4 (a tenth, at fixed shares of the training).
    """
    dtype = h.learning_rate.dtype
    # A hair more, so that a share of the budget that is a whole number of steps ends there in spite of rounding.
    over = k.astype(dtype) / jnp.maximum(1, h.every * steps) * (1 + 4 * float(jnp.finfo(dtype).eps))
    return h.drop ** jnp.floor(over)


def _inverse_sqrt(k: Array, steps: int, h: Any) -> Array:
    """ramp · 1/√(1 + k/τ),  τ = timescale in steps, ramp = min(1, (k+1)/(w K))

    Source: Robbins, Monro, Ann. Math. Stat. 22 (1951), 400–407, with the exponent 1/2 of Polyak and Juditsky (1992).
    """
    return _warm_up(k, steps, h) / jnp.sqrt(1 + k.astype(h.learning_rate.dtype) / h.timescale)


NO_WARMUP = Hyperparameter(0.0, "gdbench: no warm-up; a share of the budget")

constant = _schedule(_constant)
warm_up = _schedule(_warm_up, warmup=Hyperparameter(0.1, "gdbench: a tenth of the budget"))
cosine = _schedule(_cosine, final=Hyperparameter(0.0, "Loshchilov and Hutter (2017)"), warmup=NO_WARMUP)
linear = _schedule(_linear, final=Hyperparameter(0.0, "Defazio et al. (2023)"), warmup=NO_WARMUP)
exponential = _schedule(_exponential, final=Hyperparameter(0.01, "gdbench: a hundredth is left at the end"))
step = _schedule(
    _step,
    drop=Hyperparameter(0.1, "He et al. (2016)"),
    every=Hyperparameter(1 / 3, "gdbench: two drops within the budget"),
)
inverse_sqrt = _schedule(
    _inverse_sqrt, timescale=Hyperparameter(100.0, "gdbench: steps until the rate begins to fall"), warmup=NO_WARMUP
)
