"""The lesson: every claim in its order, explained and decided; safe, offline, and moved by a reader."""

from __future__ import annotations

import html
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer

import gdbench as gd
from gdbench import listing
from gdbench.catalogue import gather
from gdbench.claims.verdicts import claims_frame, judge
from gdbench.cli import app, suite_path
from gdbench.figures.base import Figure
from gdbench.forms import Claim
from gdbench.report import pictures, write_report
from gdbench.report.interactive import descents, parts, tangents
from gdbench.report.lesson import paragraphs
from gdbench.report.words import number
from gdbench.suite import read_suite

ROOT = Path(__file__).parent.parent.parent
EVIL = "</script><img src=x onerror=alert(1)>"
ARTICLES = tomllib.loads((ROOT / "suites" / "articles.toml").read_text(encoding="utf-8"))["claim"]


def claim(name, rule="solves", figure="learning-rate", **fields):
    """A claim as a run's suite has it."""
    table = {"name": name, "says": f"It is said: {name}.", "tests": [{"rule": rule}], "figure": figure} | fields
    return Claim.model_validate(table).model_dump()


@pytest.fixture(autouse=True)
def one_figure(monkeypatch):
    """Only the fastest figure is drawn."""
    entries = {"learning-rate": gather("gdbench.figures", Figure)["learning-rate"]}
    monkeypatch.setattr(pictures, "gather", lambda package, kind: entries)


def written(results, *claims):
    """The lesson of a run that claims these."""
    results.suite["claim"] = list(claims)
    return (write_report(results).parent / "lesson.html").read_text(encoding="utf-8")


def text_of(page):
    """What a reader sees, without tags, style and scripts."""
    page = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def part_of(page, name):
    """The part of the page that a claim has."""
    return page.split(f'<h2 id="claim-{name}">')[1].split("</section>")[0]


def test_claims_come_in_the_order_of_the_suite_with_all_that_is_said_of_them(run):
    fields = {"lesson": "One.\nStill one.\n\nTwo.", "play": "Play.", "python": "a = 1\nb = 2", "command": "x y"}
    page = written(run, claim("C10", title="First", **fields), claim("C2", rule="rests-elsewhere"))
    assert re.findall(r'<h2 id="claim-(\w+)"', page) == ["C10", "C2"]
    assert re.findall(r'<a href="#claim-(\w+)">(\w+)</a>', page) == [("C10", "First"), ("C2", "C2")]
    first, second = part_of(page, "C10"), part_of(page, "C2")
    assert "<p>One. Still one.</p>\n<p>Two.</p>" in first
    assert "a = 1\nb = 2" in first and "<code>x y</code>" in first and '<p class="play">Play.</p>' in first
    assert "Try it yourself" not in second
    for one, part in zip(judge(run), (first, second), strict=True):
        assert f"Verdict: {one.words}" in text_of(part)
        assert all(html.escape(test.rule.decides, quote=False) in html.unescape(part) for test in one.tests)
        assert all(evidence.case in html.unescape(part) for evidence in one.evidence)
    assert {one.verdict for one in judge(run)} == {"shown", "not decided"}


def test_tables_sort_claims_by_name_and_lead_to_the_lesson(run):
    written(run, claim("C10"), claim("C9"), claim("C9b"), claim("C2", figure="regimes"))
    assert list(claims_frame(run)["claim"]) == ["C2", "C9", "C9b", "C10"]
    assert [one.claim["name"] for one in judge(run)] == ["C10", "C9", "C9b", "C2"]
    page = (run.path / "report.html").read_text(encoding="utf-8")
    table = page.split('<h2 id="claims">')[1].split("</section>")[0]
    assert re.findall(r'href="lesson.html#claim-(\w+)"', table) == ["C2", "C9", "C9b", "C10"]
    assert table.count('href="#figure-learning-rate"') == 3
    assert page.index('id="answers"') < page.index('id="claims"') < page.index('id="environment"')
    lines = (run.path / "report.md").read_text(encoding="utf-8").split("## Claims")[1].split("## ")[0].splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| C")] == [
        "| Claim", "| C2", "| C9", "| C9b", "| C10"
    ]  # fmt: skip


def test_a_suite_that_claims_nothing_has_no_lesson(run):
    page = write_report(run)
    assert not (page.parent / "lesson.html").exists()
    assert 'id="claims"' not in page.read_text(encoding="utf-8")
    assert "## Claims" not in (page.parent / "report.md").read_text(encoding="utf-8")


def test_every_text_is_escaped(make, tmp_path):
    results = make.results([make.cell("c", problem=make.problem(label=EVIL))], path=tmp_path)
    fields = dict.fromkeys(("title", "lesson", "play", "python", "command", "says"), EVIL)
    page = written(results, claim("C1", rule="rests-elsewhere", **fields))
    assert "<img src=x" not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert text_of(page).count(EVIL) >= 6


