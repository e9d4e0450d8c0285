"""How evidence becomes a verdict, and the numbers behind the rules, on cases worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame
from scipy.stats import spearmanr

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.claims import along_paths, growth, optimal, trend
from gdbench.claims.base import OPEN, REFUTED, SHOWN, Asked, Evidence, Rule, beyond, setting_faults, verdict_of, within
from gdbench.claims.verdicts import claims_frame, judge
from gdbench.errors import SuiteError
from gdbench.suite import build_suite

RULES = gather("gdbench.claims", Rule)


def told(**cases):
    """Evidence by condition: True, False and None stand for what a case says."""
    return [Evidence(when, "", 0.0, holds=holds) for when, each in cases.items() for holds in each]


@pytest.mark.parametrize(
    "tests, verdict, conditions",
    [
        ([told(a=[True], b=[True])], SHOWN, []),
        ([told(a=[True, None], b=[True])], SHOWN, []),
        ([told(a=[True, None, None])], OPEN, []),
        ([told(a=[False], b=[False, True])], REFUTED, []),
        ([told(a=[None], b=[False])], REFUTED, []),
        ([told(a=[None])], OPEN, []),
        ([told(a=[True], b=[False])], "only when", ["a"]),
        # What holds as a whole is no condition where another test holds in part.
        ([told(c=[True]), told(a=[True], b=[False])], "only when", ["a"]),
        ([told(c=[True]), told(b=[False])], "only when", ["c"]),
        # A test that nothing was measured for leaves the claim open there.
        ([told(a=[True]), []], "only when", ["a"]),
        ([[]], OPEN, []),
    ],
)
def test_verdicts(tests, verdict, conditions):
    assert verdict_of(tests) == (verdict, conditions)


@given(st.lists(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_verdict_is_shown_only_without_a_case_against_it(groups):
    verdict, _ = verdict_of([told(**{f"c{i}": group}) for i, group in enumerate(groups)])
    against = any(False in group for group in groups)
    assert not (verdict == SHOWN and against) and not (verdict == REFUTED and not against)


def test_intervals_beyond_a_bound():
    assert beyond(0.1, 0.2, 0.0) is True and beyond(-0.2, -0.1, 0.0) is False and beyond(-0.1, 0.1, 0.0) is None
    assert beyond(np.nan, np.nan, 0.0) is None


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 9)) + 0.3 * np.arange(9)
    expected = spearmanr(np.arange(9), values.mean(axis=0)).statistic
    np.testing.assert_allclose(trend._correlation(values, True), expected)
    # Costs that are never paid are the largest, and equal to each other.
    cost = np.array([[5.0, 4.0, 3.0, np.inf, np.inf]])
    expected = spearmanr(np.arange(5), [3, 2, 1, 4, 4]).statistic
    np.testing.assert_allclose(trend._correlation(cost, False), expected)
    assert trend._correlation(np.ones((3, 5)), True) == 0


def test_growth_is_fitted_exactly():
    dims = np.array([2, 8, 32])
    for value, form, costs in ((1.5, "power", 3 * dims**1.5), (2.0, "exponential", 0.5 * 2.0**dims)):
        found = growth.fit(dims, [np.full(4, cost) for cost in costs], form)
        np.testing.assert_allclose(found, [value] * 3, rtol=1e-9)


def test_a_dimension_that_is_hardly_solved_leaves_the_growth_open():
    """Of its draws some have an infinite median: no line, and no upper end."""
    costs = [np.full(5, 10.0), np.full(5, 20.0), np.array([40.0, 40.0, 40.0, np.inf, np.inf])]
    value, low, high = growth.fit(np.array([1, 2, 4]), costs, "power")
    assert (value, low, high) == (pytest.approx(1), pytest.approx(1), np.inf)
    assert within((low, high), 0.5, None) is True and within((low, high), None, 1.5) is None


def test_bounds_of_an_interval():
    assert within((2.0, 2.0), 2.0, 2.0) is True and within((2.0, 9.0), 2.0, None) is True
    assert within((0.0, 1.0), 2.0, None) is False and within((0.0, 3.0), 2.0, None) is None
    assert within((3.0, 4.0), None, 2.0) is False and within((np.nan, np.nan), None, 2.0) is None


def test_a_gradient_is_weighed_against_values():
    """It may cost n + 1 of them, as a difference quotient does, and no more."""
    told = {"cheap": 3.0, "dear": 9.5}
    results = SimpleNamespace(clock=lambda name: DataFrame({"what": ["value", "gradient"], "seconds": [1, told[name]]}))
    cells = [{"problem": {"dim": 8, "label": name, "surface": name}} for name in told]
    cheap, dear = growth._weigh_gradient(Asked(results, cells, {}))
    assert (cheap.value, cheap.holds) == (3, True) and (dear.value, dear.holds) == (9.5, False)


def test_the_detour_of_a_path():
    corner = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    assert along_paths.detour(corner) == pytest.approx(7 / 5) and along_paths.detour(corner[::2]) == 1
    assert np.isnan(along_paths.detour(corner[[0, 1, 0]]))


@pytest.mark.parametrize("power", [0.0, 1.0, 0.5])
def test_the_power_of_the_slope_that_steps_go_with(power):
    """On x^2/2 the slope is x; steps of 0.1 |x|^power."""
    x = [4.0]
    while len(x) < 30 and x[-1] > 0.2:
        x.append(x[-1] - 0.1 * x[-1] ** power)
    at = np.linspace(-5, 5, 2001)
    assert along_paths._power(np.array(x), at, at) == pytest.approx(power, abs=1e-3)


def test_a_ratio_of_costs_keeps_what_never_converged():
    mine, other = np.array([10.0, 20.0, np.inf, np.inf, np.inf]), np.array([5.0, 5.0, 5.0, 5.0, 5.0])
    value, low, high = optimal._ratio(mine, other)
    assert value == np.inf and high == np.inf and low >= 2
    # Neither is the cheaper one where both fail.
    assert optimal._ratio(mine, mine) == (1, 1, 1)


def test_every_rule_says_what_it_decides_and_needs():
    for rule in RULES.values():
        assert rule.decides.endswith(".") and rule.number
        defaults = {
            name: "x" if setting.default is None else setting.default for name, setting in rule.settings.items()
        }
        assert "{" not in rule.number.format(**defaults)


@pytest.mark.parametrize(
    "rule, given, fault",
    [
        ("trend", {"measure": "cost", "axes": "b1"}, "did you mean 'axis'"),
        ("trend", {}, "trend needs measure"),
        ("trend", {"measure": "costs"}, "did you mean 'cost'"),
        ("trend", {"measure": "cost", "rises": 1}, "rises is whether it is said to rise (bool), got 1"),
        ("growth", {"least": True}, "least is lower bound"),
    ],
)
def test_bad_settings_are_named(rule, given, fault):
    assert any(fault in line for line in setting_faults(RULES[rule], given)), setting_faults(RULES[rule], given)


def suite(**claim):
    """A suite of one small experiment that claims something."""
    plain = {"name": "one", "says": "It stops.", "tests": [{"rule": "boundary"}], "figure": "region-map"}
    experiment = {
        "name": "rates", "problems": ["parabola"], "optimizers": ["gd"], "steps": 200,
        "learning_rate": {"log": [0.05, 2.0], "num": 9}, "starts": {"kind": "points", "points": [[1.0], [-2.0]]},
        "record": "full",
    }  # fmt: skip
    return {"suite": {"name": "small", "dtype": "float64"}, "experiment": [experiment], "claim": [plain | claim]}


@pytest.mark.parametrize(
    "claim, fault",
    [
        ({"figure": "region-mop"}, "claim 'one': no figure 'region-mop': did you mean 'region-map'"),
        ({"tests": [{"rule": "boundry"}]}, "tests[1]: no rule 'boundry': did you mean 'boundary'"),
        ({"tests": [{"rule": "boundary", "experiments": ["rate"]}]}, "experiments: 'rate' is not in this suite"),
        ({"tests": [{"rule": "boundary", "optimizers": ["adm"]}]}, "optimizers: 'adm' is not in this suite"),
        ({"tests": []}, "claim[1].tests"),
        ({"syas": "x"}, "claim[1].syas: unknown key: did you mean 'says'"),
    ],
)
def test_bad_claims_are_named(claim, fault):
    with pytest.raises(SuiteError) as raised:
        build_suite(suite(**claim))
    assert fault in str(raised.value)


def test_figures_of_a_suite_are_checked():
    table = suite()
    table["suite"]["figures"] = {"region-map": ["rates"], "basin": []}
    with pytest.raises(SuiteError, match="no figure 'basin'"):
        build_suite(table)
    table["suite"]["figures"] = {"region-map": ["rats"]}
    with pytest.raises(SuiteError, match="no experiment 'rats'"):
        build_suite(table)


def test_a_run_is_judged(tmp_path):
    tests = [{"rule": "boundary"}, {"rule": "sides-of-boundary"}, {"rule": "trend", "measure": "overshoots"}]
    run = gd.run(suite(tests=tests), results=tmp_path)
    row = claims_frame(run.results).iloc[0]
    assert row["verdict"].startswith("only when") and "2/L" in row["verdict"]
    boundary, sides, rising = judge(run.results)[0].tests
    assert boundary.evidence[0].low <= 1.0 <= boundary.evidence[0].high and boundary.evidence[0].holds
    assert {one.when: one.value for one in sides.evidence} == {"the rate is below 2/L": 1, "the rate is above 2/L": 0}
    assert rising.evidence[0].holds
    # Another process finds the same.
    assert claims_frame(gd.load(run.path).results).equals(claims_frame(run.results))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A run to weigh: gradient descent on a parabola, at rates on both sides of 2/L."""
    tests = [{"rule": "boundary"}, {"rule": "trend", "measure": "overshoots", "side": "stable"}]
    return gd.run(suite(tests=tests), results=tmp_path_factory.mktemp("swept"))


