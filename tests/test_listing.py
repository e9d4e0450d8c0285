"""Lists of problems, what is told of one, and its picture."""

from __future__ import annotations

import dataclasses
import io
import sys

import numpy as np
import pytest

import gdbench as gd
from gdbench import facts, listing, picture, terminal
from gdbench.catalogue import gather
from gdbench.contracts import NEEDS, Optimizer, Problem, ProblemFamily, Schedule, problem_family
from gdbench.errors import GdbenchError, NothingSelectedError, UnknownNameError
from gdbench.listing import Selection

FAMILIES = gather("gdbench.problems", ProblemFamily)


def bowl(**told) -> Problem:
    settings = {"dim": 2, "box": (np.full(2, -2.0), np.full(2, 2.0)), **told}
    return Problem("bowl", lambda x, data, parameters: (x**2).sum(), **settings)


@pytest.fixture
def small(monkeypatch):
    """A catalogue of three entries."""

    @problem_family("small/f10")
    def tenth(dim: int = 3) -> Problem:
        """The tenth."""
        if dim < 2:
            raise ValueError("too few")
        return bowl(dim=dim, box=None, minimum=0.0, convex=True, separable=True)

    @problem_family("small/f2")
    def second() -> Problem:
        """The second."""
        return bowl(convex=False, sample=lambda data, key: data, batch_share=0.5)

    @problem_family()
    def slope() -> Problem:
        """A slope."""
        return bowl(bounded=False)

    entries = {entry.name: entry for entry in (tenth, second, slope)}
    monkeypatch.setattr(listing, "gather", lambda package, kind: entries)
    return entries


def names(**asked) -> list[str]:
    return [row["name"] for row in listing.problems(Selection(**asked))[1]]


# Lists


def test_names_are_sorted_as_people_count(small):
    assert names() == ["slope", "small/f2", "small/f10"]


@pytest.mark.parametrize(
    "asked, left",
    [
        ({"dim": 2}, ["slope", "small/f2", "small/f10"]),
        ({"dim": 7}, ["small/f10"]),
        ({"dim": 3, "convex": True}, ["small/f10"]),
        ({"convex": True}, ["small/f10"]),
        ({"convex": False}, ["small/f2"]),  # what is not known is neither
        ({"known_minimum": True}, ["small/f10"]),
        ({"known_minimum": False}, ["slope", "small/f2"]),
        ({"stochastic": True}, ["small/f2"]),
        ({"stochastic": False, "separable": False}, ["slope"]),
        ({"separable": True, "known_minimum": True}, ["small/f10"]),
        ({"family": "test_listing"}, ["slope", "small/f2", "small/f10"]),
    ],
)
def test_filters(small, asked, left):
    themes = {"test_listing": next(iter(small.values())).theme}
    asked = {name: themes.get(value, value) if name == "family" else value for name, value in asked.items()}
    assert names(**asked) == left


def test_nothing_left_says_what_was_asked(small):
    with pytest.raises(NothingSelectedError, match="no problem has dim = 1 and stochastic = True"):
        names(dim=1, stochastic=True)
    with pytest.raises(UnknownNameError, match="unknown family 'bbo'"):
        names(family="bbo")


def test_what_an_extra_would_add_is_told_with_the_extra(monkeypatch):
    monkeypatch.setattr("gdbench.problems.cutest.foreign.installed", lambda: False)
    without = {name: entry for name, entry in FAMILIES.items() if not name.startswith("cutest/")}
    monkeypatch.setattr(listing, "gather", lambda package, kind: without)
    for ask in (lambda: names(family="cutest"), lambda: listing.show("cutest/rosenbr", [])):
        with pytest.raises(UnknownNameError, match=r"needs sif2jax.*gdbench\[cutest\]"):
            ask()


def test_a_row_says_dimension_minimum_and_tags(small):
    header, rows = listing.problems()
    cells = {row["name"]: [listing.cell(row, name) for name in header] for row in rows}
    family = small["slope"].theme
    assert cells["small/f10"] == ["small/f10", family, "n=3", "0", "convex, separable", "The tenth."]
    assert cells["small/f2"] == ["small/f2", family, "2", "unknown", "stochastic", "The second."]
    assert cells["slope"][3:5] == ["none", "unbounded"]
    assert listing.problems(Selection(dim=5))[1][0]["dim"] == 5


