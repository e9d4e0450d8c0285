"""Problems from functions of one's own: vectors, pytrees, data, mini-batches, parameters, in sweeps and suites."""

from __future__ import annotations

import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench import plan
from gdbench.callables import arguments_of
from gdbench.catalogue import gather
from gdbench.choices import resolve_problem
from gdbench.contracts import ProblemFamily
from gdbench.errors import GdbenchError, SuiteError
from gdbench.problems.batches import JUDGE_EVERY, mini_batches, row_sampler
from gdbench.suite import build_suite

RNG = np.random.default_rng(0)
ROWS = 40
TABLE = {"a": RNG.normal(size=(ROWS, 3)), "y": RNG.normal(size=ROWS)}
X = {"x0": np.zeros(3)}
UNSEEN = {"a": RNG.normal(size=(9, 3)), "y": RNG.normal(size=9)}


class Line(NamedTuple):
    slope: np.ndarray
    level: np.ndarray


def bowl(x, *, width=1.0, power=2):
    return jnp.sum((x / width) ** power)


def squares(x, rows):
    return jnp.mean((rows["a"] @ x - rows["y"]) ** 2)


def error_of(x: np.ndarray, rows: dict[str, np.ndarray]) -> float:
    return float(np.mean((rows["a"] @ x - rows["y"]) ** 2))


# Vectors and pytrees


def test_a_function_becomes_a_problem():
    f = gd.problem(bowl, x0=[1.0, 2.0], minimum=0.0, minimizers=[0.0, 0.0], box=(-3, 3), curvature=(2, 2), convex=True)
    assert (f.name, f.label, f.dim, f.minimum, f.convex) == ("bowl", "bowl", 2, 0, True)
    assert f.minimizers.tolist() == [[0, 0]] and f.start.tolist() == [1, 2]
    assert [end.tolist() for end in f.box] == [[-3, -3], [3, 3]] and f.curvature({}) == (2, 2)
    assert float(f(jnp.array([1.0, 2.0]))) == 5 and np.allclose(jax.grad(f)(jnp.array([1.0, 2.0])), [2, 4])
    assert gd.problem(lambda x: x.sum(), x0=3.0, name="slope").label == "slope"


@pytest.mark.parametrize(
    "x0, flat",
    [
        ({"b": 3.0, "a": [1.0, 2.0]}, [1, 2, 3]),  # keys in their order; a list of numbers is one array
        ((np.array([1.0, 2.0]), np.array([[3.0]])), [1, 2, 3]),
        ([{"w": np.array([1.0])}, {"w": np.array([2.0, 3.0])}], [1, 2, 3]),
        (Line(np.array([1.0, 2.0]), np.array(3.0)), [1, 2, 3]),
    ],
)
def test_x_may_be_a_pytree(x0, flat):
    def f(x):
        return sum(jnp.sum((leaf - 1.0) ** 2) for leaf in jax.tree.leaves(x))

    problem = gd.problem(f, x0=x0, minimum=0.0, minimizers=[np.ones(3)])
    assert problem.start.tolist() == flat and problem.dim == 3
    like = jax.tree.map(np.asarray, x0, is_leaf=lambda node: isinstance(node, list) and node == [1, 2])
    assert jax.tree.structure(problem.template) == jax.tree.structure(like)
    assert [np.shape(leaf) for leaf in jax.tree.leaves(problem.template)] == [
        np.shape(leaf) for leaf in jax.tree.leaves(like)
    ]
    assert float(problem(like)) == 5


def test_a_tuple_of_arrays_is_swept():
    x0 = (np.array([1.0, 2.0]), np.array([[3.0]]))
    frame = gd.sweep(lambda x: jnp.sum(x[0] ** 2) + jnp.sum(x[1] ** 2), "gd", x0=x0, learning_rate=0.5, steps=3).table
    assert frame["f_start"][0] == 14 and np.allclose(frame[["end_0", "end_1", "end_2"]], 0)


def test_facts_of_a_pytree_may_be_pytrees():
    def f(x):
        return jnp.sum(x["a"] ** 2) + (x["b"] - 1.0) ** 2

    low, high = {"a": [-1.0, -1.0], "b": 0.0}, {"a": [1.0, 1.0], "b": 2.0}
    problem = gd.problem(f, x0=high, minimizers={"a": [0.0, 0.0], "b": 1.0}, box=(low, high), minimum=0.0)
    assert problem.minimizers.tolist() == [[0, 0, 1]] and problem.box[0].tolist() == [-1, -1, 0]
    frame = gd.sweep(problem, "gd", learning_rate=0.3, starts=gd.starts("sobol", 4), steps=60).table
    assert frame["basin"].eq(0).all() and len(frame) == 4


