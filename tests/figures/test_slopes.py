import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

import gdbench as gd
from gdbench.figures import slopes


def draw(frame):
    ax = Canvas().add_subplot()
    slopes.draw(ax, frame)
    return ax


def tangents(frame):
    return frame[frame["kind"] == "tangent"]


def test_the_shifted_parabola_has_slopes_minus_four_zero_and_four(parabola_run):
    found = tangents(slopes.data(parabola_run, "shifted_parabola"))
    assert found["x"].tolist() == pytest.approx([-1, 1, 3])
    assert found["slope"].tolist() == pytest.approx([-4, 0, 4])
    assert found["f"].tolist() == pytest.approx([6, 2, 6])


def test_points_can_be_chosen(parabola_run):
    found = tangents(slopes.data(parabola_run, "shifted_parabola", points=[2.0, 0.5]))
    assert found["slope"].tolist() == pytest.approx([2, -1])


def test_default_points_stay_in_the_box(parabola_run, build):
    cell = parabola_run.cells[0]
    surface = parabola_run.surface("shifted_parabola").query("0 <= x0 <= 3")
    results = build.results([cell], {cell["id"]: parabola_run.frames[cell["id"]]}, {"shifted_parabola": surface})
    assert tangents(slopes.data(results, "shifted_parabola"))["x"].tolist() == pytest.approx([0.2, 1.0, 1.8])


def test_tangents_touch_with_their_slope(parabola_run):
    ax = draw(slopes.data(parabola_run, "shifted_parabola"))
    lines = [line for line in ax.lines if line.get_gid() == "tangent"]
    measured = [np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0] for line in lines]
    assert measured == pytest.approx([-4, 0, 4])
    assert [text.get_text() for text in ax.texts] == ["slope −4", "slope 0", "slope 4"]


def test_a_second_panel_where_quotients_came_along(parabola_run):
    assert slopes.cases(parabola_run) == [
        {"problem": "shifted_parabola"},
        {"problem": "shifted_parabola", "panel": "quotients"},
    ]
    frame = slopes.data(parabola_run, "shifted_parabola", panel="quotients")
    ax = draw(frame)
    assert ax.lines[0].get_xdata() == pytest.approx(np.logspace(-8, 0, 9))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    # The error of a difference quotient of a parabola is h, until rounding takes over.
    assert frame.set_index("h")["error"].iloc[-1] == pytest.approx(1.0)


def test_only_one_dimension_with_a_surface(parabola_run, quadratic_run, build):
    assert slopes.cases(quadratic_run) == []
    assert slopes.cases(build.results(parabola_run.cells, parabola_run.frames)) == []


def test_slopes_along_directions(tmp_path):
    """By difference quotients no direction is steeper than the gradient, and each has the cosine's share of it."""
    experiment = {"name": "one", "problems": ["rosenbrock"], "optimizers": ["gd"], "steps": 5, "directions": 400}
    suite = {"suite": {"name": "small"}, "experiment": [experiment | {"learning_rate": [1e-3]}]}
    results = gd.run(suite, results=tmp_path).results
    assert {"problem": "rosenbrock", "panel": "directions"} in slopes.cases(results)
    frame = slopes.data(results, "rosenbrock", "directions")
    np.testing.assert_allclose(frame["slope"], frame["cosine"], atol=1e-4)
    by_kind = {kind: group["slope"].to_numpy() for kind, group in frame.groupby("kind")}
    assert len(by_kind["random"]) == 400 and len(by_kind["partial"]) == 8
    assert by_kind["random"].max() <= 1 + 1e-4
    np.testing.assert_allclose([by_kind["gradient"], -by_kind["opposite"]], 1, atol=1e-4)
    labels = [text.get_text() for text in draw(frame).get_legend().get_texts()]
    assert labels == ["a random direction", "along one parameter", "along the gradient", "against it"]


def test_the_clock_says_what_a_value_and_a_gradient_take(tmp_path):
    """Of what asks for it alone; a gradient of a problem takes longer than nothing, and both are read back."""
    experiment = {"name": "one", "problems": ["rosenbrock"], "optimizers": ["gd"], "steps": 5, "clock": True}
    suite = {"suite": {"name": "small"}, "experiment": [experiment | {"learning_rate": [1e-3]}]}
    run = gd.run(suite, results=tmp_path)
    told = gd.load(run.path).results.clock("rosenbrock")
    assert told["what"].tolist() == ["value", "gradient"] and (told["seconds"] > 0).all()
    assert (told["seconds"] < 1e-3).all(), "seconds at one point of many"
    assert run.results.directions("rosenbrock") is None
