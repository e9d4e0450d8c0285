"""S and G, by which descents are judged: the medians that they are said to be, stored with the words that say so."""

from __future__ import annotations

import numpy as np
import pytest

import gdbench as gd
from gdbench.kernels.scale import measure_scales, origins


@pytest.mark.parametrize(
    ("name", "settings", "scale", "slope"),
    [
        # x^2 on [-5, 5]: |x| has the median 2.5.
        ("parabola", {}, 6.25, 5.0),
        # 1/2 L x^2 with L = 4: so has it here.
        ("quadratic", {"dim": 1, "condition": 4.0}, 12.5, 10.0),
        # f is x^2 - 2x + 3: with u = x - 1 uniform on [-6, 4], |u| has the median 2.5.
        ("shifted_parabola", {}, 6.25, 5.0),
    ],
)
def test_scales_are_the_medians_over_the_box(name, settings, scale, slope):
    problem = gd.problem(name, **settings)
    ((s, g),) = measure_scales(problem, [problem.parameters])
    # The median of 1,024 points has a standard error of 1.6% of the range's half.
    assert s == pytest.approx(scale, rel=0.15) and g == pytest.approx(slope, rel=0.08)
    assert float(f"{s:.3g}") == s and measure_scales(problem, [problem.parameters]) == [(s, g)]


def test_the_sample_is_the_one_that_is_said():
    problem = gd.problem("rosenbrock")
    points = problem.box[0] + (problem.box[1] - problem.box[0]) * np.random.default_rng(0).random((1024, 2))
    values = 100 * (points[:, 1] - points[:, 0] ** 2) ** 2 + (1 - points[:, 0]) ** 2
    ((s, _),) = measure_scales(problem, [problem.parameters])
    assert s == float(f"{np.median(values):.3g}")
    assert "1,024 uniform points" in origins(problem)[0] and "gradient norm" in origins(problem)[1]


def test_a_cell_stores_scales_tolerance_and_how_they_came_about():
    (cell,) = gd.sweep("himmelblau", "gd", learning_rate=0.01, steps=40, dtype="float64").results.cells
    told = cell["problem"]
    assert told["scale"] > 0 and told["gradient_scale"] > 0 and told["tolerance"] == 1e-8
    assert told["scale_origin"].startswith("median of f - f*") and told["gradient_scale_origin"].startswith("median")
    bare = gd.problem(lambda x: (x**2).sum(), x0=[1.0])
    assert measure_scales(bare, [{}]) == [(1.0, 1.0)] and origins(bare) == ("1, for there is no box to sample",) * 2
