"""Hartmann's functions of three, four and six coordinates: a few Gaussian hollows of different shape."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.facts import between, fixed, in_library

DEPTHS = (1.0, 1.2, 3.0, 3.2)

SHARPNESS_3 = ((3.0, 10.0, 30.0), (0.1, 10.0, 35.0), (3.0, 10.0, 30.0), (0.1, 10.0, 35.0))

CENTRES_3 = ((3689, 1170, 2673), (4699, 4387, 7470), (1091, 8732, 5547), (381, 5743, 8828))
"""In units of 1e-4; some authors have 381.5 in place of 381, with a minimum of -3.86278215."""

SHARPNESS_6 = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)

CENTRES_6 = (
    (1312, 1696, 5569, 124, 8283, 5886),
    (2329, 4135, 8307, 3736, 1004, 9991),
    (2348, 1451, 3522, 2883, 3047, 6650),
    (4047, 8828, 8732, 5743, 1091, 381),
)
"""In units of 1e-4."""

HOLLOWS = "sum_i c_i exp(-sum_j A_ij (x_j - P_ij)^2)"


def _tables(sharpness, centres, dim: int) -> dict[str, np.ndarray]:
    """The tables of a function of the first ``dim`` coordinates."""
    return {
        "depths": np.array(DEPTHS),
        "sharpness": np.array(sharpness)[:, :dim],
        "centres": np.array(centres)[:, :dim] / 1e4,
    }


def _hollows(x, data, parameters):
    squares = jnp.sum(data["sharpness"] * (x[None, :] - data["centres"]) ** 2, axis=1)
    return -jnp.sum(data["depths"] * jnp.exp(-squares))


def _hartmann4(x, data, parameters):
    return (1.1 + _hollows(x, data, parameters)) / 0.839


@problem_family()
def hartmann3() -> Problem:
    """Four Gaussian hollows in three dimensions, the deepest of -3.8628."""
    return Problem(
        name="hartmann3",
        objective=_hollows,
        dim=3,
        formula=f"-{HOLLOWS}, i = 1 ... 4",
        source=in_library(
            "Hartman (1973); Dixon and Szego, Towards Global Optimisation 2, North-Holland, 1978; minimum polished"
        ),
        box=between(0, 1, 3),
        start=np.full(3, 0.5),
        minimum=-3.8627797873326625228,
        # The first coordinate that the library prints, 0.114614, belongs to the centre with 381.5.
        minimizers=np.array([[0.11458887665506896836, 0.55564889461693004477, 0.85254698468667743762]]),
        all_minimizers=True,
        curvature=fixed(1.210265383386708, 193.4498797126722),
        curvature_is_local=True,
        convex=False,
        data=_tables(SHARPNESS_3, CENTRES_3, 3),
    )


@problem_family()
def hartmann4() -> Problem:
    """The hollows of the six-dimensional function in its first four coordinates, rescaled to mean 0 and variance 1."""
    return Problem(
        name="hartmann4",
        objective=_hartmann4,
        dim=4,
        formula=f"(1.1 - {HOLLOWS})/0.839, i = 1 ... 4",
        source=in_library(
            "Picheny, Wagner and Ginsbourger, Structural and Multidisciplinary Optimization 48 (2013) 607-626; "
            "minimum polished"
        ),
        box=between(0, 1, 4),
        start=np.full(4, 0.5),
        # -3.135474 at (0.1873, 0.1906, 0.5566, 0.2647), which is often quoted, does not fit this formula.
        minimum=-3.1344941412223991511,
        minimizers=np.array(
            [[0.18739527297346668648, 0.19415152930244072125, 0.55791778006256899665, 0.26477962417039714533]]
        ),
        all_minimizers=True,
        curvature=fixed(16.27891243735081, 68.13605979924927),
        curvature_is_local=True,
        convex=False,
        data=_tables(SHARPNESS_6, CENTRES_6, 4),
    )


@problem_family()
def hartmann6() -> Problem:
    """Four Gaussian hollows in six dimensions; the two deepest minima, -3.3224 and -3.2032, are close in depth."""
    return Problem(
        name="hartmann6",
        objective=_hollows,
        dim=6,
        formula=f"-{HOLLOWS}, i = 1 ... 4",
        source=in_library(
            "Hartman (1973); Dixon and Szego, Towards Global Optimisation 2, North-Holland, 1978; minimum polished"
        ),
        box=between(0, 1, 6),
        start=np.full(6, 0.5),
        minimum=-3.3223680114155148001,
        minimizers=np.array(
            [
                [
                    0.20168951100670542433,
                    0.15001069182345796879,
                    0.47687397422189699032,
                    0.27533243049405606824,
                    0.31165161660011324245,
                    0.65730053406562030606,
                ]
            ]
        ),
        all_minimizers=True,
        curvature=fixed(18.24547836790032, 98.86130916047335),
        curvature_is_local=True,
        convex=False,
        data=_tables(SHARPNESS_6, CENTRES_6, 6),
    )
