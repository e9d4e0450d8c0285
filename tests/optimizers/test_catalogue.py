"""Every optimizer of the catalogue, as it comes: what it says of itself, and two compiled programs of each.

A program is compiled once a method and precision and serves all checks: does it converge, is it stable, does every
number reach the rule as an argument, and do the bytes of a descent not depend on where in the grid it stands.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.cells import CellRun, prepare
from gdbench.choices import OptimizerChoice, ProblemChoice, choose_optimizer
from gdbench.contracts import CONVERGED, DIVERGED, NEEDS, NONFINITE, Optimizer, Problem
from gdbench.errors import NotApplicableError
from gdbench.forms import OutcomeSettings
from gdbench.grid import Values, as_starts
from gdbench.kernels import execute
from gdbench.kernels.descent import Lane, fixed_cost
from gdbench.listing import rule_of
from gdbench.plan import make_cell, thresholds
from gdbench.suite import Trial

CATALOGUE = gather("gdbench.optimizers", Optimizer)
NAMES = sorted(CATALOGUE)
CORE = {"gd", "adam", "trial_and_error", "optax/adabelief"}
"""Run in the fast core too, in single precision."""

PRECISIONS = ("float32", "float64")
ONE_SIZE = (
    "steps of one size, the rate, swing about the minimum; from far away a rate fit for the tolerance takes longer"
)
SHARE = "steps of a fixed share of |x| swing about a minimum that is not the origin"
INCREMENT = "moves by increments of one size, and none of the sizes tried comes within the tolerance"
NOISE = "adds noise of its own to every gradient"

NEVER_CONVERGES: dict[str, tuple[str, ...]] = {
    "normalized_gd": (ONE_SIZE, *PRECISIONS),
    "optax/lion": (ONE_SIZE, *PRECISIONS),
    "optax/sign_sgd": (ONE_SIZE, *PRECISIONS),
    "optax/signum": (ONE_SIZE, *PRECISIONS),
    "optax/contrib/muon": (f"on matrices {ONE_SIZE}", "float64"),
    "optax/novograd": (ONE_SIZE, "float64"),
    "optax/fromage": (SHARE, "float64"),
    "optax/lamb": (SHARE, "float64"),
    "optax/lars": (SHARE, "float64"),
    "exhaustive_signs": (INCREMENT, "float64"),
    "random_search": (INCREMENT, "float64"),
    "trial_and_error": (INCREMENT, "float64"),
    "optax/adadelta": ("its steps grow from √ε: from 5 away 2000 of them do not get there", "float32"),
    "optax/contrib/ademamix": ("its slow average looks back 10,000 steps and swings on", "float64"),
    "optax/contrib/mechanize": ("finds its own scale, and swings about the minimum with it", "float64"),
    "optax/contrib/sam": ("takes its gradient rho away from x, and swings about the minimum", "float64"),
    "optax/contrib/simplified_ademamix": ("sums gradients where others average, and swings on", *PRECISIONS),
    "optax/contrib/dpsgd": (NOISE, *PRECISIONS),
    "optax/noisy_sgd": (NOISE, "float64"),
}
"""Methods without a converged descent within 2000 steps at any of the rates, with the reason and the precisions; they
must come within a hundredth of where they began all the same."""

INERT: dict[tuple[str, str], str] = {
    ("optax/contrib/adopt", "eps"): "a floor under √v, which is higher here",
    ("optax/contrib/galore", "scale"): "matrices only",
    ("optax/contrib/muon", "ns_coeffs_1"): "matrices only",
    ("optax/contrib/muon", "ns_coeffs_2"): "matrices only",
    ("optax/contrib/muon", "ns_coeffs_3"): "matrices only",
    ("optax/contrib/muon", "beta"): "matrices only",
    ("optax/contrib/muon", "weight_decay"): "matrices only",
    ("optax/zoom_linesearch", "slope_rtol"): "on a quadratic the first trial that bends enough descends enough",
    ("optax/zoom_linesearch", "approx_dec_rtol"): "the exact test of descent holds first",
    ("optax/zoom_linesearch", "stepsize_precision"): "a search that succeeds does not come to it",
    ("optax/contrib/reduce_on_plateau", "min_scale"): "a floor far below what the plateaus bring the rate to",
    ("rprop", "step_max"): "a cap of 50, larger than the box",
    ("optax/rprop", "max_step_size"): "a cap of 50, larger than the box",
    ("steepest_descent", "initial"): "the step on a quadratic is exact",
    ("steepest_descent", "shrink"): "the step on a quadratic is exact",
    ("steepest_descent", "slope"): "the step on a quadratic is exact",
}
"""Numbers that change no byte on these problems, with the reason; on matrices those of matrices must."""

UPSTREAM: dict[str, str] = {
    "scipy/trust_krylov": "scipy's trlib asks for another number of products from one run to the next, once at rest",
}
"""Methods whose counts cannot be repeated, with the reason; what they find can."""

NO_DEFAULT: dict[str, dict[str, Any]] = {}
"""Values for numbers beside the rate that have no default."""


# What an entry says of itself


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_what_it_is(name: str) -> None:
    rule = CATALOGUE[name]
    assert rule.name == name and rule.formula and rule.source and rule.family and rule.costs
    assert set(rule.needs) <= set(NEEDS) and len(set(rule.needs)) == len(rule.needs)
    assert rule.most_dim is None or rule.most_dim >= 2
    assert all(type(n) is int and n >= 0 for n in rule.init_cost)
    for parameter, spec in rule.hyperparameters.items():
        assert spec.origin, f"{parameter}: where does its default come from?"
        if spec.static or spec.optional:
            assert isinstance(spec.default, (bool, int, float, str, type(None))), parameter
        else:
            assert spec.default is None or isinstance(spec.default, float), f"{parameter}: {spec.default!r}"
    defaults = {n: spec.default for n, spec in rule.hyperparameters.items()}
    form = rule.theory(defaults) if callable(rule.theory) else rule.theory
    assert form is None or importlib.util.find_spec(f"gdbench.theory.{form}")
    # A rule that goes under several names has that of an entry, which is its own name there.
    assert rule_of(rule) in CATALOGUE and rule_of(CATALOGUE[rule_of(rule)]) == rule_of(rule)


def test_the_tables_of_exceptions_hold_no_stranger() -> None:
    assert set(NEVER_CONVERGES) | set(UPSTREAM) | set(NO_DEFAULT) | CORE <= set(CATALOGUE)
    assert all(parameter in CATALOGUE[name].hyperparameters for name, parameter in INERT)
    assert all(set(precisions) <= set(PRECISIONS) and precisions for _, *precisions in NEVER_CONVERGES.values())


@pytest.mark.parametrize(
    ("optimizer", "problem", "told"),
    [
        ("gauss_newton", "rastrigin", "gauss_newton needs a sum of squares whose residuals are known"),
        ("optax/polyak_sgd", "logistic", "optax/polyak_sgd needs a known minimum, which it is told"),
        ("optimistix/bfgs", "digits_softmax", "optimistix/bfgs needs a deterministic problem"),
        ("newton", "large", "newton is made for at most 256 dimensions, and this has 257"),
    ],
)
def test_what_it_is_not_made_for_is_refused_in_one_line(optimizer: str, problem: str, told: str) -> None:
    known = {
        "large": lambda: gd.problem("quadratic", dim=257),
        "logistic": lambda: gd.problem(lambda x: jnp.sum(jnp.logaddexp(x, -x)), x0=[1.0], name="logistic"),
    }
    function = known.get(problem, lambda: gd.problem(problem))()
    rate = {"learning_rate": 0.1} if "learning_rate" in CATALOGUE[optimizer].hyperparameters else {}
    with pytest.raises(NotApplicableError, match=f"{re.escape(told)}: {re.escape(function.label)} does not") as caught:
        gd.sweep(function, optimizer, steps=3, **rate)
    assert "\n" not in str(caught.value)


def terms(text: str, dim: int) -> list[int] | None:
    """A cost in plain text as (f, g, h) in that dimension, from its leading terms; None where it is no such sum."""
    found = re.match(r"([\d\w^+*]+ [fgh])( \+ [\d\w^+*]+ [fgh])*\b", text)
    if found is None:
        return None
    cost = dict.fromkeys("fgh", 0)
    for term in found.group().split(" + "):
        count, kind = term.split(" ")
        if not re.fullmatch(r"[\dn^+*]+", count):
            return None
        cost[kind] += eval(re.sub(r"(\d)n", r"\1*n", count).replace("^", "**"), {"n": dim})  # noqa: S307
    return list(cost.values())


def test_costs_in_plain_text_are_read_right() -> None:
    assert terms("1 g", 3) == [0, 1, 0] and terms("n+1 f", 3) == [4, 0, 0] and terms("1 g + 2n h", 3) == [0, 1, 6]
    assert terms("2^n f", 3) == [8, 0, 0] and terms("counted", 3) is None and terms("n to 2n f", 3) is None


# Programs


STEPS = 2000

SIZES = ("learning_rate", "increment", "sigma")
"""What sets the size of a step, in the order of preference; a method with none of them has one setting."""


class Ran(NamedTuple):
    """One compiled program: its lanes, their records in order, and how many programs it took."""

    run: CellRun
    lanes: Lane
    records: dict[str, np.ndarray]
    main: int
    varied: dict[str, np.ndarray]
    compiles: int


def tree() -> Problem:
    """A sum of squares of a vector and a matrix."""
    scale = np.sqrt(np.linspace(1.0, 10.0, 6))
    form = {"a": np.zeros(2), "b": np.zeros((2, 2))}

    def residuals(x: Any, data: Any, parameters: Any) -> Any:
        flat = jnp.concatenate([x["a"], x["b"].ravel()])
        return jnp.asarray(scale, flat.dtype) * (flat - 1)

    return Problem(
        "tree", lambda x, data, parameters: jnp.sum(residuals(x, data, parameters) ** 2), 6, label="tree",
        template=form, box=(np.full(6, -2.0), np.full(6, 3.0)), start=np.zeros(6), minimum=0.0,
        minimizers=np.ones((1, 6)), residuals=residuals, quadratic=True, curvature=lambda parameters: (2.0, 20.0),
    )  # fmt: skip


def problem_for(rule: Optimizer, dtype: str) -> Problem:
    """A vector in single precision; a pytree in double, for methods that follow a gradient."""
    if dtype == "float64" and rule.family != "derivative-free":
        return tree()
    return gd.problem("quadratic", dim=2, condition=10)


def size_of(rule: Optimizer) -> str | None:
    return next((name for name in SIZES if name in rule.hyperparameters), None)


def trial_of(rule: Optimizer, dtype: str) -> tuple[Trial, OptimizerChoice]:
    size, host = size_of(rule), rule.host is not None
    count, starts, steps = (4, 2, 300) if host else (36, 3 if dtype == "float32" else 2, STEPS)
    entry: dict[str, Any] = {"name": rule, **NO_DEFAULT.get(rule.name, {})}
    if size is not None:
        entry[size] = Values(tuple(np.geomspace(1e-5, 1e2, count)), "log")
    choice = choose_optimizer(entry, None)
    problem = ProblemChoice((problem_for(rule, dtype),), {})
    return Trial(
        "catalogue", (problem,), (choice,), steps, as_starts({"kind": "sobol", "num": starts}), 1, None, 0, 0,
        OutcomeSettings(),
    ), choice  # fmt: skip


def other(value: np.ndarray) -> np.ndarray:
    """Another value of a number: half of it, or a small one in place of none."""
    return np.where(np.abs(value) > 1e-3, value / 2, value + 0.01).astype(value.dtype)


def take(lanes: Any, index: np.ndarray) -> Any:
    return jax.tree.map(lambda a: np.asarray(a)[index], lanes)


def execute_all(run: CellRun, lanes: Lane) -> dict[str, np.ndarray]:
    """The records of any lanes, dispatch by dispatch."""
    program = run.program
    shared, width = program.place(run.shared(0)), program.blocks * program.block
    parts = [
        program.fetch(program.start(take(lanes, np.arange(i, min(i + width, len(lanes.x0)))), shared))
        for i in range(0, len(lanes.x0), width)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@functools.lru_cache(maxsize=1)
def ran(name: str, dtype: str) -> Ran:
    """The program of a method, run over its rates and starts, and over one other value of each of its numbers."""
    rule = CATALOGUE[name]
    trial, choice = trial_of(rule, dtype)
    before = execute.compile_count()
    cell = make_cell(trial, trial.problems[0], choice, dtype, 0, "cpu", 64)
    if cell.error is not None:
        raise cell.error
    # Every number has its lanes here: what a cell holds fixed is one number a block.
    cell.descent.varying = None
    run = prepare(cell, trial, execute.local_devices(), 1).compile()
    limits = thresholds(cell.choice, trial, dtype)
    lanes = run.lanes(0, cell.grid.size, limits)
    main = cell.grid.size
    few = np.linspace(0, main - 1, min(main, 2 if rule.host is not None else 8)).astype(int)
    parts, varied, at = [lanes], {}, main
    for parameter in cell.descent.traced:
        changed = take(lanes, few)
        changed.hyperparameters[parameter] = other(changed.hyperparameters[parameter])
        parts.append(changed)
        varied[parameter] = few
        at += len(few)
    whole = jax.tree.map(lambda *a: np.concatenate(a), *parts)
    records = execute_all(run, whole)
    return Ran(run, whole, records, main, varied, execute.compile_count() - before)


PROGRAMS = [
    pytest.param(name, dtype, marks=() if name in CORE and dtype == "float32" else pytest.mark.slow)
    for name in NAMES
    for dtype in PRECISIONS
    # In double precision and on a pytree test_optax_by_hand.py runs all of optax, and compares every iterate.
    if dtype == "float32" or not name.startswith("optax/")
]


@pytest.mark.parametrize(("name", "dtype"), PROGRAMS)
def test_a_method_in_one_program(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # All methods share a judge, which takes longer to compile than most of them.
    monkeypatch.setattr(execute, "APART_UP_TO", STEPS)
    found = ran(name, dtype)
    _check_costs(CATALOGUE[name], found)
    _check_descents(name, dtype, found)
    _check_numbers(name, dtype, found)
    _check_places(name, found)


def _check_costs(rule: Optimizer, found: Ran) -> None:
    """The cost in plain text is the one that is counted."""
    descent = found.run.cell.descent
    told = terms(rule.costs, descent.problem.dim)
    if fixed_cost(descent.step_cost):
        assert told is None or told == list(descent.step_cost), rule.costs
    else:
        assert re.search(r"counted|\bto\b|every|else|at most", rule.costs), rule.costs


def _check_descents(name: str, dtype: str, found: Ran) -> None:
    """Some descent converges, and none breaks where smaller and larger steps do not."""
    records = {key: column[: found.main] for key, column in found.records.items()}
    outcome, dim = records["outcome"], found.run.cell.descent.problem.dim
    assert records["f_final"].dtype == dtype and records["endpoint"].shape == (found.main, dim)
    assert np.isfinite(records["gap_final"][~np.isin(outcome, (NONFINITE, DIVERGED))]).all()
    reason, *precisions = NEVER_CONVERGES.get(name, ("",))
    if dtype in precisions:
        fallen = records["gap_best"] / records["f_start"]
        assert not (outcome == CONVERGED).any(), f"it converges now: {reason!r} is out of date"
        assert np.nanmin(fallen) < 0.01
        return
    assert (outcome == CONVERGED).any()
    size = size_of(CATALOGUE[name])
    if size is None:
        assert not (outcome == NONFINITE).any()
        return
    sizes = found.lanes.hyperparameters[size][: found.main]
    largest = max(s for s in sizes if (outcome[sizes == s] == CONVERGED).all() or s == sizes.min())
    broken = np.isin(outcome, (NONFINITE, DIVERGED)) & (sizes <= min(largest, 1e-2))
    assert not broken.any(), f"breaks at {sizes[broken]}"


def _check_numbers(name: str, dtype: str, found: Ran) -> None:
    """One program serves every value of every number, and each of them reaches the rule."""
    assert found.compiles == 1
    rule, descent = CATALOGUE[name], found.run.cell.descent
    numbers = {n for n, spec in rule.hyperparameters.items() if not spec.static and spec.default is not None}
    assert numbers | {n for n in SIZES if n in rule.hyperparameters} <= set(descent.traced) | set(NO_DEFAULT)
    at = found.main
    for parameter, index in found.varied.items():
        same = all(
            np.array_equal(column[at : at + len(index)], column[index], equal_nan=column.dtype.kind == "f")
            for column in found.records.values()
        )
        at += len(index)
        reason = INERT.get((name, parameter), "")
        excused = reason and not (reason == "matrices only" and dtype == "float64")
        assert excused or not same, f"{parameter} changes nothing"


def _check_places(name: str, found: Ran) -> None:
    """What a lane returns does not depend on its block, its place there, or its neighbours."""
    count = len(found.lanes.x0)
    order = np.random.default_rng(0).permutation(count)
    again = execute_all(found.run, take(found.lanes, order))
    for key, column in found.records.items():
        if name in UPSTREAM and key.endswith("counts"):
            continue
        assert again[key].tobytes() == column[order].tobytes(), key
