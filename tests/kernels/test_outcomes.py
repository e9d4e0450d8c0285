"""The definitions of the outcomes, frozen by labelled descents, and the record against a plain reference."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from labelled import GROUPS, Case, Group

import gdbench as gd
from gdbench.contracts import OUTCOMES

DTYPES = ("float32", "float64")


def _dtypes(i: int, group: Group) -> tuple[str, ...]:
    """Groups take turns in the precision they run in, for each program takes seconds to compile; both, where a case
    says that they differ."""
    return DTYPES if any(case.only for case in group.cases) else (DTYPES[i % 2],)


LABELLED = [(g, c, d) for i, g in enumerate(GROUPS) for d in _dtypes(i, g) for c in g.cases if c.runs_in(d)]
SLOW = (
    "fifty steps",
    "quadratic",
    "quartic",
    "himmelblau",
    "nesterov",
    "trap",
    "f* = 1e6",
    "monkey saddle",
    "flat valley",
)
QUICK = {"float64": {"parabola", "double well"}, "float32": {g.name for g in GROUPS} - {*SLOW}}
"""Each group compiles a program for each dtype, which takes a second or two: the rest count as slow."""


@functools.cache
def _group(name: str, dtype: str, record: str = "full") -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a group, all its starts with all its settings, and what is known of its problem."""
    group = next(g for g in GROUPS if g.name == name)
    cases = [case for case in group.cases if case.runs_in(dtype)]
    starts = list(dict.fromkeys(case.start for case in cases))
    axes = {key: list(dict.fromkeys(case.settings[key] for case in cases)) for key in cases[0].settings}
    sweep = gd.sweep(
        group.problem,
        group.optimizer,
        x0=[list(s) for s in starts],
        steps=group.steps,
        dtype=dtype,
        record=record,
        **axes,
        **group.known,
    )
    table = sweep.table
    table["point"] = [starts[i] for i in table["start"]]
    return table, sweep.results.cells[0]["problem"]


def _row(group: Group, case: Case, dtype: str) -> pd.Series:
    table, _ = _group(group.name, dtype)
    mine = table["point"] == case.start
    for name, value in case.settings.items():
        if name in table:
            mine &= table[name] == value
    assert mine.sum() == 1
    return table[mine].iloc[0]


def _parameters() -> list[Any]:
    return [
        pytest.param(
            group,
            case,
            dtype,
            id=f"{group.name}: {case.name}-{dtype}",
            marks=() if group.name in QUICK[dtype] else pytest.mark.slow,
        )
        for group, case, dtype in LABELLED
    ]


@pytest.mark.parametrize(("group", "case", "dtype"), _parameters())
def test_labelled_descent(group: Group, case: Case, dtype: str) -> None:
    row = _row(group, case, dtype)
    known = _group(group.name, dtype)[1]
    expected = {name: fact(known) if callable(fact) else fact for name, fact in case.expected(dtype).items()}
    wrong = {n: (row[n], want) for n, want in expected.items() if not _agrees(row[n], want, dtype)}
    assert not wrong, f"(found, expected): {wrong}"
    if row["outcome"] not in ("nonfinite", "diverged") and "steps" not in expected:
        assert row["steps"] == group.steps


def _agrees(found: Any, want: Any, dtype: str) -> bool:
    if want is None:
        return bool(pd.isna(found))
    if isinstance(want, float):
        return found == pytest.approx(want, rel=1e-4 if dtype == "float32" else 1e-9, abs=1e-7 if want == 0 else 0)
    return found == want


def test_table_is_large_enough_and_names_every_outcome() -> None:
    cases = [c for g in GROUPS for c in g.cases]
    counts = Counter(c.outcome for c in cases)
    assert len(cases) >= 60
    assert set(counts) == set(OUTCOMES)
    assert min(counts.values()) >= 4


def test_every_difference_between_the_precisions_has_a_reason() -> None:
    assert [c.name for g in GROUPS for c in g.cases if c.only and not c.why] == []


@pytest.mark.slow
def test_thresholds_follow_the_definition() -> None:
    for name, low, high in (("parabola", 5.5, 7.0), ("double well", 0.1, 0.4), ("line", 4.5, 5.5)):
        assert low < _group(name, "float32")[1]["scale"] < high
    for name, dtype, c, aim in (
        ("f* = 1e6", "float32", 1e-5, 1e6), ("f* = -1000", "float32", 1e-5, 1e3), ("f* = -1000", "float64", 1e-8, 1e3),
        ("logarithm", "float32", 1e-5, 1.0), ("logarithm", "float64", 1e-8, 1.0), ("plateau", "float32", 1e-5, 0.0),
    ):  # fmt: skip
        known = _group(name, dtype)[1]
        assert known["scale"] == known["gradient_scale"] == 1.0
        assert known["tolerance"] == pytest.approx(max(c, 64 * float(np.finfo(dtype).eps) * aim))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parabola", "double well", "fifty steps", "momentum", "trap", "plateau"])
def test_a_cheap_record_is_the_full_one_without_its_dear_columns(name: str) -> None:
    group = next(g for g in GROUPS if g.name == name)
    dtype = "float32" if any(case.runs_in("float32") for case in group.cases) else "float64"
    (full, _), (cheap, _) = _group(name, dtype), _group(name, dtype, "outcome")
    assert cheap["overshoots"].isna().all() and not full["overshoots"].isna().any()
    stopped = full["outcome"].isin(["diverged", "nonfinite"])
    assert cheap["grad_norm_final"][stopped].isna().all()
    dear = ["cell", "overshoots", "grad_norm_final"]
    pd.testing.assert_frame_equal(cheap.drop(columns=dear), full.drop(columns=dear), rtol=1e-5)
    same = ~stopped
    np.testing.assert_allclose(cheap["grad_norm_final"][same], full["grad_norm_final"][same], rtol=0.1, atol=1e-6)