def test_one_problem_serves_several_sweeps():
    f = gd.problem(bowl, x0=[1.0], minimum=0.0)
    first = gd.sweep(f, "gd", learning_rate=0.1, steps=3).table
    second = gd.sweep(f, "gd", learning_rate=0.1, x0=[[1.0], [2.0]], steps=3).table
    assert first["f_final"][0] == second["f_final"][0] == pytest.approx(0.8**6, rel=1e-5) and len(second) == 2


# Parameters


def test_arguments_with_a_float_are_traced_and_others_static():
    def f(x, data, slope=0.5, *, width=1.0, power=2, kind="even", turn=None):
        return x

    assert arguments_of(f, True) == ({"slope": 0.5, "width": 1.0}, {"power": 2, "kind": "even", "turn": None})
    assert arguments_of(lambda x: x) == ({}, {})


def test_a_parameter_is_an_axis():
    options = {"x0": [2.0], "learning_rate": 0.01, "steps": 1}
    frame = gd.sweep(bowl, "gd", width=[1.0, 2.0], **options).table
    assert list(frame["width"]) == [1, 2] and frame["f_start"].tolist() == [4, 1]
    assert gd.sweep(bowl, "gd", width=4.0, power=4, **options).table["f_start"].tolist() == [1 / 16]
    f = gd.problem(bowl, x0=[2.0], width=4.0)
    assert f.parameters == {"width": 4.0} and float(f(jnp.array([2.0]))) == 0.25
    assert float(f(jnp.array([2.0]), width=1.0)) == 4
    assert list(gd.sweep(f, "gd", learning_rate=0.01, width=[1.0, 2.0], steps=1).table["f_start"]) == [4, 1]
    assert gd.problem(f, width=2.0).parameters == {"width": 2.0}


# Data and mini-batches


def test_data_and_held_out_rows():
    options = {"x0": np.zeros(3), "data": TABLE, "held_out": UNSEEN, "learning_rate": 0.1, "steps": 300}
    made = gd.sweep(squares, "gd", dtype="float64", **options)
    row, told = made.table.iloc[0], made.results.cells[0]["problem"]
    solution = np.linalg.lstsq(TABLE["a"], TABLE["y"])[0]
    assert row["f_start"] == pytest.approx(error_of(np.zeros(3), TABLE))
    assert row["f_final"] == pytest.approx(error_of(solution, TABLE))
    assert row["f_held_out"] == pytest.approx(error_of(solution, UNSEEN), rel=1e-5)
    assert told["held_out"] is True and told["stochastic"] is False


def test_what_blows_up_has_no_held_out_value():
    frame = gd.sweep(
        squares, "gd", x0=np.ones(3), data=TABLE, held_out=UNSEEN, learning_rate=[0.1, 30.0], steps=100
    ).table
    assert np.isfinite(frame["f_held_out"][0]) and frame["outcome"][1] == "diverged"
    assert frame["f_held_out"].isna().tolist() == [False, True]


def test_mini_batches_are_seen_by_steps_and_the_whole_by_the_judge():
    f = gd.problem(squares, x0=np.zeros(3), data=TABLE, batch=8)
    assert f.stochastic and f.batch_share == 8 / ROWS and f.judge_every == JUDGE_EVERY
    frame = gd.sweep(f, "gd", learning_rate=0.1, seeds=2, steps=200).table
    assert len(frame) == 2 and frame["f_final"][0] != frame["f_final"][1]
    assert frame["f_start"][0] == pytest.approx(error_of(np.zeros(3), TABLE), rel=1e-5)
    assert frame["g_evals"][0] == 200 * 8 / ROWS
    whole = gd.problem(squares, x0=np.zeros(3), data=TABLE, batch=ROWS)
    assert not whole.stochastic and whole.batch_share == 1 and whole.judge_every == 1


def test_rows_are_drawn_together_and_uniformly():
    data = {"i": np.arange(ROWS), "square": np.arange(ROWS) ** 2}
    drawn = [row_sampler(64)(data, jax.random.key(seed)) for seed in range(40)]
    assert all(np.array_equal(d["i"] ** 2, d["square"]) for d in drawn)
    counts = np.bincount(np.concatenate([d["i"] for d in drawn]), minlength=ROWS)
    # 2,560 draws, 64 expected of each row with a standard deviation of 7.9.
    assert counts.min() > 64 - 5 * 7.9 and counts.max() < 64 + 5 * 7.9
    assert row_sampler(64) is row_sampler(64)
    assert mini_batches(10, 10)["sample"] is None


