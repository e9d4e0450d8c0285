"""Figures 9 to 16 against hand-computed cases: profiles, running times, scores, pairs, tuning."""

from __future__ import annotations

import numpy as np
import pytest

from gdbench.figures import (
    aggregates,
    area,
    data_profile,
    performance_profile,
    profile_score,
    ranks,
    runtime,
    tuning,
)  # fmt: skip
from gdbench.figures.base import pictures, render
from gdbench.figures.comparison import comparison
from gdbench.figures.over_problems import MOST, attributes, over_families, over_starts, regime_cases, shown
from gdbench.figures.steps import percent
from gdbench.figures.tuning import factor

INF = np.inf
BEST = {"experiment": "contest", "dtype": "float64", "regime": "best per problem"}
MODULES = (runtime, area, performance_profile, data_profile, profile_score, aggregates, ranks, tuning)

COSTS = {"a": [[10], [10], [10], [INF]], "b": [[20], [5], [40], [INF]], "c": [[INF], [20], [10], [INF]]}


def value_of(frame, **where):
    """The one row with these values."""
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    assert len(frame) == 1
    return frame.iloc[0]


def steps_of(frame, label, x):
    own = frame[frame["optimizer"] == label]
    return dict(zip(own[x].tolist(), own["share"].tolist(), strict=True))


# Cases


def test_regimes_that_differ_have_cases(build):
    results = build.contest(COSTS)
    # One setting serves all best, and is the best on each: it says nothing new.
    assert [case["regime"] for case in regime_cases(results)] == ["best per problem", "default"]
    assert regime_cases(build.contest({"a": [[1], [2]]})) == []
    assert regime_cases(results, fewest_places=5) == []


@pytest.mark.parametrize("module", [performance_profile, data_profile, profile_score, ranks, aggregates])
def test_one_problem_makes_no_profile(module, build):
    assert module.cases(build.contest({"a": [[1, 2]], "b": [[2, 3]]})) == []


@pytest.mark.parametrize("module", [runtime, performance_profile, data_profile, profile_score, ranks, tuning])
def test_nothing_solved_nothing_said(module, build):
    assert module.cases(build.contest({"a": [[INF], [INF]], "b": [[INF], [INF]]})) == []


def test_the_best_are_shown_and_equals_in_their_order():
    assert shown([1, np.nan, 3, 3], most=3) == [2, 3, 0]


@pytest.mark.slow
def test_the_best_are_shown_and_the_others_counted(build):
    results = build.contest({f"o{i:02}": [[i + 1], [i + 2]] for i in range(20)})
    told = comparison(results, **BEST)
    assert attributes(results, told, range(MOST))["hidden"] == "and 8 more, not shown"
    for module in MODULES:
        for case in module.cases(results):
            frame = module.data(results, **case)
            first = frame["optimizer" if "optimizer" in frame else "row"].iloc[0]
            assert first == "o00" and frame.attrs["hidden"] == "and 8 more, not shown"
            assert len(set(frame["optimizer" if "optimizer" in frame else "row"])) == MOST


def test_heading_says_what_is_dropped_and_held_out(build):
    results = build.contest(COSTS)
    cell = next(c for c in results.cells if c["id"] == "contest/p0/a")
    cell |= {"failed": "not made for it", "refused": True}
    results.frames[cell["id"]] = results.frames[cell["id"]].iloc[:0]
    frame = performance_profile.data(results, **BEST)
    assert frame.attrs["heading"] == (
        "contest · 3 problems, 1 dropped: not for every optimizer · float64 · held-out starts"
    )


def test_intervals_need_six_families():
    values = np.arange(12.0).reshape(6, 2)
    mean, low, high = over_families(values, list("abcdef"))
    assert mean.tolist() == [5, 6] and (low < mean).all() and (high > mean).all()
    assert np.isnan(over_families(values, list("abcdee"))[1]).all()
    mean, low, high = over_starts([np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 2.0], [2.0, 2.0]])])
    assert mean.tolist() == [1, 2] and low[0] < 1 < high[0] and low[1] == high[1] == 2


