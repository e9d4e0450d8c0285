"""Each caveat appears exactly where its data say so."""

from __future__ import annotations

import pandas as pd
import pytest

from gdbench.contracts import FLAGS
from gdbench.report.caveats import RULES, caveats
from gdbench.report.study import read


def texts(results):
    """Caveats by title."""
    return {caveat.title: caveat.text for caveat in caveats(results, read(results))}


def test_a_good_run_has_no_problems(make):
    optimizers = [make.optimizer("gd"), make.optimizer("momentum", 0.5)]
    cells = [make.cell(o["name"], optimizer=o, starts=32) for o in optimizers]
    results = make.results(cells)
    assert {caveat.level for caveat in caveats(results, read(results))} == {"note"}


def test_rules_are_functions_with_their_own_sentences():
    assert all(rule.__doc__ for rule in RULES)
    assert len(set(RULES)) == len(RULES)


def test_failed_cells(make):
    cells = [make.cell("a"), make.cell("b", optimizer=make.optimizer("adam"), failed="XlaRuntimeError: out of memory")]
    text = texts(make.results(cells))["Cells failed"]
    assert text.startswith("1 of 2 cells failed")
    assert "adam on quadratic (XlaRuntimeError: out of memory)" in text


def test_no_descents(make):
    assert "No descents" in texts(make.results([]))
    results = make.results([make.cell("a"), make.cell("b")])
    results.frames["b"] = results.frames["b"].iloc[:0]
    assert "Cells without descents" in texts(results)


def test_one_start_few_starts_and_single_optimizer(make):
    assert "One start" in texts(make.results([make.cell(starts=1)]))
    few = texts(make.results([make.cell(starts=6)]))
    assert "3 held-out starts" in few["Few starts"]
    assert "gd is the only optimizer" in few["Nothing to compare"]
    assert "Few starts" not in texts(make.results([make.cell(starts=32)]))


def test_untuned_and_lost(make):
    untuned = texts(make.results([make.cell(rates=[1e-3, 1e-2, 1e-1])]))["Untuned"]
    assert "gd on quadratic, float32 (learning_rate 0.1)" in untuned
    lost = texts(make.results([make.cell(rates=[3.0, 5.0, 10.0])]))
    assert "Every descent diverged" in lost["Everything diverged"]
    assert "Untuned" not in lost


def test_unequal_tuning(make):
    cells = [make.cell("a"), make.cell("b", rates=make.rates[:5], optimizer=make.optimizer("momentum", 0.5))]
    assert "gd 9" in texts(make.results(cells))["Unequal tuning"]


@pytest.mark.parametrize(
    ("flag", "title"), [("rounding", "Rounding floor"), ("unverified", "Unverified"), ("noise", "Noise floor")]
)
def test_flags_are_counted_by_dtype(make, flag, title):
    results = make.results([make.cell(), make.cell("d", dtype="float64")])
    results.frames["c0"]["flag"] = pd.Categorical([flag] * 7 + [""] * (len(results.frames["c0"]) - 7), list(FLAGS))
    text = texts(results)[title]
    assert text.startswith("7 descents")
    assert text.endswith("(7 in float32).")


def test_float32_against_float64(make):
    results = make.results([make.cell("a"), make.cell("b", dtype="float64")])
    assert texts(results)["float32 against float64"].startswith("0 of 144")
    frame = results.frames["b"]
    frame["outcome"] = frame["outcome"].where(frame["learning_rate"] < 5, "trapped")
    text = texts(results)["float32 against float64"]
    assert text.startswith("16 of 144 descents (11%)")
    assert "gd on quadratic (rates), 11%" in text


@pytest.mark.parametrize(
    ("goal", "title"), [("target", "No known minimum"), ("rest", "No known minimum"), ("unbounded", "Unbounded")]
)
def test_goals(make, goal, title):
    assert "quadratic" in texts(make.results([make.cell(problem=make.problem(goal=goal, minimum=None))]))[title]


def test_counts_of_outcomes(make):
    results = make.results([make.cell(starts=16)])
    found = texts(results)
    outcome = results.frames["c0"]["outcome"]
    assert found["Nonfinite"].startswith(f"{(outcome == 'nonfinite').sum()} descents")
    assert found["Unfinished"].startswith(f"{(outcome == 'unfinished').sum()} descents")
    slow = texts(make.results([make.cell(rates=[1e-3, 1e-2])]))
    assert slow["Censored"].startswith("8 of 8 held-out descents")


def test_notes_oracles_costs_batches_and_dirt(make):
    optimizer = make.optimizer("rprop", notes="Emits the previous update.", family="oracle", cost=None)
    results = make.results([make.cell(optimizer=optimizer, problem=make.problem(batch_share=0.1))])
    results.environment["dirty"] = True
    found = texts(results)
    assert found["About rprop"] == "Emits the previous update."
    assert {"Oracles", "Estimated cost", "Uncommitted changes"} <= set(found)
    assert "10% of the data" in found["Mini-batches"]


def test_selected_values_and_instances(make):
    axes = [{"name": "condition", "kind": "parameter", "values": [2.0, 4.0, 8.0, 16.0], "scale": "list"}]
    cell = make.cell(axes=axes)
    next(axis for axis in cell["axes"] if axis["name"] == "instance")["values"] = [0, 1]
    found = texts(make.results([cell]))
    assert "first, middle and last of 4 values of condition" in found["Selected values"]
    assert "Instances" in found


def test_a_named_primary_question_is_not_exploratory(run):
    assert "Exploratory" in texts(run)
    run.suite["suite"]["primary"] = {
        "measure": "cost_to_converge", "target": None, "regime": "best per problem", "experiment": ""
    }  # fmt: skip
    assert "Exploratory" not in texts(run) and "Primary question" not in texts(run)
    run.suite["suite"]["primary"]["regime"] = "default"
    assert "has no answer" in texts(run)["Primary question"]


def test_the_gravest_comes_first(make):
    results = make.results([make.cell("a", starts=1), make.cell("b", failed="E: x")])
    levels = [caveat.level for caveat in caveats(results, read(results), undrawn=2)]
    assert levels == sorted(levels, key=["problem", "care", "note"].index)
    assert levels[0] == "problem"
