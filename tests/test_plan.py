from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbench as gd
from gdbench import plan
from gdbench.errors import SuiteError
from gdbench.suite import build_suite

QUICK = settings(max_examples=60, deadline=None)


def table(**changes) -> dict:
    experiment = {
        "name": "first",
        "problems": ["parabola"],
        "optimizers": ["gd"],
        "steps": 10,
        "learning_rate": [0.1, 0.2],
    }
    return {"suite": {"name": "small", **changes.pop("suite", {})}, "experiment": [experiment | changes]}


def cells(given: dict | None = None, **changes) -> list[plan.Cell]:
    return plan.make_plan(build_suite(given or table(**changes), allow_code=True), "cpu")


# Steps that are recorded


@QUICK
@given(st.integers(1, 10**6), st.integers(0, 300), st.integers(1, 50))
def test_recorded_steps_run_from_the_first_to_the_last(steps, points, stride):
    found = plan.log_steps(steps, points, stride)
    if points == 0:
        assert found == ()
        return
    assert found[0] == 0 and found[-1] == steps
    assert list(found) == sorted(set(found))
    assert len(found) <= points + 2
    assert all(step % stride == 0 for step in found[:-1])


# Order, identity


def test_cells_stand_in_the_order_of_the_suite():
    given = table(
        problems=["parabola", "quadratic"], optimizers=["gd", "adam"], suite={"dtype": ["float32", "float64"]}
    )
    found = [(c.info["problem"]["label"], c.info["optimizer"]["label"], c.dtype) for c in cells(given)]
    assert found == [
        (p, o, d) for p in ("parabola", "quadratic") for o in ("gd", "adam") for d in ("float32", "float64")
    ]


def test_what_readers_are_told_is_plain_json():
    for cell in cells(problems=["parabola", "linear", "diabetes_regression"], optimizers=["gd", "trial_and_error"]):
        assert json.loads(json.dumps(cell.info, allow_nan=False)) == cell.info


CHANGES = {
    "steps": {"steps": 11},
    "rate": {"learning_rate": [0.1, 0.3]},
    "more rates": {"learning_rate": [0.1, 0.2, 0.3]},
    "starts": {"starts": {"kind": "sobol", "num": 2}},
    "the start": {"starts": {"kind": "points", "points": [[3.0]]}},
    "seed": {"suite": {"seed": 1}},
    "dtype": {"suite": {"dtype": "float64"}},
    "trace": {"trace": 5},
    "paths": {"paths": 5},
    "targets": {"targets": [1e-3]},
    "tolerance": {"outcomes": {"tolerance": 1e-2}},
    "scale": {"outcomes": {"scale": 7.0}},
    "problem": {"problems": ["shifted_parabola"]},
    "optimizer": {"optimizers": ["adam"]},
    "hyperparameter": {"optimizers": [{"name": "momentum", "momentum": 0.5}]},
    "another hyperparameter": {"optimizers": [{"name": "momentum", "momentum": 0.6}]},
}


def test_whatever_changes_a_row_changes_the_key():
    keys = {"nothing": cells()[0].key} | {name: cells(**change)[0].key for name, change in CHANGES.items()}
    assert len(set(keys.values())) == len(keys), keys


def test_a_parameter_of_the_problem_changes_the_key():
    keys = {cells(problems=[{"name": "quadratic", "condition": c}])[0].key for c in (2.0, 3.0, [2.0, 3.0])}
    assert len(keys) == 3


def test_what_changes_no_row_leaves_the_key():
    same = cells()[0].key
    assert cells()[0].key == same
    assert cells(name="another")[0].key == same
    assert cells(optimizers=["gd", "adam"])[0].key == same
    assert cells(problems=["parabola", "quadratic"])[0].key == same
    assert cells(suite={"name": "another", "description": "…", "version": 2})[0].key == same
    assert cells(suite={"dtype": ["float32", "float64"]})[0].key == same


def test_another_release_or_another_formula_is_another_cell(monkeypatch):
    same = cells()[0].key
    with monkeypatch.context() as patched:
        patched.setattr(plan, "_version", lambda name: "99.0")
        assert cells()[0].key != same
    monkeypatch.setattr(plan, "numerical_code", lambda: "another")
    assert cells()[0].key != same


RULE = "import optax\ndef rule(learning_rate):\n    return optax.sgd({factor} * learning_rate)\n"
PARTIAL = "import functools\nimport optax\nrule = functools.partial(optax.adam, b1={factor})\n"
FINISHED = "import optax\nrule = optax.sgd({factor})\n"
OBJECT = (
    "from gdbench.contracts import Hyperparameter\nfrom gdbench.optimizers.rules import gradient_rule\n"
    "def _mine(g, x, state, h, k):\n    return -{factor} * h.learning_rate * g, state\n"
    "rule = gradient_rule(_mine)\n"
)
CLOSURE = (
    "import optax\ndef make(factor):\n    def rule(learning_rate):\n        return optax.sgd(factor * learning_rate)\n"
    "    return rule\nrule = make({factor})\n"
)
HIDDEN = (
    "import functools\nimport optax\ndef make(factor, learning_rate):\n    return optax.sgd(factor * learning_rate)\n"
    "rule = functools.partial(make, {factor})\n"
)
USERS_OPTIMIZERS = {
    "function": RULE, "partial": PARTIAL, "bound": HIDDEN, "finished": FINISHED, "object": OBJECT, "closure": CLOSURE,
}  # fmt: skip


