"""What the page draws itself: the same numbers as in the pictures, packed."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from gdbench.contracts import OUTCOMES
from gdbench.figures import basins, learning_rate, region_map
from gdbench.figures.scale import scale_of
from gdbench.report import pictures
from gdbench.report.charts import learning_rate_panels, short
from gdbench.report.maps import basin_panels, region_panels, ticks
from gdbench.report.page import problem_of
from gdbench.report.planes import KINDS, bfloat16, fractions, pack


def unpack(planes):
    """What the page's script reads, written a second time."""
    octets = np.frombuffer(zlib.decompress(base64.b64decode(planes["deflated"]), -15), np.uint8)
    found = {}
    for name, kind, count in planes["fields"]:
        width = 2 if kind == "bf" else np.dtype(KINDS[kind]).itemsize
        part, octets = octets[: count * width], octets[count * width :]
        whole = np.ascontiguousarray(part.reshape(width, count).T)
        if kind == "bf":
            found[name] = (whole.view("<u2").astype("<u4") << 16).view("<f4").ravel()
        else:
            found[name] = whole.view(np.dtype(KINDS[kind]).newbyteorder("<")).ravel()
    assert not len(octets)
    return found


def test_arrays_come_back_as_they_were_packed():
    rng = np.random.default_rng(0)
    arrays = {
        "a": ("u1", rng.integers(0, 256, (3, 5))), "b": ("u2", [0, 65535]), "c": ("u4", [2**32 - 1]),
        "d": ("f4", [1.5, np.nan, -np.inf]), "e": ("f8", [np.pi]), "f": ("u1", []),
    }  # fmt: skip
    found = unpack(pack(arrays))
    for name, (kind, values) in arrays.items():
        np.testing.assert_array_equal(found[name], np.asarray(values).astype(KINDS[kind]).ravel())


def test_half_of_a_float_keeps_two_digits_and_what_is_no_number():
    values = np.concatenate([-np.geomspace(1e-30, 1e30, 1001), [0.0, 0.0123]])
    kept = unpack(pack({"x": ("bf", values)}))["x"]
    np.testing.assert_allclose(kept, values, rtol=2**-8)
    for kind in ("bf", "f4"):
        special = unpack(pack({"x": (kind, [np.nan, np.inf, -np.inf, 1e300])}))["x"]
        np.testing.assert_array_equal(special, [np.nan, np.inf, -np.inf, np.inf])
    assert bfloat16(np.array(1.0)) == 0x3F80


def test_fractions_end_where_their_range_ends():
    found = fractions(np.array([-1.0, 0.0, 0.5, 1.0, 9.0, np.nan, np.inf, -np.inf]), np.array(0.0), np.array(1.0))
    assert found.tolist() == [0, 0, 32768, 65535, 65535, 0, 65535, 0]