# What is refused


@pytest.mark.parametrize(
    "function, options, told",
    [
        (squares, X, "squares must be f(x): give its argument 'rows' a default, or pass data="),
        (bowl, {"x0": [1.0], "data": TABLE}, "bowl must be f(x, data): give it the argument data, or leave data= out"),
        (bowl, {}, "bowl needs x0, a start, if it is a function of x; if it builds a Problem, it needs 'x'"),
        (lambda: 1.0, {"x0": [1.0]}, "function must be f(x): it takes no x"),
        (lambda x, *, minimum=1.0: x.sum(), {"x0": [1.0]}, "'minimum' is a fact of every problem: rename"),
        (bowl, {"x0": [1.0], "widht": 2.0}, "bowl has no 'widht': did you mean 'width'?"),
        (bowl, {"x0": [1.0], "width": [1.0, 2.0]}, "bowl: width must be a number"),
        (bowl, {"x0": [1.0], "power": 2.5}, "'power' may shape the program and must be one int; to trace it"),
        (bowl, {"x0": [1.0], "minimum": "low"}, "bowl: minimum must be a number, got 'low'"),
        (bowl, {"x0": [1.0], "minimizers": [[1.0, 2.0]]}, "bowl: minimizers must be rows of 1 coordinates"),
        (bowl, {"x0": [1.0], "box": 3.0}, "bowl: box must be (low, high) for 1 coordinates, got 3.0"),
        (bowl, {"x0": [1.0], "box": (1.0, 1.0)}, "bowl: box must be finite, with low below high"),
        (bowl, {"x0": [1.0], "curvature": 2.0}, "bowl: curvature must be a pair (m, L), got 2.0"),
        (bowl, {"x0": [1.0], "convex": 1}, "bowl: convex must be true or false, got 1"),
        (bowl, {"x0": [[1.0], [2.0]]}, "bowl: x0 must be one start [dim], got 2: several go to gd.sweep"),
        (bowl, {"x0": {"a": "here"}}, "bowl: x0['a'] must hold numbers, got 'here'"),
        (bowl, {"x0": {}}, "bowl: x0 holds no numbers"),
        (bowl, {"x0": [1.0], "batch": 3}, "bowl: batch needs data: write f(x, data) and pass data="),
        (bowl, {"x0": [1.0], "held_out": TABLE}, "bowl: held_out needs data"),
        (lambda x: x, {"x0": [1.0, 2.0]}, "must return a scalar, it returns (2,): take its sum or its mean"),
        (lambda x: jnp.sum(x > 0), {"x0": [1.0]}, "must return a floating-point number, it returns int32"),
        (squares, {"x0": np.zeros(2), "data": TABLE}, "squares fails at x of shape (2,): TypeError: dot_general"),
        (squares, X | {"data": {**TABLE, "y": np.zeros(7)}, "batch": 4}, "data['a'] has 40 rows and data['y'] 7"),
        (squares, X | {"data": {**TABLE, "c": 1.0}, "batch": 4}, "data['c'] is a single number"),
        (squares, X | {"data": TABLE, "batch": 41}, "batch must be a whole number from 1 to 40, the rows"),
        (squares, X | {"data": TABLE, "batch": 2.0}, "batch must be a whole number from 1 to 40"),
        (squares, X | {"data": {**TABLE, "y": ["a", "b"]}}, "data['y'][0] must hold numbers, got 'a'"),
        (squares, X | {"data": {}}, "data hold no array"),
        (squares, X | {"data": TABLE, "held_out": TABLE["a"]}, "held_out must have the form of data, ({'a'"),
        (squares, X | {"data": TABLE, "held_out": {**UNSEEN, "y": np.zeros(3)}}, "squares fails on held_out"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_how_to_mend_it(function, options, told):
    with pytest.raises(SuiteError) as caught:
        gd.problem(function, **options)
    assert told in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_function_that_needs_its_whole_data_is_told_of_mini_batches():
    def f(x, rows):
        return jnp.mean((rows["a"] @ x - jnp.zeros(ROWS)) ** 2)

    assert gd.problem(f, x0=np.zeros(3), data=TABLE).dim == 3
    with pytest.raises(SuiteError, match="f fails on a mini-batch at x of shape"):
        gd.problem(f, x0=np.zeros(3), data=TABLE, batch=4)


def test_a_catalogue_problem_takes_no_data():
    with pytest.raises(SuiteError, match="'batch' is known of a catalogue problem already"):
        gd.sweep("parabola", "gd", learning_rate=0.1, batch=3)
    with pytest.raises(SuiteError, match="bowl is a finished Problem without 'widht': did you mean 'width'"):
        gd.problem(gd.problem(bowl, x0=[1.0]), widht=2.0)


def test_an_entry_of_the_catalogue_is_no_function_of_x():
    family = gather("gdbench.problems", ProblemFamily)["parabola"]
    assert len(gd.sweep(family, "gd", learning_rate=0.1, steps=3).table) == 1


# In a suite


CODE = """
import jax.numpy as jnp
import numpy as np
import gdbench as gd

def bowl(x, *, width=1.0, power=2):
    return jnp.sum((x / width) ** power)

def tree(x):
    return jnp.sum(x["a"] ** 2) + x["b"] ** 2

def fit(rows=30, batch=5):
    a = np.random.default_rng(0).normal(size=(rows, 2))
    return gd.problem(lambda x, a: jnp.mean((a @ x) ** 2), x0=[1.0, 1.0], data=a, batch=batch, name="fit")

made = gd.problem(bowl, x0=[1.0, 2.0], minimum=0.0)

def needs(dim):
    return gd.problem(bowl, x0=np.ones(dim))
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "own_functions.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_functions", raising=False)
    return "own_functions"


def suite_of(*entries):
    experiment = {"name": "e", "problems": list(entries), "optimizers": ["gd"], "steps": 20, "learning_rate": [0.1]}
    return {"suite": {"name": "mine"}, "experiment": [experiment]}


@pytest.mark.slow
def test_functions_problems_and_builders_stand_in_a_suite(mine, tmp_path):
    given = suite_of(
        {"name": f"{mine}:bowl", "x0": [1.0, 2.0], "minimum": 0.0, "width": [1.0, 2.0], "label": "axis"},
        {"name": f"{mine}:tree", "x0": {"a": [1.0, 2.0], "b": 2.0}},
        {"name": f"{mine}:fit", "batch": 6},
        {"name": f"{mine}:made", "width": [1.0, 4.0]},
        {"name": f"{mine}:needs", "dim": 3, "label": "built"},
    )
    made = gd.run(given, allow_code=True, results=tmp_path)
    frame = made.table()
    starts = {label: part["f_start"].tolist() for label, part in frame.groupby("problem", observed=True)}
    assert starts["axis"] == [5, 1.25] and starts["tree"] == [9] and starts["built"] == [3]
    assert starts["bowl"] == [5, 5 / 16] and len(starts["fit"]) == 1
    assert made.cells[0]["problem"]["settings"] == {"x0": [1.0, 2.0], "minimum": 0.0}


def test_another_text_or_another_setting_of_a_function_is_another_cell(mine, tmp_path, monkeypatch):
    def key(**options) -> str:
        monkeypatch.delitem(sys.modules, "own_functions", raising=False)
        entry = {"name": f"{mine}:bowl", "x0": [1.0, 2.0], **options}
        return plan.make_plan(build_suite(suite_of(entry), allow_code=True), "cpu")[0].key

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    keys = [key(), key(), key(power=4), key(width=2.0), key(x0=[1.0, 3.0])]
    (tmp_path / "own_functions.py").write_text(CODE.replace("x / width", "x / 2 / width"))
    keys.append(key())
    assert keys[0] == keys[1] and len(set(keys)) == 5


@pytest.mark.parametrize(
    "entry, told",
    [
        ({"name": "own_functions:bowl"}, "bowl needs x0, a start, if it is a function of x"),
        ({"name": "own_functions:bowl", "dim": 3}, "bowl needs x0, a start, if it is a function of x"),
        ({"name": "own_functions:needs"}, "if it builds a Problem, it needs 'dim'"),
        ({"name": "own_functions:bowl", "x0": [1.0], "minimun": 0.0}, "bowl has no 'minimun': did you mean 'minimum'?"),
        ({"name": "own_functions:bowl", "x0": "here"}, "x0 must hold numbers"),
        ({"name": "own_functions:made", "dim": 3}, "bowl is a finished Problem without 'dim'"),
        ({"name": "own_functions:fit", "rows": 4, "batch": 5}, "batch must be a whole number from 1 to 4"),
    ],
)
def test_faults_of_an_entry_have_their_place(mine, entry, told):
    with pytest.raises(SuiteError) as caught:
        build_suite(suite_of(entry), allow_code=True)
    assert told in str(caught.value) and "problems[1]" in str(caught.value)


def test_code_needs_its_permission(mine):
    with pytest.raises(GdbenchError, match="--allow-code"):
        resolve_problem(f"{mine}:made", False)
