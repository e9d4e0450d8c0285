"""The report in a real browser, opened from disk and offline: what it shows, answers, restores and prints."""

from __future__ import annotations

import json
import re
import shutil
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.figures.base import Figure
from gdbench.figures.style import OUTCOME_COLOURS, RATE_MAP
from gdbench.report import pictures, write_report
from gdbench.report.planes import pack
from gdbench.report.words import number

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STEPS = [0, 1, 2, 5, 10, 20, 50, 100, 200]
EVIL = "</script><img src=x onerror=alert(1)>"
PIXEL = """(canvas, [x, y]) => {
    const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, x, y, 1, 1, 0, 0, 1, 1);
    return [...copy.getImageData(0, 0, 1, 1).data];
}"""
"""The colour of one pixel of a canvas, read off a copy."""


def with_paths(results):
    """The same run with rates, and the path of every second start of each setting."""
    for cell in results.cells:
        cell["path_steps"] = STEPS
        frame = results.frames[cell["id"]]
        rate, beta = frame["learning_rate"].to_numpy()[:, None], cell["optimizer"]["hyperparameters"]["momentum"]
        x = before = frame[["start_0", "start_1"]].to_numpy()
        points = [x]
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(cell["steps"]):
                x, before = x - rate * np.array([1.0, 10.0]) * x + beta * (x - before), x
                points.append(x)
            paths = np.stack(points, axis=1)[:, STEPS]
            frame["rate"] = np.log10(frame["f_final"] / frame["f_start"]) / cell["steps"]
        stored = (frame["start"] % 2 == 0).to_numpy()
        frame["path"] = [path.ravel() if keep else None for path, keep in zip(paths, stored, strict=True)]
        frame["rate"] = frame["rate"].where(np.isfinite(frame["rate"]))
    side = np.linspace(-2, 2, 41)
    x0, x1 = (line.ravel() for line in np.meshgrid(side, side, indexing="ij"))
    results.surface = lambda label: pd.DataFrame({"x0": x0, "x1": x1, "f": (x0**2 + 10 * x1**2) / 2})
    return results


@pytest.fixture(scope="module")
def run(make, tmp_path_factory):
    """Two optimizers on two problems, and the page that shows them; the second problem has a name that bites."""
    optimizers = [make.optimizer("gd"), make.optimizer("momentum", 0.5)]
    problems = [make.problem(), make.problem(label=EVIL, tolerance=1e-3)]
    cells = [
        make.cell(f"{o['name']}-{i}", experiment=f"part {i}", problem=p, optimizer=o)
        for i, p in enumerate(problems) for o in optimizers
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("report")
    results = with_paths(make.results(cells, path=folder))
    shown = ("region-map", "basins", "learning-rate", "trajectories")
    entries = {name: figure for name, figure in gather("gdbench.figures", Figure).items() if name in shown}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "gather", lambda package, kind: entries)
        results.page = write_report(results)
    return results


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """The page of a run that every figure of the catalogue has something to say of."""
    folder = tmp_path_factory.mktemp("every")
    suite = folder / "every.toml"
    suite.write_text(
        '[suite]\nname = "every"\n[[experiment]]\nname = "side by side"\n'
        'problems = [{ name = "quadratic" }, { name = "quadratic", dim = 4 }, { name = "quadratic", dim = 8 }]\n'
        'optimizers = ["gd", "momentum", "adam"]\nsteps = 150\nlearning_rate = { log = [1e-2, 1.0], num = 5 }\n'
        'starts = { kind = "sobol", num = 16 }\ntrace = 8\npaths = 8\ntargets = [1e-1, 1e-4]\n'
        '[[experiment]]\nname = "edge"\nproblems = ["double_well"]\noptimizers = ["gd", "momentum"]\nsteps = 40\n'
        'learning_rate = { log = [0.6, 4.0], num = 256 }\nstarts = { kind = "sobol", num = 1 }\npaths = 256\n'
        "orbit = 16\nsharpness = true\n",
        encoding="utf-8",
    )
    return gd.run(suite, results=folder).report()