def test_a_family_that_is_not_asked_for_is_not_built(small, monkeypatch):
    built = []
    monkeypatch.setattr(listing, "_built", lambda entry, dim: built.append(entry.name))
    other = ProblemFamily("other", lambda: bowl(), {}, {}, "")
    monkeypatch.setattr(ProblemFamily, "theme", property(lambda self: self.name.split("/")[0]))
    monkeypatch.setattr(listing, "gather", lambda package, kind: {**small, "other": other})
    with pytest.raises(NothingSelectedError):
        names(family="small")
    assert built == ["small/f2", "small/f10"]


def test_a_list_is_cut_to_the_terminal_and_only_there(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    rows = [["rosenbrock", "a valley " * 30], ["parabola", "short"]]
    for stream, cut in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setenv("COLUMNS", "60")
        terminal.print_table(["name", "summary"], rows, cut=True)
        lines = stream.getvalue().splitlines()
        assert (max(map(len, lines)) <= 60) is cut and lines[2].endswith("…") is cut
        assert lines[3] == "parabola    short"


# Optimizers and schedules


OPTIMIZERS = gather("gdbench.optimizers", Optimizer)


def test_optimizers_are_told_with_what_they_need_and_cost():
    header, rows = listing.optimizers()
    assert [row["name"] for row in rows] == list(OPTIMIZERS)
    cells = {row["name"]: dict(zip(header, [listing.cell(row, name) for name in header], strict=True)) for row in rows}
    assert cells["adam"] == {
        "name": "adam", "family": "gradient", "needs": "", "costs": "1 g", "notes": "",
        "hyperparameters": "learning_rate=required b1=0.9 b2=0.999 eps=1e-08",
    }  # fmt: skip
    assert "nesterov=False" in cells["optax/adam"]["hyperparameters"]
    assert cells["trial_and_error"]["costs"] == "n to 2n f"
    assert all(len(cell["notes"]) <= listing.SHORT for cell in cells.values())
    terminal.json.dumps(rows, allow_nan=False)


@pytest.mark.parametrize("needs", [*NEEDS, listing.NOTHING])
def test_optimizers_by_what_they_need(needs):
    chosen = {row["name"] for row in listing.optimizers(needs=needs)[1]}
    wanted = {name for name, o in OPTIMIZERS.items() if (needs in o.needs if needs in NEEDS else not o.needs)}
    assert chosen == wanted and ("gd" in chosen) is (needs == listing.NOTHING)
    assert wanted or needs == "minimum"


def test_optimizers_of_a_family():
    chosen = [row["name"] for row in listing.optimizers(family="derivative-free", needs="nothing")[1]]
    assert "trial_and_error" in chosen and "gd" not in chosen
    assert all(OPTIMIZERS[name].family == "derivative-free" for name in chosen)
    with pytest.raises(UnknownNameError, match="unknown family 'derivative': did you mean 'derivative-free'?"):
        listing.optimizers(family="derivative")
    with pytest.raises(UnknownNameError, match="unknown need 'residual': did you mean 'residuals'?"):
        listing.optimizers(needs="residual")
    with pytest.raises(NothingSelectedError, match="no optimizer has family = derivative-free and needs = residuals"):
        listing.optimizers(family="derivative-free", needs="residuals")


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_can_be_shown(name):
    told, problem = listing.show(name, [])
    assert problem is None and told["kind"] == "optimizer"
    lines = listing.sheet(told)
    assert lines["formula"] == [OPTIMIZERS[name].formula] and lines["cost of a step"] == [OPTIMIZERS[name].costs]
    shown = {line.split(" = ")[0]: line for line in lines["hyperparameters"]}
    for parameter, spec in OPTIMIZERS[name].hyperparameters.items():
        assert spec.origin in shown[parameter] and f"({'static' if spec.static else 'traced'}; " in shown[parameter]
    assert all("object at 0x" not in line and "None" not in line.split("(")[0] for line in shown.values())


def test_an_optimizer_tells_its_other_names():
    lines = listing.sheet(listing.show("gd", [])[0])
    assert lines["rule"][0].startswith("gd, also as ") and "optax/sgd" in lines["rule"][0]
    assert lines["needs"] == ["nothing"] and lines["closed form"] == ["gradient_descent"] and "notes" not in lines
    told = listing.show("optax/sgd", [])[0]
    assert told["rule"] == "gd" and "gd" in told["aliases"] and told["theory"] == "gradient_descent"
    assert listing.sheet(told)["hyperparameters"][:2] == [
        "learning_rate = required (traced; none: a rate must be given)", "momentum = absent (traced; optax)",
    ]  # fmt: skip


def test_what_an_optimizer_needs_is_told_in_words(monkeypatch):
    rule = dataclasses.replace(OPTIMIZERS["gd"], name="own", needs=("residuals", "full batch"), most_dim=7, rule="gd")
    monkeypatch.setattr(listing, "gather", lambda package, kind: {"gd": OPTIMIZERS["gd"], "own": rule})
    assert [row["name"] for row in listing.optimizers(needs="residuals")[1]] == ["own"]
    told = {
        "kind": "optimizer",
        **listing.optimizers()[1][1],
        **listing._more("optimizers", {"name": "own", "rule": "gd"}),
    }
    lines = listing.sheet(told)
    assert lines["needs"] == [NEEDS["residuals"], NEEDS["full batch"], "at most 7 dimensions"]
    assert lines["rule"] == ["gd, also as gd"]


def test_schedules():
    header, rows = listing.schedules()
    assert [row["name"] for row in rows] == list(gather("gdbench.schedules", Schedule))
    cells = {row["name"]: [listing.cell(row, name) for name in header] for row in rows}
    assert cells["step"][:2] == ["step", "drop=0.1 every=0.333333"] and "drop" in cells["step"][2]
    assert listing.show("cosine", [])[0]["kind"] == "schedule"
    # A problem has the same name.
    assert listing.show("linear", [])[0]["kind"] == "problem"
    told = listing.show("schedule/linear", [])[0]
    assert (told["kind"], told["name"]) == ("schedule", "linear") and "Defazio" in told["source"]
    assert listing.sheet(told)["hyperparameters"] == ["final = 0.0", "warmup = 0.0"]
    assert listing.show("optimizer/adam", [])[0]["name"] == "adam"
    with pytest.raises(UnknownNameError, match="nothing is called 'schedule/sine'"):
        listing.show("schedule/sine", [])


# Facts


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_problem_can_be_told(name):
    problem = gd.problem(name)
    told = facts.facts(problem)
    assert told["dim"] >= 1 and told["formula"] and told["source"]
    terminal.json.dumps(told, allow_nan=False)
    lines = facts.sheet({"kind": "problem", "name": name, "summary": FAMILIES[name].summary, **told})
    assert lines["summary"] == [FAMILIES[name].summary] and "minimum" in lines
    assert all("object at 0x" not in line for shown in lines.values() for line in shown)


def test_the_lines_of_a_problem():
    told, problem = listing.show_problem("quadratic", {"dim": 2, "condition": 50})
    lines = facts.sheet(told)
    assert problem.dim == 2 and lines["curvature"] == ["m = 1, L = 50 everywhere, condition 50"]
    assert lines["box"] == ["[-5, 5] in every coordinate"]
    # Median of (x² + 50 y²)/2 over the square of half width 5: measured, and near 25/2 (E x² + 50 E y²) = 212 at most.
    assert 100 < told["scale"] < 212 and lines["scale S"][0].startswith(f"{told['scale']:.3g}, the median of f - f*")
    assert told["tolerance"]["float64"] == 1e-8


def test_scales_of_what_has_no_box_or_no_minimum():
    assert facts.scales(bowl(box=None, minimum=0.0))["scale_origin"] == "1, for there is no box to sample"
    loose = facts.scales(bowl())
    assert "|f - median f|" in loose["scale_origin"] and loose["tolerance"] is None
    assert "flagged unverified" in loose["tolerance_origin"]
    assert "at the target" in facts.scales(bowl(target=1.0))["tolerance_origin"]
    own = facts.scales(bowl(minimum=0.0, tolerance=0.25))
    assert own["tolerance"] == {"float32": 0.25, "float64": 0.25} and own["tolerance_origin"] == "the problem's own"


def test_rows_of_data_are_counted_where_they_are_rows():
    table = {"a": np.zeros((8, 3)), "y": np.zeros(8)}
    assert facts.rows(table, drawn=True) == 8 and facts.rows(table, drawn=False) is None
    assert facts.rows({"rows": table, "penalty": np.zeros(())}, drawn=False) == 8
    assert facts.rows({"inner": {"rows": table}, "change": np.zeros((2, 2))}, drawn=False) == 8
    assert facts.rows({"root": np.zeros((3, 3))}, drawn=False) is None and facts.rows((), drawn=True) is None
    held = bowl(data=table, held_out=table, sample=lambda data, key: data, batch_share=0.5, judge_every=20)
    lines = facts.sheet({"kind": "problem", "name": "bowl", "summary": "", **facts.facts(held)})
    assert lines["held out"] == ["8 rows: a [8, 3], y [8]"]
    assert lines["mini-batches"] == ["0.5 of the data a step, judged on all of them every 20 steps"]


def test_what_json_cannot_hold_becomes_text():
    assert facts.plain([np.inf, np.float32(0.5), np.int32(3), None]) == ["inf", 0.5, 3, None]
    assert facts.plain(np.full(100, 2.5)) == "2.5 in each of 100 coordinates"
    assert facts.plain(np.zeros((10, 10))) == "array of shape (10, 10)"


# Pictures


def test_the_picture_of_two_dimensions():
    canvas = picture.draw_problem(gd.problem("himmelblau"))
    ax, bar = canvas.axes
    assert (ax.get_xlim(), ax.get_ylim()) == ((-5, 5), (-5, 5)) and bar.get_ylabel() == "f − f*"
    marks = {str(line.get_label()): np.transpose(line.get_data()) for line in ax.lines}
    assert set(marks) == {"4 minimizers", "start"} and marks["start"].tolist() == [[0, 0]]
    assert np.abs(gd.problem("himmelblau").minimizers - marks["4 minimizers"]).max() == 0


def test_the_picture_of_one_dimension():
    canvas = picture.draw_problem(gd.problem("shifted_parabola"))
    curve, minimizer = canvas.axes[0].lines[:2]
    x, f = curve.get_data()
    assert np.allclose(f, np.asarray(x) ** 2 - 2 * np.asarray(x) + 3)
    assert np.allclose(np.ravel(minimizer.get_data()), [1, 2])


def test_a_valley_has_logarithmic_colours_and_a_bowl_has_not():
    values = np.linspace(0, 1, 10001)
    levels, norm = picture._levels(values**8, known=True)
    assert type(norm).__name__ == "LogNorm" and np.allclose(np.diff(np.log(levels)), np.log(levels[1] / levels[0]))
    levels, norm = picture._levels(0.1 + values**2, known=True)
    # Half of the box has the lower half of the colours.
    assert type(norm).__name__ == "PowerNorm" and float(norm(0.35)) == pytest.approx(0.5, abs=1e-3)
    assert levels[0] == 0 and levels[-1] == pytest.approx(1.1)
    levels, _ = picture._levels(np.full(9, 3.0), known=False)
    assert np.all(np.diff(levels) > 0)


def test_contours_are_left_out_where_they_crowd():
    x = np.linspace(0, 1, 101)
    rising = np.where(x < 0.5, x, 0.5 + 40 * (x - 0.5))[None, :] * np.ones((50, 1))
    share = picture.crowding(rising, np.linspace(0, 20, 61))
    # A level every 1/3: steps of 0.01 cross one in 33 columns, steps of 0.4 one in every column; no row crosses any.
    assert share[20, :40].max() < 0.1 and share[20, 60:90] == pytest.approx(0.5)


def test_values_that_are_not_finite_are_drawn_as_high():
    import jax.numpy as jnp

    problem = bowl()
    split = Problem(
        "split", lambda x, d, p: jnp.where(x[0] > 0, jnp.nan, (x**2).sum()), 2, box=problem.box, minimum=0.0
    )
    assert picture.draw_problem(split).axes
    nowhere = Problem("nowhere", lambda x, d, p: jnp.nan * x[0], 2, box=problem.box)
    with pytest.raises(GdbenchError, match="finite nowhere"):
        picture.draw_problem(nowhere)


def test_what_has_no_picture():
    with pytest.raises(GdbenchError, match="bowl has no box to draw"):
        picture.draw_problem(bowl(box=None))
    with pytest.raises(GdbenchError, match="one or two dimensions, bowl has 3$"):
        picture.draw_problem(bowl(dim=3, box=(np.zeros(3), np.ones(3))))
