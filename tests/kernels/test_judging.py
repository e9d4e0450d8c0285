"""Chunks taken at once, and descents judged apart: the same records as point by point, and as all in one program."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench.errors import StoreError, SuiteError
from gdbench.kernels import execute, native, record

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("rosenbrock", "gd", {"steps": 1000}),
    ("rosenbrock", "adam", {"steps": 150, "trace": 12, "targets": [1.0, 1e-2, 1e-4]}),
    ("quadratic", "gd", {"steps": 97, "dim": 4, "paths": 10}),
    ("quadratic", "momentum", {"steps": 640, "momentum": [0.5, 0.95], "record": "full"}),
    ("himmelblau", "trial_and_error", {"steps": 200}),
    ("abs_ravine", "gd", {"steps": 450}),
]


@pytest.fixture(autouse=True)
def by_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines that XLA compiles: what ``native`` judges is not judged apart."""
    monkeypatch.setattr(native, "pays", lambda _: False)


def rows(problem: str, optimizer: str, settings: dict[str, Any], engine: str = "auto") -> pd.DataFrame:
    """A sweep with lanes that converge, crawl, swing, diverge and break."""
    more = dict(settings)
    f = gd.problem(problem, dim=more.pop("dim")) if "dim" in more else gd.problem(problem)
    rates = {} if optimizer == "trial_and_error" else {"learning_rate": [1e-4, 2e-3, 0.05, 0.6, 1.0, 30.0, 1e20]}
    return gd.sweep(f, optimizer, starts=gd.starts("sobol", 24), engine=engine, **rates, **more).table


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_chunk_taken_at_once_is_one_judged_point_by_point(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, case: Any
) -> None:
    if case is CASES[0]:  # to the last bit, with all optimizations too
        request.getfixturevalue("compiled_for_users")
    at_once = rows(*case, "scan")
    monkeypatch.setattr(record, "uneventful", lambda t, k, *rest: jnp.bool_(False))
    execute._judges.clear()
    pd.testing.assert_frame_equal(at_once, rows(*case, "scan"), check_exact=True)


def close(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Two programs may round otherwise: nearly all descents end alike, and at the same values."""
    alike = (one["outcome"] == other["outcome"]) & (one["steps"] == other["steps"])
    assert alike.mean() > 0.97
    same = alike & one["outcome"].isin(["converged", "unfinished", "oscillating"])
    np.testing.assert_allclose(one["f_best"][same], other["f_best"][same], rtol=1e-3, atol=1e-6)
    assert set(one["outcome"].astype(str)) == set(other["outcome"].astype(str))


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
@pytest.mark.parametrize("case", [case for case in CASES if case[2]["steps"] <= 400], ids=lambda c: f"{c[0]}-{c[1]}")
def test_a_judge_apart_says_what_one_within_says(monkeypatch: pytest.MonkeyPatch, case: Any) -> None:
    apart = rows(*case)
    monkeypatch.setattr(execute, "APART_UP_TO", 0)
    close(apart, rows(*case))


@pytest.mark.slow
def test_cells_share_their_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "_judges", {})
    for problem, optimizer in (("rosenbrock", "gd"), ("beale", "adam"), ("booth", "momentum")):
        gd.sweep(problem, optimizer, learning_rate=[1e-3, 1e-2], steps=60)
    assert len(execute._judges) == 1


@pytest.mark.parametrize("engine", ["scan", "lanes"])
def test_values_alone_are_those_of_a_whole_record(engine: str) -> None:
    grid: dict[str, Any] = {"learning_rate": [1e-4, 1e-3], "starts": gd.starts("sobol", 8), "steps": 300}
    grid["engine"] = engine
    whole = gd.sweep("rosenbrock", "adam", **grid).table
    values = gd.sweep("rosenbrock", "adam", record=["f_best", "gap_final"], **grid)
    np.testing.assert_allclose(values.table["f_best"], whole["f_best"], rtol=1e-4)
    np.testing.assert_allclose(values.table["gap_final"], whole["gap_final"], rtol=1e-4)
    assert values.table["outcome"].isna().all() and values.table["f_final"].isna().all()
    with pytest.raises(StoreError, match="a map needs the whole record, and this run keeps f_best, gap_final alone"):
        values.map()


def test_some_columns_of_a_judged_descent() -> None:
    grid: dict[str, Any] = {"learning_rate": [1e-3, 1.0], "steps": 100}
    whole = gd.sweep("quadratic", "gd", record="full", **grid).table
    some = gd.sweep("quadratic", "gd", record=["outcome", "overshoots"], **grid).table
    pd.testing.assert_frame_equal(some[["outcome", "overshoots"]], whole[["outcome", "overshoots"]])
    assert some["f_best"].isna().all()


@pytest.mark.parametrize(
    ("given", "said"),
    [("f_bst", "'outcome', 'full' or a list"), (["f_bst"], "did you mean 'f_best'"), ([], "or a list of columns")],
)
def test_what_is_no_record_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        gd.sweep("rosenbrock", "gd", learning_rate=[0.1], steps=5, record=given)
