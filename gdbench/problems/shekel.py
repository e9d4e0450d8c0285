"""Shekel's functions: five, seven or ten holes in a plain, each the inverse of a distance."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.facts import between, fixed, in_library

CENTRES = (
    (4.0, 4.0),
    (1.0, 1.0),
    (8.0, 8.0),
    (6.0, 6.0),
    (3.0, 7.0),
    (2.0, 9.0),
    (5.0, 3.0),
    (8.0, 1.0),
    (6.0, 2.0),
    (7.0, 3.6),
)
"""The first two coordinates of the centres; the other two are the same, in the library's table.

Dixon and Szego have (5, 5, 3, 3) as the seventh centre: a minimum of -10.402940567 with seven and of -10.536409817
with ten holes.
"""

WIDTHS = (0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5)


def _holes(x, data, parameters):
    squares = jnp.sum((x[None, :] - data["centres"]) ** 2, axis=1)
    return -jnp.sum(1 / (squares + data["widths"]))


def _shekel(holes: int, minimum: float, minimizer: tuple[float, float], m: float, L: float) -> Problem:
    """The problem of that many holes; the minimizer repeats its two coordinates."""
    return Problem(
        name=f"shekel{holes}",
        objective=_holes,
        dim=4,
        formula=f"-sum_i 1/(|x - a_i|^2 + b_i), i = 1 ... {holes}",
        source=in_library(
            "Shekel, Fifth Annual Princeton Conference on Information Science and Systems, 1971; "
            "Dixon and Szego, Towards Global Optimisation 2, North-Holland, 1978; minimum polished to all digits"
        ),
        box=between(0, 10, 4),
        start=np.array([5.0, 4.5, 3.0, 4.7]),
        minimum=minimum,
        # Often printed as (4, 4, 4, 4), the centre of the deepest hole; the others shift it a little.
        minimizers=np.array([minimizer * 2]),
        all_minimizers=True,
        curvature=fixed(m, L),
        curvature_is_local=True,
        convex=False,
        data={"centres": np.array(CENTRES[:holes])[:, [0, 1, 0, 1]], "widths": np.array(WIDTHS[:holes])},
    )


@problem_family()
def shekel5() -> Problem:
    """Five holes in a plain in four dimensions, the deepest, of -10.1532, near (4, 4, 4, 4)."""
    return _shekel(
        5,
        -10.153199679058227457,
        (4.0000371528196762307, 4.00013327659156009),
        199.9709687245487,
        200.0141019876748,
    )


@problem_family()
def shekel7() -> Problem:
    """Seven holes in a plain in four dimensions, the deepest, of -10.4029, near (4, 4, 4, 4)."""
    return _shekel(
        7,
        -10.402915336777743475,
        (4.0005728192511171566, 3.9996062096096889107),
        199.691533165441,
        200.119329193346,
    )


@problem_family()
def shekel10() -> Problem:
    """Ten holes in a plain in four dimensions, the deepest, of -10.5364, near (4, 4, 4, 4)."""
    return _shekel(
        10,
        -10.536443153483527869,
        (4.0007468682706343883, 3.9995094800857735584),
        199.6525268066178,
        200.1306477655824,
    )
