"""The worked examples have the slopes that the articles print."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from gdbench.problems.articles import linear, parabola, shifted_parabola, slope_fit


@pytest.mark.parametrize(
    ("family", "slopes"),
    [
        (linear, {-3.0: 2, 0.0: 2, 4.0: 2}),
        (parabola, {2.0: 4, 0.0: 0, -1.0: -2}),
        (shifted_parabola, {-1.0: -4, 1.0: 0, 3.0: 4}),
        (slope_fit, {1.0: -28 / 3, 2.0: 0, 3.0: 28 / 3}),
    ],
)
def test_slopes(family, slopes):
    slope = jax.grad(family())
    for x, expected in slopes.items():
        assert float(slope(np.array([x], np.float32))[0]) == pytest.approx(expected, rel=1e-6)


def test_values():
    assert float(linear()(np.array([2.0]))) == 5
    assert float(shifted_parabola()(np.array([3.0]))) == 6
    assert float(slope_fit()(np.array([3.0]))) == pytest.approx(14 / 3)


def test_linear_has_no_minimum():
    problem = linear()
    assert (problem.goal, problem.minimum, problem.minimizers) == ("unbounded", None, None)


def test_slope_fit_boundary_is_the_printed_one():
    problem = slope_fit()
    assert problem.curvature is not None
    assert 2 / problem.curvature({})[1] == pytest.approx(0.2142857, rel=1e-6)
