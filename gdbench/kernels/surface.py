"""Values and gradients of a problem over its box, for pictures that are drawn later without JAX."""

from __future__ import annotations

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

    None above two dimensions or without a box. In one dimension ``attrs["quotients"]`` has the error of the
    difference quotient against its step, in float32 and float64.
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
        frame.attrs["quotients"] = quotients(problem, float(ends[0][0] + 0.65 * (ends[1][0] - ends[0][0])))
    return frame


def _evaluate(problem: Problem, points: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    unravel = unravel_of(problem)
    parameters = {name: np.asarray(value, dtype) for name, value in problem.parameters.items()}
    data = jax.tree.map(lambda a: np.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else a, problem.data)
    with numerics(dtype):
        both = jit(jax.vmap(jax.value_and_grad(lambda x: problem.objective(unravel(x), data, parameters))))
        values, gradients = both(points.astype(dtype))
        return np.asarray(values), np.asarray(gradients)


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
