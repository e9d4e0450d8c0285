import numpy as np
import pytest

from gdbench.figures import learning_rate
from gdbench.figures.base import render
from gdbench.figures.style import optimizer_style

CASE = {"experiment": "regions", "problem": "quadratic", "dtype": "float64"}


def of(frame, optimizer):
    return frame[frame["optimizer"] == optimizer].set_index("learning_rate")


def test_median_and_band_over_starts(quadratic_run, build):
    frame = of(learning_rate.data(quadratic_run, **CASE), "gd")
    rate = build.rates[5]
    gaps = quadratic_run.table(cells=["regions/quadratic/gd/float64"])
    gaps = np.sort(gaps[gaps["learning_rate"] == rate]["gap_final"])
    # Of 16 values the 4th, 8th and 13th are the first to have 20, 50 and 80% at or below them.
    assert frame.loc[rate, ["low", "median", "high"]].tolist() == pytest.approx(gaps[[3, 7, 12]])
    assert frame.loc[rate, "descents"] == 16


def test_failed_descents_are_infinite_and_counted(quadratic_run, build):
    frame = of(learning_rate.data(quadratic_run, **CASE), "gd")
    beyond = frame[frame.index > 0.25]
    assert (beyond["failed"] == 1).all() and np.isinf(beyond["median"]).all()
    assert (frame[frame.index < 0.2]["failed"] == 0).all()
    assert (frame["descents"] == 16).all() and len(frame) == len(build.rates)


def test_the_usable_rates_are_those_that_converge_below_the_boundary(quadratic_run):
    frame = of(learning_rate.data(quadratic_run, **CASE), "gd")
    converging = frame.index[frame["converged"] >= 0.5]
    assert frame["usable_low"].iloc[0] == pytest.approx(min(converging))
    assert frame["usable_high"].iloc[0] == pytest.approx(max(converging))
    assert 0.1 < max(converging) < 0.2


def test_other_hyperparameters_stand_at_their_best_on_held_out_starts(momentum_run):
    frame = learning_rate.data(momentum_run, **CASE)
    assert len(frame) == 41 and (frame["descents"] == 2).all()
    assert "momentum" in frame.attrs["texts"]["heavy_ball"] and "best" in frame.attrs["texts"]["heavy_ball"]


def test_a_panel_for_each_condition(build):
    results = build.run([build.condition([1.0, 10.0, 100.0], build.rates)])
    cases = learning_rate.cases(results)
    assert [case["at"] for case in cases] == [{"condition": 1.0}, {"condition": 10.0}, {"condition": 100.0}]
    highest = [learning_rate.data(results, **case).query("failed < 0.5")["learning_rate"].max() for case in cases]
    assert highest == pytest.approx([max(build.rates[build.rates < 2 / c]) for c in (1, 10, 100)])


def test_styles_are_those_of_the_whole_run(quadratic_run):
    frame = learning_rate.data(quadratic_run, **CASE)
    assert frame.attrs["styles"] == optimizer_style(["gd", "heavy_ball", "sign"])


def test_the_strips_show_what_diverged_and_what_is_usable(quadratic_run):
    picture = render(learning_rate.FIGURE, quadratic_run, learning_rate.cases(quadratic_run))
    ax = picture.axes[0]
    (strip,) = ax.child_axes
    frame = picture.frames[0]
    for row, (_, group) in enumerate(frame.groupby("optimizer", sort=False)):
        tints = [bar for bar in strip.patches if bar.get_y() == row]
        for rate, share in zip(group["learning_rate"][1:-1], group["failed"][1:-1], strict=True):
            (tint,) = [bar for bar in tints if bar.get_x() < rate < bar.get_x() + bar.get_width()]
            assert tint.get_facecolor()[3] == pytest.approx(share)
    bars = [line for line in strip.lines if line.get_gid() == "usable"]
    assert bars[0].get_xdata() == pytest.approx(frame[["usable_low", "usable_high"]].iloc[0].tolist())
    assert any("decades" in text.get_text() for text in strip.texts)
    assert [line.get_label() for line in ax.lines[:3]] == ["gd", "heavy_ball", "sign"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_a_line_that_diverges_leaves_through_the_top(quadratic_run):
    picture = render(learning_rate.FIGURE, quadratic_run, learning_rate.cases(quadratic_run))
    ax = picture.axes[0]
    assert max(ax.lines[0].get_ydata()) > ax.get_ylim()[1]


def test_without_a_known_minimum_the_value_is_shown(build):
    cell, frame = build.cell(build.quadratic(), "gd", {"learning_rate": build.rates})
    results = build.run([({**cell, "problem": {**cell["problem"], "minimum": None}}, frame.assign(gap_final=np.nan))])
    shown = learning_rate.data(results, **CASE)
    assert shown.attrs["value"] == "final value" and shown.attrs["tolerance"] is None


def test_values_below_zero_get_an_axis_that_has_them(build):
    cell, frame = build.cell(build.quadratic(), "gd", {"learning_rate": build.rates})
    frame = frame.assign(gap_final=np.nan, f_final=frame["f_final"] - 3)
    picture = render(learning_rate.FIGURE, build.run([(cell, frame)]), [CASE])
    assert picture.axes[0].get_yscale() == "symlog" and picture.axes[0].get_ylim()[0] < -3
