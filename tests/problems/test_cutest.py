"""The problems of CUTEst: that what is stated holds in sif2jax, and that sif2jax as a whole stays outside."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gdbench as gd
from gdbench.errors import UnknownNameError
from gdbench.problems import cutest
from gdbench.problems.cutest import foreign

NAMES = sorted(cutest.table())
LEFT_OUT = {
    "CHWIRUT1LS", "CHWIRUT2LS", "CLIFF", "CLUSTERLS", "DANIWOODLS", "ERRINROS", "HIMMELBCLS", "MGH10LS", "PALMER5D",
    "ELATVIDU", "EXPFIT", "FREUROTH", "HIMMELBH", "JUDGE", "KOWOSB", "MEXHAT", "VIBRBEAM", "ZANGWIL2",
}  # fmt: skip
"""Some whose stated minimum does not hold: misprinted, another function than CUTEst's, or not a minimum."""

with_sif2jax = pytest.mark.skipif(not foreign.installed(), reason="needs the extra cutest")
every_problem = pytest.mark.parametrize("name", NAMES)


def problem_of(name: str):
    return gd.problem(cutest.PREFIX + name.lower())


def original(name: str):
    """The problem as sif2jax has it."""
    known = cutest.table()[name]
    return foreign.problem_class(name, known.get("module", name.lower()), foreign.version("sif2jax"), "float64")(
        **known.get("sizes", {})
    )


def as_stated(found: float, stated: float) -> bool:
    """Whether two numbers agree to 1e-6, or to the digits that are stated if these are five or more."""
    if abs(found - stated) <= 1e-6 * (abs(stated) or 1):
        return True
    digits = len(f"{abs(stated):.12e}".split("e")[0].replace(".", "").rstrip("0"))
    return digits >= 5 and float(f"{found:.{digits}g}") == stated


def value_and_gradient(problem):
    """x -> (value, gradient), compiled, in float64."""
    import jax
    import jax.numpy as jnp

    from gdbench.kernels.compiler import jit

    both = jit(jax.value_and_grad(lambda x: problem.objective(x, problem.data, problem.parameters)))

    def evaluate(x):
        value, gradient = both(jnp.asarray(x))
        return float(value), np.asarray(gradient)

    return evaluate


def lowest_of_descents(evaluate, starts) -> float:
    """The lowest value that SciPy's L-BFGS-B reaches from any of the starts."""
    from scipy.optimize import minimize

    def barred(x):
        value, gradient = evaluate(x)
        finite = np.isfinite(value) and np.isfinite(gradient).all()
        return (value, gradient) if finite else (1e300, np.zeros_like(x))

    options = {"maxiter": 500, "maxfun": 1000, "ftol": 1e-15, "gtol": 1e-10}
    return min(minimize(barred, x, jac=True, method="L-BFGS-B", options=options).fun for x in starts)


@pytest.mark.slow
@with_sif2jax
@every_problem
def test_the_stated_minimum_holds(name):
    """sif2jax states it, the table's minimizers attain it, and no descent goes below."""
    import jax
    import jax.numpy as jnp

    problem = problem_of(name)
    with jax.enable_x64(True):
        told = original(name)
        np.testing.assert_array_equal(problem.start, told.y0)
        assert problem.minimum is not None and as_stated(problem.minimum, float(told.expected_objective_value))
        evaluate = value_and_gradient(problem)
        np.testing.assert_allclose(evaluate(problem.start)[0], told.objective(told.y0, told.args), rtol=1e-12)
        size = max(abs(problem.minimum), 1e-6)
        if told.expected_result is not None:
            stated = np.ravel(told.expected_result)
            # Some are stated to few digits; then these must be those of a minimizer.
            decimals = max(len(repr(float(x)).partition(".")[2]) for x in stated)
            near = np.abs(problem.minimizers - stated).max(axis=1).min() <= 1.01 * 10.0**-decimals
            assert near or evaluate(stated)[0] - problem.minimum <= 1e-6 * size
        rng = np.random.default_rng(1)
        low, high = problem.box
        starts = [problem.start, *(rng.uniform(low, high) for _ in range(3)), *problem.minimizers[:2] + 1e-3]
        assert lowest_of_descents(evaluate, starts) >= problem.minimum - 1e-6 * size
        values = [float(problem(jnp.asarray(x))) for x in problem.minimizers]
        np.testing.assert_allclose(values, problem.minimum, rtol=1e-9, atol=1e-20)