def test_the_page_needs_nothing_else(run):
    page, report = written(run, claim("C1")), (run.path / "report.html").read_text(encoding="utf-8")
    policy = r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">'
    assert re.findall(policy, page) == re.findall(policy, report) != []
    assert all(uri.startswith("data:image/") for uri in re.findall(r'src="([^"]*)"', page))
    links = re.findall(r'href="([^"]*)"', page)
    assert all(link[0] == "#" or (run.path / link).is_file() for link in links)
    assert all(f'id="{link[1:]}"' in page for link in links if link[0] == "#")


def test_the_figure_is_the_one_that_shows_what_the_tests_look_at(make, tmp_path):
    problems = [make.problem(), make.problem(label="other")]
    cells = [make.cell(f"c{i}", experiment=f"part {i}", problem=p) for i, p in enumerate(problems)]
    results = make.results(cells, path=tmp_path)
    tests = [{"rule": "solves", "experiments": ["part 1"]}]
    page = written(results, claim("C1", tests=tests), claim("C2"), claim("C3", figure="regimes"))
    alts = [re.findall(r' alt="([^"]*)"', part_of(page, name)) for name in ("C1", "C2", "C3")]
    assert [["other" in alt for alt in found] for found in alts] == [[True], [False], []]


def test_where_nothing_is_stored_nothing_can_be_moved(run):
    page = written(run, claim("C1", interactive="tangent"), claim("C2", interactive="descent"))
    assert "data-part" not in page.split("<script>")[0]
    assert parts(run, judge(run)) == {}


def test_a_part_to_move_is_one_of_two():
    with pytest.raises(ValueError, match="tangent"):
        claim("C1", interactive="game")


def test_paragraphs_are_set_apart_by_empty_lines():
    assert paragraphs("a\nb\n\n\n c \n") == ["a b", "c"]
    assert paragraphs("") == []


@pytest.mark.parametrize("entry", ARTICLES, ids=lambda entry: entry["name"])
def test_the_articles_are_a_whole_lesson(entry):
    assert all(entry[name].strip() for name in ("title", "says", "lesson", "play", "python", "command"))
    assert 1 <= len(paragraphs(entry["lesson"])) <= 2
    # A verdict follows from the numbers; one in the prose could come to contradict them.
    told = f"{entry['lesson']} {entry['play']}".lower()
    assert not re.search(r"\b(refuted|not decided|proves|disproves)\b", told)


def test_the_articles_have_both_parts_to_move_and_rest_on_claims_before():
    assert sorted(entry["interactive"] for entry in ARTICLES if entry.get("interactive")) == ["descent", "tangent"]
    names = [entry["name"] for entry in ARTICLES]
    for i, entry in enumerate(ARTICLES):
        assert all(set(test.get("claims", [])) <= {*names[:i]} for test in entry["tests"])


