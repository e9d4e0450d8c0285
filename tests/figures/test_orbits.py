import numpy as np
import pytest

import gdbench as gd
from gdbench.figures import orbits
from gdbench.figures.base import pictures, render, save

RATES = [0.5, 0.8, 1.05, 1.1, 1.2, 1.24, 1.5, 40.0]


@pytest.fixture(scope="module")
def wells():
    return gd.sweep(
        "double_well", "gd", learning_rate=RATES, x0=[[0.5], [-0.7], [0.9]], steps=2000, orbit=64, dtype="float64"
    ).results


def visited(frame, rate):
    return np.sort(frame.loc[np.isclose(frame["learning_rate"], rate), "x"].to_numpy())


def test_below_the_boundary_iterates_end_at_the_minimizers(wells):
    frame = orbits.data(wells, wells.cells[0]["id"])
    for rate in (0.5, 0.8):
        assert visited(frame, rate) == pytest.approx([-1, 1], abs=1e-6)
    assert frame["boundary"].to_numpy() == pytest.approx(1.0)


@pytest.mark.parametrize("rate", [1.05, 1.1, 1.2])
def test_the_period_doubles_at_the_boundary(wells, rate):
    # x and y with x -> y -> x have x + y = sqrt(1 + 3/rate) and x y = 1/rate.
    middle, half = np.sqrt(1 + 3 / rate) / 2, np.sqrt(1 - 1 / rate) / 2
    cycle = [-middle - half, -middle + half, middle - half, middle + half]
    assert visited(orbits.data(wells, wells.cells[0]["id"]), rate) == pytest.approx(cycle, abs=1e-3)


def test_it_doubles_again_and_then_never_repeats(wells):
    frame = orbits.data(wells, wells.cells[0]["id"])
    # The cycle of two ends where the product of derivatives is -1, at rate sqrt(5) - 1 = 1.236.
    assert len(visited(frame, 1.24)) == 8
    assert len(visited(frame, 1.5)) > 40


def test_visits_are_counted_and_what_diverged_has_none(wells):
    frame = orbits.data(wells, wells.cells[0]["id"])
    assert not len(visited(frame, 40.0))
    assert frame.groupby("learning_rate")["visits"].sum().tolist() == [3 * 64] * 7


def test_paths_keep_the_last_iterates_one_by_one(wells):
    steps = wells.cells[0]["path_steps"]
    assert steps[-64:] == list(range(1937, 2001)) and steps[0] == 0 and len(steps) <= 64 + 65
    assert len(wells.table()["path"][0]) == len(steps)


def test_it_is_drawn_with_its_boundary(wells, tmp_path):
    ((stem, cases),) = pictures(orbits.FIGURE, wells).items()
    picture = render(orbits.FIGURE, wells, cases)
    (line,) = [line for line in picture.axes[0].lines if line.get_gid() == "theory"]
    scale = picture.frames[0].attrs["scale"]
    assert line.get_xdata()[0] == pytest.approx(float(scale.position(1.0)))
    assert save(picture, tmp_path, stem)["csv"].read_text().startswith("learning_rate,x,visits,boundary")


def test_runs_without_orbits_have_no_diagram(quadratic_run):
    assert orbits.cases(quadratic_run) == []