def panel(tab, cell, kind="region", problem=0):
    """The map of an optimizer's cell."""
    which = "region-map" if kind == "region" else "basins"
    figures = tab.locator("figure:has(.map)").filter(has=tab.locator(f"[id*='{which}']"))
    return figures.nth(problem).locator(".map").nth(["gd", "momentum"].index(cell))


def pixel(results, name, rate, start):
    """Column and row of a descent's pixel, from the upper left corner, and its row of the table."""
    table = results.frames[name]
    order = table.groupby("start")["f_start"].median().sort_values().index.tolist()
    row = table[(table["learning_rate"] == rate) & (table["start"] == start)].iloc[0]
    rates = sorted(table["learning_rate"].unique())
    return (rates.index(rate), len(order) - 1 - order.index(start)), row


def centre(canvas, column, row, columns=9, rows=16):
    """Where the middle of a pixel lies on the screen, from the corner of its canvas."""
    box = canvas.bounding_box()
    return {"x": (column + 0.5) * box["width"] / columns, "y": (row + 0.5) * box["height"] / rows}


def visible(locator):
    """How many of the elements are shown."""
    return locator.evaluate_all("list => list.filter(e => e.offsetParent !== null).length")


@pytest.mark.parametrize("width, scheme", [(1400, "light"), (1400, "dark"), (390, "light")])
def test_opens_from_disk_without_complaints(run, open_page, width, scheme):
    tab = open_page(run.page, width, color_scheme=scheme)
    # Wide tables scroll inside their cards, the page itself never sideways.
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert run.page.stat().st_size < 5e6
    assert visible(tab.locator(".map .pixels")) == 8 and visible(tab.locator(".chart canvas")) == 2
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 24)"
    assert dark == (scheme == "dark")


def test_a_name_that_is_markup_stays_a_name(run, open_page):
    tab = open_page(run.page)
    assert tab.locator("img[src=x]").count() == 0
    assert tab.locator("h3", has_text=EVIL).count() == 1
    assert tab.locator("select[name=problem] option").all_inner_texts() == ["all", "quadratic", EVIL]
    tab.select_option("[name=problem]", EVIL)
    assert visible(tab.locator(".map")) == 4
    assert EVIL in tab.evaluate("new URLSearchParams(location.hash.slice(1)).get('problem')")


def test_pixels_have_the_colour_of_their_outcome(run, make, open_page):
    tab = open_page(run.page, fragment="#colour=outcome")
    seen = set()
    for name in ("gd", "momentum"):
        canvas = panel(tab, name).locator(".pixels")
        for rate in make.rates:
            place, row = pixel(run, f"{name}-0", rate, 3)
            expected = [round(255 * part) for part in to_rgb(OUTCOME_COLOURS[row["outcome"]])]
            assert canvas.evaluate(PIXEL, place) == [*expected, 255], (name, rate, row["outcome"])
            seen.add(row["outcome"])
    assert len(seen) >= 3


@pytest.mark.parametrize("width", [1400, 390])
def test_what_lies_over_a_map_lies_on_its_pixels(run, open_page, width):
    tab = open_page(run.page, width=width)
    places = tab.locator(".map .plot").evaluate_all(
        "list => list.map(e => [...e.children].slice(0, 2).map(c => { const r = c.getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height]; }))"
    )
    shown = [(pixels, over) for pixels, over in places if pixels[2]]
    assert len(shown) == 8
    for pixels, over in shown:
        assert over == pytest.approx(pixels, abs=1.5)


def test_pixels_have_the_colour_of_their_rate(run, make, open_page):
    tab = open_page(run.page)
    canvas = panel(tab, "gd").locator(".pixels")
    halfrange = tab.evaluate("Object.values(DATA.panels)[0].halfrange")
    signs = set()
    for rate in make.rates:
        place, row = pixel(run, "gd-0", rate, 3)
        if np.isnan(row["rate"]):
            continue
        shade = colormaps[RATE_MAP]((row["rate"] / halfrange + 1) / 2)[:3]
        # Rates are kept to eight binary digits, which may be the next shade.
        assert np.allclose(canvas.evaluate(PIXEL, place)[:3], 255 * np.array(shade), atol=4)
        signs.add(np.sign(row["rate"]))
    assert signs == {-1, 1}
    tab.select_option("[name=colour]", "outcome")
    place, row = pixel(run, "gd-0", make.rates[0], 3)
    expected = [round(255 * part) for part in to_rgb(OUTCOME_COLOURS[row["outcome"]])]
    assert canvas.evaluate(PIXEL, place)[:3] == expected


