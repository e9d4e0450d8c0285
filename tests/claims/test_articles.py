"""The founding articles, claim by claim: the run of their suite against closed forms."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.claims.base import OPEN
from gdbench.claims.verdicts import judge
from gdbench.figures.base import Figure
from gdbench.results import load
from gdbench.suite import read_suite

SUITE = Path(__file__).parent.parent.parent / "suites" / "articles.toml"
NAMES = [f"C{i}" for i in range(1, 11)] + ["C11a", "C11b", "C11c"] + [f"C{i}" for i in range(12, 21)]


def test_every_claim_has_tests_and_a_figure():
    claims = read_suite(SUITE).resolved["claim"]
    assert sorted(claim["name"] for claim in claims) == sorted(NAMES)
    drawn = read_suite(SUITE).resolved["suite"]["figures"]
    for claim in claims:
        assert claim["tests"] and claim["figure"] in drawn and claim["lesson"] and claim["play"], claim["name"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What ``gdbench run suites/articles.toml`` leaves behind, and what it prints."""
    root = tmp_path_factory.mktemp("articles")
    command = [sys.executable, "-m", "gdbench.cli", "run", str(SUITE), "--results", str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = load(root / "articles")
    results.printed = done.stdout
    return results


def evidence(run, name, rule):
    """What a rule found for a claim."""
    judged = next(one for one in judge(run) if one.claim["name"] == name)
    return [one for test in judged.tests if test.rule.name == rule for one in test.evidence]


@pytest.mark.slow
def test_every_claim_is_decided_and_shown(run):
    page, figures = (run.path / "lesson.html").read_text(encoding="utf-8"), gather("gdbench.figures", Figure)
    for judged in judge(run):
        name = judged.claim["name"]
        assert judged.verdict != OPEN and all(test.evidence for test in judged.tests), name
        assert re.search(rf"^{name} ", run.printed, re.MULTILINE)
        part = page.split(f'id="claim-{name}"')[1].split("</section>")[0]
        assert "<img" in part and figures[judged.claim["figure"]].question in part, f"{name} has no picture"


@pytest.mark.slow
def test_slopes_are_those_of_the_closed_forms(run):
    assert [one.value for one in evidence(run, "C8", "slopes")] == [2, 2, 2, 4, 0, -2]
    np.testing.assert_allclose(evidence(run, "C8", "difference-quotient")[0].value, 2.1)
    assert [one.value for one in evidence(run, "C9", "slopes")] == [-4, 0, 4]
    np.testing.assert_allclose([one.value for one in evidence(run, "C10", "slopes")], [-28 / 3, 28 / 3])
    assert all(one.value == 0 for one in evidence(run, "C9", "stays"))
    # A peak, a valley, an inflection and a saddle are among them.
    cases = " ".join(one.case for one in evidence(run, "C9", "stays"))
    assert all(name in cases for name in ("double_well", "parabola", "cubic", "bounded_saddle"))


@pytest.mark.slow
def test_boundaries_are_two_over_the_curvature(run):
    found = {one.case: one for one in evidence(run, "C2", "boundary")}
    for name, edge in (("parabola", 1.0), ("shifted_parabola", 1.0), ("slope_fit", 3 / 14), ("quadratic", 0.2)):
        one = found[f"gd on {name}: theory {edge:.4g}"]
        assert one.low <= edge * (1 + 1e-9) and edge <= one.high * (1 + 1e-9) and one.high < 1.6 * one.low
    edge = evidence(run, "C10", "boundary")[0]
    assert edge.low < 3 / 14 < edge.high < 1.03 * edge.low
    sides = {one.when: one.value for one in evidence(run, "C11c", "sides-of-boundary")}
    assert sides == {"the rate is below 2/L": 1.0, "the rate is above 2/L": 0.0}


@pytest.mark.slow
def test_the_printed_gradient_swings_between_one_and_three(run):
    swings = evidence(run, "C11a", "rests")
    assert len(swings) == 2 and all((one.low, one.high, one.holds) == (1.0, 3.0, False) for one in swings)


@pytest.mark.slow
def test_costs_grow_as_they_must(run):
    (signs,) = evidence(run, "C6", "growth")
    np.testing.assert_allclose([signs.value, signs.low, signs.high], 2.0, rtol=1e-9)
    per_parameter, per_step = evidence(run, "C5", "evaluations-a-step")
    assert 1 <= per_parameter.low <= per_parameter.high <= 2 and per_step.value == 1
    # A step of gradient descent costs one gradient in every dimension.
    flat = [one for one in evidence(run, "C16", "growth") if "evaluations" in one.case]
    assert [one.value for one in flat] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("name, rule", [("C3", "trend"), ("C7", "cheapest"), ("C7", "path-length"), ("C17", "trend")])
def test_contested_claims_are_measured_widely(run, name, rule):
    """On at least three functions and three optimizers, with intervals."""
    told = [one for one in evidence(run, name, rule) if np.isfinite([one.low, one.high]).all()]
    text = " ".join(one.case for one in evidence(run, name, "trend") + evidence(run, name, "cheapest"))
    assert len(told) >= 3
    functions = {word for word in ("rastrigin", "styblinski_tang", "levy", "quadratic", "booth", "matyas", "himmelblau",
                                   "slope_fit") if word in text}  # fmt: skip
    optimizers = {word for word in ("gd", "momentum", "adam", "newton", "steepest_descent") if word in text}
    assert len(functions) >= 3 and len(optimizers) >= 3