def key_of_user_code(folder, source: str, what: str = "optimizers") -> str:
    (folder / "identity_of_mine.py").write_text(source)
    sys.modules.pop("identity_of_mine", None)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        changes = {what: ["identity_of_mine:rule"]}
        if what == "optimizers" and "optax.sgd({factor})" in source:
            changes["learning_rate"] = None
        return cells(**changes)[0].key
    finally:
        sys.dont_write_bytecode = before
        sys.modules.pop("identity_of_mine", None)


@pytest.mark.parametrize("source", USERS_OPTIMIZERS.values(), ids=USERS_OPTIMIZERS)
def test_another_text_of_a_users_optimizer_is_another_cell(tmp_path, monkeypatch, source):
    monkeypatch.syspath_prepend(tmp_path)
    texts = [source.format(factor=factor) for factor in ("0.5", "0.25")]
    first, second, again = (key_of_user_code(tmp_path, text) for text in (*texts, texts[0]))
    assert first == again, "the same text must be the same cell, or nothing is ever reused"
    assert first != second, "rows of the old rule would be taken for rows of the new one"


OBJECTIVE = (
    "import numpy as np\nfrom gdbench.contracts import Problem\n"
    "def objective(x, data, parameters):\n    return {factor} * x[0] ** 2\n"
    "rule = Problem('mine', objective, 1, label='mine')\n"
)
PARTIAL_OBJECTIVE = (
    "import functools\nfrom gdbench.contracts import Problem\n"
    "def power(factor, x, data, parameters):\n    return factor * x[0] ** 2\n"
    "rule = Problem('mine', functools.partial(power, {factor}), 1, label='mine')\n"
)


@pytest.mark.parametrize("source", [OBJECTIVE, PARTIAL_OBJECTIVE], ids=["function", "partial"])
def test_another_text_of_a_users_problem_is_another_cell(tmp_path, monkeypatch, source):
    monkeypatch.syspath_prepend(tmp_path)
    texts = [source.format(factor=factor) for factor in ("0.5", "0.25")]
    first, second, again = (key_of_user_code(tmp_path, text, "problems") for text in (*texts, texts[0]))
    assert first == again and first != second


def test_the_same_cell_in_two_experiments_has_one_key_and_two_ids():
    given = table()
    given["experiment"].append(table(name="second")["experiment"][0])
    first, second = cells(given)
    assert first.key == second.key and first.info["id"] == first.key and second.info["id"] == f"{first.key}-2"
    assert [c.info["experiment"] for c in (first, second)] == ["first", "second"]


def test_a_plan_names_every_cell_that_cannot_be(monkeypatch):
    real = plan.make_cell

    def make(trial, problem, optimizer, *rest):
        if optimizer.label == "adam":
            raise SuiteError([f"no luck with {problem.problem.label}"])
        return real(trial, problem, optimizer, *rest)

    monkeypatch.setattr(plan, "make_cell", make)
    with pytest.raises(SuiteError) as caught:
        cells(problems=["parabola", "quadratic"], optimizers=["gd", "adam"])
    assert caught.value.problems == ["first: no luck with parabola", "first: no luck with quadratic"]


# Layout


