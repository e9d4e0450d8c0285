"""Changes of shape: oscillation and asymmetry as in BBOB, and a penalty that extends a function beyond its box."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem
from gdbench.errors import SuiteError
from gdbench.lazy import jnp
from gdbench.transforms.base import centre_of, fixed_point, moved, need_box, need_whole_space, transform, wrapped

REACH = 5.0
"""BBOB's half-width: coordinates are measured in it, so that a warp is as strong in any other box."""


def _bent(problem: Problem, name: str, change: Any, further: dict[str, Any]) -> Problem:
    """The warp u -> change(u) of u = 5 (x - c) / half-width about the first minimizer, which stays."""
    centre = centre_of(problem, name)
    need_whole_space(problem, name)
    low, high = need_box(problem, name)
    facts = fixed_point(problem, centre)
    unit = 0.5 * (high - low) / REACH
    return moved(
        problem, change, {"centre": centre, "unit": unit, **further},
        **facts, curvature=None, convex=None, kinks=facts["minimizers"],
    )  # fmt: skip


def _oscillating(x, numbers):
    u = (x - numbers["centre"]) / numbers["unit"]
    size = jnp.abs(u)
    log = jnp.log(jnp.where(size > 0, size, 1))
    fast, slow = jnp.where(u > 0, 10.0, 5.5), jnp.where(u > 0, 7.9, 3.1)
    waves = jnp.exp(log + 0.049 * (jnp.sin(fast * log) + jnp.sin(slow * log)))
    return numbers["centre"] + numbers["unit"] * jnp.where(size > 0, jnp.sign(u) * waves, 0)


@transform()
def oscillate(problem: Problem, generator: np.random.Generator) -> Problem:
    """f(c + T_osz(x - c)): smooth irregularities of about 5% on every logarithmic scale around the first minimizer.

    T_osz(u) = sign(u) exp(v + 0.049 (sin(c1 v) + sin(c2 v))), v = log|u|, c1, c2 = 10, 7.9 for u > 0 and 5.5, 3.1
    below. Source: BBOB (Hansen et al., INRIA RR-6829, 2009).
    """
    return _bent(problem, "oscillate", _oscillating, {})


def _asymmetric(x, numbers):
    u = (x - numbers["centre"]) / numbers["unit"]
    up = jnp.where(u > 0, u, 1)
    stretched = up ** (1 + numbers["powers"] * jnp.sqrt(up))
    return numbers["centre"] + numbers["unit"] * jnp.where(u > 0, stretched, u)


@transform()
def asymmetric(problem: Problem, generator: np.random.Generator, beta: float = 0.2) -> Problem:
    """f(c + T_asy(x - c)): steeper on the side of larger x, more so for later coordinates.

    T_asy(u)_i = u_i^(1 + beta i/(n-1) sqrt(u_i)) for u_i > 0, else u_i. Source: BBOB (Hansen et al., INRIA RR-6829).
    """
    if not beta >= 0:
        raise SuiteError([f"transform 'asymmetric': beta must be at least 0, got {beta!r}"])
    powers = beta * (np.linspace(0, 1, problem.dim) if problem.dim > 1 else np.ones(1))
    return _bent(problem, "asymmetric", _asymmetric, {"powers": powers})


@functools.cache
def _walled(objective: Callable[..., Any]) -> Callable[..., Any]:
    def walled(x: Any, data: Any, parameters: Any) -> Any:
        inside = jnp.clip(x, data["low"], data["high"])
        return objective(inside, data["inner"], parameters) + data["weight"] * jnp.sum((x - inside) ** 2)

    return walled


@transform()
def penalty(problem: Problem, generator: np.random.Generator, weight: float = 100.0) -> Problem:
    """f(P x) + weight |x - P x|^2, P the projection onto the box: outside of it f is not lower than on its wall."""
    if not 0 < weight < np.inf:
        raise SuiteError([f"transform 'penalty': weight must be positive, got {weight!r}"])
    low, high = need_box(problem, "penalty")
    numbers = {"low": low, "high": high, "weight": np.float64(weight)}
    # What holds all over the space elsewhere does not here; at minimizers inside the box the Hessian is as it was.
    facts = {"within_box": False, "bounded": True, "curvature_is_local": True, "convex": None}
    return wrapped(problem, _walled(problem.objective), numbers, **facts)
