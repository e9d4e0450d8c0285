"""Scores, traces and the cost of every setting, against hand-computed cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gdbench.figures.comparison import Place, comparison
from gdbench.figures.evidence import score, scores, traces, tried

INF = np.inf


def of(results, regime="best per problem"):
    return comparison(results, "contest", "float64", regime)


def place(tolerance: float | None = 1e-8, scale: float | None = 1.0):
    return Place("p", {}, "p", 2, (), tolerance, scale)


def test_a_score_is_the_share_of_decades():
    gap = np.array([1.0, 1e-4, 1e-8, 0.0, -1e-20, 50.0, INF])
    np.testing.assert_allclose(score(place(), gap, np.zeros(7, bool)), [0, 0.5, 1, 1, 1, 0, 0], atol=1e-12)
    assert score(place(), np.array([5.0]), np.array([True])).tolist() == [1]


@pytest.mark.parametrize("where", [place(None, None), place(0.0, 1.0), place(1e-8, None), place(1.0, 1e-3)])
def test_without_a_known_minimum_only_what_converged_scores(where):
    assert score(where, np.array([1e-9, 5.0]), np.array([False, True])).tolist() == [0, 1]


def test_scores_of_a_run(build):
    told = of(build.contest({"a": [[10, INF]], "b": [[INF, INF]]}, lost=[("b", 0)]))
    # An unsolved descent ends at a gap of 1: one of the nine decades from S = 10 to the tolerance 1e-8.
    np.testing.assert_allclose(scores(told)[0], [[1, 1 / 9], [0, 0]])


def test_traces_are_those_of_the_held_out_descents(build):
    results = build.contest({"a": [[10, INF]], "b": [[20, 30]]}, lost=[("b", 0)])
    (own, none), = traces(results, of(results))  # fmt: skip
    assert none is None
    cost, best = own
    assert cost.tolist() == [[1, 10, 100]] * 2 and best.tolist() == [[0.1, 1e-3, 1e-9], [0.1, 1e-3, 1.0]]
    results.cells[0]["trace_steps"] = []
    assert traces(results, of(results)) == [[None, None]]


def test_a_descent_without_a_stored_trace_is_nowhere(build):
    results = build.contest({"a": [[10, 20]], "b": [[20, 30]]})
    frame = results.frames["contest/p0/a"]
    frame["trace_best"] = [None if s == 3 else t for s, t in zip(frame["start"], frame["trace_best"], strict=True)]
    (own, _), = traces(results, of(results))  # fmt: skip
    assert own[1][0].tolist() == [0.1, 1e-3, 1e-9] and np.isinf(own[1][1]).all()


def test_settings_in_the_order_of_choice_with_their_held_out_cost(build):
    results = build.contest({"a": [[10, 12, 50]], "b": [[20, 30, INF]]}, lost=[("b", 0)])
    frame = results.frames["contest/p0/a"]
    # The chosen rate 1 solves nothing of what is held out; the other one costs twice as much and is not hit.
    odd = (frame["start"] % 2 == 1) & (frame["learning_rate"] == 1)
    outcome = frame["outcome"].where(~odd, "nonfinite")
    results.frames["contest/p0/a"] = frame.assign(outcome=pd.Categorical(outcome, frame["outcome"].cat.categories))
    (values,) = tried(results, of(results))
    assert values[0].tolist() == [INF, 24] and values[1].tolist() == [INF]
