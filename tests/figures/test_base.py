"""The catalogue, pictures and files; runs that went badly."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.text import Text

import gdbench.figures
from gdbench.catalogue import gather
from gdbench.errors import GdbenchError
from gdbench.figures.base import Figure, pictures, render, save, shown_in
from gdbench.figures.style import optimizer_style, owner_of

FIGURES = gather("gdbench.figures", Figure)


def failing(build, experiment="regions"):
    """A cell in which every descent diverges."""
    return build.cell(build.quadratic(), "gd", {"learning_rate": [3.0, 10.0, 30.0]}, experiment=experiment)


def fine(build):
    """A cell with enough learning rates for the boundary to have a dimension."""
    return build.cell(build.quadratic(), "gd", {"learning_rate": np.logspace(-2, 0, 256)}, num_starts=1, steps=40)


def in_dimensions(build, pair=None):
    """Cells of one problem that say they have other dimensions."""
    cell, frame = pair or build.cell(build.quadratic(), "gd", {"learning_rate": np.logspace(-2, 0, 9)})
    problems = [{**cell["problem"], "dim": n, "settings": {"dim": n}, "parameters": {}} for n in (2, 4, 8)]
    pairs = [{**cell, "id": str(p["dim"]), "problem": p} for p in problems]
    return build.run([(cell, frame.assign(cell=cell["id"])) for cell in pairs])


def along_paths(build, pair=None):
    """A run that says it kept orbits and sharpness, and that it was timed."""
    cell, frame = pair or build.cell(build.quadratic(), "gd", {"learning_rate": np.logspace(-2, 0, 9)})
    points = [None if path is None else np.ones(len(path) // 2) for path in frame["path"]]
    cell |= {"orbit": 8, "sharpness": True}
    results = build.run([(cell, frame.assign(path_f=points, sharpness=points))])
    seconds = dict.fromkeys(("compile_seconds", "first_seconds", "steady_seconds"), 1.0)
    results.timing = [{"cell": cell["id"], "descents": 72, "first_descents": 64, "steps": 120, **seconds}]
    return results


def over_problems(build):
    """Optimizers side by side over problems."""
    return build.contest({"a": [[10, 20], [30, 40]], "b": [[20, 50], [10, np.inf]]})


def strip(pair, **changes):
    """A cell with fields replaced, and without traces and paths."""
    cell, frame = pair
    return {**cell, **changes}, frame.assign(trace_best=None, path=None)


def test_every_file_is_an_entry_with_a_number_of_its_own():
    expected = {"region-map", "basins", "boundary-dimension", "learning-rate", "trajectories", "convergence", "slopes"}
    expected |= {"dimension", "theory-check", "orbits", "edge-of-stability", "throughput"}
    expected |= {"dimension", "runtime", "area-over-curve", "performance-profile", "data-profile", "profile-score"}
    expected |= {"aggregates", "ranks", "tuning"}
    assert expected <= set(FIGURES)
    numbers = [figure.number for figure in FIGURES.values()]
    assert len(numbers) == len(set(numbers))
    assert all(figure.question.endswith("?") and len(figure.caption) > 80 for figure in FIGURES.values())


def test_no_figure_uses_pyplot_or_jax():
    for path in Path(gdbench.figures.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if "pyplot" in name or name.split(".")[0] in ("jax", "optax")], path


@pytest.mark.parametrize("name", FIGURES)
def test_saves_png_svg_and_the_numbers(name, build, quadratic_run, parabola_run, tmp_path):
    figure = FIGURES[name]
    special = {"slopes": parabola_run, "boundary-dimension": build.run([fine(build)])}
    special["dimension"] = in_dimensions(build)
    special["orbits"] = special["edge-of-stability"] = special["throughput"] = along_paths(build)
    special |= dict.fromkeys((f.name for f in FIGURES.values() if 9 <= f.number <= 16), over_problems(build))
    results = special.get(name, quadratic_run)
    stem, cases = next(iter(pictures(figure, results).items()))
    picture = render(figure, results, cases)
    paths = save(picture, tmp_path, stem)
    assert paths["png"].read_bytes().startswith(b"\x89PNG")
    assert paths["svg"].read_text().rstrip().endswith("</svg>")
    saved = pd.read_csv(paths["csv"])
    assert len(saved) == sum(len(frame) for frame in picture.frames)
    assert set(picture.frames[0].columns) <= set(saved.columns)
    assert ("panel" in saved) == (len(cases) > 1)
    assert picture.alt.startswith(figure.question)


def several(build, quadratic_run, name):
    """A run of more than one optimizer of which a figure has something to say."""
    rates = {"learning_rate": np.logspace(-2, 0, 9)}
    if name == "boundary-dimension":
        cell, frame = fine(build)
        other = {**cell, "id": "other", "optimizer": {**cell["optimizer"], "label": "other"}}
        return build.run([(cell, frame), (other, frame.assign(cell="other"))])
    if name in ("dimension", "orbits", "edge-of-stability", "throughput"):
        make = in_dimensions if name == "dimension" else along_paths
        runs = [make(build, build.cell(build.quadratic(), rule, rates)) for rule in ("gd", "heavy_ball")]
        cells = [{**c, "id": f"{i} {c['id']}"} for i, run in enumerate(runs) for c in run.cells]
        frames = {f"{i} {key}": frame for i, run in enumerate(runs) for key, frame in run.frames.items()}
        frames = {key: frame.assign(cell=key) for key, frame in frames.items()}
        timing = [{**entry, "cell": f"{i} {entry['cell']}"} for i, run in enumerate(runs) for entry in run.timing]
        return build.results(cells, frames, timing=timing)
    if 9 <= FIGURES[name].number <= 16:
        costs = np.random.default_rng(0).integers(10, 99, (8, 2))
        contest = build.contest({label: costs * (i + 1) for i, label in enumerate("abcdef")}, name=None)
        for i, cell in enumerate(contest.cells):
            cell["problem"]["name"] = f"family {i % 8}"
        return contest
    return quadratic_run


def not_owned(artist):
    """An artist with all in it that is everybody's."""
    return [] if owner_of(artist) else [artist, *(x for child in artist.get_children() for x in not_owned(child))]


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "slopes"])
def test_a_picture_says_whose_each_of_its_marks_is(name, build, quadratic_run, tmp_path):
    figure, results = FIGURES[name], several(build, quadratic_run, name)
    labels = list(dict.fromkeys(cell["optimizer"]["label"] for cell in results.cells))
    colours = {to_hex(style["color"]) for style in optimizer_style(labels).values()}
    names = re.compile(rf"(?<![\w-])({'|'.join(labels)})(?![\w-])")
    cases = pictures(figure, results)
    assert cases
    for stem, panels in cases.items():
        picture = render(figure, results, panels)
        svg = save(picture, tmp_path, stem)["svg"].read_text(encoding="utf-8")
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert len(ids) == len(set(ids))
        owners = [re.fullmatch(r"of((?:-\d+)*)((?:_\d+)?)\.\d+", one) for one in ids if one.startswith("of")]
        told = {int(i) for found in owners for i in found[1].split("-")[1:]}
        assert told == {labels.index(label) for label in shown_in(picture)} and (len(told) > 1 or name == "basins")
        # Nothing of everybody's has a name or a colour of one.
        for artist in not_owned(picture):
            if isinstance(artist, Text) and artist.get_visible():
                assert not names.search(artist.get_text()), artist
            if isinstance(artist, Line2D):
                assert to_hex(artist.get_color()) not in colours, artist
            if isinstance(artist, (LineCollection, PolyCollection)):
                assert not colours & {to_hex(c) for c in [*artist.get_edgecolor(), *artist.get_facecolor()]}, artist


