"""Curvature of a problem: at its minimizers, before a run; along the paths of descents, after it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdbench.contracts import Problem
from gdbench.grid import default_start
from gdbench.identity import code_identity, only_ours
from gdbench.kernels import saved
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import numerics, unravel_of
from gdbench.kernels.lanes import dependent

MOST_DIM = 64
"""Coordinates up to which whole Hessians are formed."""

MOST_POINTS = 64
"""Minimizers that are looked at."""

STATIONARY = 1e-3
"""A listed minimizer is one where the gradient is below this share of L max(1, |x|): tables give them to few digits."""

NEAR = 1e-4
"""How far from a minimizer its Hessian is put to the proof."""

Ends = list[float] | None
"""[m, L], or nothing known."""


def ends_of(problem: Problem, settings: Sequence[Mapping[str, float]]) -> tuple[list[Ends], bool]:
    """Smallest and largest eigenvalue of the Hessian at each setting of the parameters, and whether they are local.

    What the problem states is taken, unless that is local and there are several minimizers; else the Hessian tells: at
    any point where it is the same everywhere, or at the flattest known minimizer, beyond whose boundary none is stable.
    None where neither is known, where minimizers are no stationary points (kinks, edges of a box), or above 64
    dimensions.
    """
    several = problem.minimizers is not None and len(problem.minimizers) > 1 and problem.curvature_is_local
    if problem.curvature is not None and not several:
        stated = [problem.curvature(setting) for setting in settings]
        return [[float(end) for end in ends] for ends in stated], problem.curvature_is_local
    if problem.dim > MOST_DIM or problem.stochastic:
        return [None] * len(settings), True
    key = saved.key_of("ends", code_identity(problem), settings) if only_ours(problem) else None
    known = saved.recall(key) if key else None
    if known is None:
        known = _measure(problem, settings)
        if key:
            saved.remember(key, known)
    return known[0], known[1]


def _measure(problem: Problem, settings: Sequence[Mapping[str, float]]) -> tuple[list[Ends], bool]:
    same = constant_hessian(problem)
    points = np.zeros((0, problem.dim)) if problem.minimizers is None else np.asarray(problem.minimizers, float)
    points = np.repeat(np.asarray(default_start(problem), float)[None], 16, axis=0) if same else points[:MOST_POINTS]
    if not len(points):
        return [None] * len(settings), True
    # What is smooth there changes its gradient by H d over a small way d; a kink, whose Hessian says little, does not.
    ways = np.random.default_rng(0).normal(size=points.shape) * (_width(problem) if same else NEAR)
    found: list[Ends] = []
    with numerics(np.float64):
        for setting in settings:
            given = {name: np.float64(value) for name, value in setting.items()}
            both = _derivatives(problem)(np.vstack([points, points + ways]), problem.data, given)
            gradients, hessians = (np.asarray(a).reshape(2, len(points), *a.shape[1:]) for a in both)
            expected = np.einsum("nij,nj->ni", hessians[0], ways)
            off = np.linalg.norm(gradients[1] - gradients[0] - expected, axis=1)
            smooth = off <= (1e-6 if same else 1e-2) * np.linalg.norm(expected, axis=1)
            smooth &= smooth.all() | (not same)
            found.append(_flattest(points, gradients[0], hessians[0], smooth, same))
    return found, not same


def _width(problem: Problem) -> float:
    """The widest side of the box, or what stands for it."""
    if problem.box is None:
        return 2 * max(1.0, float(np.abs(default_start(problem)).max()))
    return float(np.max(np.asarray(problem.box[1], float) - np.asarray(problem.box[0], float)))


def _flattest(points: np.ndarray, gradients: np.ndarray, hessians: np.ndarray, smooth: np.ndarray, same: bool) -> Ends:
    """[m, L] of the Hessian with the smallest L, among the points that are stationary and where f is smooth."""
    values = np.linalg.eigvalsh(np.where(smooth[:, None, None], hessians, 0.0))
    size = values[:, -1] * np.maximum(1, np.abs(points).max(axis=1))
    good = (values[:, -1] > 0) & (same | (np.linalg.norm(gradients, axis=1) <= STATIONARY * size))
    if not good.any():
        return None
    chosen = values[good][values[good][:, -1].argmin()]
    return [float(chosen[0]), float(chosen[-1])]


def constant_hessian(problem: Problem) -> bool:
    """Whether the Hessian is the same everywhere: stated, or seen in the program of H v, which then does not ask x."""
    if problem.quadratic:
        return True
    unravel = unravel_of(problem)

    def hvp(x: Any, v: Any, data: Any, parameters: Any) -> Any:
        gradient = jax.grad(lambda x: problem.objective(unravel(x), data, parameters))
        return jax.jvp(gradient, (x,), (v,))[1]

    with numerics(np.float64):
        x = jax.ShapeDtypeStruct((problem.dim,), np.float64)
        parameters = {name: np.float64(value) for name, value in problem.parameters.items()}
        jaxpr = jax.make_jaxpr(hvp)(x, x, problem.data, parameters)
    flags = [False] * (len(jaxpr.jaxpr.constvars) + len(jaxpr.jaxpr.invars))
    flags[len(jaxpr.jaxpr.constvars)] = True
    return not any(dependent(jaxpr.jaxpr, flags))


@functools.lru_cache(maxsize=64)
def _derivatives(problem: Problem) -> Any:
    """(points [n, dim], data, parameters) -> gradients [n, dim] and Hessians [n, dim, dim], jitted."""
    unravel = unravel_of(problem)

    def at(x: Any, data: Any, parameters: Any) -> Any:
        gradient = jax.grad(lambda x: problem.objective(unravel(x), data, parameters))
        return gradient(x), jax.jacfwd(gradient)(x)

    return jit(jax.vmap(at, (0, None, None)))


LANCZOS = 40
"""Products with the Hessian after which its largest eigenvalue is taken, where it is not formed: they come within a
relative 1e-6 of it on the networks here."""

BATCH = 64
"""Points that are looked at together."""


def along(problem: Problem, points: np.ndarray, parameters: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """f and the largest eigenvalue of the Hessian at points [n, dim], each with its parameters [n], in float64.

    On all the data of a stochastic problem. NaN where a point is not finite. Up to 64 dimensions the Hessian is formed;
    beyond, the eigenvalue is that of ``LANCZOS`` steps of Lanczos' method with full reorthogonalisation (Golub and Van
    Loan, Matrix Computations, section 10.1), never above the true one.
    """
    values, largest = np.full(len(points), np.nan), np.full(len(points), np.nan)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    with numerics(np.float64):
        for i in range(0, len(finite), BATCH):
            # Padded with the last one: one program.
            rows = finite[np.minimum(np.arange(i, i + BATCH), len(finite) - 1)]
            chosen = {name: value[rows].astype(np.float64) for name, value in parameters.items()}
            f, matrices = _sharp(problem)(points[rows].astype(np.float64), problem.data, chosen)
            matrices = np.asarray(matrices)
            good = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
            ends = np.linalg.eigvalsh(np.where(good[:, None, None], matrices, 0.0))[:, -1]
            values[rows], largest[rows] = np.asarray(f) + problem.offset, np.where(good, ends, np.nan)
    return values, largest


@functools.lru_cache(maxsize=64)
def _sharp(problem: Problem) -> Any:
    """(points [n, dim], data, parameters [n]) -> values [n], and matrices with the largest eigenvalues, jitted."""
    unravel, dim = unravel_of(problem), problem.dim

    def at(x: Any, data: Any, parameters: Any) -> Any:
        def value(x: Any) -> Any:
            return problem.objective(unravel(x), data, parameters)

        if dim <= MOST_DIM:
            return value(x), jax.jacfwd(jax.grad(value))(x)
        return value(x), lanczos(lambda v: jax.jvp(jax.grad(value), (x,), (v,))[1], dim)

    return jit(jax.vmap(at, (0, None, 0)))


def lanczos(product: Any, dim: int) -> Any:
    """The matrix [LANCZOS, LANCZOS], tridiagonal, of a symmetric one on the space that its products with a random
    vector span: its largest eigenvalue is at most that of the whole, and nearly it.
    """
    first = jnp.asarray(np.random.default_rng(0).normal(size=dim))
    basis = jnp.zeros((LANCZOS, dim)).at[0].set(first / jnp.linalg.norm(first))

    def step(j: Any, carry: Any) -> Any:
        basis, diagonal, beside = carry
        w = product(basis[j])
        # Where the space was used up the vector is 0, and an entry that lies between the eigenvalues is repeated.
        diagonal = diagonal.at[j].set(jnp.where(jnp.any(basis[j] != 0), jnp.dot(w, basis[j]), diagonal[0]))
        # Twice is enough (Giraud, Langou and Rozloznik 2005).
        for _ in range(2):
            w = w - basis.T @ (basis @ w)
        length = jnp.linalg.norm(w)
        more = length > 1e-10 * (jnp.max(jnp.abs(diagonal)) + jnp.max(beside))
        following = jnp.where(more, w / jnp.where(more, length, 1), 0)
        return basis.at[j + 1].set(following, mode="drop"), diagonal, beside.at[j].set(jnp.where(more, length, 0))

    nought = jnp.zeros(LANCZOS)
    _, diagonal, beside = jax.lax.fori_loop(0, LANCZOS, step, (basis, nought, nought))
    return jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
