"""The page and its Markdown: complete, safe, offline, and clear about runs that went badly."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from gdbench.catalogue import gather
from gdbench.errors import StoreError
from gdbench.figures.base import Figure
from gdbench.report import pictures, write_report
from gdbench.report.lines import answer_groups, glance
from gdbench.report.study import read

VOID = {"meta", "img", "br", "rect", "line", "link", "input"}


class Page(HTMLParser):
    """Tags, text and attributes of a page; complains about tags that do not nest."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.stack, self.tags, self.words = [], [], []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        """Remember it."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        """Check that it closes the last open one."""
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        """Keep the text outside of style sheets and scripts."""
        if not {"style", "script"} & set(self.stack):
            self.words.append(data)

    @property
    def text(self):
        """All text, white space collapsed."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        """Attributes of all tags of that name."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(autouse=True)
def one_figure(request, monkeypatch):
    """Only the fastest figure is drawn, but in slow tests and on runs that went badly."""
    full = request.node.get_closest_marker("slow") or "badly" in request.node.name
    if not full:
        entries = {"learning-rate": gather("gdbench.figures", Figure)["learning-rate"]}
        monkeypatch.setattr(pictures, "gather", lambda package, kind: entries)


def page(results, **keywords):
    """The page of a run."""
    return Page(write_report(results, **keywords).read_text(encoding="utf-8"))


def good(make, path):
    """Two optimizers on two problems, one precision."""
    problems = [make.problem(), make.problem(label="steep", tolerance=1e-3)]
    optimizers = [make.optimizer("gd"), make.optimizer("momentum", 0.5)]
    cells = [make.cell(f"{p['label']}-{o['name']}", problem=p, optimizer=o) for p in problems for o in optimizers]
    return make.results(cells, path=path)


def test_the_glance_marks_what_the_intervals_do_not_tell_apart(make, tmp_path):
    # Identical twins and a method that hardly moves, on one problem; the second problem nobody solves.
    names = {"gd": [0.05, 0.1], "twin": [0.05, 0.1], "slow": [1e-5, 1e-4]}
    cells = [make.cell(n, rates=r, optimizer=make.optimizer(n)) for n, r in names.items()]
    hard = make.problem(label="hard", tolerance=1e-300)
    cells.append(make.cell("h", rates=[0.001, 0.002], problem=hard, optimizer=make.optimizer("gd")))
    results = make.results(cells, path=tmp_path)
    shown = glance(answer_groups(results, read(results)))
    assert shown.optimizers == ("gd", "twin", "slow")
    assert [title for title, _, _ in shown.rows] == ["quadratic", "hard"]
    assert [line and line.leads for line in shown.rows[0][2]] == [True, True, False]
    assert [line and line.leads for line in shown.rows[1][2]] == [False, None, None]
    assert sum("leads" in cell.get("class", "").split() for cell in page(results).all("td")) == 2


def test_a_suite_says_what_it_is_about(run):
    run.suite["suite"]["description"] = "Whether\n  momentum helps."
    assert "Whether momentum helps." in page(run).text
    assert "Whether momentum helps." in (run.path / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_writes_page_markdown_and_figures(make, tmp_path):
    found = write_report(good(make, tmp_path / "results" / "example" / "first"))
    folder = found.parent
    assert found.name == "report.html"
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("# example")
    assert {p.suffix for p in (folder / "figures").iterdir()} == {".png", ".svg", ".csv"}
    assert found.stat().st_size < 5e6
    assert "gdbench report results/example/first" in found.read_text(encoding="utf-8")
    assert str(tmp_path) not in found.read_text(encoding="utf-8")


def test_answers_come_first_then_environment_then_caveats(make, tmp_path):
    text = page(good(make, tmp_path)).text
    order = [
        text.index(word)
        for word in ("descents 576", "At a glance", "8 of 8", "device kind", "Exploratory.", "Held out A setting")
    ]
    assert order == sorted(order)
    assert "momentum comes first: 8 of 8 held-out descents converged" in text


def test_the_page_needs_nothing_else(make, tmp_path):
    found = page(good(make, tmp_path))
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'none'"
    )
    assert not any("src" in script for script in found.all("script"))
    assert not found.all("link")
    assert found.all("img")
    assert all(image["src"].startswith("data:image/") for image in found.all("img"))
    for link in found.all("a"):
        target = link["href"]
        assert target.startswith("#") or (tmp_path / target).is_file()
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)