@pytest.mark.parametrize("name", ["region-map", "learning-rate", "ranks", "runtime"])
def test_the_same_run_gives_the_same_bytes(name, build, quadratic_run, tmp_path):
    figure, results = FIGURES[name], over_problems(build) if FIGURES[name].number >= 9 else quadratic_run
    stem, cases = next(iter(pictures(figure, results).items()))
    files = [save(render(figure, results, cases), tmp_path / str(i), stem) for i in range(2)]
    for kind in ("png", "svg", "csv"):
        assert files[0][kind].read_bytes() == files[1][kind].read_bytes()


def test_panels_of_one_problem_share_a_picture(quadratic_run):
    found = pictures(FIGURES["region-map"], quadratic_run)
    assert {stem: len(cases) for stem, cases in found.items()} == {
        "01-region-map-regions-quadratic-float64-learning-rate-start": 3
    }


def test_many_panels_go_on_another_picture(build):
    pairs = []
    for i in range(13):
        cell, frame = build.cell(build.quadratic(), "gd", {"learning_rate": [0.01, 0.05, 0.1]}, steps=40)
        pairs.append(({**cell, "id": f"cell {i}"}, frame.assign(cell=f"cell {i}")))
    found = pictures(FIGURES["region-map"], build.run(pairs))
    assert [len(cases) for cases in found.values()] == [12, 1]
    assert [stem[-2:] for stem in found] == ["-1", "-2"]