@with_sif2jax
def test_problems_are_listed_and_known_to_be_wrong_ones_are_not():
    from gdbench.catalogue import gather
    from gdbench.contracts import ProblemFamily

    listed = [name for name in gather("gdbench.problems", ProblemFamily) if name.startswith("cutest/")]
    assert listed == sorted(cutest.PREFIX + name.lower() for name in NAMES)
    assert not LEFT_OUT & set(NAMES)
    assert all(known["dim"] <= 100 for known in cutest.table().values())


@with_sif2jax
def test_two_builds_share_one_objective_and_its_identity_names_the_release():
    from gdbench.identity import code_identity

    first, second = problem_of("ROSENBR"), problem_of("ROSENBR")
    assert first.objective is second.objective
    identity = code_identity(first.objective)
    assert "ROSENBR" in identity and foreign.version("sif2jax") in identity
    assert identity != code_identity(problem_of("BEALE").objective)


ALONE = """if True:
    import sys
    import gdbench as gd
    from gdbench.listing import problems
    names = [row["name"] for row in problems()[1]]
    built = [gd.problem(name) for name in names if name.startswith("cutest/")]
    assert len(built) > 50 and "jax" not in sys.modules
    import jax
    import jax.numpy as jnp
    rosenbrock = gd.problem("cutest/rosenbr")
    osborne = gd.problem("cutest/osborneb")  # its file has arrays
    compiled = jax.jit(lambda x: osborne(x))  # so that the import happens within a trace
    for dtype in ("float32", "float64", "float32"):
        with jax.enable_x64(dtype == "float64"):
            for problem in (rosenbrock, osborne):
                x = jnp.asarray(problem.minimizers[0], dtype)
                value = compiled(x) if problem is osborne else problem(x)
                assert value.dtype == dtype and abs(float(value) - problem.minimum) < 1e-6
                assert jax.grad(problem)(x).dtype == dtype
    assert not jax.config.jax_enable_x64 and "sif2jax" not in sys.modules
    # In each precision three packages, two common files and those of the two problems.
    assert len([name for name in sys.modules if "sif2jax" in name]) <= 14
"""


@with_sif2jax
@pytest.mark.parametrize(
    "more",
    [
        "",
        pytest.param(
            "    import sif2jax\n"
            "    theirs = sif2jax.cutest.ROSENBR()\n"
            "    assert float(theirs.objective(jnp.ones(2), None)) == 0 and len(sif2jax.problems) > 500\n"
            "    assert float(rosenbrock(jnp.ones(2))) == 0\n",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["alone", "then-the-whole-of-it"],
)
def test_building_imports_no_jax_and_evaluating_no_sif2jax_as_a_whole(more):
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:_gdbench_sif2jax", "-c", ALONE + more],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


@with_sif2jax
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_descents_converge(dtype):
    table = gd.sweep(
        problem_of("HILBERTB"), "gd", learning_rate=[0.1], steps=500, starts={"kind": "box", "num": 8}, dtype=dtype
    ).table
    assert set(table["outcome"]) == {"converged"}


def test_without_the_extra_there_are_none_and_the_error_names_it(monkeypatch):
    monkeypatch.setattr(foreign, "installed", lambda: False)
    assert cutest.entries() == []
    for name in ("cutest/rosenbr", "cutest/nonsense", "cutest/*"):
        with pytest.raises(UnknownNameError) as caught:
            gd.problem(name)
        assert str(caught.value) == f"{name} needs sif2jax, which is not installed: pip install 'gdbench[cutest]'"
    with pytest.raises(UnknownNameError, match="unknown problem 'cutes'"):
        gd.problem("cutes")


@with_sif2jax
def test_with_the_extra_an_unknown_name_is_told_from_a_near_one():
    with pytest.raises(UnknownNameError, match="did you mean 'cutest/rosenbr'"):
        gd.problem("cutest/rosenbrock")


@pytest.mark.skipif(foreign.installed(), reason="sif2jax is installed")
def test_an_installation_without_the_extra_lists_none():
    from gdbench.listing import problems

    assert not [row for row in problems()[1] if row["name"].startswith("cutest/")]
    with pytest.raises(UnknownNameError, match="pip install 'gdbench"):
        gd.problem("cutest/rosenbr")