def test_the_crosshair_reads_a_cell(run, make, open_page):
    tab = open_page(run.page)
    box = panel(tab, "gd")
    canvas, readout = box.locator(".pixels"), tab.locator("figure:has(.map) .readout").first
    place, row = pixel(run, "gd-0", make.rates[4], 3)
    canvas.hover(position=centre(canvas, *place))
    text = readout.inner_text()
    assert f"gd: learning rate {number(make.rates[4])}, start 3 (f {number(row['f_start'])})" in text
    assert f"{row['outcome']}, settled after {row['settle_step']} steps" in text
    assert f"rate {number(float(row['rate']), 2)}"[:9] in text
    assert "theory: rate" in text and "stability boundary 0.2" in text
    assert box.locator(".hair").get_attribute("visibility") == "visible"
    canvas.focus()
    before = readout.inner_text()
    canvas.press("ArrowRight")
    assert f"learning rate {number(make.rates[5])}" in readout.inner_text() != before
    assert readout.get_attribute("aria-live") == "polite"
    canvas.press("Shift+ArrowLeft")
    assert f"learning rate {number(make.rates[0])}" in readout.inner_text()
    canvas.press("Escape")
    assert box.locator(".hair").get_attribute("visibility") == "hidden"


def told_end(text):
    """The coordinates of the end in a path's sentence."""
    found = re.search(r"\((-?[−\d.e+-]+), (-?[−\d.e+-]+)\)", text)
    assert found, text
    return [float(part.replace("−", "-")) for part in found.groups()]


def test_a_click_plays_the_stored_path(run, make, open_page):
    tab = open_page(run.page)
    canvas = panel(tab, "gd").locator(".pixels")
    place, row = pixel(run, "gd-0", make.rates[4], 4)
    canvas.click(position=centre(canvas, *place))
    stage = tab.locator("figure:has(.map) .stage").first
    told = stage.locator(".told")
    told.get_by_text("It ends at").wait_for()
    text = told.inner_text()
    assert text.startswith(f"gd: learning rate {number(make.rates[4])}, start 4. It ends at (")
    np.testing.assert_allclose(told_end(text), [row["end_0"], row["end_1"]], atol=1e-6)
    assert f"{row['outcome']}, settled after {row['settle_step']} steps" in text
    # The mark of the end stands where the table says, in the colour of the optimizer.
    course = stage.locator(".course")
    width, height = course.evaluate("canvas => [canvas.width, canvas.height]")
    spot = [(row["end_0"] + 2.16) / 4.32 * width, (2.16 - row["end_1"]) / 4.32 * height]
    assert course.evaluate(PIXEL, spot)[:3] == tab.evaluate("rgb(STYLE.get('gd').colour)")
    stage.locator(".close").click()
    assert not stage.is_visible() and "cell=" not in tab.url


def test_where_no_path_is_stored_the_nearest_is_named(run, make, open_page):
    tab = open_page(run.page)
    canvas = panel(tab, "momentum").locator(".pixels")
    place, row = pixel(run, "momentum-0", make.rates[4], 3)
    canvas.focus()
    canvas.click(position=centre(canvas, *place))
    told = tab.locator(".stage .told").first
    told.get_by_text("nearest stored one").wait_for()
    text = told.inner_text()
    named = re.search(r"momentum: learning rate (\S+), start (\d+)\. It ends at", text)
    assert named and named.group(1) == number(make.rates[4]) and int(named.group(2)) % 2 == 0
    _, other = pixel(run, "momentum-0", make.rates[4], int(named.group(2)))
    np.testing.assert_allclose(told_end(text), [other["end_0"], other["end_1"]], atol=1e-6)