def test_units_cover_every_row_once_and_none_spans_two_instances(monkeypatch):
    monkeypatch.setattr(plan, "SHARD_ROWS", 1)
    rotated = {"name": "quadratic", "rotation": True, "instance": [0, 1, 2]}
    (cell,) = cells(problems=[rotated], starts={"kind": "sobol", "num": 1500})
    assert cell.lanes_per_instance == 3000 and cell.grid.size == 9000
    assert cell.shard == cell.block
    units = list(cell.units())
    assert units[0][0] == 0 and units[-1][1] == 9000
    assert all(a[1] == b[0] for a, b in zip(units, units[1:], strict=False))
    assert all(first // 3000 == (last - 1) // 3000 and last - first <= cell.shard for first, last in units)
    assert all((first % 3000) % cell.block == 0 for first, _ in units)


def test_the_block_does_not_depend_on_the_grid():
    blocks = {
        cells(problems=["rosenbrock"], learning_rate=rates, starts={"kind": "sobol", "num": n}, seeds=2)[0].block
        for rates in ([0.1], {"log": [1e-3, 1], "num": 100}) for n in (1, 1000)
    }  # fmt: skip
    assert len(blocks) == 1
    (block,) = blocks
    assert block >= 64 and block & (block - 1) == 0


@pytest.mark.parametrize("changes", [{}, {"paths": 1000, "trace": 500, "targets": {"log": [1, 1e-8], "num": 51}}])
@pytest.mark.parametrize("problem", ["parabola", {"name": "rosenbrock", "dim": 1000}])
def test_a_shard_is_a_whole_number_of_blocks_within_its_bounds(problem, changes):
    (cell,) = cells(problems=[problem], **changes)
    assert cell.shard % cell.block == 0 and cell.shard & (cell.shard - 1) == 0
    assert cell.shard <= max(plan.SHARD_ROWS, cell.block)


def cell_with_paths(settings_: int, starts: int, paths: int) -> plan.Cell:
    rates = np.linspace(0.1, 0.2, settings_).tolist()
    return cells(learning_rate=rates, starts={"kind": "sobol", "num": starts}, paths=paths)[0]


@pytest.mark.parametrize(
    "settings_, starts, paths", [(50, 40, 0), (50, 40, 1), (50, 40, 100), (3, 40, 100), (50, 1, 20)]
)
def test_the_sample_of_paths_is_even_and_no_larger_than_asked(settings_, starts, paths):
    cell = cell_with_paths(settings_, starts, paths)
    chosen = cell.paths_of(0, cell.grid.size)
    assert chosen.sum() <= max(paths, 0)
    assert (chosen.sum() > 0) == (paths > 0)
    if paths >= 20:
        assert chosen.sum() > paths / 4
        rates = np.flatnonzero(chosen.reshape(settings_, starts).any(axis=1))
        assert rates[0] == 0 and rates[-1] == settings_ - 1


def test_the_sample_of_paths_does_not_depend_on_how_rows_are_cut():
    cell = cell_with_paths(20, 10, 30)
    whole = cell.paths_of(0, 200)
    assert np.array_equal(whole, np.concatenate([cell.paths_of(i, min(i + 7, 200)) for i in range(0, 200, 7)]))
    assert cell_with_paths(4, 5, 1000).paths_of(0, 20).all()


# Thresholds


@pytest.mark.parametrize("dtype, c, eps", [("float32", 1e-5, 2.0**-23), ("float64", 1e-8, 2.0**-52)])
def test_the_tolerance_is_the_rule_of_the_outcomes(dtype, c, eps):
    suite = build_suite(table(problems=["parabola", "shifted_parabola", "slope_fit"]))
    for choice in suite.trials[0].problems:
        found = plan.thresholds(choice, suite.trials[0], dtype)
        scale = float(found.scale[0])
        expected = max(c * min(1, scale), 64 * eps * abs(choice.problem.minimum or 0))
        assert found.tolerance[0] == pytest.approx(expected, rel=1e-12)


def test_a_target_below_what_the_dtype_resolves_is_refused():
    def raised(x):  # The constant stays in the objective, so float32 knows a gap to 1e-4 alone.
        return (x**2).sum() + 1000.0

    facts = {"x0": [1.0, 1.0], "minimum": 1000.0, "box": ([-1, -1], [1, 1]), "learning_rate": [0.1], "steps": 5}
    with pytest.raises(SuiteError, match="the target 1e-06 lies .* where float32 resolves no less than 1.2e-04"):
        gd.sweep(raised, "gd", targets=[1e-2, 1e-6], dtype="float32", **facts)
    assert len(gd.sweep(raised, "gd", targets=[1e-2], dtype="float32", **facts).table) == 1
    assert len(gd.sweep(raised, "gd", targets=[1e-2, 1e-6], dtype="float64", **facts).table) == 1


def test_a_suite_may_set_its_own_thresholds():
    trial = build_suite(table(outcomes={"tolerance": 0.5, "scale": 7.0, "gradient_scale": 3.0})).trials[0]
    found = plan.thresholds(trial.problems[0], trial, "float32")
    assert (found.tolerance[0], found.scale[0], found.gradient_scale[0]) == (0.5, 7.0, 3.0)


def test_thresholds_follow_the_axes_of_the_problem():
    trial = build_suite(table(problems=[{"name": "quadratic", "condition": [1.0, 100.0]}])).trials[0]
    found = plan.thresholds(trial.problems[0], trial, "float32")
    # The median of (x² + c y²)/2 over the box grows with c.
    assert len(found.scale) == 2 and found.scale[1] > 10 * found.scale[0]


def test_noise_depends_on_problem_and_instance_alone():
    suite = build_suite(table(problems=["parabola", {"name": "quadratic", "rotation": True, "instance": [0, 1]}]))
    parabola, quadratic = (choice.instances for choice in suite.trials[0].problems)
    words = [plan.noise_word(p) for p in (*parabola, *quadratic)]
    assert len(set(words)) == 3
    relabelled = replace(parabola[0], label="another")
    assert plan.noise_word(relabelled) == words[0]


def test_the_estimate_counts_what_will_run():
    found = cells(problems=["parabola", "quadratic"], optimizers=["gd", "adam"], starts={"kind": "sobol", "num": 5})
    cost = plan.estimate(found, cores=2)
    assert (cost.cells, cost.descents, cost.evaluations) == (4, 40, 400)
    assert cost.seconds > 0 and cost.disk_bytes > 0
