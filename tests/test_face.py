from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench.contracts import OUTCOMES
from gdbench.errors import GdbenchError, StoreError, SuiteError, UnknownNameError

ROOT = Path(__file__).parent.parent


def square(x):
    return (x**2).sum()


def tilted(x):
    """A tree of two leaves, its minimum 1 at a = (1, 2), b = 3."""
    import jax.numpy as jnp

    return jnp.sum((x["a"] - jnp.array([1.0, 2.0])) ** 2) + (x["b"] - 3.0) ** 2 + 1.0


# Problems


def test_a_problem_is_callable_and_carries_what_is_known():
    f = gd.problem("rosenbrock", dim=4)
    assert f.dim == 4 and f.minimum == 0 and np.allclose(f.minimizers, 1) and f.source
    assert float(f(np.ones(4, np.float32))) == 0
    import jax

    assert np.allclose(jax.grad(f)(np.ones(4, np.float32)), 0)


def test_a_parameter_may_be_given_in_the_call():
    f = gd.problem("quadratic", condition=4.0)
    x = np.array([0.0, 1.0], np.float32)
    assert float(f(x)) == 2.0 and float(f(x, condition=10.0)) == 5.0
    with pytest.raises(SuiteError, match="did you mean 'condition'"):
        f(x, conditon=10.0)


def test_a_problem_that_is_not_there():
    with pytest.raises(UnknownNameError, match="did you mean 'rosenbrock'"):
        gd.problem("rosenbrok")
    with pytest.raises(SuiteError, match="did you mean 'dim'"):
        gd.problem("rosenbrock", dimm=3)
    with pytest.raises(SuiteError):
        gd.problem("quadratic", condition="high")


# Sweeps of the catalogue


def test_a_sweep_of_the_catalogue():
    made = gd.sweep("parabola", "gd", learning_rate=[0.1, 0.5, 1.5], starts=gd.starts("sobol", 4), steps=100)
    frame = made.table
    assert len(frame) == 12 and list(frame["outcome"].cat.categories) == list(OUTCOMES)
    assert list(frame["learning_rate"]) == [0.1] * 4 + [0.5] * 4 + [1.5] * 4
    assert (frame["outcome"][:8] == "converged").all() and (frame["outcome"][8:] == "diverged").all()
    assert (frame["settle_step"][4:8] == 1).all()  # x² at the rate 0.5 arrives in one step


def test_a_problem_object_an_axis_and_a_hyperparameter():
    f = gd.problem("rosenbrock", dim=3)
    frame = gd.sweep(f, "adam", learning_rate=gd.log_axis(1e-3, 1, 3), b1=[0.5, 0.9], eps=1e-6, steps=20).table
    assert len(frame) == 6 and set(frame["b1"]) == {0.5, 0.9} and "eps" not in frame.columns
    assert np.isfinite(frame["f_final"]).all()


def test_parameters_of_the_problem_are_axes_too():
    frame = gd.sweep(
        "quadratic", "gd", condition=[1.0, 10.0, 100.0], learning_rate=[0.05], x0=[1.0, 1.0], steps=200
    ).table
    assert list(frame["condition"]) == [1, 10, 100]
    # gd on curvature up to L is stable below 2/L = 0.02 for the last, above it for the others.
    assert list(frame["outcome"]) == ["converged", "converged", "diverged"]
    assert np.allclose(frame["f_start"], [1.0, 5.5, 50.5])


def test_one_value_of_a_parameter_replaces_the_default():
    frame = gd.sweep("quadratic", "gd", condition=100.0, learning_rate=0.001, x0=[1.0, 1.0], steps=10).table
    assert np.allclose(frame["f_start"], 50.5)


def test_double_precision():
    common = {"learning_rate": [0.1], "x0": [1.0, 1.0], "steps": 10}
    single = gd.sweep("quadratic", "gd", **common).table
    double = gd.sweep("quadratic", "gd", dtype="float64", **common).table
    assert single["f_final"].dtype == np.float32 and double["f_final"].dtype == np.float64
    # Exact: x_k = 0.9^k and 0, y_0 = 1 with curvature 10 at the rate 0.1 vanishes in one step.
    assert double["f_final"][0] == pytest.approx(0.5 * 0.9**20, rel=1e-13)
    assert single["f_final"][0] == pytest.approx(0.5 * 0.9**20, rel=1e-5)
    import jax.numpy as jnp

    assert jnp.zeros(1).dtype == jnp.float32