def test_accessible(make, tmp_path):
    found = page(good(make, tmp_path))
    assert found.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in found.all("img"))
    assert all("scope" in head for head in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table"))
    bars = [svg for svg in found.all("svg") if "bar" in svg.get("class", "").split()]
    assert bars and all(bar["role"] == "img" and bar["aria-label"] for bar in bars)
    assert all(canvas.get("aria-label") for canvas in found.all("canvas"))
    identities = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    anchors = {link["href"][1:] for link in found.all("a") if link["href"].startswith("#")}
    assert anchors <= set(identities)


def test_names_cannot_become_markup(make, tmp_path):
    evil = "<script>alert(1)</script>|`x`"
    optimizer = make.optimizer("gd", label=evil, notes=evil)
    results = make.results([make.cell(optimizer=optimizer), make.cell("b", failed=evil)], path=tmp_path)
    results.suite["suite"]["name"] = evil
    found = page(results)
    assert len(found.all("script")) == 3
    assert "<script>alert" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert evil in found.text
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in re.sub(r"\\.", "", markdown)


def test_the_same_run_gives_the_same_page(make, tmp_path):
    results = good(make, tmp_path)
    first = write_report(results).read_bytes()
    assert write_report(results).read_bytes() == first


def bad_runs(make):
    """Runs that went badly, by what went wrong, each with words that must appear."""
    failed = [make.cell("a", failed="XlaRuntimeError: out of memory"), make.cell("b", failed="TypeError: no")]
    unknown = make.problem(goal="rest", minimum=None, minimizers=None, curvature=None)
    return {
        "no cells": ([], ["Nothing ran, so there is no answer", "No descents"]),
        "all failed": (failed, ["Every cell failed", "out of memory", "2 of 2 cells failed"]),
        "all diverged": (
            [make.cell(rates=[3.0, 5.0, 10.0])],
            ["every setting diverged", "No optimizer converged", "100%"],
        ),
        "one start": ([make.cell(starts=1)], ["Not evaluated on held-out starts", "chosen in-sample"]),
        "one optimizer": ([make.cell()], ["gd: 8 of 8 held-out descents", "Nothing to compare"]),
        "no minimum": ([make.cell(problem=unknown)], ["Final f", "No known minimum"]),
        "no axis": ([make.cell(rates=[0.1])], ["gd: 8 of 8"]),
        "two starts": ([make.cell(starts=2)], ["1 held-out start stand"]),
    }


KINDS = ["no cells", "all failed", "all diverged", "one start", "one optimizer", "no minimum", "no axis", "two starts"]


@pytest.mark.parametrize("kind", KINDS)
def test_runs_that_went_badly_are_as_clear(make, tmp_path, kind):
    cells, words = bad_runs(make)[kind]
    text = page(make.results(cells, path=tmp_path)).text
    assert [word for word in words if word not in text] == []
    assert re.findall("Could not be drawn.{200}", text) == []
    assert not {"nan", "None", "inf"} & set(text.split())
    assert (tmp_path / "report.md").stat().st_size > 100


def test_a_figure_that_fails_is_named_and_the_report_stands(run, monkeypatch):
    def broken(results):
        raise RuntimeError("no such <column>")

    figure = Figure("broken", 99, "What broke?", "Nothing.", broken, lambda results: None, lambda ax, frame: None)
    monkeypatch.setattr(pictures, "gather", lambda package, kind: {"broken": figure})
    text = page(run).text
    assert "RuntimeError: no such <column>" in text
    assert "1 picture could not be drawn" in text


def test_a_full_page_links_its_pictures(run, monkeypatch):
    monkeypatch.setattr(pictures, "STILL_ROOM", 1000)
    found = page(run)
    assert not found.all("img")
    assert found.all("canvas") == [] and "This page is full" in found.text
    assert [a["class"] for a in found.all("div") if "chart" in a.get("class", "")] == ["panel chart"]
    monkeypatch.setattr(pictures, "LIVE_ROOM", 1000)
    assert not [a for a in page(run).all("div") if "chart" in a.get("class", "")]


def test_many_problems_fold_their_tables(make, tmp_path):
    cells = [make.cell(f"c{i}", problem=make.problem(label=f"p{i}"), starts=4, rates=[0.05, 0.1]) for i in range(7)]
    assert sum("table" in a.get("class", "") for a in page(make.results(cells, path=tmp_path)).all("details")) == 7


def test_a_folder_is_needed_and_must_be_writable(make, tmp_path):
    results = make.results([], path=None)
    with pytest.raises(StoreError, match="has no folder"):
        write_report(results)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot write the report into"):
        write_report(results, tmp_path / "file" / "inside")
    assert "Make it again" not in page(results, folder=tmp_path / "elsewhere").text


def test_neither_jax_nor_drawing_is_imported_for_nothing():
    code = "import sys, gdbench.report; assert not {'jax', 'matplotlib', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, gdbench.report.page, gdbench.report.study; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