def test_a_path_that_diverged_says_where_it_left(run, make, open_page):
    tab = open_page(run.page)
    canvas = panel(tab, "gd").locator(".pixels")
    place, row = pixel(run, "gd-0", make.rates[-1], 4)
    assert row["outcome"] == "nonfinite"
    canvas.click(position=centre(canvas, *place))
    told = tab.locator(".stage .told").first
    told.get_by_text("It left after").wait_for()
    assert "the last stored point before is (" in told.inner_text() and "nonfinite" in told.inner_text()


def test_a_path_moves_unless_less_motion_is_asked_for(run, make, open_page):
    tab = open_page(run.page, reduced_motion="no-preference")
    tab.evaluate("() => { counted = 0; const plain = draw; draw = (...all) => { counted++; plain(...all); }; }")
    canvas = panel(tab, "gd").locator(".pixels")
    canvas.click(position=centre(canvas, *pixel(run, "gd-0", make.rates[4], 4)[0]))
    tab.evaluate("async () => { while (counted < 4) await new Promise(requestAnimationFrame); }")


def test_the_optimizer_filter_acts_on_every_table_map_and_chart(run, open_page):
    tab = open_page(run.page)
    tab.locator(".menu summary").click()
    tab.uncheck("[name=optimizer][value=momentum]")
    assert tab.locator("#shown-optimizers").inner_text() == "1 of 2"
    for selector in ("tr", "td", "th[scope=col]", ".map", ".card", "figure"):
        gone = tab.locator(f"""{selector}[data-optimizers='["momentum"]']""")
        assert visible(gone) == 0, selector
    assert visible(tab.locator(".map")) == 4
    assert tab.evaluate("[...charts.values()].map(chart => chart.plot.series.length)") == [4, 4]
    assert visible(tab.locator(".partly")) == visible(tab.locator(".drawing")) > 0
    tables = tab.locator("main table").evaluate_all(
        "list => list.filter(t => t.offsetParent).map(t => t.tBodies[0].innerText.includes('momentum'))"
    )
    assert tables and not any(tables)
    tab.locator("[data-choose=none]").click()
    assert visible(tab.locator(".map, .chart, figure")) == 0
    tab.locator("[data-choose=all]").click()
    assert visible(tab.locator(".map")) == 8


PARTS = """drawings => [...drawings.values()].map(({ host, parts }) => ({
    name: host.dataset.svg, built: !!host.shadowRoot, shown: host.offsetParent !== null,
    parts: parts.map(one => [one.optimizers, one.problem ?? null, getComputedStyle(one.part).visibility]),
}))"""
"""Of every picture that is drawn from its SVG: whose its parts are, and whether they are seen."""

FIGURES = gather("gdbench.figures", Figure)


def parts(tab):
    return tab.evaluate(f"({PARTS})(drawings)")


def numbers_of(drawings):
    """The figures, by their numbers, that these pictures belong to."""
    return {int(drawing["name"].split("/")[-1][:2]) for drawing in drawings}


def test_the_optimizer_filter_acts_inside_every_figure(every, open_page):
    tab = open_page(every)
    assert not all(drawing["built"] for drawing in parts(tab))
    tab.evaluate("drawings.forEach(drawing => drawing.build())")
    drawn = {int(name.split("/")[-1][:2]) for name in tab.locator("figure a[href$=png]").evaluate_all(
        "links => links.map(link => link.getAttribute('href'))")}  # fmt: skip
    assert drawn == {figure.number for figure in FIGURES.values()}
    live = {FIGURES[name].number for name in pictures.LIVE}
    assert numbers_of(parts(tab)) == drawn - live - {FIGURES["slopes"].number}
    assert all(seen == "visible" for drawing in parts(tab) for *_, seen in drawing["parts"])
    tab.locator(".menu summary").click()
    tab.uncheck("[name=optimizer][value=momentum]")
    for drawing in parts(tab):
        whose = [optimizers for optimizers, *_ in drawing["parts"]]
        assert drawing["shown"] and ["momentum"] in whose and ["gd"] in whose, drawing["name"]
        for optimizers, _, seen in drawing["parts"]:
            assert seen == ("hidden" if "momentum" in optimizers else "visible"), (drawing["name"], optimizers)
    assert visible(tab.locator(".map[data-optimizers*=momentum]")) == 0 < visible(tab.locator(".map"))
    lines = tab.evaluate("[...charts.values()].filter(c => c.plot).map(c => c.shown.map(line => line.optimizer))")
    assert lines and all("momentum" not in shown and "gd" in shown for shown in lines)
    assert "still one" not in tab.locator("main").inner_text()
    assert visible(tab.locator(".partly")) == visible(tab.locator(".drawing")) > 15
    tab.locator("[data-choose=none]").click()
    assert visible(tab.locator(".drawing")) == 0
    tab.locator("[data-choose=all]").click()
    assert all(seen == "visible" for drawing in parts(tab) for *_, seen in drawing["parts"])


