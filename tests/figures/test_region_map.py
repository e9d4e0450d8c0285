import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as Canvas

from gdbench.figures import region_map
from gdbench.figures.base import pictures, render
from gdbench.figures.grids import image, outcome_codes
from gdbench.theory import heavy_ball


def draw(frame):
    ax = Canvas().add_subplot()
    region_map.draw(ax, frame)
    return ax


def lines(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def test_the_theory_line_of_gradient_descent_stands_at_two_over_the_largest_curvature(quadratic_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/gd/float64")
    assert frame["boundary"].to_numpy() == pytest.approx(0.2)
    (line, _) = lines(draw(frame), "theory")
    assert line.get_xdata() == pytest.approx(np.log10(0.2))
    assert line.get_ydata()[[0, -1]] == pytest.approx([-0.5, 15.5])


def test_momentum_held_fixed_moves_the_boundary(quadratic_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/heavy_ball/float64")
    assert frame["boundary"].to_numpy() == pytest.approx(2 * 1.9 / 10)


def test_momentum_as_the_vertical_axis_tilts_the_boundary(momentum_run):
    frame = region_map.data(momentum_run, "regions/quadratic/heavy_ball/float64", y="momentum")
    assert frame["boundary"].to_numpy() == pytest.approx(2 * (1 + frame["momentum"].to_numpy()) / 10)
    line = lines(draw(frame), "theory")[0]
    inner = slice(1, -1)
    assert 10 ** line.get_xdata()[inner] == pytest.approx(2 * (1 + line.get_ydata()[inner]) / 10)


def test_the_boundary_is_unknown_where_momentum_is_summarised(momentum_run):
    frame = region_map.data(momentum_run, "regions/quadratic/heavy_ball/float64", y="start")
    assert frame["boundary"].isna().all()
    assert not lines(draw(frame), "theory")


def test_an_axis_of_one_value_counts_for_the_boundary(build):
    axes = {"learning_rate": build.rates, "momentum": [0.5]}
    results = build.run([build.cell(build.quadratic(), "heavy_ball", axes)])
    frame = region_map.data(results, results.cells[0]["id"])
    assert frame["boundary"].to_numpy() == pytest.approx(2 * 1.5 / 10)


def test_no_closed_form_no_line(quadratic_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/sign/float64")
    assert frame["boundary"].isna().all()
    assert not lines(draw(frame), "theory")


def test_the_boundary_follows_the_condition(build):
    conditions = np.logspace(0, 2, 5)
    results = build.run([build.condition(conditions, build.rates)])
    cell = results.cells[0]["id"]
    frame = region_map.data(results, cell, y="condition")
    assert frame["boundary"].to_numpy() == pytest.approx(2 / frame["condition"].to_numpy())
    held = region_map.data(results, cell, y="start", at={"condition": 100.0})
    assert held["boundary"].to_numpy() == pytest.approx(0.02)
    assert len(held) == len(build.rates) * 8


def test_a_local_curvature_is_named_so(build):
    results = build.run([build.cell(build.quadratic(curvature_is_local=True), "gd", {"learning_rate": build.rates})])
    assert "local" in region_map.data(results, results.cells[0]["id"]).attrs["theory"]


def test_measured_rates_agree_with_theory(quadratic_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/gd/float64")
    slow = frame[(frame["learning_rate"] < 0.01) & (frame["rate"] < 0)]
    assert len(slow) > 50
    # Far below the boundary no descent beats the slowest mode's rate by less than the fastest mode allows.
    fastest = 2 * np.log10(1 - 10 * slow["learning_rate"])
    slowest = 2 * np.log10(1 - slow["learning_rate"])
    assert (slow["rate"] >= fastest - 1e-9).all() and (slow["rate"] <= slowest + 1e-9).all()


def test_outcomes_change_sides_at_the_boundary(quadratic_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/gd/float64")
    failed = frame["outcome"].isin(["diverged", "nonfinite"])
    assert failed[frame["learning_rate"] > 0.25].all()
    assert not failed[frame["learning_rate"] < 0.2].any()
    assert (frame["descents"] == 1).all() and (frame["share"] == 1).all()


def test_the_star_stands_at_the_best_setting(momentum_run):
    cell, frame = momentum_run.cells[0], momentum_run.table()
    chosen = frame[frame["start"] % 2 == 0]
    scores = chosen.assign(
        converged=(chosen["outcome"] == "converged").astype(float),
        cost=np.where(chosen["outcome"] == "converged", chosen["settle_step"].astype(float), np.inf),
    )
    by_setting = scores.groupby(["learning_rate", "momentum"]).agg({"converged": "mean", "cost": "median"})
    best = by_setting.reset_index().sort_values(["converged", "cost"], ascending=[False, True]).iloc[0]
    ax = draw(region_map.data(momentum_run, cell["id"], y="momentum"))
    star = next(line for line in lines(ax, "setting") if line.get_marker() == "*")
    assert star.get_xdata()[0] == pytest.approx(np.log10(best["learning_rate"]))
    assert star.get_ydata()[0] == pytest.approx(best["momentum"])


def test_a_star_for_each_condition(build):
    results = build.run([build.condition(np.logspace(0, 1, 3), build.rates)])
    frame = region_map.data(results, results.cells[0]["id"], y="condition")
    across, up = np.array(frame.attrs["best"]).T
    assert up == pytest.approx([0, 0.5, 1])
    # The best rate, 2/(m + L), is within the grid's tenth of a decade.
    assert across == pytest.approx(np.log10(2 / (1 + np.logspace(0, 1, 3))), abs=0.1)


def test_marks_stand_at_the_top_edge_where_the_vertical_axis_is_no_setting(quadratic_run):
    ax = draw(region_map.data(quadratic_run, "regions/quadratic/sign/float64"))
    cross = next(line for line in lines(ax, "setting") if line.get_marker() == "X")
    assert cross.get_xdata()[0] == pytest.approx(np.log10(0.1))
    assert cross.get_transform() != ax.transData


def test_no_star_where_everything_diverged(build):
    results = build.run([build.cell(build.quadratic(), "gd", {"learning_rate": [3.0, 10.0, 30.0]})])
    frame = region_map.data(results, results.cells[0]["id"])
    assert frame.attrs["best"] == []
    assert not lines(draw(frame), "setting")


def test_starts_are_ordered_by_f_or_by_their_coordinate(quadratic_run, parabola_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/gd/float64")
    assert np.all(np.diff(frame.drop_duplicates("row")["start"]) > 0)
    table = quadratic_run.table(cells=["regions/quadratic/gd/float64"])
    assert sorted(frame["start"].unique()) == pytest.approx(sorted(table["f_start"].unique()))
    flat = region_map.data(parabola_run, "regions/shifted_parabola/gd/float64")
    coordinates = parabola_run.table(cells=["regions/shifted_parabola/gd/float64"])["start_0"]
    assert sorted(flat["start"].unique()) == pytest.approx(sorted(coordinates.unique()))


def test_pixels_without_a_rate_show_their_outcome_and_the_legend_says_so(quadratic_run, build):
    cell = quadratic_run.cells[0]
    frame = quadratic_run.frames[cell["id"]].copy()
    frame.loc[frame["learning_rate"] < 0.01, "rate"] = np.nan
    picture = render(region_map.FIGURE, build.run([(cell, frame)]), [{"cell": cell["id"]}])
    ax = picture.axes[0]
    under, over = ax.images
    assert np.ma.getmaskarray(over.get_array())[:, 0].all()
    assert np.asarray(under.get_array())[0, 0] == pytest.approx(np.array([0xBB, 0xBB, 0xBB]) / 255)
    assert "unfinished" in {text.get_text() for text in picture.legends[0].get_texts()}


def test_colour_bar_and_centre(quadratic_run):
    (cases,) = pictures(region_map.FIGURE, quadratic_run).values()
    picture = render(region_map.FIGURE, quadratic_run, cases)
    labels = {ax.get_ylabel() for ax in picture.axes}
    assert "signed rate (decades of gap per step)" in labels
    norms = [ax.images[1].norm for ax in picture.axes[:3]]
    assert {norm.vcenter for norm in norms} == {0}
    assert len({norm.halfrange for norm in norms}) == 1


def test_the_outline_runs_where_outcomes_change(quadratic_run):
    frame = region_map.data(quadratic_run, "regions/quadratic/gd/float64")
    codes = image(frame, outcome_codes(frame), -1)
    changes = int((codes[:, 1:] != codes[:, :-1]).sum() + (codes[1:] != codes[:-1]).sum())
    (outline,) = [artist for artist in draw(frame).collections if isinstance(artist, LineCollection)]
    assert len(outline.get_segments()) == changes > 0


def test_a_map_above_the_pixel_grid_is_reduced(build, monkeypatch):
    monkeypatch.setattr(region_map, "stride", lambda count, most=10: -(-count // most))
    results = build.run([build.cell(build.quadratic(), "gd", {"learning_rate": build.rates}, num_starts=16)])
    frame = region_map.data(results, results.cells[0]["id"])
    table = results.table()
    # 31 rates share pixels by four, 16 starts by two.
    assert frame["column"].max() == 7 and frame["row"].max() == 7
    assert frame["descents"].sum() == len(table) == 31 * 16
    first = table[table["learning_rate"] < build.rates[3] * 1.001]
    rate = frame[frame["column"] == 0]["rate"].mean()
    assert first["rate"].min() <= rate <= first["rate"].max()
    left, right = frame.attrs["extent"][:2]
    assert (right - left) == pytest.approx(32 * 0.1)


def test_the_first_hyperparameter_stands_in_for_a_learning_rate(momentum_run, build):
    cell, frame = momentum_run.cells[0], momentum_run.frames["regions/quadratic/heavy_ball/float64"]
    renamed = {**cell, "axes": [{**axis, "name": axis["name"].replace("learning_rate", "b1")} for axis in cell["axes"]]}
    results = build.results([renamed], {cell["id"]: frame.rename(columns={"learning_rate": "b1"})})
    assert region_map.cases(results) == [{"cell": cell["id"], "x": "b1", "y": y} for y in ("momentum", "start")]
    assert isinstance(region_map.data(results, **region_map.cases(results)[0]), pd.DataFrame)


def test_the_rate_in_theory_stands_beside_the_measured_one(momentum_run):
    frame = region_map.data(momentum_run, "regions/quadratic/heavy_ball/float64", y="momentum")
    rates = heavy_ball.rate(frame["learning_rate"], [1.0, 10.0], frame["momentum"])
    assert frame["rate_in_theory"].to_numpy() == pytest.approx(rates)


def test_the_diamond_stands_at_the_best_setting_in_theory(momentum_run):
    frame = region_map.data(momentum_run, "regions/quadratic/heavy_ball/float64", y="momentum")
    best = heavy_ball.best(1.0, 10.0)
    assert frame.attrs["optimum"] == [pytest.approx((np.log10(best.alpha), best.momentum))]
    ax = draw(frame)
    assert [line.get_marker() for line in lines(ax, "setting")].count("d") == 1


def test_a_diamond_for_each_condition(build):
    conditions = np.logspace(0.5, 2, 4)
    results = build.run([build.condition(conditions, build.rates)])
    marks = region_map.data(results, results.cells[0]["id"], y="condition").attrs["optimum"]
    across, up = np.array(marks).T
    assert 10**across == pytest.approx(2 / (1 + conditions), rel=1e-6)


def test_theory_that_is_local_has_no_best_setting(build):
    results = build.run([build.cell(build.quadratic(curvature_is_local=True), "gd", {"learning_rate": build.rates})])
    assert region_map.data(results, results.cells[0]["id"]).attrs["optimum"] == []
