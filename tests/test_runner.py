from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench import plan, runner, store
from gdbench.errors import CellError, StoreError
from gdbench.kernels import execute
from gdbench.suite import build_suite


def table(*experiments: dict, **changes) -> dict:
    """A suite of one small experiment, with other keys where given."""
    first = {
        "name": "first", "problems": ["parabola"], "optimizers": ["gd"], "steps": 40,
        "learning_rate": [0.1, 0.3, 1.1], "starts": {"kind": "sobol", "num": 4},
    } | changes  # fmt: skip
    return {"suite": {"name": "small"}, "experiment": [first, *experiments]}


def run(given: dict, root: Path, **options) -> gd.Run:
    return gd.run(given, results=root / "results", **options)


def compiled(work) -> int:
    """Programs that some work compiles."""
    before = execute.compile_count()
    work()
    return execute.compile_count() - before


def shards(made: gd.Run) -> dict[str, tuple[int, bytes]]:
    assert made.path is not None
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted((made.path / "descents").glob("*.parquet"))}


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Equal to the last bit, row by row, in order, whatever stands in the index."""
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True), check_exact=True)


COORDINATES = ["experiment", "problem", "optimizer", "dtype", "instance", "learning_rate", "seed", "start"]


def agree_where_both_have_rows(old: pd.DataFrame, new: pd.DataFrame, keys: list[str]) -> int:
    """Check that every row of the old table stands in the new one with the same values, and count them."""
    measured = [name for name in old.columns if name not in (*keys, "cell")]
    old, new = (f.assign(**{k: f[k].astype(object) for k in keys}).set_index(keys) for f in (old, new))
    assert old.index.is_unique and new.index.is_unique
    pd.testing.assert_frame_equal(new.loc[old.index][measured], old[measured], check_exact=True)
    return len(old)


# Running again


def test_what_is_done_is_not_run_again(tmp_path):
    given = table(optimizers=["gd", "adam"])
    assert compiled(lambda: run(given, tmp_path)) == 2
    first = run(given, tmp_path)
    before, frame = shards(first), first.table()
    assert len(before) == 2 and len(frame) == 2 * 12
    assert compiled(lambda: run(given, tmp_path)) == 0
    again = run(given, tmp_path)
    assert again.path == first.path and shards(again) == before
    same(again.table(), frame)


def test_a_run_reads_the_same_from_its_folder(tmp_path):
    made = run(table(trace=5, paths=4, targets=[1e-2]), tmp_path)
    loaded = gd.load(made.path)
    same(loaded.table(), made.table())
    same(gd.load(tmp_path / "results" / "small").table(), made.table())
    assert loaded.cells == made.cells and loaded.failures == []


def test_memory_and_folder_hold_the_same_rows(tmp_path):
    given = table(problems=["rosenbrock"], optimizers=["adam"], trace=6, paths=3, targets=[1e-1, 1e-3])
    memory = runner.run_in_memory(build_suite(given), runner.Options())
    same(memory.table(), run(given, tmp_path).table())


def test_adding_an_optimizer_runs_only_its_cells(tmp_path):
    first = run(table(problems=["parabola", "shifted_parabola"]), tmp_path)
    old = shards(first)
    more = table(problems=["parabola", "shifted_parabola"], optimizers=["gd", "adam"])
    assert compiled(lambda: run(more, tmp_path)) == 2
    second = run(more, tmp_path)
    assert second.path != first.path and second.path is not None and first.path is not None
    new = shards(second)
    assert set(old) < set(new) and len(new) == 4
    for name, content in old.items():
        assert new[name] == content
        assert (second.path / "descents" / name).samefile(first.path / "descents" / name)
    assert agree_where_both_have_rows(first.table(), second.table(), COORDINATES) == 24


def test_an_added_optimizer_stands_beside_the_finished_ones(tmp_path):
    first = run(table(), tmp_path)
    assert compiled(lambda: run(table(), tmp_path, add=["adam", "optax/sgd"])) == 2
    second = run(table(), tmp_path, add=["adam", "optax/sgd"])
    assert list(second.table()["optimizer"].unique()) == ["gd", "adam", "optax/sgd"]
    agree_where_both_have_rows(first.table(), second.table(), COORDINATES)


@pytest.mark.parametrize(
    "changes",
    [
        {"problems": ["rosenbrock"], "optimizers": ["adam"]},
        pytest.param(
            {"problems": [{"name": "quadratic", "rotation": True, "dim": 3}], "optimizers": ["momentum"], "trace": 5},
            marks=pytest.mark.slow,
        ),
        {
            "problems": ["digits_softmax"],
            "optimizers": ["gd"],
            "steps": 8,
            "seeds": 2,
            "starts": {"kind": "box", "num": 2},
        },
    ],
    ids=["rosenbrock", "quadratic", "mini-batches"],
)
def test_adding_a_rate_changes_no_row_that_is_there(tmp_path, changes):
    few = run(table(**{"learning_rate": [0.01, 0.3], **changes}), tmp_path)
    more = table(**{"learning_rate": [0.001, 0.01, 0.1, 0.3, 1.0], **changes})
    assert compiled(lambda: run(more, tmp_path)) == 1
    new = run(more, tmp_path).table()
    assert agree_where_both_have_rows(few.table(), new, COORDINATES) == len(few.table()) == len(new) * 2 / 5


@pytest.mark.slow
def test_adding_starts_changes_no_row_that_is_there(tmp_path):
    few = run(table(problems=["rosenbrock"]), tmp_path).table()
    new = run(table(problems=["rosenbrock"], starts={"kind": "sobol", "num": 11}), tmp_path).table()
    assert agree_where_both_have_rows(few, new, COORDINATES) == 12


@pytest.mark.slow
def test_the_number_of_devices_and_the_tile_change_nothing(tmp_path):
    given = table(problems=["rosenbrock"], starts={"kind": "sobol", "num": 700}, learning_rate=[1e-4, 1e-3, 1e-1])
    one = gd.run(given, results=tmp_path / "one", devices=1, tile=1)
    two = gd.run(given, results=tmp_path / "two", devices=2, tile=5)
    assert one.cells[0]["lanes"] > one.cells[0]["block"]
    same(one.table(), two.table())


def test_an_experiment_of_another_name_shares_the_rows(tmp_path):
    twin = {**table()["experiment"][0], "name": "twin"}
    given = table(twin)
    assert compiled(lambda: run(given, tmp_path)) == 1
    made = run(given, tmp_path)
    frame = made.table()
    assert len(shards(made)) == 1 and len(frame) == 24
    halves = [frame[frame["experiment"] == n].drop(columns=["cell", "experiment"]) for n in ("first", "twin")]
    same(*halves)
    assert [t["cell"] for t in made.results.timing] == [c["id"] for c in made.cells]


@pytest.mark.slow
def test_a_cell_is_cut_into_shards_that_join_seamlessly(tmp_path, monkeypatch):
    given = table(
        problems=["rosenbrock"], starts={"kind": "sobol", "num": 500}, learning_rate=[1e-4, 1e-3, 1e-1, 1.0, 2.0]
    )
    whole = gd.run(given, results=tmp_path / "whole")
    monkeypatch.setattr(plan, "SHARD_ROWS", 1)
    cut = gd.run(given, results=tmp_path / "cut")
    assert len(shards(whole)) == 1 and len(shards(cut)) == -(-2500 // cut.cells[0]["block"]) > 1
    same(cut.table(), whole.table())


# Damage


@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_a_shard_that_cannot_be_read_is_made_again(tmp_path, damage):
    given = table(optimizers=["gd", "adam"])
    made = run(given, tmp_path)
    before, frame = shards(made), made.table()
    assert made.path is not None
    broken = made.path / "descents" / min(before)
    if damage == "gone":
        broken.unlink()
    else:
        broken.write_bytes(before[broken.name][1][:50] if damage == "cut" else b"nothing")
        with pytest.raises(StoreError, match="run the suite again"):
            gd.load(made.path).table()
    assert compiled(lambda: run(given, tmp_path)) == 1
    again = run(given, tmp_path)
    same(again.table(), frame)
    assert sum(shards(again)[name] != before[name] for name in before) == 1


def test_a_rebuilt_shard_does_not_reach_into_another_run(tmp_path):
    first = run(table(), tmp_path)
    second = run(table(optimizers=["gd", "adam"]), tmp_path)
    (name, (stamp, content)) = next(iter(shards(first).items()))
    assert second.path is not None
    link = second.path / "descents" / name
    link.unlink()
    link.write_bytes(b"broken")
    again = run(table(optimizers=["gd", "adam"]), tmp_path)
    assert shards(first)[name] == (stamp, content) and shards(again)[name][1] == content


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_the_rest_runs_later(tmp_path, monkeypatch):
    given = table(problems=["parabola", "quadratic"], optimizers=["gd", "adam"])
    real, written = store.RunFolder.write, []

    def write(self, cell, *rest):
        if len(written) == 2:
            raise StoreError("no room left on the disk")
        written.append(cell)
        real(self, cell, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(store.RunFolder, "write", write)
        with pytest.raises(StoreError, match="no room"):
            run(given, tmp_path)
    assert compiled(lambda: run(given, tmp_path)) == 2
    done = run(given, tmp_path)
    same(done.table(), gd.run(given, results=tmp_path / "undisturbed").table())
    assert done.failures == []


def test_a_run_that_is_being_written_is_refused(tmp_path):
    made = run(table(), tmp_path)
    assert made.path is not None
    with store.RunFolder(made.path), pytest.raises(StoreError, match="another process is writing this run"):
        run(table(), tmp_path)


# Cells that fail


@pytest.fixture
def bad_code(tmp_path, monkeypatch):
    (tmp_path / "bad_code.py").write_text(
        "import jax.numpy as jnp\nimport numpy as np\n"
        "from gdbench.contracts import Optimizer, Problem, Step, Hyperparameter, Cost\n"
        "RATE = {'learning_rate': Hyperparameter()}\n"
        "def _raise(*args):\n    raise RuntimeError('no luck\\nat all')\n"
        "def _descend(oracle, x, state, h, k):\n"
        "    return Step(x - h.learning_rate * oracle.value_and_grad(x)[1], state)\n"
        "bad_step = Optimizer('bad_step', lambda oracle, x, h: (), _raise, RATE)\n"
        "bad_init = Optimizer('bad_init', _raise, _descend, RATE)\n"
        "def _grow(oracle, x, state, h, k):\n    return Step(jnp.zeros(7), state)\n"
        "bad_shape = Optimizer('bad_shape', lambda oracle, x, h: (), _grow, RATE)\n"
        "def bad_constructor(learning_rate):\n    raise ValueError('no transformation')\n"
        "BOX = (-np.ones(2), np.ones(2))\n"
        "vector = Problem('vector', lambda x, d, p: x**2, 2, label='vector')\n"
        "vector_in_a_box = Problem('vector', lambda x, d, p: x**2, 2, label='vector', box=BOX)\n"
        "raising = Problem('raising', lambda x, d, p: _raise(), 2, label='raising', box=BOX)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "bad_code"


@pytest.mark.parametrize("name", ["bad_step", "bad_init", "bad_shape", "bad_constructor"])
def test_an_optimizer_that_fails_leaves_the_others_to_be_done(tmp_path, bad_code, name):
    given = table(optimizers=["gd", f"{bad_code}:{name}", "adam"])
    made = run(given, tmp_path, allow_code=True)
    assert set(made.table()["optimizer"]) == {"gd", "adam"}
    (failure,) = made.failures
    assert failure["optimizer"] == name and "\n" not in failure["error"] and failure["error"]
    assert [bool(c["failed"]) for c in made.cells] == [False, True, False]
    again = run(given, tmp_path, allow_code=True)
    assert len(again.failures) == 1 and len(again.table()) == 24


@pytest.mark.parametrize("name", ["vector", "vector_in_a_box", "raising"])
def test_a_problem_that_fails_leaves_the_others_to_be_done(tmp_path, bad_code, name):
    given = table(problems=["parabola", f"{bad_code}:{name}", "shifted_parabola"], starts={"kind": "default"})
    made = run(given, tmp_path, allow_code=True)
    assert set(made.table()["problem"]) == {"parabola", "shifted_parabola"}
    (failure,) = made.failures
    assert failure["problem"] == name.split("_")[0]


def test_a_failure_in_memory_is_a_cell_error_with_its_cell(bad_code):
    suite = build_suite(table(optimizers=[f"{bad_code}:bad_step"]), allow_code=True)
    with pytest.raises(CellError, match="bad_step.*no luck") as caught:
        runner.run_in_memory(suite, runner.Options())
    assert "\n" not in str(caught.value)


def test_a_cell_that_times_out_goes_on_later(tmp_path):
    given = table(optimizers=["gd", "adam"])
    made = run(given, tmp_path, timeout=0.0)
    assert len(made.failures) == 2 and all("timed out" in f["error"] for f in made.failures)
    assert len(made.table()) == 0
    done = run(given, tmp_path)
    assert done.failures == [] and len(done.table()) == 24


def test_a_cell_finished_by_another_run_counts_as_done(tmp_path):
    both = table(optimizers=["gd", "adam"])
    assert len(run(both, tmp_path, timeout=0.0).failures) == 2
    run(table(optimizers=["gd"]), tmp_path)
    run(table(optimizers=["adam"]), tmp_path)
    done = run(both, tmp_path)
    assert len(done.table()) == 24
    assert done.failures == [], "all rows are there, adopted from other runs, and still the cells count as failed"


def test_progress_counts_every_descent_once(tmp_path):
    class Counting(runner.Silent):
        total = done = cells = 0

        def begin(self, cells, descents):
            self.total = descents

        def compiled(self, label, seconds):
            self.cells += 1

        def advance(self, descents):
            self.done += descents

    progress = Counting()
    run(table(optimizers=["gd", "adam"], starts={"kind": "sobol", "num": 100}), tmp_path, progress=progress)
    assert progress.done == progress.total == 2 * 3 * 100 and progress.cells == 2
    again = Counting()
    run(table(optimizers=["gd", "adam"], starts={"kind": "sobol", "num": 100}), tmp_path, progress=again)
    assert again.done == again.total == 0


HELD_OUT = """
import jax.numpy as jnp
import numpy as np
import gdbench as gd