def test_a_region_map_holds_the_numbers_of_its_picture(make):
    results = make.results([make.cell("a"), make.cell("b", optimizer=make.optimizer("momentum", 0.5))])
    case = {"cell": "b", "x": "learning_rate", "y": "start"}
    frame = region_map.data(results, **case)
    panel = region_panels(results, [(case, frame)])[0]
    planes = unpack(panel["data"]["planes"])
    assert (panel["data"]["columns"], panel["data"]["rows"]) == (9, 16)
    order = np.lexsort((frame["column"], frame["row"]))
    outcomes = frame["outcome"].astype(str).to_numpy()[order]
    assert [OUTCOMES[code] for code in planes["outcome"]] == outcomes.tolist()
    np.testing.assert_array_equal(planes["descents"], frame["descents"].to_numpy()[order])
    np.testing.assert_allclose(planes["boundary"], frame["boundary"].to_numpy()[order], rtol=1e-6)
    # Pixels name the descent they show: row and column give back start and rate, and its steps.
    table = results.frames["b"]
    for i in (0, 40, 143):
        rate = panel["data"]["x"]["values"][i % 9]
        row = table[(table["learning_rate"] == rate) & (table["start"] == panel["data"]["starts"][i // 9])].iloc[0]
        steps = row["settle_step"] if row["outcome"] == "converged" else row["steps"]
        assert (outcomes[i], planes["steps"][i]) == (row["outcome"], steps)
    assert panel["data"]["halfrange"] == frame.attrs["halfrange"]


def test_theory_states_the_rate_of_gradient_descent(make):
    results = make.results([make.cell()])
    case = {"cell": "c0", "x": "learning_rate", "y": "start"}
    panel = region_panels(results, [(case, region_map.data(results, **case))])[0]
    rates = np.array(panel["data"]["x"]["values"])
    with np.errstate(divide="ignore"):
        stated = 2 * np.log10(np.maximum(abs(1 - rates), abs(1 - 10 * rates)))
    np.testing.assert_allclose(unpack(panel["data"]["planes"])["theory"][:9], stated, rtol=2**-7, atol=1e-3)
    local = make.results([make.cell(problem=make.problem(curvature_is_local=True))])
    panel = region_panels(local, [(case, region_map.data(local, **case))])[0]
    planes = unpack(panel["data"]["planes"])
    # About the minimizer the same holds; the words say that it is local.
    np.testing.assert_allclose(planes["theory"][:9], stated, rtol=2**-7, atol=1e-3)
    assert np.isfinite(planes["boundary"]).all() and "local" in panel["view"]["theory"]
    assert panel["view"]["theory"] == "stability boundary, local" and panel["view"]["line"]


@pytest.mark.parametrize("grid", [False, True])
def test_a_basin_map_holds_the_numbers_of_its_picture(make, grid):
    results = make.results([make.cell()])
    if grid:
        side = np.linspace(-1.5, 1.5, 4)
        table = results.frames["c0"]
        table["start_0"], table["start_1"] = side[table["start"] % 4], side[table["start"] // 4]
    frame = basins.data(results, "c0")
    panel = basin_panels(results, [({"cell": "c0"}, frame)])[0]
    planes = unpack(panel["data"]["planes"])
    assert (panel["data"]["columns"], panel["data"]["rows"]) == ((4, 4) if grid else (0, 0))
    stored = frame.set_index(["start_0", "start_1"])
    for i in range(16):
        row = stored.loc[[(planes["start_0"][i], planes["start_1"][i])]] if grid else frame.iloc[[i]]
        assert OUTCOMES[planes["outcome"][i]] == row["outcome"].iloc[0]
        assert planes["end_1"][i] == np.float32(row["end_1"].iloc[0])
        assert planes["basin"][i] == row["basin"].iloc[0] + 1
    assert panel["data"]["at"] and panel["view"]["minima"] == [(50.0, 50.0, "0")]


def test_charts_hold_the_numbers_of_their_pictures(make):
    results = make.results([make.cell("a"), make.cell("b", optimizer=make.optimizer("momentum", 0.5))])
    case = {"experiment": "rates", "problem": "quadratic", "dtype": "float32"}
    frame = learning_rate.data(results, **case)
    panel = learning_rate_panels(results, [(case, frame)])[0]
    assert [line["optimizer"] for line in panel["data"]["lines"]] == ["gd", "momentum"]
    mine = frame[frame["optimizer"] == "momentum"]
    assert panel["data"]["lines"][1]["median"] == short(mine["median"].to_numpy())
    assert panel["data"]["lines"][1]["median"][-1] is None  # infinite: the descents failed
    assert panel["data"]["lines"][1]["failed"][-1] == 1


def test_ticks_are_those_of_the_pictures():
    rates = scale_of(np.geomspace(1e-3, 1.0, 31), "log")
    assert [text for _, text in ticks(rates, *rates.extent())] == ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]
    even = scale_of(np.linspace(-1, 1, 21), "linear")
    found = ticks(even, -1, 1)
    assert (-0.5, "−0.5") in [(round(place, 9), text) for place, text in found]


@pytest.mark.parametrize("title, label", [
    ("quadratic, condition = 1", "quadratic"), ("quadratic, steep", "quadratic, steep"), ("other", "other"),
])  # fmt: skip
def test_an_answer_is_filtered_by_the_problem_of_its_title(title, label):
    assert problem_of(title, ["quadratic", "quadratic, steep"]) == label


def test_room_is_used_up_and_no_more():
    room = pictures.Room(10)
    assert room.takes("12345") and not room.takes("123456") and room.takes("12345") and not room.takes("1")
