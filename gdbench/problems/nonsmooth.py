"""Convex functions with kinks: at the minimum itself, or on the way to it."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.settings import refuse, whole_number

SHARP = (
    "textbook example of a sharp minimum (Shor, Minimization Methods for Non-Differentiable Functions, Springer, 1985)"
)


def _l1_norm(x, data, parameters):
    return jnp.sum(jnp.abs(x))


def _max_norm(x, data, parameters):
    return jnp.max(jnp.abs(x))


def _maxq(x, data, parameters):
    return jnp.max(x**2)


def uneven(dim: int) -> np.ndarray:
    """Sizes from 1 to 3 with signs in turn: no two coordinates of one size, none at 0."""
    sizes = np.linspace(1, 3, dim) if dim > 1 else np.ones(1)
    return np.where(np.arange(dim) % 2, -sizes, sizes)


@problem_family()
def l1_norm(dim: int = 2) -> Problem:
    """Sum of |x_i|: its slope never shrinks, so a constant learning rate steps across the minimum for ever.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("l1_norm", "dim", dim, 1))
    one_zero = np.ones(dim)
    one_zero[0] = 0
    return Problem(
        name="l1_norm",
        objective=_l1_norm,
        dim=dim,
        formula="sum_i |x_i|",
        source=SHARP,
        box=cube(dim, 5),
        start=uneven(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=True,
        separable=True,
        kinks=np.unique([np.zeros(dim), one_zero], axis=0),
        notes="at a kink the subgradient 0 is taken for the coordinate that is 0",
    )


@problem_family()
def max_norm(dim: int = 2) -> Problem:
    """Largest |x_i|: the gradient has one entry that is not 0, and the minimum is a corner.

    Args:
        dim: number of coordinates.
    """
    refuse(whole_number("max_norm", "dim", dim, 1))
    ties = [np.zeros(dim)] + ([np.ones(dim), (-1.0) ** np.arange(dim)] if dim > 1 else [])
    return Problem(
        name="max_norm",
        objective=_max_norm,
        dim=dim,
        formula="max_i |x_i|",
        source=SHARP,
        box=cube(dim, 5),
        start=uneven(dim),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=True,
        separable=dim == 1,
        kinks=np.array(ties),
        notes="where several |x_i| are largest the subgradient is the mean of theirs",
    )


@problem_family()
def maxq(dim: int = 2) -> Problem:
    """Largest x_i^2: smooth at its minimum, with kinks where two coordinates are of one size.

    Gradient descent moves one coordinate at a time, and near a kink it swings between the pieces.

    Args:
        dim: number of coordinates, at least 2.
    """
    refuse(whole_number("maxq", "dim", dim, 2))
    index = np.arange(1, dim + 1)
    return Problem(
        name="maxq",
        objective=_maxq,
        dim=dim,
        formula="max_i x_i^2",
        source="Haarala, Miettinen and Mäkelä, Optimization Methods and Software 19 (2004) 673-692, problem 1; start "
        "x_i = i in the first half and -i in the second",
        box=cube(dim, dim + 1),
        start=np.where(index <= dim // 2, index, -index).astype(float),
        minimum=0.0,
        minimizers=np.zeros((1, dim)),
        all_minimizers=True,
        convex=True,
        kinks=np.array([np.ones(dim), (-1.0) ** index]),
        notes="where several x_i^2 are largest the subgradient is the mean of theirs",
    )
