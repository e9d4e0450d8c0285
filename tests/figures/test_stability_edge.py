import numpy as np
import pytest

import gdbench as gd
from gdbench.figures import stability_edge
from gdbench.figures.base import pictures, render, save


@pytest.fixture(scope="module")
def bowl():
    return gd.sweep(
        "quadratic", "momentum", learning_rate=[0.05, 0.1, 0.5], momentum=0.5, x0=[[1.0, 2.0]], steps=40,
        sharpness=True, dtype="float64",
    ).results  # fmt: skip


def test_on_a_quadratic_all_is_known(bowl):
    frame = stability_edge.data(bowl, bowl.cells[0]["id"])
    assert frame["sharpness"].to_numpy() == pytest.approx(10)
    assert frame["limit"].to_numpy() == pytest.approx(2 * 1.5 / frame["learning_rate"].to_numpy())
    at_start = frame[frame["step"] == 0]
    assert at_start["f"].tolist() == pytest.approx([0.5 * (1 + 10 * 4)] * 3)
    # 0.5 is beyond its limit: 6 < 10, and its values grow.
    (lost,) = (line for rate, line in frame.groupby("learning_rate") if rate == 0.5)
    assert lost["limit"].iloc[0] < 10 and lost["f"].iloc[-1] > 1e3 * lost["f"].iloc[0]


def test_a_rule_without_closed_form_has_no_limit():
    results = gd.sweep("quadratic", "adam", learning_rate=[0.1, 0.2], x0=[[1.0, 1.0]], steps=20, sharpness=True).results
    frame = stability_edge.data(results, results.cells[0]["id"])
    assert frame["limit"].isna().all() and frame["sharpness"].to_numpy() == pytest.approx(10, rel=1e-6)
    render(stability_edge.FIGURE, results, stability_edge.cases(results))


def test_at_most_four_settings_are_shown():
    rates = np.geomspace(0.01, 0.1, 9)
    results = gd.sweep(
        "quadratic", "gd", learning_rate=rates.tolist(), x0=[[1.0, 1.0]], steps=20, sharpness=True
    ).results
    frame = stability_edge.data(results, results.cells[0]["id"])
    assert frame["learning_rate"].unique() == pytest.approx(rates[[0, 3, 5, 8]])


def test_it_is_drawn_with_a_limit_a_line(bowl, tmp_path):
    ((stem, cases),) = pictures(stability_edge.FIGURE, bowl).items()
    picture = render(stability_edge.FIGURE, bowl, cases)
    lines = [line for line in picture.axes[0].lines if line.get_gid() == "limit"]
    assert sorted(line.get_ydata()[0] for line in lines) == pytest.approx([6, 30, 60])
    for path in save(picture, tmp_path, stem).values():
        assert path.stat().st_size > 1000


def test_runs_without_sharpness_have_none(quadratic_run):
    assert stability_edge.cases(quadratic_run) == []