# Profiles


def test_performance_profile_by_hand(build):
    frame = performance_profile.data(build.contest(COSTS), **BEST)
    # r: a 1, 2, 1; b 2, 1, 4; c never, 4, 1. Nobody solves the last problem, which stays in every denominator.
    assert steps_of(frame, "a", "ratio") == {1: 0.5, 2: 0.75, 4: 0.75}
    assert steps_of(frame, "b", "ratio") == {1: 0.25, 2: 0.5, 4: 0.75}
    assert steps_of(frame, "c", "ratio") == {1: 0.25, 4: 0.5}
    assert list(dict.fromkeys(frame["optimizer"])) == ["a", "b", "c"]
    assert frame.groupby("optimizer")["solved"].first().tolist() == [0.75, 0.75, 0.5]


def test_data_profile_by_hand(build):
    results = build.contest(COSTS)
    frame = data_profile.data(results, **BEST)
    own = steps_of(frame, "b", "cost")
    assert [own[cost] for cost in (5, 20, 40)] == [0.25, 0.5, 0.75] and "simplex" in frame.attrs
    assert not frame.attrs["simplex"]
    for cell in results.cells:
        cell["optimizer"]["uses_gradient"] = False
    # In two dimensions a simplex gradient takes three values.
    frame = data_profile.data(results, **BEST)
    assert frame.attrs["simplex"] and steps_of(frame, "b", "cost")[5 / 3] == 0.25


def test_a_start_at_the_minimizer_does_not_spoil_ratios(build):
    frame = performance_profile.data(build.contest({"a": [[0], [10]], "b": [[8], [20]]}), **BEST)
    assert frame["ratio"].max() == 4 and steps_of(frame, "b", "ratio") == {1: 0.5, 2: 1, 4: 1}


def test_profile_score_by_hand(build):
    frame = profile_score.data(build.contest(COSTS), **BEST)
    # a: (3 + 2 + 3 + 0) / 3 / 4, b: (2 + 3 + 0 + 0) / 12, c: (0 + 0 + 3 + 0) / 12.
    whole = frame[frame["problem"] == "all problems"]
    assert whole["optimizer"].tolist() == ["a", "b", "c"]
    assert whole["value"].tolist() == pytest.approx([8 / 12, 5 / 12, 3 / 12])
    assert value_of(frame, optimizer="a", problem="p1")["value"] == pytest.approx(2 / 3)


def test_bands_hold_the_profile(build):
    rng = np.random.default_rng(0)
    results = build.contest({k: rng.integers(1, 50, (9, 1)).astype(float) for k in "ab"})
    frame = performance_profile.data(results, **BEST)
    assert (frame["low"] <= frame["share"]).all() and (frame["share"] <= frame["high"]).all()
    assert (frame["high"] > frame["low"]).any()
    for _, own in frame.groupby("optimizer"):
        assert own["share"].is_monotonic_increasing and own["low"].is_monotonic_increasing


# Running times


def test_expected_running_time_and_what_is_unsolved(build):
    results = build.contest({"a": [[10, INF], [5, 5]], "b": [[INF, INF], [10, 20]]}, budget=90)
    cases = runtime.cases(results)
    assert [case["number"] for case in cases] == [runtime.SHARE, runtime.ERT, runtime.SHARE]
    frame = runtime.data(results, **BEST, number=runtime.ERT)
    assert value_of(frame, optimizer="a", problem="p0")["cost"] == 100
    assert value_of(frame, optimizer="b", problem="p0")["cost"] == INF
    assert value_of(frame, optimizer="b", problem="p1")["cost"] == 15
    frame = runtime.data(results, **BEST, number=runtime.SHARE)
    assert frame.groupby("optimizer")["unsolved"].first().to_dict() == {"a": 0.25, "b": 0.5}
    assert frame.groupby("optimizer")["budget"].first().tolist() == [90, 90]


