"""Descents of one rule without the kernel: compiled as a scan, for comparison with other implementations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdbench.contracts import Optimizer, Oracle
from gdbench.kernels.compiler import jit


def oracle_of(function: Any, residuals: Any = None, **facts: Any) -> Oracle:
    """What a step may ask of a function of a vector."""

    def hvp(x: Any, v: Any) -> Any:
        return jax.jvp(jax.grad(function), (x,), (v,))[1]

    same = lambda x: x  # noqa: E731
    facts = {"key": lambda: jax.random.key(0), **facts}
    return Oracle(function, jax.value_and_grad(function), same, same, False, hvp, residuals, **facts)


def settings(rule: Optimizer, **given: Any) -> SimpleNamespace:
    """Hyperparameters as a step gets them: numbers as arrays, the rest as it is."""
    assert set(given) <= set(rule.hyperparameters), set(given) - set(rule.hyperparameters)
    values = {name: spec.default for name, spec in rule.hyperparameters.items()} | given
    static = {n for n, v in values.items() if v is None or rule.hyperparameters[n].static}
    return SimpleNamespace(**{n: v if n in static else jnp.asarray(v, float) for n, v in values.items()})


def path(rule: Optimizer, oracle: Oracle, x0: Any, steps: int, **given: Any) -> np.ndarray:
    """Iterates 1 … steps in float64, shape [steps, dim]."""
    with jax.enable_x64(True):
        h = settings(rule, **given)

        def step(carry: Any, k: Any) -> Any:
            after = rule.step(oracle, carry[0], carry[1], h, k)
            return (after.x, after.state), after.x

        def walk(x: Any) -> Any:
            return lax.scan(step, (x, rule.init(oracle, x, h)), jnp.arange(steps, dtype=jnp.int32))[1]

        return np.asarray(jit(walk)(jnp.asarray(x0, float)))


def rosenbrock(x: Any) -> Any:
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