def test_the_problem_filter_hides_what_belongs_to_another_one(every, open_page):
    tab = open_page(every)
    tab.evaluate("drawings.forEach(drawing => drawing.build())")
    tab.select_option("[name=problem]", "quadratic")
    shown = [drawing for drawing in parts(tab) if drawing["shown"]]
    over = [drawing for drawing in shown if any(problem for _, problem, _ in drawing["parts"])]
    assert numbers_of(over) >= {9, 10, 13, 14, 18}
    for drawing in over:
        for _, problem, seen in drawing["parts"]:
            assert seen == ("visible" if problem in (None, "quadratic") else "hidden")
    figure = tab.locator("figure:has([data-svg*='/15-'])").first
    assert "all problems together" in figure.locator(".partly:visible").inner_text()
    # The growth with the dimension is about the problem in each of them.
    assert tab.locator("[data-svg*='/20-']").is_visible()


def test_a_picture_drawn_from_its_svg_takes_the_room_of_the_still_one(every, open_page):
    size = "list => list.map(e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; })"
    for width in (1400, 390):
        plain, tab = open_page(every, width, script=False), open_page(every, width)
        still = plain.locator(".drawing + noscript img").evaluate_all(size)
        before = tab.locator(".drawing").evaluate_all(size)
        tab.evaluate("drawings.forEach(drawing => drawing.build())")
        assert len(still) == len(before) > 15
        np.testing.assert_allclose(before, still, atol=1)
        np.testing.assert_allclose(tab.locator(".drawing").evaluate_all(size), still, atol=1)


def test_printing_draws_every_figure_as_filtered(every, open_page):
    tab = open_page(every, fragment="#without=momentum")
    assert tab.pdf(format="A4").startswith(b"%PDF")
    found = parts(tab)
    assert found and all(drawing["built"] for drawing in found)
    for drawing in found:
        assert {seen for optimizers, _, seen in drawing["parts"] if "momentum" in optimizers} == {"hidden"}


def test_filters_for_problem_and_experiment(run, open_page):
    tab = open_page(run.page)
    tab.select_option("[name=experiment]", "part 0")
    assert visible(tab.locator(".map")) == 4 and visible(tab.locator(".chart")) == 1
    assert visible(tab.locator("h3", has_text=EVIL)) == 0
    tab.select_option("[name=problem]", EVIL)
    assert visible(tab.locator(".map, .chart")) == 0 and tab.locator(".nothing").is_visible()
    tab.locator(".nothing [data-choose=reset]").click()
    assert visible(tab.locator(".map")) == 8 and "problem" not in tab.url


def test_tables_are_sorted_by_click_and_by_keyboard(run, open_page):
    tab = open_page(run.page)
    table = tab.locator("table:has(caption:has-text('Share of each outcome'))")
    column = "table => [...table.tBodies[0].rows].map(row => parseInt(row.cells[2].textContent))"
    head = table.locator("thead th").nth(2)
    plain = table.evaluate(column)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert table.evaluate(column) == sorted(plain)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert table.evaluate(column) == sorted(plain, reverse=True) != plain
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") is None and table.evaluate(column) == plain


def test_the_order_of_what_cells_say(run, open_page):
    tab = open_page(run.page)
    texts = ["none", "−2", "<1%", "0.012", "40%", ">99%", "≥ 1.2", "3.2 ms", "1,230", "4.5×10⁻⁷", "> budget", "–", "gd"]
    keys = tab.evaluate("""texts => texts.map(text => {
        const cell = Object.assign(document.createElement("td"), { textContent: text });
        const value = key(cell);
        return typeof value === "number" ? String(value) : value;
    })""", texts)  # fmt: skip
    assert keys[0] == "-Infinity" and keys[10] == "Infinity" and keys[11] is None and keys[12] == "gd"
    np.testing.assert_allclose([float(k) for k in keys[1:10]], [-2, 0.01, 0.012, 0.4, 0.99, 1.2, 0.0032, 1230, 4.5e-7])


