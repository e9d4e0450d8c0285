"""Noise: every step sees f plus a random function of mean zero, whose gradient is the noise of the gradient.

The noise is drawn from the step's key, which depends on the suite's seed, problem, instance, start and seed alone: the
same start and seed meet the same noise under every optimizer and in every grid. Descents are judged without it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem
from gdbench.lazy import jax, jnp
from gdbench.transforms.base import transform, wrapped

JUDGE_EVERY = 10
"""Judging costs as much as a step; a noisy descent is judged once in so many."""


def _dot(noise: Any, x: Any) -> Any:
    return sum(jnp.sum(n * leaf) for n, leaf in zip(jax.tree.leaves(noise), jax.tree.leaves(x), strict=True))


def _normal(key: Any, like: Any) -> Any:
    # Drawn in float32, so that both precisions meet the same noise.
    return jax.random.normal(key, like.shape, "float32").astype(like.dtype)


def _split(key: Any, tree: Any) -> Any:
    leaves, shape = jax.tree.flatten(tree)
    return jax.tree.unflatten(shape, list(jax.random.split(key, len(leaves))))


@functools.cache
def _sampler(draw: Callable[..., Any], sample: Callable[..., Any] | None) -> Callable[..., Any]:
    """The problem's own mini-batch, if it has any, with noise drawn for it."""

    def noisy(data: Any, key: Any) -> Any:
        inner = data["inner"] if sample is None else sample(data["inner"], jax.random.fold_in(key, 0))
        keys = _split(jax.random.fold_in(key, 1), data["noise"])
        return {**data, "inner": inner, "noise": jax.tree.map(draw, keys, data["noise"])}

    return noisy


def _noisy(
    problem: Problem, add: Callable[..., Any], draw: Callable[..., Any], silent: Any, linear: bool = True
) -> Problem:
    """The problem with data {inner, noise, floor}; ``silent`` is the noise that changes nothing."""
    floor = np.float64((problem.minimum or 0.0) - problem.offset if problem.goal == "minimum" else 0.0)
    return wrapped(
        problem, add(problem.objective), {"noise": silent, "floor": floor},
        sample=_sampler(draw, problem.sample), judge_every=max(problem.judge_every, JUDGE_EVERY),
        # Noise that is linear in x does not bend f.
        quadratic=problem.quadratic and linear,
    )  # fmt: skip


def _like_x(problem: Problem) -> Any:
    return np.zeros(problem.dim) if problem.template is None else problem.template


@functools.cache
def _tilted(objective: Callable[..., Any]) -> Callable[..., Any]:
    def tilted(x: Any, data: Any, parameters: Any) -> Any:
        return objective(x, data["inner"], parameters) + parameters["noise"] * _dot(data["noise"], x)

    return tilted


@transform(noise=1.0)
def additive_noise(problem: Problem, generator: np.random.Generator) -> Problem:
    """f(x) + noise <xi, x>, xi ~ N(0, I) at every step: the gradient has that standard deviation a coordinate."""
    return _noisy(problem, _tilted, _normal, _like_x(problem))


@functools.cache
def _multiplied(objective: Callable[..., Any]) -> Callable[..., Any]:
    def multiplied(x: Any, data: Any, parameters: Any) -> Any:
        gap = objective(x, data["inner"], parameters) - data["floor"]
        return (1 + parameters["noise"] * data["noise"]) * gap + data["floor"]

    return multiplied


@transform(noise=1.0)
def multiplicative_noise(problem: Problem, generator: np.random.Generator) -> Problem:
    """f* + (1 + noise xi) (f(x) - f*), xi ~ N(0, 1) at every step: noise that vanishes with the gradient."""
    return _noisy(problem, _multiplied, _normal, np.zeros(()), linear=False)


def _uniforms(key: Any, like: Any) -> Any:
    return jax.random.uniform(key, like.shape, "float32", 1e-7, 1.0).astype(like.dtype)


@functools.cache
def _heavily_tilted(objective: Callable[..., Any]) -> Callable[..., Any]:
    def student(u: Any, tail: Any) -> Any:
        # Bailey's polar form: sqrt(nu (u^(-2/nu) - 1)) cos(2 pi v) is Student's t of nu degrees of freedom.
        radius = jnp.sqrt(tail * jnp.expm1(-2 / tail * jnp.log(u[0])))
        return radius * jnp.cos(2 * math.pi * u[1])

    def tilted(x: Any, data: Any, parameters: Any) -> Any:
        noise = jax.tree.map(lambda u: student(u, parameters["tail"]), data["noise"])
        return objective(x, data["inner"], parameters) + parameters["noise"] * _dot(noise, x)

    return tilted


@transform(noise=1.0, tail=2.0)
def heavy_tailed_noise(problem: Problem, generator: np.random.Generator) -> Problem:
    """f(x) + noise <xi, x>, xi ~ Student's t with ``tail`` degrees of freedom: infinite variance up to 2, Cauchy at 1.

    In float32 the tail should be at least 0.5: below it single draws overflow. Source of the sampling: Bailey,
    Mathematics of Computation 62 (1994) 779-781.
    """
    return _noisy(problem, _heavily_tilted, _uniforms, _pairs(_like_x(problem)))


def _pairs(tree: Any) -> Any:
    """Two ones for every coordinate: t = 0. Written without JAX, which building a problem does not import."""
    if type(tree) is dict:
        return {key: _pairs(item) for key, item in tree.items()}
    if isinstance(tree, np.ndarray):
        return np.ones((2, *np.shape(tree)))
    # A tree of a user's own kind, whose order JAX alone knows.
    return jax.tree.map(lambda leaf: np.ones((2, *np.shape(leaf))), tree)