def test_share_of_targets_reached_with_restarts(build):
    results = build.contest({"a": [[10, INF], [5, 5]], "b": [[INF, INF], [10, 20]]}, budget=90)
    frame = runtime.data(results, **BEST, number=runtime.SHARE)
    a, b = (frame[frame["optimizer"] == label] for label in "ab")
    assert a["cost"].min() == 5 and a["cost"].max() == pytest.approx(900)
    assert a["share"].iloc[0] == 0.5 and b["share"].iloc[0] == 0
    # Half of the first attempts succeed at 10; the others begin again after 90.
    before = a[(a["cost"] > 11) & (a["cost"] < 89)]["share"].unique()
    assert len(before) == 1 and before[0] == pytest.approx(0.75, abs=0.06)
    assert a["share"].iloc[-1] > 0.97 and b["share"].iloc[-1] == 0.5


def test_recorded_targets_are_pairs_of_their_own(build):
    results = build.contest({"a": [[10, INF]], "b": [[20, INF]]}, targets=(0.1, 0.01), budget=90)
    frame = runtime.data(results, **BEST, number=runtime.SHARE)
    # One of two descents misses the second of two targets.
    assert frame["unsolved"].unique().tolist() == [0.25] and frame.attrs["targets"] == (0.1, 0.01)
    assert runtime.cases(results)[0]["number"] == runtime.SHARE and len(runtime.cases(results)) == 2
    # With neither a second problem nor targets, the answer table says as much.
    assert runtime.cases(build.contest({"a": [[10, INF]], "b": [[20, INF]]})) == []


def test_the_budget_is_marked_on_the_curve(build):
    results = build.contest(COSTS)
    picture = render(runtime.FIGURE, results, runtime.cases(results)[:1])
    marks = [line for line in picture.axes[0].lines if line.get_gid() == "budget"]
    assert len(marks) == 3 and {line.get_marker() for line in marks} == {"x"}
    texts = [text.get_text() for text in picture.axes[0].get_legend().get_texts()]
    assert texts == ["a, 25%", "b, 25%", "c, 50%"]
    assert "convergence" in picture.axes[0].get_xlabel()


# Area, scores, pairs


def test_area_over_the_curve_by_hand(build):
    results = build.contest({"a": [[10], [20]], "b": [[20], [30]]}, lost=[("b", 1)])
    frame = area.data(results, **BEST)
    # log10 from S = 10 to 1e-8 is 9: 10 until cost 1, then 0.1, from 10 on 1e-3, at 100 the end.
    expected = 1 - (1 * 1 + 9 * (7 / 9) + 90 * (5 / 9)) / 100
    assert value_of(frame, optimizer="a", problem="p0")["value"] == pytest.approx(expected)
    assert value_of(frame, optimizer="b", problem="p1")["value"] == 0
    assert value_of(frame, optimizer="b", problem="all problems")["value"] == pytest.approx(expected / 2)
    targets = build.contest({"a": [[10], [20]], "b": [[20], [30]]}, targets=(1e-1, 1e-4))
    # From 10 τ = 1 to 1e-3: two thirds of the way at 0.1.
    by_target = area.data(targets, **BEST)
    expected = 1 - (1 * 1 + 9 * (2 / 3) + 90 * 0) / 100
    assert value_of(by_target, optimizer="a", problem="p0")["value"] == pytest.approx(expected)


def test_area_needs_traces_and_a_minimum(build):
    assert area.cases(build.contest(COSTS, minimum=None)) == []
    results = build.contest(COSTS)
    for frame in results.frames.values():
        frame["trace_best"] = None
    assert area.cases(results) == []