def test_the_address_restores_everything(run, make, open_page):
    tab = open_page(run.page)
    canvas = panel(tab, "gd").locator(".pixels")
    canvas.click(position=centre(canvas, *pixel(run, "gd-0", make.rates[4], 4)[0]))
    tab.locator(".told").first.get_by_text("It ends at").wait_for()
    tab.locator("table").nth(0).locator("thead button").nth(0).click()
    tab.locator(".menu summary").click()
    tab.uncheck("[name=optimizer][value=momentum]")
    for name, value in (("problem", "quadratic"), ("experiment", "part 0"), ("colour", "outcome"), ("theme", "dark")):
        tab.select_option(f"[name={name}]", value)
    look = """() => ({
        fields: [...document.querySelectorAll(".bar-of-filters [name]")].map(f => f.checked ?? f.value).concat(
            [...document.querySelectorAll(".bar-of-filters select")].map(f => f.value)),
        shown: [...document.querySelectorAll("[data-optimizers]")].map(e => e.hidden),
        sorts: [...document.querySelectorAll("th")].map(th => th.ariaSort),
        told: document.querySelector(".told").textContent,
        theme: getComputedStyle(document.body).backgroundColor,
    })"""
    before = tab.evaluate(look) | {"pixel": tab.locator(".pixels").first.evaluate(PIXEL, [1, 1])}
    again = open_page(run.page, fragment="#" + urlsplit(tab.url).fragment)
    again.locator(".told").first.get_by_text("It ends at").wait_for()
    assert again.evaluate(look) | {"pixel": again.locator(".pixels").first.evaluate(PIXEL, [1, 1])} == before
    assert before["theme"] == "rgb(18, 21, 24)" and any(before["shown"]) and "ascending" in before["sorts"]
    # A link within the page keeps the state, and an address that is only a place goes there.
    again.locator("nav a", has_text="Caveats").click()
    assert "at=caveats" in again.url and "without=momentum" in again.url
    other = open_page(run.page, fragment="#cells")
    assert other.evaluate("document.getElementById('cells').getBoundingClientRect().top") < 900


def test_an_address_that_names_what_is_not_there_does_no_harm(run, open_page):
    tab = open_page(run.page, fragment="#without=nobody&problem=none&sort=99.7.up&sort=x&cell=panel-x:5&at=nowhere")
    assert visible(tab.locator(".map")) == 8


def test_prints(run, open_page):
    tab = open_page(run.page, color_scheme="dark")
    printed = tab.pdf(format="A4")
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 2
    tab.emulate_media(media="print", color_scheme="dark")
    assert visible(tab.locator(".bar-of-filters, nav, .links")) == 0
    assert visible(tab.locator(".map .pixels")) == 8
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_without_scripts_the_still_pictures_show(run, open_page):
    tab = open_page(run.page, script=False)
    images = tab.locator("figure img")
    assert images.count() == tab.locator("figure").count()
    assert all(images.nth(i).bounding_box()["height"] > 100 for i in range(images.count()))
    assert not tab.locator(".live").first.is_visible() and not tab.locator(".bar-of-filters").is_visible()


def test_a_browser_that_cannot_inflate_shows_the_still_pictures(run, open_page):
    tab = open_page(run.page, init="delete window.DecompressionStream")
    assert visible(tab.locator(".live")) == 0
    assert visible(tab.locator("figure img")) == tab.locator("figure").count()
    assert len(open_page.faults) == 1 and "still pictures" in open_page.faults.pop()


