"""Minimisers of scipy: the same walk and the same counts as scipy's own, called by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.contracts import Optimizer
from gdbench.kernels.compiler import jit
from gdbench.kernels.descent import Descent, numerics
from gdbench.kernels.host import HostOracle, host_functions, walk
from gdbench.kernels.layout import Shape

CATALOGUE = gather("gdbench.optimizers", Optimizer)
NAMES = sorted(name for name in CATALOGUE if name.startswith("scipy/"))
START = np.array([-1.2, 1.0])
MANY = 10**9
TINY = 1e-150

# scipy's name, its options as they are meant to stand, and what it asks beside values.
BY_HAND: dict[str, tuple[str, dict[str, Any], str]] = {
    "bfgs": ("BFGS", {"gtol": TINY, "maxiter": MANY}, "jac"),
    "cg": ("CG", {"gtol": TINY, "maxiter": MANY}, "jac"),
    "cobyqa": ("COBYQA", {"final_tr_radius": 2.0**-52, "maxiter": MANY, "maxfev": MANY}, ""),
    "dogleg": ("dogleg", {"gtol": TINY, "maxiter": MANY}, "jac hess"),
    "l_bfgs_b": ("L-BFGS-B", {"ftol": 0, "gtol": TINY, "maxiter": MANY, "maxfun": MANY}, "jac"),
    "nelder_mead": ("Nelder-Mead", {"xatol": 0, "fatol": 0, "maxiter": MANY, "maxfev": MANY}, ""),
    "newton_cg": ("Newton-CG", {"xtol": 0, "maxiter": MANY}, "jac hessp"),
    "powell": ("Powell", {"ftol": 0, "maxiter": MANY, "maxfev": MANY}, ""),
    "slsqp": ("SLSQP", {"ftol": TINY, "maxiter": MANY}, "jac"),
    "tnc": ("TNC", {"ftol": 1e-20, "xtol": 0, "gtol": 0, "minfev": -np.inf, "maxfun": MANY}, "jac"),
    "trust_exact": ("trust-exact", {"gtol": TINY, "maxiter": MANY}, "jac hess"),
    "trust_krylov": ("trust-krylov", {"gtol": TINY, "maxiter": MANY}, "jac hessp"),
    "trust_ncg": ("trust-ncg", {"gtol": TINY, "maxiter": MANY}, "jac hessp"),
}
STEPS = 400
FEWER = {"trust_krylov": 25}
"""Its radius follows the rounding of f once the gap is gone, and no two programs round alike."""


class Enough(Exception):
    pass


def walked(
    name: str, dtype: str = "float64", steps: int = STEPS, problem: Any = None, start: np.ndarray = START
) -> tuple[np.ndarray, np.ndarray, HostOracle]:
    """What one of our methods visits from a start, what each step has cost so far, and the oracle it asked."""
    problem, rule = problem or gd.problem("rosenbrock"), CATALOGUE[name]
    static = {n: spec.default for n, spec in rule.hyperparameters.items()}
    descent = Descent(problem, rule, static, Shape(steps))
    path, spent = np.empty((steps, 2), dtype), np.empty((steps, 3), np.int64)
    program: Any = SimpleNamespace(descent=descent, functions=host_functions(descent), deadline=np.inf)
    oracle = HostOracle(program, ((), {k: np.asarray(v, dtype) for k, v in problem.parameters.items()}), path, spent)
    with numerics(dtype):
        walk(oracle, descent, start.astype(dtype), SimpleNamespace(**static))
    return path, spent, oracle


def by_hand(name: str, most: int) -> tuple[list[np.ndarray], dict[str, int], Any]:
    """The points at which scipy calls back, the calls that it makes, and its own result (None where we cut it off)."""
    method, options, asks = BY_HAND[name]
    problem = gd.problem("rosenbrock")
    # The value as it comes with the gradient where it does in ours: the roundings are then the same.
    both, value, hessian = (jit(f) for f in (jax.value_and_grad(problem), problem, jax.hessian(problem)))
    calls, seen = dict.fromkeys(("fun", "jac", "hess", "hessp"), 0), []

    def called(what: str, function: Any) -> Any:
        def ask(x: np.ndarray, *more: np.ndarray) -> Any:
            calls[what] += 1
            return np.asarray(function(jnp.asarray(x), *more), float)

        return ask

    def visit(x: np.ndarray) -> None:
        seen.append(np.copy(x))
        if len(seen) == most:
            raise Enough

    asked = {
        "jac": called("jac", lambda x: both(x)[1]), "hess": called("hess", hessian),
        "hessp": called("hessp", jit(lambda x, v: jax.jvp(jax.grad(problem), (x,), (v,))[1])),
    }  # fmt: skip
    fun, found = called("fun", (lambda x: both(x)[0]) if "jac" in asks else value), None
    with numerics("float64"), np.errstate(all="ignore"):
        try:
            found = scipy.optimize.minimize(
                fun, START, method=method, callback=visit, options=options, **{a: asked[a] for a in asks.split()}
            )
        except Enough:
            pass
    return seen, calls, found


def test_every_method_is_compared() -> None:
    assert [f"scipy/{name}" for name in sorted(BY_HAND)] == NAMES


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_the_walk_and_the_counts_are_those_of_scipy(name: str) -> None:
    most = FEWER.get(name, STEPS)
    path, spent, oracle = walked(f"scipy/{name}", steps=most)
    seen, calls, found = by_hand(name, most)
    steps = len(seen)
    assert 10 < steps <= most
    if name == "slsqp":
        # It calls back at trial points: ours visits where it asks for the gradient, which is once a step as well.
        assert len(np.unique(path, axis=0)) == calls["jac"] - 1
    else:
        np.testing.assert_allclose(path[:steps], np.array(seen), rtol=1e-10, atol=1e-10)
    f, g, h = oracle.counts.tolist()
    assert (f + g, g) == (calls["fun"], calls["jac"])
    assert h == calls["hessp"] + 2 * calls["hess"]
    assert spent[-1].tolist() == [f, g, h]
    if found is not None:
        assert calls["fun"] == found.nfev
        np.testing.assert_allclose(path[-1], found.x, rtol=1e-10)
        assert (path[steps:] == path[-1]).all(), "where it ended by itself it is held"
    # It did not end before the gap was tiny.
    assert most < STEPS or gd.problem("rosenbrock")(jnp.asarray(path[-1], jnp.float32)) < 1e-6


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_float32_values_are_taken_for_what_they_are(name: str) -> None:
    path, spent, _ = walked(f"scipy/{name}", "float32")
    assert path.dtype == np.float32
    assert np.sum((path[-1] - 1) ** 2) < 1e-4
    assert (np.diff(spent.sum(1)) >= 0).all()


def test_no_two_steps_are_visited_beyond_the_budget() -> None:
    path, spent, oracle = walked("scipy/bfgs", steps=5)
    longer, more, _ = walked("scipy/bfgs")
    np.testing.assert_array_equal(path, longer[:5])
    assert spent.tolist() == more[:5].tolist() and oracle.counts.tolist() == more[4].tolist()


def test_nan_beside_the_path_does_no_harm() -> None:
    def logarithm(x: Any, data: Any, parameters: Any) -> Any:
        return jnp.sum(x - jnp.log(x)) - 2.0

    problem = dataclasses.replace(gd.problem("quadratic"), objective=logarithm, parameters={}, minimizers=None)
    for name in ("scipy/nelder_mead", "scipy/l_bfgs_b", "scipy/trust_exact", "cma_es"):
        path, _, oracle = walked(name, problem=problem, start=np.array([0.05, 2.0]), steps=150)
        np.testing.assert_allclose(path[-1], 1.0, atol=1e-4, err_msg=name)
    assert oracle.broken is not None, "no NaN was met"


def test_stochastic_problems_are_refused_in_one_line() -> None:
    for name in NAMES:
        told = CATALOGUE[name].refusal(gd.problem("noisy_quadratic"))
        assert told == f"{name} needs a deterministic problem"
