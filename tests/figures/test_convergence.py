import numpy as np
import pytest

from gdbench.figures import convergence
from gdbench.figures.base import render

CASE = {"experiment": "regions", "problem": "quadratic", "dtype": "float64"}


def test_drawn_on_odd_starts_at_the_setting_chosen_on_even_ones(quadratic_run):
    frame = convergence.data(quadratic_run, **CASE)
    gd = frame[frame["optimizer"] == "gd"]
    table = quadratic_run.table(cells=["regions/quadratic/gd/float64"])
    even = table[(table["start"] % 2 == 0) & (table["outcome"] == "converged")]
    full = even.groupby("learning_rate").filter(lambda rows: len(rows) == 8)
    best = full.groupby("learning_rate")["settle_step"].median().idxmin()
    odd = table[(table["start"] % 2 == 1) & (table["learning_rate"] == best)]
    traces = np.sort(np.array(odd["trace_best"].tolist()), axis=0)
    assert gd["median"].to_numpy() == pytest.approx(traces[3])
    assert (gd["descents"] == 8).all()
    assert gd["cost"].tolist() == quadratic_run.cells[0]["trace_steps"]
    assert "best per problem" in frame.attrs["heading"] and "held-out" in frame.attrs["heading"]


def test_best_so_far_never_rises(quadratic_run):
    frame = convergence.data(quadratic_run, **CASE)
    for _, group in frame.groupby("optimizer"):
        assert (group["median"].diff().dropna() <= 0).all()
        assert (group["low"] <= group["median"]).all() and (group["median"] <= group["high"]).all()


def test_cost_weighs_evaluations(quadratic_run, build):
    cell, rows = quadratic_run.cells[0], quadratic_run.frames["regions/quadratic/gd/float64"]
    costly = {**cell, "optimizer": {**cell["optimizer"], "cost": [3, 1, 2]}}
    frame = convergence.data(build.run([(costly, rows)]), **CASE)
    assert frame["cost"].tolist() == pytest.approx([8 * step for step in cell["trace_steps"]])


def test_a_mini_batch_counts_its_share(quadratic_run, build):
    cell, rows = quadratic_run.cells[0], quadratic_run.frames["regions/quadratic/gd/float64"]
    batches = {**cell, "problem": {**cell["problem"], "batch_share": 0.25, "stochastic": True}}
    frame = convergence.data(build.run([(batches, rows)]), **CASE)
    assert frame["cost"].tolist() == pytest.approx([0.25 * step for step in cell["trace_steps"]])


def test_where_steps_cost_differently_the_stored_costs_are_used(quadratic_run, build):
    cell, rows = quadratic_run.cells[0], quadratic_run.frames["regions/quadratic/gd/float64"]
    varying = {**cell, "optimizer": {**cell["optimizer"], "cost": None}}
    steps = np.array(cell["trace_steps"])
    spent = [steps * (2 + start % 3) for start in rows["start"]]
    none = [0 * s for s in spent]
    rows = rows.assign(trace_f_evals=spent, trace_g_evals=none, trace_hvp_evals=none)
    frame = convergence.data(build.run([(varying, rows)]), **CASE)
    assert frame["cost"].min() == pytest.approx(2) and frame["cost"].max() == pytest.approx(4 * steps[-1])
    assert (frame["median"].diff().dropna() <= 0).all()
    # At a cost of 2 only descents of the cheapest kind have a value at all: the rest counts as infinite.
    assert np.isinf(frame["high"].iloc[0]) and np.isfinite(frame["high"].iloc[-1])


def test_lines_are_steps_on_logarithmic_axes(quadratic_run):
    picture = render(convergence.FIGURE, quadratic_run, convergence.cases(quadratic_run))
    ax = picture.axes[0]
    assert {line.get_drawstyle() for line in ax.lines[:3]} == {"steps-post"}
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    texts = [text.get_text() for text in picture.legends[0].get_texts()]
    assert texts[0].startswith("gd (learning rate")


def test_one_start_is_said_to_be_in_sample(build):
    results = build.run([build.cell(build.quadratic(), "gd", {"learning_rate": build.rates}, num_starts=1)])
    frame = convergence.data(results, **CASE)
    assert "not evaluated on held-out starts" in frame.attrs["heading"]