def test_the_page_alone_hands_out_its_numbers(run, open_page, tmp_path):
    alone = shutil.copy(run.page, tmp_path / "alone.html")
    tab = open_page(alone)
    link = tab.locator("a[download]", has_text="CSV").last
    with tab.expect_download() as caught:
        link.click()
    name = link.get_attribute("href")
    assert caught.value.suggested_filename == name.split("/")[-1]
    caught.value.save_as(tmp_path / "numbers.csv")
    assert (tmp_path / "numbers.csv").read_bytes() == (run.page.parent / name).read_bytes()


def test_charts_say_their_values_at_the_cursor(run, make, open_page):
    tab = open_page(run.page)
    chart = tab.locator(".chart").first
    assert chart.locator(".at").inner_text() == "the lowest point of each line"
    chart.locator(".draw").focus()
    chart.locator(".draw").press("ArrowRight")
    rate = make.rates[5]
    assert chart.locator(".at").inner_text() == f"learning rate {number(rate)}"
    table = run.frames["gd-0"]
    final = table.loc[table["learning_rate"] == rate, "gap_final"].to_numpy()
    failed = table.loc[table["learning_rate"] == rate, "outcome"].isin(["diverged", "nonfinite"]).to_numpy()
    median = np.quantile(np.where(failed, np.inf, final), 0.5, method="inverted_cdf")
    assert chart.locator(".value").first.inner_text().startswith(f"{number(median)} (")


def test_scripts_write_numbers_as_the_rest_of_the_page(run, open_page):
    tab = open_page(run.page)
    values = [0.0, 1.0, -2.5, 0.00123456, 1234.5, 99999.0, 999999.0, 1e6, -4.5e-7, 0.0001, 9.999e-5, 123456.0]
    assert tab.evaluate("values => values.map(value => number(value))", values) == [number(v) for v in values]
    assert tab.evaluate("[number(Infinity), number(-Infinity), number(NaN), number(null)]") == ["∞", "−∞", "–", "–"]


def test_scripts_unpack_what_was_packed(run, open_page):
    tab = open_page(run.page)
    kinds = {"a": ("u2", [1, 65535]), "b": ("f8", [np.pi, -1e300]), "c": ("bf", [1.5, -0.25]), "d": ("f4", [0.5])}
    found = tab.evaluate("planes => unpack(planes).then(f => ['a', 'b', 'c', 'd'].map(k => [...f[k]]))", pack(kinds))
    assert found == [[1, 65535], [np.pi, -1e300], [1.5, -0.25], [0.5]]


def test_a_real_run_plays_the_ends_of_its_table(open_page, tmp_path, monkeypatch):
    """From descents to the page: in one dimension on the curve, and convergence as a chart."""
    suite = tmp_path / "small.toml"
    suite.write_text(
        '[suite]\nname = "small"\n[[experiment]]\nname = "one"\nproblems = ["double_well"]\noptimizers = ["gd"]\n'
        "steps = 60\nlearning_rate = { log = [1e-2, 1e1], num = 7 }\nstarts = { kind = \"sobol\", num = 4 }\n"
        "trace = 8\npaths = 28\n",
        encoding="utf-8",
    )  # fmt: skip
    entries = {n: f for n, f in gather("gdbench.figures", Figure).items() if n in ("region-map", "convergence")}
    monkeypatch.setattr(pictures, "gather", lambda package, kind: entries)
    results = gd.run(suite, results=tmp_path)
    table = results.table()
    tab = open_page(results.report(tmp_path / "shown"))
    assert tab.evaluate("[...charts.values()].map(chart => chart.plot.data[0].length > 3)") == [True]
    canvas = tab.locator(".map .pixels")
    order = table.groupby("start")["start_0"].median().sort_values().index.tolist()
    rates = sorted(table["learning_rate"].unique())
    for i in (0, 9, 18):
        row = table.iloc[i]
        place = rates.index(row["learning_rate"]), 3 - order.index(row["start"])
        canvas.click(position=centre(canvas, *place, 7, 4))
        setting = f"learning rate {number(row['learning_rate'])}, start {row['start']}."
        tab.locator(".told").get_by_text(setting).wait_for()
        end = re.search(r"It ends at \((\S+)\)", tab.locator(".told").inner_text())
        assert end, row
        assert abs(float(end.group(1).replace("−", "-")) - row["end_0"]) <= 1e-6
    assert json.loads(tab.locator("#data").text_content())["paths"]
