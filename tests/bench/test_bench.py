from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from gdbench import cli as command_line
from gdbench.bench import command, curve, descents, larger, limit, peers, product, timing, upkeep, ways
from gdbench.bench import work as works
from gdbench.bench.sizes import FULL, QUICK
from gdbench.bench.timing import Ready, Row, UnavailableError
from gdbench.bench.work import Agreement, WrongAnswerError, check, descend, make_work
from gdbench.choices import problem_named, resolve_optimizer

TINY = replace(
    QUICK, rates=4, starts=4, steps=60, single=2, curve_lanes=(16, 40), curve_steps=40, patience=0.01, bbob=(2, 2, 20),
    trainability=(3, 20), digits=(4, 20, 1), stored=100, starting=1,
)  # fmt: skip
HAS_COMPILER = limit.compiler_path() is not None
WITHOUT_TORCH = [way for way in ways.PEERS if not way.name.startswith("torch")]


def quiet(line: str) -> None:
    """No progress."""


@pytest.fixture
def few_repetitions(monkeypatch):
    monkeypatch.setattr(timing, "LEAST_SECONDS", 0.0)


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys, few_repetitions):
    """``gdbench bench`` in this process, with little work: exit code, what it said, what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "QUICK", TINY)

    def call(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["gdbench", "bench", "--quick", *arguments])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        told = capsys.readouterr()
        return stopped.value.code, told.out, told.err

    return call


# The work


def test_the_work_is_every_rate_from_every_start():
    work = make_work("gd", 3, 5, 10)
    rate, x, y = work.arguments()
    assert work.lanes == 15 and rate.dtype == x.dtype == y.dtype == np.float32
    assert len(np.unique(rate)) == 3 and np.all(rate[:5] == rate[0])
    np.testing.assert_array_equal(x[:5], x[5:10])
    some = work.spread(4)
    assert some[0] == 0 and some[-1] == 14 and len(some) == 4
    np.testing.assert_array_equal(np.stack(work.arguments(some)), np.stack([rate, x, y])[:, some])


def test_the_same_seed_gives_the_same_work():
    np.testing.assert_array_equal(make_work("gd", 2, 9, 1).points, make_work("adam", 2, 9, 1).points)


@pytest.mark.parametrize("optimizer", works.OPTIMIZERS)
def test_descents_by_hand_are_those_of_a_loop(optimizer):
    """One lane, its gradient by differences, its rule as the books have it."""

    def f(z):
        return (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2

    z, m, v, seen = np.array([-1.2, 1.0]), np.zeros(2), np.zeros(2), []
    for k in range(1, 31):
        seen.append(f(z))
        g = np.array([(f(z + h) - f(z - h)) / 2e-5 for h in np.eye(2) * 1e-5])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        adam = (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
        z = z - 1e-3 * (g if optimizer == "gd" else adam)
    found = descend(optimizer, np.array([1e-3]), np.array([-1.2]), np.array([1.0]), 30)
    assert found[0] == pytest.approx(min(*seen, f(z)), rel=1e-6)


# The check


def test_an_answer_within_rounding_is_taken():
    work = make_work("adam", 8, 8, 200)
    best = descend("adam", *work.arguments(), 200)
    found = check("numpy", work, np.arange(64), best * np.float32(1 + 1e-4))
    assert found.checked == 64 and found.largest < 1e-2


@pytest.mark.parametrize("wrong", [lambda b: b * 1.05, lambda b: b * np.nan, lambda b: b[::-1]])
def test_a_wrong_answer_is_refused_by_name(wrong):
    work = make_work("gd", 8, 8, 200)
    best = descend("gd", *work.arguments(), 200)
    with pytest.raises(WrongAnswerError, match="swift .gd. gives a wrong answer") as raised:
        check("swift", work, np.arange(64), wrong(best))
    assert raised.value.exit_code == 1 and "\n" not in str(raised.value)


def test_answers_for_too_few_descents_are_refused():
    with pytest.raises(WrongAnswerError, match="3 best values for 16 descents"):
        check("swift", make_work("gd", 4, 4, 10), np.arange(16), np.zeros(3))


def test_chaotic_descents_are_not_compared():
    """At the edge of stability rounding decides; there are such lanes in the work, and few of them."""
    work = make_work("gd", 64, 4, 1000)
    found = check("numpy", work, np.arange(work.lanes), descend("gd", *work.arguments(), work.steps))
    assert 0 < found.chaotic < 0.2 * found.checked and found.largest < works.ALLOWED


def test_a_way_that_lies_is_not_in_the_table(few_repetitions):
    lie = ways.Way("swift", "", lambda work: Ready(lambda: np.zeros(work.lanes), np.asarray, np.arange(work.lanes)))
    with pytest.raises(WrongAnswerError, match="swift"):
        list(descents.rows([make_work("gd", 2, 2, 20)], [ways.PEERS[2], lie], quiet))


# The ways


@pytest.mark.parametrize("optimizer", works.OPTIMIZERS)
@pytest.mark.parametrize("way", WITHOUT_TORCH, ids=lambda way: way.name)
def test_peers_agree(way, optimizer):
    work = make_work(optimizer, 8, 8, 300)
    ready = way.ready(work)
    assert check(way.name, work, ready.lanes, ready.best(ready.run())).chaotic < len(ready.lanes) / 2


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", works.OPTIMIZERS)
@pytest.mark.parametrize("name", ["torch-optim", "torch-batch"])
def test_torch_agrees(name, optimizer):
    pytest.importorskip("torch")
    way = next(way for way in ways.PEERS if way.name == name)
    work = make_work(optimizer, 8, 8, 300)
    ready = way.ready(work)
    check(way.name, work, ready.lanes, ready.best(ready.run()))


@pytest.mark.slow
@pytest.mark.parametrize("way", ways.product_ways(), ids=lambda way: way.name)
def test_gdbench_agrees_on_every_engine(way):
    work = make_work("adam", 8, 8, 300)
    try:
        ready = way.ready(work)
    except UnavailableError as why:
        assert "native" in way.name  # it needs its extra, and judges every descent
        pytest.skip(str(why))
    assert ready.run() is None and ready.table is not None
    rows = ready.table()
    assert rows.num_rows == work.lanes
    check(way.name, work, ready.lanes, ready.best(rows))


def test_every_engine_and_record_has_a_way():
    names = {way.name for way in ways.all_ways()}
    assert {"gdbench-scan-outcome", "gdbench-lanes-full"} <= names
    assert {ways.PLAIN, ways.LIMIT, ways.LIMIT_OF_ONE_CORE} <= names
    assert "auto" not in product.engines() and set(product.records()) <= set(product.RECORDS)


def test_an_engine_that_does_not_serve_says_why():
    with pytest.raises(UnavailableError, match="does not serve"):
        product.compiled({"problems": ["parabola"], "optimizers": ["scipy/bfgs"], "steps": 5}, "lanes")


# The limit


@pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler")
@pytest.mark.parametrize("every_core", [False, True])
@pytest.mark.parametrize("optimizer", works.OPTIMIZERS)
def test_the_limit_agrees_with_numpy(optimizer, every_core):
    work = make_work(optimizer, 16, 9, 300)  # no whole number of groups
    ready = limit.ready(work, every_core)
    best = ready.best(ready.run())
    check("limit", work, ready.lanes, best)
    diverged = work.arguments()[0] >= 5e-3
    assert np.all(np.isfinite(best[diverged]))


@pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler")
def test_the_limit_leaves_subnormal_numbers_alone():
    limit.libraries()
    assert np.float32(1e-40) * np.float32(0.5) > 0


def test_without_a_compiler_the_row_says_so_and_ratios_are_left_out(monkeypatch, few_repetitions):
    monkeypatch.setattr(limit, "compiler_path", lambda: None)
    limit.libraries.cache_clear()
    try:
        assert limit.compiler_version() is None
        numpy_row, row = descents.rows([make_work("gd", 2, 2, 20)], [ways.PEERS[2], ways.LIMITS[1]], quiet)
    finally:
        limit.libraries.cache_clear()
    assert row.why == "no C compiler" and not row.measured and not row.failed
    assert numpy_row.measured and numpy_row.to_limit is None and numpy_row.to_plain is None


def test_without_torch_the_row_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    row = descents.row(make_work("gd", 2, 2, 20), ways.PEERS[0])
    assert row.why is not None and row.why.startswith("torch cannot be imported") and not row.measured


# Timing


def test_first_and_steady_runs_are_apart(few_repetitions):
    calls = []
    times, out = timing.timed(lambda: calls.append(1) or len(calls))
    assert out == 1 + timing.REPETITIONS == len(calls)
    assert len(times.steady) == timing.REPETITIONS and min(times.steady) <= times.median <= max(times.steady)


def test_short_runs_are_repeated_more_often_and_long_ones_less():
    assert len(timing.timed(lambda: None)[0].steady) == timing.MOST_REPETITIONS
    assert len(timing.timed(lambda: None, patience=0.0)[0].steady) == 1


def test_a_row_that_fails_says_why():
    def fill(row):
        raise MemoryError("too much\nof it")

    row = timing.attempt(Row("g", "n"), fill)
    assert row.failed and row.why == "MemoryError: too much"


# Further rows


@pytest.mark.slow
def test_bbob_agrees_with_plain_jax(few_repetitions):
    plain, own = larger.bbob("bbob/f8", TINY, quiet)
    assert plain.name == ways.PLAIN and own.to_plain is not None and own.checked == 4
    assert own.table_lane_steps_per_second is not None


@pytest.mark.slow
def test_the_network_on_noise_agrees_with_a_call_a_step(few_repetitions):
    loop, own = larger.trainability(TINY, quiet)
    assert loop.to_peer == 1.0 and own.to_peer is not None and own.checked == 9
    assert own.largest_difference is not None and own.largest_difference < 1e-6


@pytest.mark.slow
def test_torch_trains_the_same_digits_network():
    pytest.importorskip("torch")
    found = larger.same_network()
    assert isinstance(found, Agreement) and found.largest < 1e-3


@pytest.mark.slow
def test_memory_and_disk_are_those_of_a_run():
    memory, disk, seconds = upkeep.stored(TINY, quiet)
    assert memory.why is None and memory.value is not None and 50 < memory.value < 5000
    assert disk.value is not None and disk.value > 10 and seconds.value is not None


@pytest.mark.slow
def test_many_cells_are_compiled_and_then_kept():
    compiled, kept = upkeep.many(replace(TINY, cells=(2, 2, 64)), quiet)
    assert compiled.why is None and kept.why is None and "4 cells of 64 descents" in compiled.summary
    assert compiled.value is not None and kept.value is not None and 0 < kept.value < compiled.value


def test_the_cells_that_are_compiled_are_of_the_catalogues():
    assert len({*upkeep.OPTIMIZERS}) == 40 and len({*upkeep.PROBLEMS}) == 25
    assert all(resolve_optimizer(name).host is None for name in upkeep.OPTIMIZERS)
    assert all(problem_named(name) for name in upkeep.PROBLEMS)


def test_a_run_that_fails_gives_no_numbers(tmp_path):
    peak, seconds, why = upkeep.watched(upkeep.command("run", "nowhere.toml"), tmp_path / "peak")
    assert peak is None and seconds is None and why is not None and "nowhere.toml" in why


def test_start_of_the_command_line():
    row = next(iter(upkeep.starting(TINY, quiet)))
    assert row.unit == "s" and row.value is not None and len(row.repetitions) == 1


# Figure 18


@pytest.mark.parametrize("lanes", [1, 100, 1000, 10**7, 7])
def test_lanes_are_rates_times_starts(lanes):
    rates, starts = curve.square(lanes)
    assert rates * starts == lanes and rates <= starts


def test_the_curve_names_every_line_and_draws_the_limit():
    rows = [
        Row(curve.GROUP, name, lanes=n, steps=5, lane_steps_per_second=float(n * speed))
        for name, speed in (("numpy", 1), (ways.PLAIN, 2), ("gdbench-lanes-outcome", 2), (ways.LIMIT, 9))
        for n in (100, 1000)
    ]
    picture = curve.figure(rows, {"cpu": "a processor"})
    texts = [text.get_text() for text in picture.axes[0].texts]
    assert sorted(texts[1:]) == ["NumPy", "gdbench, engine lanes", "jit(vmap(scan))"]
    assert "limit" in texts[0] and len(picture.frames[0]) == 8
    heights = sorted(text.xy[1] for text in picture.axes[0].texts[1:])
    assert heights[1] / heights[0] > 1.01 and heights[2] / heights[1] > 1.01


def test_a_way_that_would_take_too_long_says_so(monkeypatch):
    monkeypatch.setattr(curve, "chosen", lambda: [ways.PEERS[2]])
    slow = lambda work, way, patience: Row(curve.GROUP, way.name).take(timing.Times(9, [9]), work.lanes, 1)  # noqa: E731
    monkeypatch.setattr(curve, "row", slow)
    found = list(curve.rows(replace(TINY, curve_lanes=(100, 10_000, 100_000), patience=5.0), quiet))
    assert [row.measured for row in found] == [True, True, False]
    assert found[-1].why == "out of time: 100,000 lanes would take 90 s"


# The command


def test_the_machine_says_what_the_numbers_hold_for():
    told = command.machine()
    for name in ("cpu", "cores_usable", "instruction_sets", "jax", "jaxlib", "optax", "numpy", "torch", "commit"):
        assert name in told
    assert told["cores_usable"] >= 1 and "seed" not in told
    json.dumps(told)


def test_one_row_from_the_command_line(bench, tmp_path):
    code, out, err = bench("--only", "numpy", "--only", ways.PLAIN, "--json")
    document = json.loads(out)
    assert code == 0 and "numpy, gd" in err
    (path,) = (tmp_path / "results" / "bench").glob("*.json")
    assert json.loads(path.read_text()) == document
    assert (
        document["quick"] is True
        and document["complete"] is True
        and document["machine"]["jax"]
        and document["sizes"]["rates"] == 4
    )
    assert [(row["group"], row["name"]) for row in document["rows"]] == [
        (f"descents, {optimizer}", name) for optimizer in ("gd", "adam") for name in ("numpy", ways.PLAIN)
    ]
    for row in document["rows"]:
        assert row["to_limit"] is None and row["to_plain"] > 0 and row["checked"] == 16
        assert row["first_seconds"] > 0 and row["seconds"] > 0 and len(row["repetitions"]) >= 5
        assert (row["compile_seconds"] is None) == (row["name"] == "numpy")
    assert asdict(Row(**document["rows"][0])) == document["rows"][0]


def test_the_table_goes_to_stdout_and_the_document_where_it_is_told(bench, tmp_path):
    code, out, err = bench("--only", "numpy", "--out", "deep/numbers.json")
    assert code == 0 and "× plain" in out and "descents, adam" in out and "written to deep/numbers.json" in err
    assert json.loads((tmp_path / "deep" / "numbers.json").read_text())["rows"]


def test_unknown_rows_are_refused_with_the_nearest(bench):
    code, out, err = bench("--only", "nunpy")
    assert code == 2 and out == "" and "'nunpy'" in err and "'numpy'" in err


def test_nothing_that_can_be_measured_is_nothing_selected(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = bench("--only", "torch-optim")
    assert code == 5 and out == "" and "torch cannot be imported" in err


def test_a_wrong_answer_ends_the_command(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(works, "_reference", lambda work, lanes: (np.ones(len(lanes)), np.ones(len(lanes), bool)))
    code, out, err = bench("--only", "numpy")
    assert code == 1 and out == "" and "numpy (gd) gives a wrong answer" in err
    assert not (tmp_path / "results").exists()


def test_a_group_that_fails_is_a_row_and_an_exit_code(bench, monkeypatch):
    def fails(sizes, say):
        yield Row("memory", "one", unit="MiB", value=1.0)
        raise OSError("no room")

    monkeypatch.setitem(command.GROUPS, "memory", fails)
    code, out, err = bench("--only", "memory", "--json")
    assert code == 1 and [row["why"] for row in json.loads(out)["rows"]] == [None, "OSError: no room"]
    assert "memory failed: OSError: no room" in err


def test_what_was_measured_before_an_interruption_is_kept(bench, monkeypatch, tmp_path):
    def interrupted(sizes, say):
        raise KeyboardInterrupt

    monkeypatch.setitem(command.GROUPS, "memory", interrupted)
    code, _, _ = bench("--only", "numpy", "--only", "memory", "--out", "numbers.json")
    document = json.loads((tmp_path / "numbers.json").read_text())
    assert code == 130 and document["complete"] is False and len(document["rows"]) == 2


def test_what_quick_leaves_out_can_be_asked_for():
    known = command.names()
    assert set(command.checked_names([])) == set(known) - {"descents"}
    quick = command.checked_names([], QUICK.left_out)
    assert "digits" not in quick and "gdbench-scan-full" not in quick and "numpy" in quick and "throughput" in quick
    assert command.checked_names(["digits"], QUICK.left_out) == ["digits"]
    assert "gdbench-scan-full" in command.checked_names(["descents"], QUICK.left_out)
    assert FULL.curve_lanes[0] == 100 and FULL.curve_lanes[-1] == 10**7


def test_compilation_is_not_taken_from_the_cache():
    import jax

    before = jax.config.jax_enable_compilation_cache
    with command.without_cache():
        assert not jax.config.jax_enable_compilation_cache
    assert jax.config.jax_enable_compilation_cache == before


def test_the_curve_is_drawn_beside_the_document(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(curve, "chosen", lambda: [ways.PEERS[2], *ways.LIMITS[1:]])
    code, out, _ = bench("--only", curve.GROUP, "--out", "numbers.json")
    assert code == 0 and "throughput" in out
    for kind in ("png", "svg", "csv"):
        assert (tmp_path / f"numbers-throughput.{kind}").stat().st_size > 0


def test_help_does_not_import_jax(tmp_path):
    code = "import sys; sys.argv[1:] = ['bench', '--help']\nfrom gdbench import cli\n"
    code += "try: cli.main()\nfinally: print('jax' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=upkeep.environment() | {"TERM": "dumb"},
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and "--quick" in done.stdout and done.stderr.strip() == "False"


def test_peers_are_those_of_the_table():
    assert [way.name for way in ways.PEERS] == ["torch-optim", "optax-loop", "numpy", "torch-batch", ways.PLAIN]
    assert peers.rosenbrock(np.array([1.0, 1.0])) == 0
