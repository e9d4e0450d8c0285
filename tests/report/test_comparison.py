"""Comparing runs: the same is the same, a planted slowdown is found, chance alone does not fail, nothing is hidden."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from gdbench import commands
from gdbench.comparison import compare, pairs, write_comparison
from gdbench.comparison.differences import differences, notes
from gdbench.comparison.rows import IDENTICAL, SAME_SETTING, TIED, Comparison, Row
from gdbench.comparison.rules import Rule, apply_rules, read_rules
from gdbench.comparison.text import frame, groups, markdown
from gdbench.errors import GdbenchError, NothingSelectedError, StoreError
from gdbench.stats.bootstrap import Estimate


def run(make, momentum: float = 0.5, problems: int = 1, starts: int = 32, **more):
    """A run of gradient descent and of one with momentum under a label that does not say how much."""
    facts = [make.problem(label=f"quadratic {i}") for i in range(problems)]
    optimizers = [make.optimizer("gd"), make.optimizer("momentum", momentum)]
    cells = [
        make.cell(f"{p['label']}/{o['name']}", problem=p, optimizer=o, starts=starts, **more)
        for p in facts for o in optimizers
    ]  # fmt: skip
    return make.results(cells)


def verdicts(comparison) -> dict[tuple[str, str, str], str]:
    """Verdict by problem, optimizer and regime."""
    return {(row.place[1], row.place[3], row.place[4]): row.verdict for row in comparison.rows}


def test_a_run_is_identical_to_itself(make):
    one = run(make, problems=2, starts=12)
    found = compare([one, copy.deepcopy(one), one])
    assert set(verdicts(found).values()) == {IDENTICAL} and found.differences == ()
    assert {row.other for row in found.rows} == {"B", "C"} and len(found.rows) == 2 * 2 * (2 + 1) * 2
    verdict = apply_rules(found, read_rules(["cost>1.0", "converged<0", "cost<1"]))
    assert verdict.failures == () and verdict.tests == 0 and verdict.identical == len(found.rows) * 3
    # What is identical breaks a rule that it breaks, all the same.
    assert len(apply_rules(found, read_rules(["cost>0.9"])).failures) == sum(
        row.answers is not None for row in found.rows
    )


@pytest.mark.parametrize("worse, rule", [(0.93, "cost>1.1"), (0.999, "converged<-0.05")])
def test_a_planted_slowdown_is_found_and_the_other_optimizer_is_left_alone(make, worse, rule):
    found = compare([run(make), run(make, worse)])
    told = verdicts(found)
    assert told["quadratic 0", "gd", "best per problem"] == IDENTICAL
    assert told["quadratic 0", "momentum", "best per problem"] == "worse"
    verdict = apply_rules(found, read_rules([rule]))
    assert verdict.failures and {failure.row.place[3] for failure in verdict.failures} == {"momentum"}
    back = compare([run(make, worse), run(make)])
    assert verdicts(back)["quadratic 0", "momentum", "best per problem"] == "better"
    assert apply_rules(back, read_rules(["cost>1.1", "converged<-0.05"])).failures == ()


def test_where_another_setting_is_best_a_row_at_the_first_ones_follows(make):
    found = compare([run(make), run(make, 0.93)])
    (row,) = [row for row in found.rows if row.place[4] == SAME_SETTING]
    mine, theirs = row.answers
    assert row.place[3] == "momentum" and theirs is None and mine.setting
    # The effect by hand: the same rate, held-out starts, pair by pair.
    sides = [run_.frames["quadratic 0/momentum"] for run_ in found.runs]
    sides = [f[(f["learning_rate"] == mine.setting["learning_rate"]) & (f["start"] % 2 == 1)] for f in sides]
    costs = [
        np.where(f["outcome"] == "converged", f["settle_step"].to_numpy(float, na_value=np.nan), np.inf) for f in sides
    ]
    both = np.isfinite(costs[0]) | np.isfinite(costs[1])
    assert row.effects["cost"].estimate.value == pytest.approx(np.median((costs[1] / costs[0])[both]))
    assert row.effects["cost"].pairs == both.sum()
    difference = np.isfinite(costs[1]).mean() - np.isfinite(costs[0]).mean()
    assert row.effects["converged"].estimate.value == pytest.approx(difference)


@pytest.mark.slow
def test_over_several_problems_the_units_are_problems(make):
    found = compare([run(make, problems=7, starts=12), run(make, 0.93, problems=7, starts=12)])
    over = [row for row in found.rows if row.place[1] == "over 7 problems"]
    assert {row.place[3]: row.verdict for row in over} == {"gd": IDENTICAL, "momentum": "worse"}
    row = next(row for row in over if row.place[3:] == ("momentum", "best per problem"))
    single = [r.effects["cost"].estimate.value for r in found.rows if r.place[3:] == row.place[3:] and r.answers]
    assert row.effects["cost"].units == 7 == len(single)
    assert row.effects["cost"].estimate.value == pytest.approx(np.median(single))


def test_few_starts_tell_nothing_by_chance(make):
    found = compare([run(make, starts=10), run(make, 0.93, starts=10)])
    row = next(row for row in found.rows if row.place[3:] == ("momentum", "best per problem"))
    assert row.verdict == TIED and "5 held-out starts: too few" in row.note
    assert row.effects["cost"].estimate.value > 1.5 and row.effects["cost"].estimate.high == np.inf


def test_other_starts_are_no_pairs(make):
    one, two = run(make), run(make)
    for name, table in two.frames.items():
        two.frames[name] = table.assign(f_start=table["f_start"] * 1.5)
    found = compare([one, two])
    assert set(verdicts(found).values()) == {"not compared"}
    assert all("f differs at the starts" in row.note for row in found.rows)
    with pytest.raises(NothingSelectedError, match="nothing to test cost>1.1 on: f differs"):
        apply_rules(found, read_rules(["cost>1.1"]))


def test_one_start_and_failed_cells_say_so(make):
    found = compare([run(make, starts=1), run(make, starts=1)])
    assert {row.note for row in found.rows} == {"not evaluated on held-out starts"}
    broken = run(make)
    broken.cells[1]["failed"], broken.frames["quadratic 0/momentum"] = "boom", broken.frames["quadratic 0/momentum"][:0]
    found = compare([run(make), broken])
    assert {row.place[3]: row.note for row in found.rows} == {"gd": "", "momentum": "failed: boom"}
    assert ("cells", ("there", "failed: boom")) in [(d.part, d.values) for d in found.differences]


def test_nothing_to_compare(make):
    with pytest.raises(StoreError, match="needs two runs"):
        compare([run(make)])
    with pytest.raises(NothingSelectedError, match="nothing to compare"):
        compare([run(make), make.results([make.cell("c", experiment="another")])])


# What differs


def test_what_differs_is_said(make):
    one, two = run(make), run(make)
    two.environment |= {"jax": "0.12.0", "device_kind": "NVIDIA H100", "dirty": True, "started": "later"}
    two.suite = {
        "suite": {"name": "example", "seed": 1, "version": 2, "description": "other words"},
        "experiment": [{"name": "rates", "steps": 300}],
    }
    two.cells[0]["engine"] = "native"
    two.cells[1]["optimizer"] = two.cells[1]["optimizer"] | {"label": "renamed"}
    found = {(d.part, d.name): d.values for d in differences([one, two])}
    assert found["environment", "jax"] == ("0.10.2", "0.12.0")
    assert found["environment", "device kind"] == ("cpu", "NVIDIA H100")
    assert found["environment", "dirty"] == ("false", "true")
    assert found["suite", "suite.seed"] == ("0", "1") and found["suite", "suite.version"] == ("–", "2")
    assert found["suite", "rates.steps"] == ("–", "300")
    assert found["cells", "rates · quadratic 0 · float32 · renamed"] == ("–", "there")
    assert any(name.startswith("engine (1 cell") and v == ("scan", "native") for (_, name), v in found.items())
    assert not any("started" in name or "description" in name for _, name in found)
    assert "The code of B differed from its commit." in notes([one, two])
    assert any("identity" in note for note in notes([one, run(make)]))


def test_the_share_of_outcomes_that_changed_is_told(make):
    one, two = run(make), run(make)
    for cell in two.cells:  # another device: another identity
        frame = two.frames.pop(cell["id"])
        cell["id"] += "-gpu"
        two.frames[cell["id"]] = frame
    name = two.cells[0]["id"]
    ends = two.frames[name]["outcome"].astype(str).to_numpy(copy=True)
    ends[:7] = ["trapped" if end != "trapped" else "diverged" for end in ends[:7]]
    two.frames[name] = two.frames[name].assign(outcome=ends)
    n = sum(len(frame) for frame in one.frames.values())
    (told,) = [note for note in notes([one, two]) if "end differently" in note]
    assert told.startswith(f"7 of {n} descents on the same grids end differently in B") and "· gd, " in told
    assert not any("end differently" in note for note in notes([one, run(make)]))


# Intervals and rules


@given(st.integers(1, 60), st.floats(0.5, 0.9999))
def test_the_interval_of_a_median_is_exact(n, confidence):
    values = np.arange(n, dtype=float)
    low, high = pairs.median_interval(values, confidence)
    if np.isinf(low):
        assert 2.0**-n > (1 - confidence) / 2 * (1 - 1e-9)
        return
    k = int(low)  # how many values lie below the interval
    tail = binomtest(k, n, 0.5, alternative="less").pvalue
    assert tail <= (1 - confidence) / 2 * (1 + 1e-9) or k == 0
    assert binomtest(k + 1, n, 0.5, alternative="less").pvalue > (1 - confidence) / 2 * (1 - 1e-9)
    assert high == n - 1 - low


def test_the_interval_of_a_median_is_that_of_scipy():
    scipy_stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).lognormal(size=25)
    found = scipy_stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert tuple(pairs.median_interval(values, 0.95)) == pytest.approx((found.low, found.high))


def test_ratios_of_what_did_not_converge():
    inf = np.inf
    one, two = np.array([10.0, inf, 10, inf, 0, 0, 5]), np.array([20.0, 10, inf, inf, 0, 5, 0])
    found = pairs.log_ratio(one, two)
    assert np.exp(found[0]) == pytest.approx(2) and list(found[1:3]) == [-inf, inf] and np.isnan(found[3])
    assert list(found[4:]) == [0, inf, -inf]
    assert pairs.middle(np.array([-inf, inf])) == 0 and pairs.middle(np.array([1.0, inf, inf])) == inf
    assert pairs.middle(np.array([])) == 0 and pairs.middle(np.array([1.0, 2.0])) == 1.5


def test_a_start_with_many_seeds_is_one_unit():
    places = {"instance": [1, 1, 1, 2, 2, 2], "start": [1, 1, 3, 1, 1, 3], "seed": [1, 3, 1, 1, 3, 1]}
    assert list(pairs.unit_of(pd.DataFrame(places))) == [0, 0, 1, 2, 2, 3]
    one_start = pd.DataFrame({"instance": [0] * 3, "start": [0] * 3, "seed": [1, 3, 5]})
    assert list(pairs.unit_of(one_start)) == [0, 1, 2]


@pytest.mark.parametrize("text, rule", [
    ("cost>1.1", Rule("cost", True, 1.1)), ("converged < -0.05", Rule("converged", False, -0.05)),
    ("gap>1e2", Rule("gap", True, 100.0)),
])  # fmt: skip
def test_rules_are_read(text, rule):
    assert read_rules([text]) == [rule] and read_rules([str(rule)]) == [rule]


@pytest.mark.parametrize("text, why", [
    ("cost", "a rule is a measure"), ("cost>=1", "a rule is a measure"), ("costs>1", "did you mean 'cost'"),
    ("cost>x", "a rule is a measure"), ("", "a rule is a measure"),
])  # fmt: skip
def test_what_is_no_rule(text, why):
    with pytest.raises(GdbenchError, match=why) as error:
        read_rules([text])
    assert "\n" not in str(error.value)


def test_a_rule_tests_the_interval_and_not_the_point():
    rule = Rule("cost", True, 1.1)
    assert not rule.broken(Estimate(3.0, 1.1, 9.0)) and not rule.broken(Estimate(3.0, 0.9, 9.0))
    assert rule.broken(Estimate(1.2, 1.11, 1.3))
    rule = Rule("converged", False, -0.05)
    assert not rule.broken(Estimate(-0.5, -0.9, -0.05)) and rule.broken(Estimate(-0.5, -0.9, -0.06))


def by_chance(rng: np.random.Generator, rows: int, units: int, slower: float = 1.0) -> Comparison:
    """Two runs whose costs are drawn independently from one distribution, those of the second so many times it."""
    found = []
    for i in range(rows):
        solved = rng.random((2, units)) < 0.9
        cost = np.where(solved, rng.lognormal(5, 0.5, (2, units)), np.inf) * np.array([[1.0], [slower]])
        values = {pairs.CONVERGED: solved[1].astype(float) - solved[0], pairs.COST: pairs.log_ratio(*cost)}
        effects = {m.name: pairs.effect(m, v, np.arange(units), rng) for m, v in values.items()}
        found.append(Row(("e", f"p{i}", "float64", "gd", "best per problem"), "B", None, effects))
    run_ = SimpleNamespace(suite={"suite": {"seed": 0}})
    return Comparison((run_, run_), ("A", "B"), (), (), tuple(found))


@pytest.mark.slow
def test_chance_alone_does_not_fail_and_a_factor_of_two_does():
    """At the very bound, which is the hardest: at most one case of twenty, over all rows and both rules together."""
    rules = read_rules(["cost>1", "converged<0"])
    rng, draws = np.random.default_rng(1), 100
    false = sum(bool(apply_rules(by_chance(rng, 12, 16), rules).failures) for _ in range(draws))
    assert binomtest(false, draws, 0.05, alternative="greater").pvalue > 0.01, f"{false} of {draws} failed"
    found = sum(
        bool(apply_rules(by_chance(rng, 12, 32, slower=2.0), read_rules(["cost>1.1"])).failures) for _ in range(20)
    )
    assert found >= 19


# What is written


def test_the_files_hold_every_row(make, tmp_path):
    hostile = "</script><img src=x onerror=alert(1)>|`"
    runs = [run(make), run(make, 0.93)]
    for one in runs:
        for info in one.cells:
            info["problem"]["label"] = hostile
    found = compare(runs)
    verdict = apply_rules(found, read_rules(["cost>1.1"]))
    page = write_comparison(found, tmp_path / "out", verdict)
    assert sorted(p.name for p in page.parent.iterdir()) == ["comparison.csv", "comparison.html", "comparison.md"]
    text = page.read_text()
    assert "<script" not in text and "<img" not in text and "http:" not in text and "https:" not in text
    assert text.count("<svg") == sum(row.effects[n].pairs > 0 for row in found.rows for n in ("converged", "cost"))
    stored = pd.read_csv(page.with_suffix(".csv"))
    assert len(stored) == len(found.rows) and list(stored["verdict"]) == [row.verdict for row in found.rows]
    numbers = frame(found)["cost_ratio"].to_numpy()
    assert np.array_equal(stored["cost_ratio"].to_numpy(), numbers, equal_nan=True) and np.nanmax(numbers) > 1
    said = page.with_suffix(".md").read_text()
    assert said == markdown(found, verdict) and "worse" in said and "cost\\>1.1" in said
    assert all(len(line.texts) == len(group.heads) for group in groups(found) for line in group.lines)


@pytest.mark.parametrize("rules, code", [([], 0), (["cost>1.1"], 1), (["cost>1000"], 0)])
def test_the_command(make, capsys, rules, code):
    runs = [run(make), run(make, 0.93)]
    assert commands.compare(runs, rules, None, as_json=True) == code
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert {row["verdict"] for row in document["rows"]} >= {"worse", IDENTICAL}
    assert ("failures" in document) == bool(rules) and bool(document.get("failures")) == bool(code)
    assert commands.compare(runs, rules, None, as_json=False) == code
    told = capsys.readouterr()
    assert "B against A" in told.out and told.err.count("error: cost>1.1: momentum on quadratic 0") == (
        2 if code else 0
    )