def distance(x, rows):
    return jnp.mean((x - rows) ** 2)

def mean():
    return gd.problem(distance, x0=[9.0], data=np.arange(4.0), held_out=np.array([5.0, 7.0]), name="mean")
"""


def test_the_held_out_value_is_a_column_where_a_problem_has_one(tmp_path, monkeypatch):
    (tmp_path / "held_out_code.py").write_text(HELD_OUT)
    monkeypatch.syspath_prepend(tmp_path)
    given = table(problems=["held_out_code:mean", "parabola"], learning_rate=[0.5, 3.0], starts={"kind": "default"})
    made = run(given, tmp_path, allow_code=True)
    assert made.path is not None
    frame = gd.load(made.path).table()
    assert list(frame["outcome"]) == ["converged", "diverged"] * 2
    # At 1.5, the mean of 0 ... 3, the rows 5 and 7 are 3.5 and 5.5 away; what blew up has no value, nor a parabola.
    assert frame["f_final"][0] == 1.25 and frame["f_held_out"][0] == (3.5**2 + 5.5**2) / 2
    assert frame["f_held_out"].isna().tolist() == [False, True, True, True]
    assert made.scan().to_table(columns=["f_held_out"]).column(0).null_count == 3
    assert [cell["problem"]["held_out"] for cell in made.cells] == [True, False]
    assert "f_held_out" not in run(table(), tmp_path / "without").table().columns


# What is told of a run


def test_a_run_tells_where_and_with_what_it_was_made(tmp_path):
    made = run(table(), tmp_path)
    told = made.results.environment
    import jax

    assert told["jax"] == jax.__version__ and told["platform"] == "cpu" and told["device_count"] >= 1
    assert made.results.suite["suite"]["name"] == "small"
    (timing,) = made.results.timing
    assert timing["descents"] == 12 and timing["steps"] == 40 and timing["compile_seconds"] > 0


@pytest.mark.slow
def test_both_precisions_in_one_run(tmp_path):
    given = table(problems=["rosenbrock"], optimizers=["gd"], learning_rate=[1e-3])
    given["suite"]["dtype"] = ["float32", "float64"]
    frame = run(given, tmp_path).table()
    single, double = (frame[frame["dtype"] == d].reset_index(drop=True) for d in ("float32", "float64"))
    assert np.allclose(single["f_final"], double["f_final"], rtol=1e-3)
    assert (single["f_final"] == single["f_final"].astype(np.float32)).all()
    assert (double["f_final"] != double["f_final"].astype(np.float32)).any()


@pytest.mark.slow
def test_surfaces_are_stored_for_problems_of_two_dimensions(tmp_path):
    made = run(
        table(problems=["parabola", "quadratic", {"name": "rosenbrock", "dim": 3}], starts={"kind": "default"}),
        tmp_path,
    )
    assert made.results.surface("rosenbrock(dim=3)") is None
    surface = gd.load(made.path).results.surface("quadratic")
    assert surface is not None and {"x0", "x1", "f", "g0", "g1"} <= set(surface.columns)
    assert np.allclose(surface["f"], (surface["x0"] ** 2 + 10 * surface["x1"] ** 2) / 2)


def test_nothing_is_written_outside_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = run(table(), tmp_path)
    assert made.path is not None
    files = {p.relative_to(tmp_path).parts[:2] for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {("results", "small")}
    assert not [p for p in made.path.rglob("*.tmp")]
    assert os.access(made.path / "manifest.jsonl", os.R_OK)
