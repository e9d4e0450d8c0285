"""Methods on the host: what they visit is what is recorded, and what goes wrong in them is an outcome or one line."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.contracts import Hyperparameter, Optimizer, Problem
from gdbench.errors import CellError, NotApplicableError
from gdbench.kernels.descent import Descent, numerics
from gdbench.kernels.execute import compile_count
from gdbench.kernels.host import HostOracle, host_functions, walk
from gdbench.kernels.layout import Shape
from gdbench.optimizers.rules import host_method

RATE = {"learning_rate": Hyperparameter(0.1, "this test")}


def _descend(oracle: Any, x: np.ndarray, h: Any) -> None:
    """Gradient descent with a value too much at each step, which never ends by itself."""
    while True:
        value, gradient = oracle.value_and_grad(x)
        oracle.value(x)
        x = x - h.learning_rate * gradient
        oracle.visit(x)


def method(run: Callable[..., None], **facts: Any) -> Optimizer:
    return host_method("by_hand", run, **{"hyperparameters": RATE, "uses_gradient": True, **facts})


def ask(run: Callable[..., None], problem: Problem, x0: Any, steps: int = 20, budget: float = 0.0, **more: Any) -> Any:
    """Walk once, without a kernel: (path, spent, oracle)."""
    descent = Descent(problem, method(run), {}, Shape(steps, budget=budget))
    path, spent = np.empty((steps, problem.dim)), np.empty((steps, 3), np.int64)
    facts = {"deadline": np.inf, **more}
    program: Any = SimpleNamespace(descent=descent, functions=host_functions(descent), **facts)
    parameters = {k: np.float64(v) for k, v in problem.parameters.items()}
    oracle = HostOracle(program, (problem.data, parameters), path, spent)
    with numerics("float64"):
        walk(oracle, descent, np.asarray(x0, float), SimpleNamespace(learning_rate=0.1))
    return path, spent, oracle


QUADRATIC = gd.problem("quadratic")
LOGARITHM = dataclasses.replace(
    QUADRATIC, name="logarithm", objective=lambda x, data, parameters: jnp.sum(x - jnp.log(x)) - 2.0, curvature=None,
    minimizers=np.ones((1, 2)), box=(np.full(2, 0.1), np.full(2, 3.0)), start=None, parameters={},
)  # fmt: skip
"""NaN where a coordinate is negative; its minimum is at (1, 1)."""


def test_every_question_is_answered_and_counted() -> None:
    answers: dict[str, Any] = {}
    other = np.array([1.5, 1.0])

    def run(oracle: Any, x: np.ndarray, h: Any) -> None:
        answers.update(
            value=oracle.value(x), values=oracle.values(np.stack([x, 2 * x])), both=oracle.value_and_grad(x),
            hvp=oracle.hvp(x, np.array([1.0, 0.0])), hessian=oracle.hessian(x),
        )  # fmt: skip
        answers["counts"] = oracle.counts.tolist()
        answers["first"], answers["alone"] = oracle.value_first(x), oracle.counts.tolist()
        answers["gradient"], answers["joint"] = oracle.gradient(x), oracle.counts.tolist()
        answers["again"], answers["twice"] = oracle.gradient(x), oracle.counts.tolist()
        answers["other"] = oracle.gradient(other), oracle.value_first(other)
        answers["after"] = oracle.counts.tolist()

    x = np.array([0.5, -2.0])
    path, spent, _ = ask(run, QUADRATIC, x)
    low, high = QUADRATIC.curvature(QUADRATIC.parameters)
    value, (joint, gradient) = answers["value"], answers["both"]
    assert answers["first"] == joint == pytest.approx(value)
    np.testing.assert_allclose(answers["values"], [value, 4 * value])
    np.testing.assert_allclose(answers["hessian"] @ x, gradient)
    np.testing.assert_allclose(np.linalg.eigvalsh(answers["hessian"]), [low, high])
    np.testing.assert_allclose(answers["hvp"], answers["hessian"][0])
    for name in ("gradient", "again"):
        np.testing.assert_array_equal(answers[name], gradient)
    assert answers["counts"] == [3, 1, 3]
    # A value, which becomes a joint evaluation once its gradient is asked; asked again, it is another one.
    assert [answers[name] for name in ("alone", "joint", "twice")] == [[4, 1, 3], [3, 2, 3], [3, 3, 3]]
    # A value whose gradient is known is known too.
    assert answers["after"] == [3, 4, 3] and answers["other"][1] == pytest.approx(other @ answers["other"][0] / 2)
    # Without a visit it stands where it began, and what it spent falls on the first step.
    assert (path == x).all() and (spent == [3, 4, 3]).all()


def test_the_last_point_is_held_and_added_where_it_is_another() -> None:
    def run(oracle: Any, x: np.ndarray, h: Any) -> None:
        oracle.visit(x + 1)
        oracle.visit(x + 2)
        oracle.end(x + 2)
        oracle.end(x + 3)

    path, _, _ = ask(run, QUADRATIC, [0.0, 0.0], steps=5)
    assert path[:, 0].tolist() == [1, 2, 3, 3, 3]


def test_a_method_may_change_what_it_is_given() -> None:
    def run(oracle: Any, x: np.ndarray, h: Any) -> None:
        for _ in range(3):
            x += 1
            oracle.visit(x)

    start = np.zeros(2)
    path, _, _ = ask(run, QUADRATIC, start, steps=3)
    assert path[:, 0].tolist() == [1, 2, 3] and (start == 0).all()


def test_the_budget_of_evaluations_ends_a_walk() -> None:
    path, spent, oracle = ask(_descend, QUADRATIC, [1.0, 1.0], steps=20, budget=7)
    # Two a step: the fourth step reaches 8, and no fifth is begun.
    assert oracle.counts.tolist() == [4, 4, 0] and spent[3].tolist() == spent[19].tolist() == [4, 4, 0]
    assert (path[3:] == path[3]).all() and (path[3] != path[2]).any()


def _raise_at(wanted: Callable[[float], bool]) -> Callable[..., None]:
    def run(oracle: Any, x: np.ndarray, h: Any) -> None:
        while True:
            x = x - 0.3
            if wanted(oracle.value(x)):
                raise ValueError("what is this")
            oracle.visit(x)

    return run


def test_what_a_library_raises_at_nan_is_a_descent_that_broke_there() -> None:
    path, _, oracle = ask(_raise_at(np.isnan), LOGARITHM, [1.0, 1.0])
    np.testing.assert_allclose(path[:5, 0], [0.7, 0.4, 0.1, -0.2, -0.2])
    assert oracle.broken is not None


def test_what_it_raises_otherwise_fails_the_cell() -> None:
    with pytest.raises(CellError, match="by_hand raised ValueError: what is this"):
        ask(_raise_at(lambda value: value > 1), QUADRATIC, [3.0, 3.0])


def test_a_method_that_hangs_is_stopped() -> None:
    def run(oracle: Any, x: np.ndarray, h: Any) -> None:
        while True:
            oracle.values(np.zeros((500, 2)))

    with pytest.raises(CellError, match="it hangs"):
        ask(run, QUADRATIC, [3.0, 3.0])


def test_it_heeds_the_time_it_is_given() -> None:
    with pytest.raises(CellError, match="timed out"):
        ask(_descend, QUADRATIC, [3.0, 3.0], deadline=time.perf_counter())


def test_the_first_bad_point_of_a_batch_is_the_broken_one() -> None:
    def run(oracle: Any, x: np.ndarray, h: Any) -> None:
        oracle.values(np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]))

    assert ask(run, LOGARITHM, [1.0, 1.0])[2].broken.tolist() == [1.0, -1.0]


def test_stochastic_problems_are_refused() -> None:
    with pytest.raises(NotApplicableError, match="by_hand needs a deterministic problem"):
        gd.sweep("noisy_quadratic", method(_descend), steps=10)


@pytest.mark.slow
def test_the_record_is_that_of_the_same_method_in_the_kernel() -> None:
    options: dict[str, Any] = {"starts": gd.starts("sobol", 70), "steps": 80, "paths": 1000, "targets": [1e-1, 1e-3]}
    before = compile_count()
    ours = gd.sweep("quadratic", method(_descend), learning_rate=[0.05, 0.15, 3.0], dtype="float64", **options).table
    assert compile_count() == before + 1
    theirs = gd.sweep("quadratic", "gd", learning_rate=[0.05, 0.15, 3.0], dtype="float64", **options).table
    assert list(ours) == list(theirs)
    assert set(theirs["outcome"]) >= {"converged", "diverged"}
    assert ours["outcome"].tolist() == theirs["outcome"].tolist()
    np.testing.assert_array_equal(ours["settle_step"], theirs["settle_step"])
    for column in ("path", "hits"):
        np.testing.assert_allclose(np.stack(ours[column]), np.stack(theirs[column]), rtol=1e-9, atol=1e-12)
    # An evaluation of each kind a step, also at the hits; where it diverged, up to there.
    for column in ("f_evals", "g_evals"):
        assert ours[column].tolist() == ours["steps"].tolist()
    hit = np.stack(ours["hits"])
    np.testing.assert_array_equal(np.stack(ours["hits_g_evals"])[hit >= 0], hit[hit >= 0])


@pytest.mark.slow
def test_random_numbers_belong_to_the_descent_alone() -> None:
    # Three settings and 70 starts are four blocks; one setting is two. A start's walk is the same in both.
    options: dict[str, Any] = {"steps": 9, "dtype": "float64"}
    many = gd.sweep("quadratic", "cma_es", sigma=[0.1, 0.2, 0.3], starts=gd.starts("sobol", 70), **options).table
    few = gd.sweep("quadratic", "cma_es", sigma=0.2, starts=gd.starts("sobol", 70), **options).table
    middle = many[many["sigma"] == 0.2]
    assert middle["f_final"].tolist() == few["f_final"].tolist()
    assert few["f_final"].nunique() == 70
    assert (few["f_evals"] == 6 * few["steps"]).all()


@pytest.mark.slow
def test_outcomes_of_broken_and_spent_walks() -> None:
    table = gd.sweep(
        LOGARITHM, method(_raise_at(np.isnan)), x0=[[0.4, 0.4], [1.0, 1.0]], steps=50, dtype="float64", evaluations=3
    ).table
    # From 0.4 the second value is NaN; from 1 the third is the last that may be asked.
    assert table["outcome"].tolist() == ["nonfinite", "unfinished"]
    assert table["flag"].tolist() == ["", "spent"]
    assert table["steps"].tolist() == [2, 3] and table["f_evals"].tolist() == [2, 3]
