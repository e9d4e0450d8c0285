"""The scales of a problem: S, the median of f - f* over its start box, and G, the median gradient norm there."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdbench.contracts import Problem
from gdbench.identity import code_identity, only_ours
from gdbench.kernels import saved
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import numerics, unravel_of

SAMPLES, SAMPLES_OF_LARGE, LARGE = 1024, 128, 100

ROOM = 1 << 21
"""Numbers of the points that are evaluated at once."""


def scales_of(problem: Problem, settings: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """``measure_scales``, or what an earlier process measured."""
    if not only_ours(problem):
        return measure_scales(problem, settings)
    key = saved.key_of("scales", jax.default_backend(), code_identity(problem), settings)
    known = saved.recall(key)
    if known is None:
        known = measure_scales(problem, settings)
        saved.remember(key, known)
    return [(s, g) for s, g in known]


def measure_scales(problem: Problem, settings: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """(S, G) for each setting of the traced parameters; (1, 1) where the problem has no box.

    Medians over the same 1,024 uniform points of the box (128 above 100 dimensions) in float64, kept to three digits,
    so that they are the same numbers on every machine. Without a known minimum, S is the median of |f - median f|.
    """
    if problem.box is None:
        return [(1.0, 1.0)] * len(settings)
    samples = SAMPLES if problem.dim <= LARGE else SAMPLES_OF_LARGE
    low, high = (np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box)
    rng, rows = np.random.default_rng(0), max(1, min(samples, ROOM // problem.dim))
    parts = [min(rows, samples - first) for first in range(0, samples, rows)]
    plain = problem.template is None and isinstance(problem.objective, types.FunctionType)
    evaluate = _shared(problem.objective) if plain else _evaluator(problem.objective, unravel_of(problem))
    found: list[list[Any]] = [[] for _ in settings]
    with numerics(np.float64):
        # The numbers of one draw, whatever its parts: all points of a large problem at once may not fit the memory.
        for points in (low + (high - low) * rng.random((part, problem.dim)) for part in parts):
            for setting, told in zip(settings, found, strict=True):
                parameters = {n: np.float64(v) for n, v in setting.items()}
                told.append(jax.device_get(evaluate(points, problem.data, parameters)))
    both = ([np.concatenate(part) for part in zip(*told, strict=True)] for told in found)
    return [(_scale(problem, values), _round(float(np.median(norms)))) for values, norms in both]


def origins(problem: Problem) -> tuple[str, str]:
    """How S and G came about, in words."""
    if problem.box is None:
        none = "1, for there is no box to sample"
        return none, none
    samples = SAMPLES if problem.dim <= LARGE else SAMPLES_OF_LARGE
    what = "|f - median f|" if problem.minimum is None else "f - f*"
    over = f"over {samples:,} uniform points of the box, in float64, kept to three digits"
    return f"median of {what} {over}", f"median of the gradient norm {over}"


@functools.lru_cache(maxsize=128)
def _shared(objective: Callable[..., Any]) -> Any:
    """The evaluator of an objective on vectors: instances of a problem share it, and so compile once."""
    return _evaluator(objective, lambda x: x)


def _evaluator(objective: Callable[..., Any], unravel: Callable[[Any], Any]) -> Any:
    """(points, data, parameters) -> values and gradient norms, jitted."""

    def at(x: jax.Array, data: object, parameters: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        value, gradient = jax.value_and_grad(lambda x: objective(unravel(x), data, parameters))(x)
        return value, jnp.sqrt(jnp.sum(gradient**2))

    return jit(lambda x, data, p: jax.lax.map(lambda x: at(x, data, p), x, batch_size=64))


def _scale(problem: Problem, values: np.ndarray) -> float:
    floor = np.median(values) if problem.minimum is None else problem.minimum - problem.offset
    return _round(float(np.median(np.abs(values - floor))))


def _round(value: float) -> float:
    """To three digits; 1 where it is zero or not finite, for a scale must be a positive number."""
    rounded = float(f"{value:.3g}")
    return rounded if np.isfinite(rounded) and rounded > 0 else 1.0
