import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from gdbench.figures import basins
from gdbench.figures.base import render

GRID, SCATTERED = "regions/double_well/gd/float64", "scattered/double_well/gd/float64"


def lightness(rgb):
    return np.asarray(rgb) @ [0.2126, 0.7152, 0.0722]


def test_the_basin_of_a_separable_function_is_the_quadrant_of_the_start(basin_run):
    frame = basins.data(basin_run, GRID)
    assert len(frame) == 400
    reached = frame[frame["outcome"] == "converged"]
    assert len(reached) == 400
    assert (reached["basin"] == 2 * (reached["start_0"] > 0) + (reached["start_1"] > 0)).all()


def test_the_setting_is_the_best_and_is_named(basin_run):
    frame = basins.data(basin_run, GRID)
    assert "learning rate 0.3" in frame.attrs["title"]
    assert "best per problem" in frame.attrs["heading"]


def test_a_setting_can_be_asked_for(basin_run):
    slow = basins.data(basin_run, GRID, at={"learning_rate": 0.01})
    assert (slow["outcome"] == "unfinished").mean() > 0.5


def test_hue_is_the_basin_and_lightness_the_steps(basin_run):
    frame = basins.data(basin_run, GRID).sort_values("settle_step")
    one = frame[frame["basin"] == 0]
    rgb = basins.colours(one, *frame.attrs["range"])
    light = lightness(rgb)
    assert light[0] > light[-1] + 0.1
    assert np.all(np.diff(light) <= 1e-9)
    four = basins.oklch(0.66, 0.13, basins.hue(np.arange(4)))
    distances = np.linalg.norm(four[:, None] - four[None], axis=-1)[np.triu_indices(4, 1)]
    assert distances.min() > 0.2


def test_other_outcomes_have_their_own_colour_and_local_minima_a_pale_hue(basin_run):
    frame = basins.data(basin_run, GRID).iloc[:3].copy()
    frame["outcome"] = ["diverged", "trapped", "trapped"]
    frame["basin"], frame["settle_step"] = [-1, -1, 0], np.nan
    rgb = basins.colours(frame, 1.0, 10.0)
    assert rgb[0] == pytest.approx(np.array([0xD5, 0x5E, 0x00]) / 255)
    assert rgb[1] == pytest.approx(np.array([0xCC, 0x79, 0xA7]) / 255)
    assert np.ptp(rgb[2]) < np.ptp(basins.oklch(0.66, 0.13, basins.hue(np.array(0))))


@pytest.mark.parametrize(
    ("lch", "srgb"),
    [((1.0, 0.0, 0.0), (1, 1, 1)), ((0.0, 0.0, 0.0), (0, 0, 0)), ((0.627955, 0.257683, 29.2339), (1, 0, 0))],
)
def test_oklch_against_published_values(lch, srgb):
    assert basins.oklch(*lch) == pytest.approx(np.array(srgb), abs=2e-3)


def test_a_grid_is_an_image_and_scattered_starts_are_points(basin_run):
    for cell, images, points in ((GRID, 1, 0), (SCATTERED, 0, 64)):
        ax = Canvas().add_subplot()
        frame = basins.data(basin_run, cell)
        basins.draw(ax, frame)
        scattered = [c for c in ax.collections if hasattr(c, "get_sizes")]
        assert len(ax.images) == images
        assert sum(len(c.get_offsets()) for c in scattered) == points
        assert len([line for line in ax.lines if line.get_gid() == "minimum"]) == 4


def test_the_image_has_each_start_in_its_place(basin_run):
    ax = Canvas().add_subplot()
    frame = basins.data(basin_run, GRID)
    basins.draw(ax, frame)
    array = ax.images[0].get_array()
    rgb = basins.colours(frame, *frame.attrs["range"])
    corner = frame.index[(frame["start_0"] == 2) & (frame["start_1"] == -2)][0]
    assert np.asarray(array)[0, -1] == pytest.approx(rgb[corner])
    assert ax.images[0].get_extent() == pytest.approx([-2 - 2 / 19, 2 + 2 / 19] * 2)


def test_minima_found_in_the_run_are_marked_where_descents_ended(basin_run, build):
    cell, frame = basin_run.cells[0], basin_run.frames[GRID]
    blind = {**cell, "problem": {**cell["problem"], "minimizers": None}}
    found = basins.data(build.results([blind], {GRID: frame}), GRID).attrs["minima"]
    assert {k: pytest.approx(v, abs=1e-3) for k, v in found.items()} == {0: (-1, -1), 1: (-1, 1), 2: (1, -1), 3: (1, 1)}


def test_two_dimensions_and_enough_starts_are_needed(basin_run, parabola_run, momentum_run):
    assert basins.cases(basin_run) == [{"cell": GRID}, {"cell": SCATTERED}]
    assert basins.cases(parabola_run) == basins.cases(momentum_run) == []


def test_the_legend_names_minima(basin_run):
    picture = render(basins.FIGURE, basin_run, basins.cases(basin_run)[:1])
    texts = {text.get_text() for text in picture.legends[0].get_texts()}
    assert {"minimum 0", "minimum 3", "where the minima are"} <= texts
