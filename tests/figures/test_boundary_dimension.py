import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from gdbench.figures import boundary_dimension
from gdbench.figures.base import pictures, render, save
from gdbench.stats.box_counting import boundary_cells, box_dimension

RATES = np.logspace(-1.5, 0, 48)
BETAS = np.linspace(0, 0.95, 40)
LINE = np.logspace(-2, 0, 300)


@pytest.fixture(scope="module")
def plane(build):
    """Heavy ball on a quadratic of curvatures 1 and 10, which loses stability at 2 (1 + momentum)/10."""
    axes = {"learning_rate": RATES, "momentum": BETAS}
    return build.run([build.cell(build.quadratic(), "heavy_ball", axes, num_starts=2, steps=300)])


@pytest.fixture(scope="module")
def line(build):
    """Gradient descent at 300 learning rates."""
    return build.run([build.cell(build.quadratic(), "gd", {"learning_rate": LINE}, num_starts=2, steps=300)])


def identity(results):
    return results.cells[0]["id"]


def drawn(frame):
    ax = Canvas().add_subplot()
    boundary_dimension.draw(ax, frame)
    return ax


def with_outcomes(pair, lost):
    """The cell with outcomes put in their place: lost over the grid of its hyperparameters, ascending."""
    cell, frame = pair
    names = [axis["name"] for axis in cell["axes"] if axis["kind"] == "hyperparameter"]
    index = tuple(np.unique(frame[name], return_inverse=True)[1] for name in names)
    words = np.where(lost[index], "diverged", "converged")
    return cell, frame.assign(outcome=pd.Categorical(words, categories=frame["outcome"].cat.categories))


def test_the_boundary_of_momentum_lies_where_theory_puts_it(plane):
    frame = boundary_dimension.data(plane, identity(plane), y="momentum")
    assert len(frame) >= len(BETAS) - 1
    # Between neighbours on both axes, and a little beyond, for a slow escape takes more than 300 steps.
    exact = 2 * (1 + frame["momentum"]) / 10
    ratio = frame["learning_rate"] / exact
    assert ratio.min() > 0.95 and ratio.max() < 1.25
    cells = boundary_cells(frame.attrs["lost"])
    np.testing.assert_array_equal(np.argwhere(cells), frame[["row", "column"]])


def test_a_smooth_boundary_has_dimension_one(plane):
    frame = boundary_dimension.data(plane, identity(plane), y="momentum", panel="counts")
    assert frame.attrs["dimension"] == pytest.approx(1.0, abs=0.1)
    assert "dimension 1.0" in frame.attrs["text"] or "dimension 0.9" in frame.attrs["text"]


def test_counts_and_line_are_those_of_box_counting(plane):
    lost = boundary_dimension.data(plane, identity(plane), y="momentum").attrs["lost"]
    found = box_dimension(lost)
    frame = boundary_dimension.data(plane, identity(plane), y="momentum", panel="counts")
    assert tuple(frame["size"]) == found.sizes and tuple(frame["boxes"]) == found.counts
    slope, height = np.polyfit(np.log2(frame["size"]), np.log2(frame["boxes"]), 1)
    assert slope == pytest.approx(-found.dimension)
    np.testing.assert_allclose(frame["fit"], 2 ** (height + slope * np.log2(frame["size"])))


def test_one_rate_on_a_line_has_dimension_zero(line):
    cell = identity(line)
    frame = boundary_dimension.data(line, cell)
    assert len(frame) == 1 and frame["learning_rate"].iloc[0] == pytest.approx(0.2, rel=0.05)
    counts = boundary_dimension.data(line, cell, panel="counts")
    assert set(counts["boxes"]) == {1} and counts.attrs["dimension"] == 0.0
    assert counts.attrs["text"].startswith("dimension 0.00 ± 0.00")


def test_only_the_first_start_is_shown(plane):
    table = plane.table()
    first = table[table["start"] == 0]
    lost = boundary_dimension.data(plane, identity(plane), y="momentum").attrs["lost"]
    assert lost.shape == (40, 48)
    assert lost.sum() == first["outcome"].isin(["diverged", "nonfinite"]).sum() > 0


def test_two_panels_a_map_share_a_picture(plane, line):
    (stem,) = pictures(boundary_dimension.FIGURE, plane)
    assert stem == "04-boundary-dimension-regions-quadratic-float64-learning-rate-momentum"
    cases = boundary_dimension.cases(plane)
    assert [case["panel"] for case in cases] == ["map", "counts"] and cases[0]["y"] == "momentum"
    assert [case.get("y") for case in boundary_dimension.cases(line)] == [None, None]


def test_small_grids_have_no_case(build):
    pairs = [
        build.cell(build.quadratic(), "gd", {"learning_rate": LINE[:255]}, num_starts=1, steps=40),
        build.cell(build.quadratic(), "heavy_ball", {"learning_rate": RATES[::2], "momentum": BETAS}, 1, steps=40),
        build.cell(build.quadratic(), "heavy_ball", {"learning_rate": LINE, "momentum": [0.0, 0.5]}, 1, steps=40),
    ]
    for i, (cell, frame) in enumerate(pairs):
        assert frame["outcome"].isin(["diverged", "nonfinite"]).any()
        results = build.run([({**cell, "id": str(i)}, frame.assign(cell=str(i)))])
        assert boundary_dimension.cases(results) == []


