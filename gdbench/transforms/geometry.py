"""Changes of coordinates: shift, rotate, scale, embed."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdbench.contracts import Problem
from gdbench.errors import SuiteError
from gdbench.lazy import jnp
from gdbench.problems.quadratic import haar_rotation
from gdbench.problems.settings import refuse, whole_number
from gdbench.transforms.base import centre_of, fixed_point, moved, need_box, need_whole_space, seen_in, transform

MARGIN = 0.02
"""A shifted minimizer stays this share of the box's width away from its sides."""


def _shifted(x, numbers):
    return x - numbers


@transform()
def shift(problem: Problem, generator: np.random.Generator, share: float = 0.2) -> Problem:
    """f(x - s): the centre moved by up to ``share`` of the box's width a coordinate, so that no method can aim at it.

    The box stays, and minimizers stay in it. Where f is lower outside of its box, the box moves along.
    """
    if not 0 < share <= 1:
        raise SuiteError([f"transform 'shift': share must be in (0, 1], got {share!r}"])
    low, high = need_box(problem, "shift")
    width = high - low
    least, most, margin = -share * width, share * width, min(MARGIN, share / 2) * width
    if problem.minimizers is not None and not problem.within_box:
        least = np.maximum(least, low + margin - problem.minimizers.min(axis=0))
        most = np.minimum(most, high - margin - problem.minimizers.max(axis=0))
    # Minimizers near both sides leave no room along that coordinate.
    by = np.where(least < most, generator.uniform(least, np.maximum(least, most)), 0.0)
    box = (low + by, high + by) if problem.within_box else (low, high)
    start = problem.start
    if problem.within_box and start is not None:
        start = start + by
    return moved(
        problem, _shifted, by, quadratic=problem.quadratic, box=box, start=start,
        minimizers=None if problem.minimizers is None else problem.minimizers + by,
        # A box that stays shows a part of f that was not in it before.
        all_minimizers=problem.all_minimizers and (problem.within_box or problem.convex is True),
        kinks=None if problem.kinks is None else seen_in(box, problem.kinks + by),
    )  # fmt: skip


def _turned(x, numbers):
    # Full precision, for some accelerators round the factors of a float32 product.
    turned = jnp.matmul(numbers["rotation"], x - numbers["centre"], precision="highest")
    return numbers["centre"] + turned


@transform()
def rotate(problem: Problem, generator: np.random.Generator) -> Problem:
    """f(c + Q (x - c)): a random rotation about the first minimizer (the middle of the box, where none is known).

    A separable function loses what coordinate-wise methods live on; its eigenvalues stay.
    """
    centre = centre_of(problem, "rotate")
    need_whole_space(problem, "rotate")
    q = haar_rotation(problem.dim, int(generator.integers(2**31)))
    kinks = None if problem.kinks is None else centre + (problem.kinks - centre) @ q
    return moved(
        problem, _turned, {"centre": centre, "rotation": q}, **fixed_point(problem, centre),
        quadratic=problem.quadratic, separable=problem.separable and problem.dim == 1,
        kinks=seen_in(need_box(problem, "rotate"), kinks),
    )  # fmt: skip


def _stretched(x, numbers):
    return numbers["centre"] + numbers["factors"] * (x - numbers["centre"])


@transform()
def scale(problem: Problem, generator: np.random.Generator, condition: float = 100.0) -> Problem:
    """f(c + D (x - c)), D = diag(condition^(-i/(2(n-1)))): coordinates of unequal scale about the first minimizer.

    On a sphere the Hessian's condition number becomes ``condition``. Points stay in the box.
    """
    if not 0 < condition < np.inf:
        raise SuiteError([f"transform 'scale': condition must be positive and finite, got {condition!r}"])
    centre = centre_of(problem, "scale")
    exponents = np.linspace(0, -0.5, problem.dim) if problem.dim > 1 else np.full(1, -0.5)
    factors = float(condition) ** exponents
    if factors.max() > 1:
        need_whole_space(problem, "scale")
    kinks = None if problem.kinks is None else centre + (problem.kinks - centre) / factors
    return moved(
        problem, _stretched, {"centre": centre, "factors": factors}, **fixed_point(problem, centre),
        quadratic=problem.quadratic, curvature=None, kinks=seen_in(need_box(problem, "scale"), kinks),
    )  # fmt: skip


def _first(x, numbers):
    return x[: numbers.shape[0]]


@transform()
def embed(problem: Problem, generator: np.random.Generator, dim: int = 10) -> Problem:
    """f of the first coordinates of a longer x: the others change nothing (rotate after it to hide which they are)."""
    low, high = need_box(problem, "embed")
    refuse(whole_number(problem.name, "dim of the transform 'embed'", dim, problem.dim))
    more = dim - problem.dim
    half = 0.5 * float(np.max(high - low))

    def longer(points: Any, fill: float = 0.0) -> Any:
        if points is None:
            return None
        points = np.asarray(points, float)
        return np.concatenate([points, np.full((*points.shape[:-1], more), fill)], axis=-1)

    curvature = problem.curvature
    return moved(
        problem, _first, np.zeros(problem.dim), quadratic=problem.quadratic,
        dim=dim, box=(longer(low, -half), longer(high, half)), start=longer(problem.start),
        minimizers=longer(problem.minimizers), kinks=longer(problem.kinks),
        all_minimizers=problem.all_minimizers and not more,
        # Along the further coordinates f is flat.
        curvature=None if curvature is None
        else curvature if not more else lambda p: (min(0.0, curvature(p)[0]), max(0.0, curvature(p)[1])),
    )  # fmt: skip