def test_score_and_improvement_by_hand(build):
    results = build.contest({"a": [[10, INF], [10, 10]], "b": [[20, 20], [INF, INF]]})
    frame = aggregates.data(results, **BEST, number=aggregates.SCORE)
    # Scores: a 1 and 1/9, then 1 and 1; b 1 and 1, then 1/9 and 1/9. A problem is worth its mean: a seed is none.
    assert value_of(frame, optimizer="a", problem="all problems")["value"] == pytest.approx(7 / 9)
    assert value_of(frame, optimizer="a", problem="p0")["value"] == pytest.approx(5 / 9)
    assert value_of(frame, optimizer="b", problem="all problems")["value"] == pytest.approx(5 / 9)
    assert value_of(frame, optimizer="a", problem=aggregates.GAP)["value"] == pytest.approx(2 / 9)
    assert value_of(frame, optimizer="b", problem="p1")["value"] == pytest.approx(1 / 9)
    pairs = aggregates.data(results, **BEST, number=aggregates.BETTER)
    # On p0 one of a's two descents is cheaper than both of b's, on p1 both are.
    assert value_of(pairs, row="a", column="b")["value"] == pytest.approx(0.75)
    assert value_of(pairs, row="b", column="a")["value"] == pytest.approx(0.25)
    one, other = value_of(pairs, row="a", column="b"), value_of(pairs, row="b", column="a")
    assert one["low"] == pytest.approx(1 - other["high"]) and one["text"] == "75"
    assert np.isnan(value_of(pairs, row="a", column="a")["value"])


def test_unsolved_descents_are_ordered_by_their_gap_and_lost_ones_last(build):
    results = build.contest({"a": [[INF, INF]], "b": [[INF, 10]]})
    frame = results.frames["contest/p0/a"]
    results.frames["contest/p0/a"] = frame.assign(gap_final=np.where(frame["start"] < 2, 0.5, INF))
    (order,) = aggregates.ranked(comparison(results, **BEST))
    (a0, a1), (b0, b1) = order
    assert b1 < a0 < b0 < a1


def test_equal_optimizers_are_equal(build):
    results = build.contest({"a": [[10], [INF]], "b": [[10], [INF]]})
    pairs = aggregates.data(results, **BEST, number=aggregates.BETTER)
    assert value_of(pairs, row="a", column="b")["text"] == "50" and not pairs["sure"].any()
    frame = ranks.data(results, **BEST)
    assert value_of(frame, row="a", column="b")[["wins", "losses", "ties", "p"]].tolist() == [0, 0, 2, 1]


def test_pairs_are_tested_over_families_with_holm(build):
    ten = np.arange(1, 11.0)[:, None]
    results = build.contest({"a": ten, "b": 2 * ten + 1, "c": 2 * ten + 1})
    frame = ranks.data(results, **BEST)
    found = value_of(frame, row="a", column="b")
    # Ten families, all on one side: exactly 2 / 2^10, times 3 pairs for the first two by Holm.
    assert (found["text"], found["p"], found["sure"]) == ("10:0", pytest.approx(3 * 2 / 2**10), True)
    assert value_of(frame, row="b", column="a")["text"] == "0:10"
    assert value_of(frame, row="b", column="c")[["p", "sure"]].tolist() == [1, False]
    # Ten variants of one function are one family, of which nothing is learnt.
    for cell in results.cells:
        cell["problem"]["name"] = "the same"
    results.memo.clear()
    frame = ranks.data(results, **BEST)
    assert not frame["sure"].any() and "fewer than 6 families of problems: no test" in frame.attrs["note"]


def test_unsolved_against_solved_counts_as_the_largest_difference():
    p = ranks.pairs(np.array([[1.0, INF], [2, INF], [3, INF], [4, INF], [INF, INF], [1, 2], [1, 2]]), list("abcdefg"))
    assert p[0, 1] == p[1, 0] < 0.05 and np.isnan(p[0, 0])


# Tuning


def test_gain_of_tuning_over_the_default(build):
    results = build.contest({"a": [[10], [20]], "b": [[40], [INF]]}, budget=100)
    cases = tuning.cases(results)
    # Two settings make no curve.
    assert cases == [{"experiment": "contest", "dtype": "float64", "over": "default", "number": tuning.GAIN}]
    frame = tuning.data(results, **cases[0])
    # The default costs twice as much; unsolved against solved counts as 2^10, two unsolved as equal.
    assert value_of(frame, row="a", column="a")["gain"] == pytest.approx(2)
    assert value_of(frame, row="b", column="b")["gain"] == pytest.approx(2**0.5)
    assert value_of(frame, row="b", column="a")["gain"] == pytest.approx((80 / 10 * 2**10) ** 0.5)
    assert value_of(frame, row="a", column="b")["text"] == "÷" + f"{(40 / 20 * 2**10) ** 0.5:.2g}"
    assert frame.attrs["title"] == "best per problem over default"