@pytest.mark.parametrize("entry", ARTICLES, ids=lambda entry: entry["name"])
def test_the_commands_of_the_articles_are_good(entry, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(entry["command"])
    assert program == "gdbench"
    group = typer.main.get_command(app)
    name, command, rest = group.resolve_command(group.make_context("gdbench", words[:], resilient_parsing=True), words)
    given = command.make_context(name, rest).params
    if name == "run":
        chosen = {what: given[what] or () for what in ("problems", "optimizers")}
        assert read_suite(suite_path(given["suite"]), **chosen).trials
    else:
        assert name == "show"
        assert listing.show(given["name"], given["settings"] or [])[1] is not None


@pytest.mark.slow
def test_the_python_of_the_articles_runs(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    for entry in ARTICLES:
        exec(compile(entry["python"], entry["name"], "exec"), {"__name__": entry["name"]})  # noqa: S102


SUITE = """
[suite]
name = "small"
dtype = "float64"
[[experiment]]
name = "one"
problems = ["parabola", "double_well"]
optimizers = ["gd"]
steps = 60
learning_rate = { log = [1e-2, 1e1], num = 7 }
starts = { kind = "points", points = [[-1.0], [1.5]] }
trace = 8
paths = 14
record = "full"
[[claim]]
name = "A"
says = "Slopes tell the way."
tests = [{ rule = "solves" }]
figure = "slopes"
interactive = "tangent"
[[claim]]
name = "B"
says = "Rates decide."
tests = [{ rule = "solves", problems = ["double_well"] }]
figure = "learning-rate"
interactive = "descent"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A real run of two functions, and its lesson."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.toml").write_text(SUITE, encoding="utf-8")
    run = gd.run(folder / "small.toml", results=folder / "results")
    entries = {"learning-rate": gather("gdbench.figures", Figure)["learning-rate"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "gather", lambda package, kind: entries)
        return run, run.report().parent / "lesson.html"


SET = """(control, value) => {
    control.value = value;
    control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input"));
}"""
"""Sets a control as a reader does."""


class Moved:
    """A part of the lesson in a browser."""

    def __init__(self, tab, claim):
        self.box = tab.locator(f"[data-part=claim-{claim}]")

    def set(self, name, value):
        self.box.locator(f"[name={name}]").evaluate(SET, str(value))

    def tells(self, *values):
        """Wait until it tells these numbers, to the last bit, as the report writes them."""
        want = [float(value) for value in values]
        found = self.box.locator("output data")
        exact = "([box, want]) => JSON.stringify([...box.querySelectorAll('output data')].map(d => +d.value)) === want"
        text = "[" + ",".join(self.box.page.evaluate("v => String(JSON.stringify(v))", value) for value in want) + "]"
        self.box.page.wait_for_function(exact, arg=[self.box.element_handle(), text])
        assert found.all_inner_texts() == [number(value, 6) for value in want]


@pytest.mark.slow
@pytest.mark.browser
def test_the_point_that_a_reader_moves_has_the_slope_that_was_stored(small, open_page):
    run, page = small
    part = Moved(open_page(page), "A")
    for i, label in enumerate(("parabola", "double_well")):
        part.set("function", i)
        surface = run.results.surface(label)
        for place in (0, 37, 200, len(surface) - 1):
            part.set("place", place)
            row = surface.iloc[place]
            part.tells(row["x0"], row["f"], row["g0"])
    # The peak of the double well is level; one place to the right it falls that way.
    part.set("place", 200)
    assert "It is level here" in part.box.inner_text() and part.box.locator(".arrow").count() == 0
    part.box.locator("[name=place]").press("ArrowRight")
    assert "downhill is to the right" in part.box.inner_text() and part.box.locator(".arrow").count() == 1


@pytest.mark.slow
@pytest.mark.browser
def test_the_descent_answers_with_what_was_stored(small, open_page):
    run, page = small
    part, table = Moved(open_page(page), "B"), run.table()
    rates = np.unique(table["learning_rate"])
    # What the claim is about comes first.
    for i, label in enumerate(("double_well", "parabola")):
        part.set("function", i)
        for start in (0, 1):
            part.box.locator("[name=start] option").nth(start).wait_for(state="attached")
            for place, rate in enumerate(rates):
                of = (table["problem"] == label) & (table["start"] == start) & (table["learning_rate"] == rate)
                row = table[of].iloc[0]
                if not np.isfinite([row["end_0"], row["f_final"]]).all():
                    continue
                part.set("start", start)
                part.set("place", place)
                settled = [] if np.isnan(row["settle_step"]) else [row["settle_step"]]
                theory = [1.0] if label == "parabola" else []
                told = [rate, row["steps"], *settled, row["overshoots"], row["end_0"], row["f_final"], *theory]
                part.tells(*told)
                assert part.box.locator("output b").inner_text() == row["outcome"]
                assert part.box.locator(".plot").nth(1).locator(".dot").count() >= 2
    assert len(rates) == 7


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_on_any_screen_and_is_drawn_anew(small, open_page, width):
    tab = open_page(small[1], width=width, color_scheme="dark")
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert tab.evaluate(fits)
    tab.set_viewport_size({"width": 800, "height": 700})
    box = "document.querySelector('.plot').viewBox.baseVal.width - document.querySelector('.plot').clientWidth"
    # The page's policy forbids to evaluate a string, as waiting for a function would.
    tab.evaluate(f"async () => {{ while (Math.abs({box}) >= 1) await new Promise(requestAnimationFrame); }}")
    assert tab.evaluate(fits)


@pytest.mark.slow
@pytest.mark.browser
def test_without_scripts_it_says_so_and_shows_still_pictures(small, open_page):
    tab = open_page(small[1], script=False)
    assert tab.locator(".part").first.is_hidden()
    assert "With scripts" in tab.inner_text("main")
    assert tab.locator("figure img").first.is_visible()


@pytest.mark.slow
def test_parts_hold_every_path_and_no_more_than_there_is_room_for(small, monkeypatch):
    run = small[0]
    cells = run.cells
    assert [entry["name"].split(":")[0] for entry in tangents(run.results, cells)] == ["parabola", "double_well"]
    assert [entry["starts"] for entry in descents(run.results, cells)] == [["x = −1", "x = 1.5"]] * 2
    monkeypatch.setattr("gdbench.report.interactive.ROOM", 10)
    assert parts(run.results, judge(run.results)) == {}
