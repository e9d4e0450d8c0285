"""A smooth, strongly convex function on which heavy ball, tuned as for quadratics, never arrives."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube

SLOW, FAST = 1.0, 25.0
"""Smallest and largest second derivative."""


def _objective(x, data, parameters):
    t = x[0]
    outer = jnp.where(t < 2, 0.5 * t**2 + 24 * t - 12, 12.5 * t**2 - 24 * t + 36)
    return jnp.where(t < 1, 12.5 * t**2, outer)


@problem_family()
def heavy_ball_trap() -> Problem:
    """A convex function of one variable, its second derivative 25, between 1 and 2 only 1, that traps heavy ball.

    Learning rate 1/9 and momentum 4/9 are the best for quadratics with eigenvalues in [1, 25]. Here they lead from 3.3
    into the cycle 0.6465, -1.8024, 2.1159, while gradient descent at rate 1/25 arrives in a few steps.
    """
    return Problem(
        name="heavy_ball_trap",
        objective=_objective,
        dim=1,
        formula="f'(x) = 25 x for x < 1, x + 24 for 1 <= x < 2, 25 x - 24 from 2 on; f(0) = 0",
        source="Lessard, Recht and Packard, SIAM Journal on Optimization 26 (2016) 57-95",
        box=cube(1, 5),
        start=np.array([3.3]),
        minimum=0.0,
        minimizers=np.zeros((1, 1)),
        all_minimizers=True,
        curvature=lambda parameters: (FAST, FAST),
        curvature_is_local=True,
        convex=True,
        separable=True,
        notes=f"everywhere the second derivative is in [{SLOW:g}, {FAST:g}]; it jumps at 1 and 2",
    )