def test_grids_without_a_boundary_have_no_case(build):
    calm = build.cell(build.quadratic(), "gd", {"learning_rate": LINE / 10}, num_starts=1, steps=40)
    assert boundary_dimension.cases(build.run([calm])) == []
    wild = build.cell(build.quadratic(), "gd", {"learning_rate": LINE + 3}, num_starts=1, steps=40)
    assert boundary_dimension.cases(build.run([wild])) == []


@pytest.mark.parametrize(("dtype", "steps", "shown"), [
    ("float64", 65, True), ("float64", 63, False), ("float32", 65, True), ("float32", 63, False),
])  # fmt: skip
def test_zooms_that_the_dtype_does_not_resolve_are_refused(build, dtype, steps, shown):
    eps = float(np.finfo(dtype).eps)
    rates = 0.2 * (1 - np.arange(256)[::-1] * steps * eps)
    cell, frame = build.cell(build.quadratic(), "gd", {"learning_rate": rates}, num_starts=1, steps=40, dtype=dtype)
    results = build.run([with_outcomes((cell, frame), np.arange(256) > 100)])
    assert bool(boundary_dimension.cases(results)) == shown


def test_a_parameter_of_the_problem_is_an_axis_or_held(build):
    conditions = np.logspace(0, 1, 32)
    results = build.run([build.condition(conditions, RATES)])
    cases = boundary_dimension.cases(results)
    assert [case["y"] for case in cases] == ["condition"] * 2
    frame = boundary_dimension.data(results, **cases[0])
    assert (frame["learning_rate"] * frame["condition"]).between(1.8, 2.8).all()
    few = build.run([build.condition([1.0, 5.0, 10.0], LINE)])
    # At condition 1 all rates up to 1 are stable.
    assert [case["at"]["condition"] for case in boundary_dimension.cases(few)] == [5, 5, 10, 10]
    at_five = boundary_dimension.data(few, **boundary_dimension.cases(few)[0])
    assert at_five["learning_rate"].to_numpy() == pytest.approx(2 / 5, rel=0.05)


def test_a_map_is_drawn_with_its_boundary_between_the_pixels(plane):
    frame = boundary_dimension.data(plane, identity(plane), y="momentum")
    ax = drawn(frame)
    outcomes, cells = ax.images
    np.testing.assert_array_equal(np.asarray(outcomes.get_array()), frame.attrs["lost"])
    assert np.ma.count(cells.get_array()) == len(frame)
    left, right, bottom, top = cells.get_extent()
    assert (left, right) == pytest.approx((-1.5, 0)) and (bottom, top) == pytest.approx((0, 0.95))
    assert ax.get_xlabel() == "learning rate" and ax.get_ylabel() == "momentum"


def test_a_line_is_drawn_with_a_row_a_box_size(line):
    frame = boundary_dimension.data(line, identity(line))
    outcomes, *rows = drawn(frame).images
    sizes = box_dimension(frame.attrs["lost"]).sizes
    assert len(rows) == len(sizes) == 7 and np.asarray(outcomes.get_array()).shape == (1, 300)
    # The one place of the boundary lies in every row's box, and the boxes double.
    widths = []
    for row in rows:
        boxes = row.get_array()
        left, right = row.get_extent()[:2]
        width = (right - left) / boxes.shape[1]
        at = left + width * np.flatnonzero(~np.ma.getmaskarray(boxes)[0])
        assert len(at) == 1 and at[0] <= np.log10(frame["learning_rate"].iloc[0]) <= at[0] + width
        widths.append(width)
    assert np.array(widths) == pytest.approx(2 / 299 * np.array(sizes))


def test_a_fine_boundary_loses_nothing_when_it_is_drawn(build):
    cell, frame = build.cell(build.quadratic(), "gd", {"learning_rate": np.linspace(0.01, 0.4, 3001)}, 1, steps=40)
    results = build.run([with_outcomes((cell, frame), np.arange(3001) == 1777)])
    frame = boundary_dimension.data(results, cell["id"])
    assert len(frame) == 2
    first = drawn(frame).images[1]
    assert first.get_array().shape[1] <= boundary_dimension.MOST_CELLS
    assert np.ma.count(first.get_array()) >= 1
    left, right = first.get_extent()[:2]
    width = (right - left) / first.get_array().shape[1]
    at = left + width * np.flatnonzero(~np.ma.getmaskarray(first.get_array())[0])
    assert at[0] <= frame["learning_rate"].iloc[0] and frame["learning_rate"].iloc[-1] <= at[-1] + width


def test_it_saves_its_numbers(plane, line, tmp_path):
    for results in (plane, line):
        ((stem, cases),) = pictures(boundary_dimension.FIGURE, results).items()
        picture = render(boundary_dimension.FIGURE, results, cases)
        paths = save(picture, tmp_path, stem)
        saved = pd.read_csv(paths["csv"])
        assert len(saved) == sum(len(frame) for frame in picture.frames)
        texts = [
            text.get_text() for ax in picture.axes for text in (ax.get_legend().get_texts() if ax.get_legend() else [])
        ]
        assert texts == [picture.frames[1].attrs["text"]]
        assert {text.get_text() for text in picture.legends[0].get_texts()} == {"stays", "diverges", "boundary"}


def test_a_grid_with_gaps_is_left_out(plane, build):
    cell, frame = plane.cells[0], plane.table()
    results = build.run([(cell, frame[frame["start"] == 0].iloc[1:])])
    assert boundary_dimension.cases(results) == []
    assert boundary_dimension.data(results, cell["id"], y="momentum").empty