def test_records_that_are_asked_for():
    made = gd.sweep("parabola", "gd", learning_rate=[0.1], steps=50, trace=10, paths=1, targets=[1e-1, 1e-3])
    row, cell = made.table.iloc[0], made.results.cells[0]
    assert len(row["trace_gap"]) == len(cell["trace_steps"])
    exact = 4 * 0.8 ** (2 * np.array(cell["trace_steps"]))
    assert np.allclose(row["trace_gap"], exact, rtol=1e-4)
    assert np.allclose(row["path"], 2 * 0.8 ** np.array(cell["path_steps"]), rtol=1e-4)
    scale = cell["problem"]["scale"]
    wanted = [next(k for k in range(51) if 4 * 0.8 ** (2 * k) <= tau * scale) for tau in (1e-1, 1e-3)]
    assert list(row["hits"]) == wanted


def test_a_map_is_drawn():
    made = gd.sweep("quadratic", "gd", learning_rate=gd.log_axis(1e-2, 1, 4), starts=gd.starts("sobol", 3), steps=30)
    figure = made.map("learning_rate", "start")
    assert figure.axes
    with pytest.raises(SuiteError, match="nothing varies along 'learning_rat': did you mean 'learning_rate'"):
        made.map("learning_rat")


# Bring your own


def test_a_function_and_an_optax_constructor():
    import optax

    frame = gd.sweep(square, optax.adam, x0=[1.0, 2.0], learning_rate=gd.log_axis(1e-3, 0.1, 3), steps=30).table
    assert len(frame) == 3 and np.allclose(frame["f_start"], 5)
    ours = gd.sweep(square, "adam", x0=[1.0, 2.0], learning_rate=gd.log_axis(1e-3, 0.1, 3), steps=30).table
    assert np.allclose(frame["f_final"], ours["f_final"], rtol=1e-4)


def test_a_lambda_and_a_list_of_starts():
    frame = gd.sweep(lambda x: (x**2).sum(), "gd", x0=[[1.0, 0.0], [0.0, 3.0]], learning_rate=0.1, steps=100).table
    assert list(frame["f_start"]) == [1, 9] and frame["problem"][0] == "function"
    assert np.allclose(frame["f_final"], np.array([1, 9]) * 0.8**200, rtol=1e-4)


def test_a_finished_transformation():
    import optax

    frame = gd.sweep(square, optax.chain(optax.trace(0.9), optax.scale(-0.01)), x0=[1.0, 2.0], steps=300).table
    assert len(frame) == 1 and frame["f_final"][0] < 1e-2
    with pytest.raises(SuiteError, match="'learning_rate'"):
        gd.sweep(square, optax.sgd(0.1), x0=[1.0], learning_rate=[0.1, 0.2])


def test_a_users_rule_of_rates():
    import optax

    def mine(learning_rate, decay=0.5, nesterov=False):
        return optax.sgd(learning_rate, momentum=decay, nesterov=nesterov)

    frame = gd.sweep(square, mine, x0=[1.0], learning_rate=0.1, decay=[0.0, 0.5], nesterov=True, steps=3).table
    assert list(frame["decay"]) == [0, 0.5] and frame["optimizer"][0].startswith("mine")
    assert frame["f_final"][0] == pytest.approx(0.8**6, rel=1e-5)


def test_a_tree_as_start():
    frame = gd.sweep(tilted, "gd", x0={"a": np.zeros(2), "b": 0.0}, learning_rate=[0.25], steps=60, minimum=1.0).table
    assert frame["f_start"][0] == pytest.approx(15) and frame["f_final"][0] == pytest.approx(1)
    assert frame["outcome"][0] == "converged"
    # Leaves stand in the order of their names: a, a, b.
    assert np.allclose(frame[["end_0", "end_1", "end_2"]].to_numpy()[0], [1, 2, 3])