def changed(monkeypatch, run, change):
    """What is weighed where the table of descents is another one."""
    whole = Asked.table
    monkeypatch.setattr(Asked, "table", lambda asked, cell, *columns: change(whole(asked, cell, *columns)))
    run.results.memo.pop("claims", None)
    found = judge(run.results)[0].tests
    run.results.memo.pop("claims")
    return found


def test_an_interrupted_run_is_judged_by_what_is_there(monkeypatch, swept):
    """Every second rate is missing."""
    rates = np.unique(swept.table(["learning_rate"]).to_numpy())
    torn = changed(monkeypatch, swept, lambda frame: frame[frame["learning_rate"].isin(rates[::2])])
    (edge,), (rising,) = (test.evidence for test in torn)
    assert edge.holds and edge.low in rates[::2] and edge.high in rates[::2]
    assert rising.holds


def test_a_rate_that_works_beyond_one_that_does_not_speaks_against_a_boundary(monkeypatch, swept):
    def healed(frame):
        last = frame["learning_rate"] == frame["learning_rate"].max()
        settled = frame["settle_step"].where(~last, 5)
        return frame.assign(outcome=frame["outcome"].astype(str).where(~last, "converged"), settle_step=settled)

    (edge,) = changed(monkeypatch, swept, healed)[0].evidence
    assert edge.holds is False and edge.low < 1 < edge.high


def test_a_rule_that_fails_is_told_in_its_place(monkeypatch, swept):
    boundary, rising = changed(monkeypatch, swept, lambda frame: frame.drop(columns="outcome"))
    assert boundary.text.endswith("could not be measured (KeyError: 'outcome')") and not boundary.evidence
    swept.results.memo.pop("claims", None)


def test_a_suite_without_claims_claims_nothing(tmp_path):
    table = suite()
    del table["claim"]
    run = gd.run(table, results=tmp_path)
    assert run.claims().empty and list(run.claims().columns)[:2] == ["claim", "says"]