def test_best_of_n_is_the_expectation_over_all_draws(build):
    results = build.contest({"a": [[10], [20]], "b": [[40], [INF]]}, budget=100)
    for cell in results.cells:
        cell["axes"][0]["values"] = [1.0, 2.0, 3.0]
    frame = tuning.data(results, "contest", "float64", "best per problem", tuning.CURVE)
    a = frame[frame["optimizer"] == "a"]
    # One of two settings: the geometric mean of 1 and 2 times the cheapest; of both the better one.
    assert a["settings"].tolist() == [1, 2] and a["cost"].tolist() == pytest.approx([2**0.5, 1])
    b = frame[frame["optimizer"] == "b"]
    assert b["cost"].tolist() == pytest.approx([(4 * 2**0.5 * 2**10) ** 0.5, (4 * 2**10) ** 0.5])
    assert frame.attrs["title"] == "best of n settings: best per problem"


@pytest.mark.parametrize("times, text", [(1, "×1"), (0.99, "×1"), (3.25, "×3.2"), (0.5, "÷2"), (1234, "×1234")])
def test_a_factor_in_words(times, text):
    assert factor(times) == text


@pytest.mark.parametrize("share, text", [(0, "0%"), (0.004, "<1%"), (0.996, ">99%"), (1, "100%"), (0.5, "50%")])
def test_a_share_is_never_rounded_to_none_or_all(share, text):
    assert percent(share) == text


# Drawing


RUNS = {
    "unsolved": (COSTS, {"lost": [("c", 1)]}, {9, 10, 11, 12, 13, 14, 15, 16}),
    "nothing solved": ({"a": [[INF], [INF]], "b": [[INF], [INF]]}, {}, {10}),
    "one problem": ({"a": [[10, 20]], "b": [[20, INF]]}, {}, {10, 16}),
    "ties": ({"a": [[10], [10]], "b": [[10], [10]]}, {}, {9, 10, 11, 12, 13, 15, 16}),
    "no minimum": (COSTS, {"minimum": None, "tolerance": None}, {9, 11, 12, 13, 14, 15, 16}),
    "starts at the minimizer": ({"a": [[0], [0]], "b": [[0], [0]]}, {}, {9, 10, 11, 12, 13, 15, 16}),
    "many": (
        {f"o{i:02}": np.random.default_rng(i).integers(1, 90, (7, 3)).astype(float) for i in range(14)},
        {"targets": (0.1, 1e-3)}, {9, 10, 11, 12, 13, 14, 15, 16},
    ),
}  # fmt: skip
"""By what is special: costs, further facts, and the numbers of the figures that have something to say."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (len(RUNS[n][2]) > 2)) for n in RUNS])
def test_every_figure_is_drawn_of_every_run(name, build):
    costs, facts, numbers = RUNS[name]
    results, said = build.contest(costs, **facts), set()
    for figure in (module.FIGURE for module in MODULES):
        for cases in pictures(figure, results).values():
            picture = render(figure, results, cases)
            picture.draw_without_rendering()
            said.add(figure.number)
            regimes = ("best per problem", "one setting for all", "default")
            assert all(any(r in ax.get_title() for r in regimes) for ax in picture.axes)
    assert said == numbers


def test_profiles_are_drawn_in_steps(build):
    results = build.contest(COSTS)
    for module in (performance_profile, data_profile, runtime):
        picture = render(module.FIGURE, results, module.cases(results)[:1])
        lines = [line for line in picture.axes[0].lines if line.get_label() in COSTS]
        assert len(lines) == 3 and {line.get_drawstyle() for line in lines} == {"steps-post"}