@pytest.mark.slow
def test_a_tree_with_an_optax_rule_and_double_precision():
    import optax

    tree = {"a": np.zeros(2), "b": np.array(0.0)}
    frame = gd.sweep(tilted, optax.adam, x0=tree, learning_rate=[0.1], steps=400, minimum=1.0, dtype="float64").table
    assert frame["f_final"].dtype == np.float64 and frame["f_final"][0] == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_known_facts_as_keywords():
    without = gd.sweep(square, "gd", x0=[1.0, 2.0], learning_rate=0.4, steps=100).table
    assert without["flag"][0] == "unverified" and without["gap_final"].isna().all()
    facts = {"minimum": 0.0, "minimizers": [[0.0, 0.0]], "box": [-3.0, 3.0], "curvature": (2.0, 2.0)}
    made = gd.sweep(square, "gd", x0=[1.0, 2.0], learning_rate=0.4, steps=100, **facts)
    row, told = made.table.iloc[0], made.results.cells[0]["problem"]
    assert row["outcome"] == "converged" and row["flag"] == "" and row["basin"] == 0 and row["distance"] < 1e-6
    assert told["box"] == [[-3, -3], [3, 3]] and told["curvature"] == [2, 2] and told["scale"] > 1
    reached = gd.sweep(square, "gd", x0=[1.0, 2.0], learning_rate=0.4, steps=100, target=0.5).table
    assert reached["outcome"][0] == "converged"
    loose = gd.sweep(square, "gd", x0=[1.0, 2.0], learning_rate=0.01, steps=100, minimum=0.0, tolerance=4.9).table
    assert loose["outcome"][0] == "converged"
    falling = gd.sweep(lambda x: x.sum(), "gd", x0=[1.0], learning_rate=1.0, steps=100, bounded=False).table
    assert falling["outcome"][0] == "unfinished"


def test_starts_around_a_function():
    # x0 says how many coordinates there are; the starts asked for must not be dropped in silence.
    try:
        made = gd.sweep(
            square, "gd", x0=[1.0, 2.0], starts=gd.starts("ball", 8, radius=1.0), learning_rate=0.1, steps=5
        )
    except SuiteError as error:
        assert "starts" in str(error) and "x0" in str(error)
    else:
        assert len(made.table) == 8


# What is refused


