"""The one-dimensional examples of introductory articles on derivatives and gradient descent."""

from __future__ import annotations

import math

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube

ARTICLES = "worked example of introductory articles on gradient descent"


def _line(x, data, parameters):
    return 2 * x[0] + 1


@problem_family()
def linear() -> Problem:
    """2x + 1: slope 2 everywhere and no minimum, so every positive step descends for ever.

    A lesson on it: suites/articles.toml.
    """
    return Problem(
        name="linear",
        objective=_line,
        dim=1,
        formula="2 x + 1",
        source=ARTICLES,
        box=cube(1, 5),
        start=np.zeros(1),
        bounded=False,
        curvature=lambda parameters: (0.0, 0.0),
        quadratic=True,
    )


def _square(x, data, parameters):
    return x[0] ** 2


@problem_family()
def parabola() -> Problem:
    """x^2: slopes 4, 0 and -2 at 2, 0 and -1; gradient descent is stable below rate 1 and arrives at once at 0.5.

    A lesson on it: suites/articles.toml.
    """
    return Problem(
        name="parabola",
        objective=_square,
        dim=1,
        formula="x^2",
        source=ARTICLES,
        box=cube(1, 5),
        start=np.array([2.0]),
        minimum=0.0,
        minimizers=np.zeros((1, 1)),
        all_minimizers=True,
        curvature=lambda parameters: (2.0, 2.0),
        quadratic=True,
    )


def _shifted_square(x, data, parameters):
    return (x[0] - 1) ** 2


@problem_family()
def shifted_parabola() -> Problem:
    """x^2 - 2x + 3: slopes -4, 0 and 4 at -1, 1 and 3; its minimum is 2, at 1.

    A lesson on it: suites/articles.toml.
    """
    return Problem(
        name="shifted_parabola",
        objective=_shifted_square,
        dim=1,
        formula="x^2 - 2 x + 3 = (x - 1)^2 + 2",
        source=ARTICLES,
        box=cube(1, 5),
        start=np.array([-1.0]),
        minimum=2.0,
        minimizers=np.ones((1, 1)),
        all_minimizers=True,
        curvature=lambda parameters: (2.0, 2.0),
        quadratic=True,
        offset=2.0,
    )


def _mean_squared_error(x, data, parameters):
    return jnp.mean((x[0] * data["inputs"] - data["outputs"]) ** 2)


def _residuals_of_slope(x, data, parameters):
    return (x[0] * data["inputs"] - data["outputs"]) / math.sqrt(3)


@problem_family()
def slope_fit() -> Problem:
    """Mean squared error of y = w x on (1, 2), (2, 4), (3, 6): w = 2 fits exactly, boundary rate 3/14 = 0.214.

    A lesson on it: suites/articles.toml.
    """
    return Problem(
        name="slope_fit",
        objective=_mean_squared_error,
        residuals=_residuals_of_slope,
        dim=1,
        formula="1/3 sum_i (w x_i - y_i)^2 = 14/3 (w - 2)^2",
        source=ARTICLES,
        box=cube(1, 5),
        start=np.ones(1),
        minimum=0.0,
        minimizers=np.full((1, 1), 2.0),
        all_minimizers=True,
        curvature=lambda parameters: (28 / 3, 28 / 3),
        quadratic=True,
        data={"inputs": np.array([1.0, 2.0, 3.0]), "outputs": np.array([2.0, 4.0, 6.0])},
    )


def _printed(x, data, parameters):
    inputs, outputs = jnp.mean(data["inputs"]), jnp.mean(data["outputs"])
    return (x[0] * inputs - outputs) ** 2 / (2 * inputs)


@problem_family()
def printed_gradient() -> Problem:
    """(w - 2)^2, whose slope is what an article prints as that of ``slope_fit``: the mean of w x - y, without the x.

    A lesson on it: suites/articles.toml.
    """
    return Problem(
        name="printed_gradient",
        objective=_printed,
        dim=1,
        formula="(w m_x - m_y)^2/(2 m_x) = (w - 2)^2, m the means of (1, 2, 3) and (2, 4, 6)",
        source=ARTICLES,
        box=cube(1, 5),
        start=np.ones(1),
        minimum=0.0,
        minimizers=np.full((1, 1), 2.0),
        all_minimizers=True,
        curvature=lambda parameters: (2.0, 2.0),
        quadratic=True,
        data={"inputs": np.array([1.0, 2.0, 3.0]), "outputs": np.array([2.0, 4.0, 6.0])},
    )


def _swing(x, data, parameters):
    return 2 * jnp.sin(x[0] / 2) ** 2


@problem_family()
def swing() -> Problem:
    """-cos t, where a mass on a spring is at time t: the slope is its velocity, the slope of that its acceleration.

    A lesson on it: suites/articles.toml.
    """
    return Problem(
        name="swing",
        objective=_swing,
        dim=1,
        formula="-cos t = 2 sin^2(t/2) - 1",
        source=ARTICLES,
        box=cube(1, 3),
        start=np.full(1, 2.0),
        minimum=-1.0,
        minimizers=np.zeros((1, 1)),
        offset=-1.0,
    )
