import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from gdbench.figures import trajectories

CASE = {"experiment": "regions", "problem": "quadratic", "dtype": "float64"}


def test_all_paths_begin_at_the_same_start(quadratic_run):
    frame = trajectories.data(quadratic_run, **CASE)
    first = frame.groupby("optimizer").first()
    assert set(first.index) == {"gd", "heavy_ball", "sign"}
    assert (first["step"] == 0).all() and frame["start"].nunique() == 1
    assert np.ptp(first[["x0", "x1"]].to_numpy(), axis=0) == pytest.approx([0, 0])


def test_the_path_is_that_of_the_best_setting_and_ends_where_the_descent_ended(quadratic_run):
    frame = trajectories.data(quadratic_run, **CASE)
    table = quadratic_run.table(cells=["regions/quadratic/gd/float64"])
    path = frame[frame["optimizer"] == "gd"]
    text = frame.attrs["texts"]["gd"]
    rates = table["learning_rate"].unique()
    (rate,) = [rate for rate in rates if f"learning rate {rate:.3g})" in text]
    row = table[(table["learning_rate"] == rate) & (table["start"] == path["start"].iloc[0])].iloc[0]
    assert path[["x0", "x1"]].iloc[-1].tolist() == pytest.approx(row[["end_0", "end_1"]].tolist())
    assert row["outcome"] == "converged"


def test_the_best_sampled_setting_where_the_best_has_no_path(quadratic_run, build):
    cell = quadratic_run.cells[0]
    rows = quadratic_run.frames[cell["id"]].copy()
    rows["path"] = [p if rate < 0.05 else None for p, rate in zip(rows["path"], rows["learning_rate"], strict=True)]
    results = build.results([cell], {cell["id"]: rows}, quadratic_run.surfaces)
    frame = trajectories.data(results, **CASE)
    assert "0.0398" in frame.attrs["texts"]["gd"]


def test_a_start_can_be_asked_for(quadratic_run):
    assert set(trajectories.data(quadratic_run, **CASE, start=1)["start"]) == {1}


def test_a_path_ends_before_it_is_not_finite(build):
    results = build.run([build.cell(build.quadratic(), "gd", {"learning_rate": [30.0, 100.0]}, steps=300)],
                        [build.quadratic()])  # fmt: skip
    frame = trajectories.data(results, **CASE)
    assert np.isfinite(frame[["x0", "x1"]]).all(axis=None)
    assert 1 < len(frame) < len(results.cells[0]["path_steps"])


@pytest.mark.parametrize("fixture", ["quadratic_run", "parabola_run"])
def test_drawing(fixture, request):
    results = request.getfixturevalue(fixture)
    (case,) = trajectories.cases(results)
    frame = trajectories.data(results, **case)
    ax = Canvas().add_subplot()
    trajectories.draw(ax, frame)
    paths = [line for line in ax.lines if line.get_gid() == "path"]
    assert len(paths) == frame["optimizer"].nunique()
    (start,) = [line for line in ax.lines if line.get_gid() == "start"]
    assert start.get_xdata()[0] == pytest.approx(frame["x0"].iloc[0])
    assert [line.get_xdata()[0] for line in ax.lines if line.get_gid() == "minimum"] == [
        0.0 if fixture == "quadratic_run" else 1.0
    ]


def test_in_one_dimension_points_lie_on_the_function(parabola_run):
    frame = trajectories.data(parabola_run, **trajectories.cases(parabola_run)[0])
    ax = Canvas().add_subplot()
    trajectories.draw(ax, frame)
    line = next(line for line in ax.lines if line.get_gid() == "path")
    inside = np.isfinite(line.get_ydata())
    x = np.asarray(line.get_xdata())[inside]
    # Between points of the stored surface, a quarter apart, the curve is drawn straight: off by at most 1/64.
    assert np.asarray(line.get_ydata())[inside] == pytest.approx((x - 1) ** 2 + 2, abs=1 / 64 + 1e-9)


def test_contours_are_of_the_gap(quadratic_run):
    ground = trajectories.data(quadratic_run, **CASE).attrs["ground"]
    x0, x1 = ground.axes
    assert ground.values == pytest.approx(0.5 * (x0[None, :] ** 2 + 10 * x1[:, None] ** 2))


def test_no_surface_or_no_paths_no_case(quadratic_run, build):
    assert trajectories.cases(build.results(quadratic_run.cells, quadratic_run.frames)) == []
    pair = build.cell(build.quadratic(), "gd", {"learning_rate": build.rates}, paths=False)
    assert trajectories.cases(build.run([pair], [build.quadratic()])) == []


def test_the_surface_holds_for_one_condition_only(build):
    results = build.run([build.condition([1.0, 10.0, 100.0], build.rates)], [build.quadratic()])
    assert [case["at"] for case in trajectories.cases(results)] == [{"condition": 10.0}]