def test_nothing_to_draw_is_one_line(quadratic_run):
    with pytest.raises(GdbenchError, match="region-map"):
        render(FIGURES["region-map"], quadratic_run, [])


@pytest.mark.parametrize("name", FIGURES)
def test_no_cells_no_cases(name, build):
    assert FIGURES[name].cases(build.results([], {})) == []


@pytest.mark.parametrize("name", FIGURES)
def test_failed_cells_are_left_out(name, build, quadratic_run):
    cells = [{**cell, "failed": "out of memory"} for cell in quadratic_run.cells]
    assert FIGURES[name].cases(build.results(cells, {}, quadratic_run.surfaces)) == []


def bad_runs(build):
    """Runs that went badly, by what is wrong with them."""
    one = build.cell(build.quadratic(), "gd", {"learning_rate": [0.1]}, num_starts=1, steps=40)
    unknown = build.quadratic(minimum=None, minimizers=None, curvature=None, tolerance=None, goal="rest", box=None)
    blind = build.cell({**unknown, "minimizers": [[0, 0]], "tolerance": 1e-8, "box": [[-5, -5], [5, 5]]}, "gd",
                       {"learning_rate": build.rates}, num_starts=16)  # fmt: skip
    blind = ({**blind[0], "problem": {k: v for k, v in unknown.items() if k not in "fg"}}, blind[1])
    single = build.cell(build.quadratic(), "gd", {"learning_rate": build.rates}, num_starts=1)
    empty = failing(build)
    yield "all diverged", build.run([failing(build)], [build.quadratic()])
    flat = build.cell(build.parabola(), "gd", {"learning_rate": [3.0, 10.0]}, num_starts=1)
    yield "one dimension, all diverged", build.run([flat], [build.parabola()])
    yield "one descent", build.run([one], [build.quadratic()])
    yield "no minimum known", build.run([blind])
    yield "no traces", build.run([strip(failing(build), trace_steps=[], path_steps=[])])
    yield "asked for but null", build.run([strip(failing(build))], [build.quadratic()])
    yield "one start", build.run([single], [build.quadratic()])
    yield "no descents", build.results([empty[0]], {empty[0]["id"]: empty[1].iloc[:0]})
    nowhere = failing(build)[1].assign(rate=np.nan, gap_final=np.nan, f_final=np.nan)
    yield "no values", build.run([(failing(build)[0], nowhere)], [build.quadratic()])
    costs = {"a": [[10, np.inf], [np.inf, np.inf]], "b": [[np.inf, np.inf], [0, 10]]}
    yield "over problems, few solved and one cell failed", build.contest(costs, lost=[("b", 0)])
    yield "in no dimension any converges", in_dimensions(build, failing(build))
    yield "paths of what diverged", along_paths(build, failing(build))
    yield (
        "paths that rest",
        along_paths(build, build.cell(build.quadratic(), "gd", {"learning_rate": [0.08, 0.1, 0.12]})),
    )
    cell, frame = fine(build)
    yield "many rates and no values", build.run([(cell, frame.assign(rate=np.nan, gap_final=np.nan, f_final=np.nan))])


@pytest.mark.parametrize("name", FIGURES)
def test_runs_that_went_badly_still_draw(name, build):
    figure, drawn = FIGURES[name], 0
    for what, results in bad_runs(build):
        for cases in pictures(figure, results).values():
            picture = render(figure, results, cases)
            picture.canvas.draw()
            assert all(len(frame) for frame in picture.frames), (what, figure.name)
            drawn += 1
    assert drawn >= 1
