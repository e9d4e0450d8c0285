import pytest

from gdbench.figures import throughput
from gdbench.figures.base import render, save


def timing(results, **more):
    names = ("compile_seconds", "first_seconds", "steady_seconds")
    return [
        {"cell": cell["id"], "descents": 1000, "steps": 50, **dict(zip(names, (2.0, 0.5, 0.25), strict=True)), **more}
        for cell in results.cells
    ]


@pytest.fixture
def timed(build):
    def make(**more):
        results = build.run(
            [build.cell(build.quadratic(), rule, {"learning_rate": build.rates}) for rule in ("gd", "sign")]
        )
        results.timing = timing(results, **more)
        return results

    return make


def test_the_first_dispatch_is_no_part_of_the_steady_ones(timed):
    frame = throughput.data(timed(first_descents=400))
    assert frame["steady"].tolist() == pytest.approx([600 * 50 / 0.25] * 2)
    assert frame["whole"].tolist() == pytest.approx([1000 * 50 / 2.75] * 2)
    assert frame["optimizer"].tolist() == ["gd", "sign"]
    assert frame["compile_seconds"].tolist() == [2.0, 2.0]


def test_one_dispatch_alone_is_what_there_is(timed):
    assert throughput.data(timed(first_descents=1000, steady_seconds=0.0))["steady"].tolist() == pytest.approx(
        [1e5] * 2
    )


def test_runs_of_earlier_versions_count_both_together(timed):
    assert throughput.data(timed())["steady"].tolist() == pytest.approx([1000 * 50 / 0.75] * 2)


def test_cells_that_came_from_another_run_are_left_out(timed):
    results = timed()
    results.timing[1]["descents"] = 0
    assert throughput.data(results)["optimizer"].tolist() == ["gd"]
    results.timing = timing(results, compile_seconds=0.0, first_seconds=0.0, steady_seconds=0.0)
    assert throughput.cases(results) == []


def test_one_cell_alone_is_drawn(timed):
    results = timed()
    results.timing = results.timing[:1]
    render(throughput.FIGURE, results, throughput.cases(results)).canvas.draw()


def test_it_is_drawn(timed, tmp_path):
    results = timed(first_descents=400)
    picture = render(throughput.FIGURE, results, throughput.cases(results))
    assert {line.get_gid() for line in picture.axes[0].lines} >= {"steady", "whole"}
    assert save(picture, tmp_path, "18")["png"].stat().st_size > 1000
