"""Values and gradients of a problem over its box, for pictures that are drawn later without JAX."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pandas as pd

from gdbench.contracts import Problem
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import numerics, unravel_of

POINTS = {1: 401, 2: 121}
"""Points a side, by dimension."""

QUOTIENT_STEPS = np.logspace(0, -16, 65)


def surface(problem: Problem) -> pd.DataFrame | None:
    """F and its gradient in float64 on a regular grid over the box: columns x0[, x1], f, g0[, g1]; x0 slowest.

    None above two dimensions or without a box. In one dimension also h0, the second derivative, and
    ``attrs["quotients"]`` has the error of the difference quotient against its step, in float32 and float64.
    """
    if problem.dim not in POINTS or problem.box is None or problem.template is not None:
        return None
    ends = [np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box]
    lines = [np.linspace(a, b, POINTS[problem.dim]) for a, b in zip(*ends, strict=True)]
    points = np.stack([line.ravel() for line in np.meshgrid(*lines, indexing="ij")], axis=1)
    values, gradients = _evaluate(problem, points, np.float64)
    columns = {f"x{i}": points[:, i] for i in range(problem.dim)} | {"f": values + problem.offset}
    frame = pd.DataFrame(columns | {f"g{i}": gradients[:, i] for i in range(problem.dim)})
    if problem.dim == 1:
        frame["h0"] = _second_derivative(problem, points)
        frame.attrs["quotients"] = quotients(problem, float(ends[0][0] + 0.65 * (ends[1][0] - ends[0][0])))
    return frame


def _objective(problem: Problem, dtype: Any) -> Callable[[Any], Any]:
    """The objective of a vector, at the defaults of the problem's parameters."""
    unravel = unravel_of(problem)
    parameters = {name: np.asarray(value, dtype) for name, value in problem.parameters.items()}
    data = jax.tree.map(lambda a: np.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else a, problem.data)
    return lambda x: problem.objective(unravel(x), data, parameters)


def _evaluate(problem: Problem, points: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    with numerics(dtype):
        both = jit(jax.vmap(jax.value_and_grad(_objective(problem, dtype))))
        values, gradients = both(points.astype(dtype))
        return np.asarray(values), np.asarray(gradients)


def _second_derivative(problem: Problem, points: np.ndarray) -> np.ndarray:
    """f'' at points [n, 1] in float64: jax.grad of jax.grad; NaN where f can be differentiated once alone."""
    with numerics(np.float64):
        try:
            twice = jit(jax.vmap(jax.hessian(_objective(problem, np.float64))))
            return np.asarray(twice(points.astype(np.float64)))[:, 0, 0]
        except TypeError:  # a function with a rule of its own for its gradient has no second one
            return np.full(len(points), np.nan)


PLACES = 4
"""Points of the box at which directions are measured."""

MOST_PARTIALS = 64
"""Partial derivatives that are measured at each."""


def directions(problem: Problem, count: int) -> pd.DataFrame | None:
    """Slopes of f along unit vectors, by jax.grad and by central difference quotients, in float64.

    Args:
        problem: a deterministic problem with a box.
        count: random directions in all, shared among ``PLACES`` points drawn from the box.

    Returns:
        A row a direction v: ``place``, ``kind`` ("partial", "random", "gradient", "opposite"), ``slope``
        (gradient · v), ``quotient`` ((f(x + h v) − f(x − h v))/2h), ``norm`` (length of the gradient there). None
        without a box, for pytrees and for stochastic problems.
    """
    if problem.box is None or problem.template is not None or problem.stochastic:
        return None
    n, rng = problem.dim, np.random.default_rng(0)
    low, high = (np.broadcast_to(np.asarray(end, float), (n,)) for end in problem.box)
    frames = []
    with numerics(np.float64):
        value = jit(jax.vmap(_objective(problem, np.float64)))
        for place, x in enumerate(rng.uniform(low, high, (PLACES, n))):
            gradient = _evaluate(problem, x[None], np.float64)[1][0]
            norm = float(np.linalg.norm(gradient))
            chance = rng.standard_normal((-(-count // PLACES), n))
            axes = np.eye(n)[: min(n, MOST_PARTIALS)]
            unit = gradient / norm if norm > 0 else np.zeros(n)
            parts = {"partial": axes, "random": chance / np.linalg.norm(chance, axis=1, keepdims=True),
                     "gradient": unit[None], "opposite": -unit[None]}  # fmt: skip
            along = np.concatenate(list(parts.values()))
            # ∛ε balances the error of the formula with that of rounding (Nocedal and Wright, 2006, section 8.1).
            h = float(np.cbrt(np.finfo(float).eps) * max(1.0, np.abs(x).max()))
            ahead, behind = (np.asarray(value(x + sign * h * along)) for sign in (1, -1))
            frames.append(pd.DataFrame({
                "place": place, "kind": np.repeat(list(parts), [len(part) for part in parts.values()]),
                "slope": along @ gradient, "quotient": (ahead - behind) / (2 * h), "norm": norm,
            }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


CLOCKED, TRIES = 1 << 20, 7
"""Numbers of the points that are evaluated at once, and how often; the fastest try is the least disturbed."""


def clock(problem: Problem) -> pd.DataFrame | None:
    """Seconds that a value of f and its gradient take at a point of the box, in float64, of many evaluated at once.

    Compilation apart: the fastest of some tries, over the number of points.

    Returns:
        Columns ``what`` ("value", "gradient") and ``seconds``. None without a box, for pytrees and for stochastic
        problems.
    """
    if problem.box is None or problem.template is not None or problem.stochastic:
        return None
    low, high = (np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box)
    count, objective = max(1, CLOCKED // problem.dim), _objective(problem, np.float64)
    told = []
    with numerics(np.float64):
        points = jax.device_put(np.random.default_rng(0).uniform(low, high, (count, problem.dim)))
        for what, evaluate in (("value", objective), ("gradient", jax.grad(objective))):
            many, tries = jit(jax.vmap(evaluate)), []
            jax.block_until_ready(many(points))
            for _ in range(TRIES):
                begin = time.perf_counter()
                jax.block_until_ready(many(points))
                tries.append(time.perf_counter() - begin)
            told.append((what, min(tries) / count))
    return pd.DataFrame(told, columns=["what", "seconds"])


def quotients(problem: Problem, x: float) -> pd.DataFrame:
    """|(f(x + h) - f(x))/h - f'(x)| against h in both precisions, f' from float64: columns dtype, h, error, x.

    f is evaluated whole (offset included), since that is what somebody who forms the quotient has.
    """
    exact = float(_evaluate(problem, np.array([[x]]), np.float64)[1][0, 0])
    frames = []
    for dtype in (np.float32, np.float64):
        at, steps = dtype(x), QUOTIENT_STEPS.astype(dtype)
        ahead = (at + steps).astype(dtype)
        values, _ = _evaluate(problem, np.concatenate([[at], ahead])[:, None], dtype)
        whole = (values + dtype(problem.offset)).astype(dtype)
        error = np.abs((whole[1:] - whole[0]) / steps - dtype(exact)).astype(float)
        frames.append(pd.DataFrame({"dtype": np.dtype(dtype).name, "h": QUOTIENT_STEPS, "error": error, "x": x}))
    return pd.concat(frames, ignore_index=True)
