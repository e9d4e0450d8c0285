import numpy as np
import pytest
from PIL import Image

import gdbench as gd
from gdbench.contracts import OUTCOMES
from gdbench.errors import SuiteError
from gdbench.figures import full_map, region_map
from gdbench.figures.choose import best_setting, where
from gdbench.figures.placed import best_settings, pieces, place


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A real run whose cell is stored in more than one shard."""
    experiment = {
        "name": "e", "problems": [{"name": "quadratic", "dim": 2, "condition": [2.0, 10.0]}], "steps": 60,
        "optimizers": [{"name": "momentum", "momentum": [0.0, 0.5, 0.8]}],
        "learning_rate": {"log": [1e-2, 1.0], "num": 9}, "starts": {"kind": "sobol", "num": 5},
    }  # fmt: skip
    return gd.run({"suite": {"name": "placed"}, "experiment": [experiment]}, results=tmp_path_factory.mktemp("results"))


def test_pieces_are_the_table(stored, monkeypatch):
    monkeypatch.setattr("gdbench.figures.placed.PIECE", 50)
    (cell,) = stored.cells
    found = list(pieces(stored.results, cell, ["outcome", "start"], {"condition": 10.0}))
    whole = where(stored.table(), {"condition": 10.0})
    assert len(found) > 2 and sum(map(len, found)) == len(whole)
    assert np.concatenate([piece["start"] for piece in found]).tolist() == whole["start"].tolist()


@pytest.mark.parametrize("at", [{}, {"condition": 2.0}, {"momentum": 0.5, "condition": 10.0}])
def test_the_best_setting_is_that_of_the_table(stored, at):
    (cell,) = stored.cells
    expected = best_setting(where(stored.table(), at), cell)
    assert best_settings(stored.results, cell, at)[None] == pytest.approx(expected)


def test_the_best_setting_for_each_value_of_a_parameter(stored, quadratic_run, momentum_run):
    (cell,) = stored.cells
    found = best_settings(stored.results, cell, {}, along="condition")
    for value in (2.0, 10.0):
        assert found[value] == pytest.approx(best_setting(where(stored.table(), {"condition": value}), cell))
    for results in (quadratic_run, momentum_run):
        for cell in results.cells:
            expected = best_setting(results.table(cells=[cell["id"]]), cell)
            assert best_settings(results, cell, {})[None] == pytest.approx(expected)


def test_nothing_is_best_where_all_is_lost(build):
    results = build.run([build.cell(build.quadratic(), "gd", {"learning_rate": [3.0, 10.0, 30.0]})])
    assert best_settings(results, results.cells[0], {}) == {}


def test_values_that_have_no_descents_are_no_part_of_the_map(build):
    cell, frame = build.cell(build.quadratic(), "gd", {"learning_rate": build.rates})
    kept = frame[frame["learning_rate"] > build.rates[3]]
    found = place(build.run([(cell, kept)]), cell, "learning_rate", "start", {})
    assert found is not None
    assert found.scales[0].values == pytest.approx(kept["learning_rate"].unique())
    assert found.x.min() == 0 and found.x.max() == kept["learning_rate"].nunique() - 1


def test_a_full_map_has_a_pixel_a_pair_in_the_colour_of_the_figure(momentum_run, tmp_path):
    (cell,) = momentum_run.cells
    path = full_map.write_full_map(momentum_run, tmp_path / "map.png", cell, "learning_rate", "momentum")
    with Image.open(path) as image:
        assert image.size == (41, 20) and image.mode == "P"
        plane, palette = np.asarray(image), np.array(image.getpalette()).reshape(-1, 3)
        assert "learning_rate" in image.text["Description"]
    frame = region_map.data(momentum_run, cell["id"], y="momentum")
    outcomes = np.full((20, 41), "", dtype=object)
    outcomes[frame["row"], frame["column"]] = frame["outcome"].astype(str)
    rates = np.full((20, 41), np.nan)
    rates[frame["row"], frame["column"]] = frame["rate"]
    plane, edge = plane[::-1], np.zeros((20, 41), bool)
    edge[:, 1:] |= outcomes[:, 1:] != outcomes[:, :-1]
    edge[1:] |= outcomes[1:] != outcomes[:-1]
    assert (plane == full_map.EDGE).tolist() == edge.tolist() and edge.any()
    shown = ~edge & np.isfinite(rates)
    fast, away = shown & (rates < -0.05), shown & (rates > 0.05)
    assert fast.any() and away.any()
    for where_, left in ((fast, True), (away, False)):
        assert ((plane[where_] < (full_map.FIRST + 256) / 2) == left).all()
    # Of equal rates one colour, and faster convergence is farther from the middle.
    order = np.argsort(rates[shown])
    assert (np.diff(plane[shown][order].astype(int)) >= 0).all()
    bare = ~edge & ~np.isfinite(rates)
    assert all(OUTCOMES[code] == name for code, name in zip(plane[bare], outcomes[bare], strict=True))
    assert palette[full_map.EDGE].tolist() == [255, 255, 255]


def test_a_run_writes_full_maps(stored, tmp_path):
    path = stored.full_map(tmp_path / "map.png", y="momentum")
    with Image.open(path) as image:
        assert image.size == (9, 3)
    with pytest.raises(SuiteError, match="momentum"):
        stored.full_map(path, y="momentun")
    with pytest.raises(SuiteError, match="no cell"):
        stored.full_map(path, y="momentum", cell="nope")