@pytest.mark.parametrize(
    "options, told",
    [
        ({"lerning_rate": 0.1}, "did you mean 'learning_rate'"),
        ({"learning_rate": 0.1, "momentun": 0.9}, "momentun"),
        ({"learning_rate": 0.1, "condition": 3.0}, "condition"),
        ({"learning_rate": 0.1, "step": 10}, "did you mean 'steps'"),
        ({"learning_rate": 0.1, "minimun": 0.0}, "minimun"),
        ({}, "learning_rate"),
        ({"learning_rate": []}, "at least one value"),
        ({"learning_rate": "fast"}, "numbers"),
        ({"learning_rate": [0.1, np.nan]}, "finite"),
        ({"learning_rate": 0.1, "steps": 0}, "steps"),
        ({"learning_rate": 0.1, "steps": 10.5}, "steps"),
        ({"learning_rate": 0.1, "seeds": 0}, "seeds"),
        ({"learning_rate": 0.1, "trace": -1}, "trace"),
        ({"learning_rate": 0.1, "dtype": "float16"}, "float16"),
        ({"learning_rate": 0.1, "seed": -1}, "seed"),
        ({"learning_rate": 0.1, "targets": []}, "at least one value"),
        ({"learning_rate": 0.1, "outcomes": {"tolerence": 1.0}}, "did you mean 'tolerance'"),
        ({"learning_rate": 0.1, "starts": {"kind": "sobbol", "num": 3}}, "did you mean 'sobol'"),
        ({"learning_rate": 0.1, "starts": {"kind": "points", "points": [[1.0, 2.0]]}}, "2 coordinates"),
        ({"learning_rate": 0.1, "x0": [np.nan]}, "finite number, got nan"),
        ({"learning_rate": 0.1, "x0": [[1.0], [np.inf]]}, "coordinate 0 of start 1"),
        ({"learning_rate": 0.1, "minimum": 1.0}, "known of a catalogue problem"),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_be(options, told):
    with pytest.raises(SuiteError, match=told):
        gd.sweep("parabola", "gd", **{"steps": 10, **options})


@pytest.mark.parametrize(
    "function, x0, told",
    [
        (lambda x: x**2, [1.0, 2.0], "must return a scalar"),
        (lambda x: (x[0], x[1]), [1.0, 2.0], "must return a scalar"),
        (square, None, "needs x0"),
        (square, [np.nan, 1.0], "coordinate 0 of start 0 must be a finite number"),
        (square, [], "x0|coordinate|point"),
        (square, "here", "x0|number"),
        (square, [[1.0, 2.0], [3.0]], "x0|coordinates"),
        (lambda x: x["a"].sum(), {"a": np.array([1.0, np.nan])}, "finite number"),
    ],
)
def test_a_function_that_cannot_be_swept(function, x0, told):
    with pytest.raises(GdbenchError, match=told):
        gd.sweep(function, "gd", x0=x0, learning_rate=0.1, steps=10)


def test_a_function_that_raises_is_told_with_its_own_words():
    def broken(x):
        raise RuntimeError("no luck")

    with pytest.raises((GdbenchError, RuntimeError), match="no luck"):
        gd.sweep(broken, "gd", x0=[1.0], learning_rate=0.1, steps=10)


@pytest.mark.parametrize("optimizer", [3, None, ["gd"]])
def test_what_is_no_optimizer(optimizer):
    with pytest.raises(SuiteError, match="an optimizer is"):
        gd.sweep("parabola", optimizer, learning_rate=0.1)


def test_what_is_no_problem():
    with pytest.raises(SuiteError, match="a problem is"):
        gd.sweep(3, "gd", learning_rate=0.1)  # pyright: ignore[reportArgumentType]


# Runs


SUITE = {
    "suite": {"name": "small"},
    "experiment": [
        {"name": "first", "problems": ["quadratic"], "optimizers": ["gd"], "steps": 40,
         "learning_rate": [0.05, 0.1, 1.0], "starts": {"kind": "sobol", "num": 3}},
    ],
}  # fmt: skip


def test_run_load_table(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(
        '[suite]\nname = "small"\n[[experiment]]\nname = "first"\nproblems = ["quadratic"]\noptimizers = ["gd"]\n'
        'steps = 40\nlearning_rate = [0.05, 0.1, 1.0]\nstarts = { kind = "sobol", num = 3 }\n'
    )
    made = gd.run(file, results=tmp_path / "results")
    assert made.path is not None and made.path.parent == tmp_path / "results" / "small"
    assert made.failures == [] and len(made.cells) == 1
    frame = made.table()
    assert len(frame) == 9
    pd.testing.assert_frame_equal(gd.load(made.path).table(), frame)
    assert list(made.table(["outcome", "learning_rate"]).columns) == ["outcome", "learning_rate"]
    assert made.scan().count_rows() == 9
    assert gd.run(SUITE, results=tmp_path / "results").path == made.path


def test_a_run_and_a_sweep_hold_the_same_numbers(tmp_path):
    run = gd.run(SUITE, results=tmp_path).table()
    sweep = gd.sweep("quadratic", "gd", learning_rate=[0.05, 0.1, 1.0], starts=gd.starts("sobol", 3), steps=40).table
    dropped = ["cell", "experiment"]
    pd.testing.assert_frame_equal(run.drop(columns=dropped), sweep.drop(columns=dropped))


@pytest.mark.slow
def test_a_run_writes_its_report_where_it_is_told(tmp_path):
    made = gd.run(SUITE, results=tmp_path / "results")
    page = made.report()
    assert page.is_file() and made.path is not None and made.path in page.parents
    elsewhere = gd.load(made.path).report(tmp_path / "elsewhere")
    assert elsewhere.is_file() and tmp_path / "elsewhere" in elsewhere.parents


def test_a_map_of_a_run(tmp_path):
    assert gd.run(SUITE, results=tmp_path).map("learning_rate", "start").axes


def test_a_suite_with_faults(tmp_path):
    with pytest.raises(SuiteError, match="did you mean 'gd'"):
        gd.run({**SUITE, "experiment": [{**SUITE["experiment"][0], "optimizers": ["gf"]}]}, results=tmp_path)
    with pytest.raises(SuiteError, match="no such file"):
        gd.run(tmp_path / "none.toml")
    with pytest.raises(StoreError, match="no run there"):
        gd.load(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_selection_that_leaves_nothing_is_a_fault(tmp_path):
    second = {**SUITE["experiment"][0], "name": "second", "problems": ["parabola"], "optimizers": ["adam"]}
    both = {**SUITE, "experiment": [*SUITE["experiment"], second]}
    with pytest.raises(GdbenchError):
        gd.run(both, problems=["quadratic"], optimizers=["adam"], results=tmp_path)


# Names


def test_every_public_name_is_there_and_documented():
    assert set(gd.__all__) <= set(dir(gd))
    for name in gd.__all__:
        assert getattr(gd, name) is not None
        if name != "__version__":
            assert getattr(gd, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        gd.swep  # noqa: B018


def test_importing_and_describing_imports_no_jax():
    code = (
        "import sys, gdbench as gd\n"
        "f = gd.problem('rosenbrock', dim=3)\ngd.log_axis(1e-3, 1, 5); gd.starts('sobol', 4)\n"
        "gd.Problem; gd.Optimizer; gd.run; gd.sweep; gd.load\n"
        "from gdbench.suite import read_suite, size_of\nimport gdbench.report, gdbench.store\n"
        f"size_of(read_suite({str(ROOT / 'suites' / 'quickstart.toml')!r}))\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} & {'jax', 'jaxlib', 'optax'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0 and done.stdout == "[]\n", done.stderr
