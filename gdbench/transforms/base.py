"""What a transform is, and how a change of coordinates becomes a problem."""

from __future__ import annotations

import functools
import inspect
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gdbench.contracts import Box, Problem
from gdbench.errors import SuiteError, did_you_mean


@dataclass(frozen=True)
class Transform:
    """An entry of the catalogue of transforms.

    Attributes:
        name: name in the catalogue.
        apply: (problem, generator, **settings) -> problem; the generator is seeded by the instance.
        settings: its static settings with their defaults.
        parameters: the traced parameters that it adds, with their defaults.
        summary: one line.
    """

    name: str
    apply: Callable[..., Problem]
    settings: Mapping[str, Any]
    parameters: Mapping[str, float]
    summary: str

    def __call__(self, problem: Problem, instance: int = 0, place: int = 0, /, **settings: Any) -> Problem:
        """The problem changed; ``instance`` and the place in a row of transforms seed what is drawn."""
        for key in settings:
            if key not in self.settings:
                raise SuiteError(
                    [f"transform {self.name!r} has no setting {key!r}: {did_you_mean(key, self.settings)}"]
                )
        twice = sorted(set(self.parameters) & set(problem.parameters))
        if twice:
            raise SuiteError([f"transform {self.name!r}: {problem.label} has a parameter {twice[0]!r} already"])
        generator = np.random.default_rng((zlib.crc32(self.name.encode()), place, instance))
        try:
            changed = self.apply(problem, generator, **settings)
        except SuiteError:
            raise
        except Exception as error:  # a setting of the wrong type may fail anywhere
            told = f"transform {self.name!r} of {problem.label}: {type(error).__name__}: {error}"
            raise SuiteError([told]) from error
        shown = ", ".join(f"{k}={v}" for k, v in settings.items() if v != self.settings[k])
        return replace(
            changed,
            label=f"{problem.label or problem.name} + {self.name}" + (f"({shown})" if shown else ""),
            parameters={**problem.parameters, **self.parameters},
        )


def transform(**parameters: float) -> Callable[[Callable[..., Problem]], Transform]:
    """Make a function (problem, generator, **settings) -> problem an entry of the catalogue."""

    def wrap(apply: Callable[..., Problem]) -> Transform:
        given = list(inspect.signature(apply).parameters.values())[2:]
        summary = (inspect.getdoc(apply) or "").split("\n")[0]
        return Transform(apply.__name__, apply, {p.name: p.default for p in given}, parameters, summary)

    return wrap


@functools.cache
def _composed(objective: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    # One function object for all instances, so that they share a compiled program.
    def moved(x: Any, data: Any, parameters: Any) -> Any:
        return objective(change(x, data["change"]), data["inner"], parameters)

    return moved


@functools.cache
def inner_sample(sample: Callable[..., Any]) -> Callable[..., Any]:
    """The sampler of the problem within."""

    def of_inner(data: Any, key: Any) -> Any:
        return {**data, "inner": sample(data["inner"], key)}

    return of_inner


def moved(problem: Problem, change: Callable[[Any, Any], Any], numbers: Any, **facts: Any) -> Problem:
    """The problem with f(change(x, numbers)) for f(x); ``facts`` are what the change makes of the known ones.

    ``change`` is a module-level function in JAX, ``numbers`` a pytree of arrays (traced). A sum of squares remains
    one; whether a quadratic remains one is for the change to say.
    """
    if problem.residuals is not None:
        facts = {"residuals": _composed(problem.residuals, change), **facts}
    return wrapped(problem, _composed(problem.objective, change), {"change": numbers}, **facts)


def wrapped(problem: Problem, objective: Callable[..., Any], numbers: Mapping[str, Any], **facts: Any) -> Problem:
    """The problem with an objective of its own, whose data are the old ones, as "inner", beside these numbers.

    That it is a quadratic or a sum of squares is forgotten, unless the facts say so.
    """

    def around(data: Any) -> Any:
        return None if data is None else {"inner": data, **numbers}

    sample = None if problem.sample is None else inner_sample(problem.sample)
    told = {"sample": sample, "quadratic": False, "residuals": None, **facts}
    return replace(problem, objective=objective, data=around(problem.data), held_out=around(problem.held_out), **told)


def need_vector(problem: Problem, name: str) -> None:
    """Refuse a problem whose x is a pytree: its coordinates have no common geometry."""
    if problem.template is not None:
        raise SuiteError([f"transform {name!r}: x of {problem.label} is a pytree, only vectors can be transformed"])


def need_box(problem: Problem, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The box as two arrays [dim], or an error."""
    need_vector(problem, name)
    if problem.box is None:
        raise SuiteError([f"transform {name!r}: {problem.label} has no box to measure by: give it one"])
    low, high = (np.broadcast_to(np.asarray(end, float), (problem.dim,)) for end in problem.box)
    return low, high


def need_whole_space(problem: Problem, name: str) -> None:
    """Refuse a problem whose minimum holds in its box only, where a transform looks outside of it."""
    if problem.within_box:
        raise SuiteError([f"transform {name!r}: {problem.label} is lower outside of its box: put 'penalty' before it"])


def centre_of(problem: Problem, name: str) -> np.ndarray:
    """The first minimizer [dim], else the middle of the box: the point that a transform leaves where it is."""
    low, high = need_box(problem, name)
    return 0.5 * (low + high) if problem.minimizers is None else np.asarray(problem.minimizers[0], float)


def seen_in(box: Box, points: np.ndarray | None) -> np.ndarray | None:
    """The points [n, dim] that lie in the box; None for None."""
    return None if points is None else points[np.all((box[0] <= points) & (points <= box[1]), axis=1)]


def fixed_point(problem: Problem, centre: np.ndarray) -> dict[str, Any]:
    """Minimizers after a change of coordinates that leaves the first one where it is.

    Only that one is kept, so that all instances have as many. It is all of them only if f is convex: the box then
    shows a part of f that was not in it before.
    """
    if problem.minimizers is None:
        return {"minimizers": None, "all_minimizers": False}
    alone = problem.all_minimizers and len(problem.minimizers) == 1
    return {"minimizers": centre[None, :], "all_minimizers": alone and problem.convex is True}
