"""The verdict over problems: how often it is wrong, how often it sees what is there, and what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gdbench.figures.comparison import Comparison, Held, Place
from gdbench.report.rotation import rotation_sensitivity, twins
from gdbench.report.verdict import Question, judge
from gdbench.report.verdict_words import verdict_block


def held(costs: np.ndarray, budget: float = 1000.0) -> Held:
    """Descents with these costs in gradients."""
    n = len(costs)
    counts = np.stack([np.zeros(n), costs, np.zeros(n)], 1)
    counts[np.isinf(costs)] = np.inf
    spent = np.stack([np.zeros(n), np.minimum(costs, budget), np.zeros(n)], 1)
    pair = np.stack([np.zeros(n, int), 2 * np.arange(n) + 1, np.zeros(n, int)], 1)
    return Held({"learning_rate": 0.1}, pair, counts, spent, np.zeros((n, 0, 3)), np.zeros(n))


def pool(costs: np.ndarray, families: list[str] | None = None, dims: list[int] | None = None) -> Comparison:
    """A comparison from costs [problems, optimizers, descents]."""
    problems, optimizers = costs.shape[:2]
    families = families or [f"f{i}" for i in range(problems)]
    places = tuple(Place(f"p{i}", {}, families[i], dims[i] if dims else 2, (), 1e-8) for i in range(problems))
    rows = tuple(tuple(held(costs[i, k]) for k in range(optimizers)) for i in range(problems))
    labels = tuple(f"o{k}" for k in range(optimizers))
    return Comparison("e", "float64", "best per problem", places, labels, rows, (), (), {}, True)


def drawn(rng: np.random.Generator, optimizers: int, problems: int = 30, factor: float = 1.0) -> Comparison:
    """Costs that differ between problems by decades, and of equal optimizers on one problem by a factor of 2 or so.

    The first optimizer costs ``factor`` times less than the others.
    """
    typical = rng.normal(8, 2, (problems, 1, 1)) + rng.normal(0, 0.75, (problems, optimizers, 1))
    typical[:, 0] -= np.log2(factor)
    return pool(2 ** (typical + rng.normal(0, 0.5, (problems, optimizers, 8))))


def winners(optimizers: int, factor: float, draws: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [judge(drawn(rng, optimizers, factor=factor), Question(), rng, starts=False).winner for _ in range(draws)]


@pytest.mark.slow
@pytest.mark.parametrize(("optimizers", "draws"), [(2, 1000), (4, 300)])
def test_of_equal_optimizers_a_winner_is_named_in_at_most_5_percent(optimizers, draws):
    assert sum(map(bool, winners(optimizers, 1.0, draws, seed=1))) <= 0.05 * draws


@pytest.mark.slow
@pytest.mark.parametrize("optimizers", [2, 4])
def test_a_factor_of_two_on_30_problems_is_seen_in_at_least_80_percent(optimizers):
    found = winners(optimizers, 2.0, 150, seed=2)
    assert np.mean([name == "o0" for name in found]) >= 0.8


def test_a_clear_winner_is_named_with_its_interval():
    rng = np.random.default_rng(0)
    told = judge(drawn(rng, 3, factor=8.0), Question(), rng)
    assert told.winner == told.leader == "o0" and told.close == []
    pair = told.pairs[0]
    assert pair.wins + pair.losses + pair.ties == 30 and pair.p < 0.001
    assert pair.families.low <= pair.families.value <= pair.families.high < 0
    assert pair.starts.high - pair.starts.low < pair.families.high - pair.families.low
    text = verdict_block(told)
    assert text.sentence.startswith("o0 is better than each of the 2 others on problems like these (30 problems of 30")


def test_variants_of_one_function_are_one_family():
    rng = np.random.default_rng(0)
    costs = np.tile(2 ** rng.normal(5, 0.1, (1, 2, 8)), (30, 1, 1))
    costs[:, 0] /= 4
    told = judge(pool(costs, families=["quadratic"] * 30), Question(), rng)
    assert (told.families, told.winner, told.enough) == (1, "", False)
    assert "Fewer than 7 families" in verdict_block(told).sentence
    assert judge(pool(costs), Question(), rng).winner == "o0"


def test_unsolved_by_all_names_nobody():
    told = judge(pool(np.full((8, 2, 4), np.inf)), Question(), np.random.default_rng(0))
    assert told.unsolved and told.winner == ""
    assert (
        verdict_block(told).sentence
        == "No optimizer solves any of the 8 problems of 8 families in half of its descents."
    )


def test_a_censored_problem_counts_as_lost_by_a_wide_margin():
    costs = np.full((8, 2, 4), 100.0)
    costs[:, 1] = np.inf
    told = judge(pool(costs), Question(), np.random.default_rng(0))
    assert told.winner == "o0" and told.pairs[0].families == (-10, -10, -10)
    assert "< 0.001 × the cost" in verdict_block(told).sentence


def test_a_winner_that_depends_on_what_a_gradient_costs_is_told():
    # o1 spends values only, half as many as the other needs gradients.
    rng = np.random.default_rng(0)
    told = pool(np.tile(2 ** rng.normal(6, 0.01, (9, 1, 4)), (1, 2, 1)))
    cheap = tuple((row[0], dataclasses.replace(row[1], settle=row[1].settle[:, [1, 0, 2]] * 2)) for row in told.held)
    told = dataclasses.replace(told, held=cheap)
    assert judge(told, Question(), rng).winner == "o0"
    assert judge(told, Question(gradient=4.0), rng).winner == "o1"


def test_success_rates_are_compared_in_points():
    costs = np.full((10, 2, 10), 50.0)
    costs[:, 1, :3] = np.inf
    told = judge(pool(costs), Question("success_rate"), np.random.default_rng(0))
    assert told.winner == "o0" and told.pairs[0].families.value == pytest.approx(-0.3)
    assert "+30 points" in verdict_block(told).sentence


def test_relabelling_the_optimizers_changes_no_number():
    rng = np.random.default_rng(3)
    told = drawn(rng, 3, factor=3.0)
    turned = dataclasses.replace(told, optimizers=told.optimizers[::-1], held=tuple(row[::-1] for row in told.held))
    one, other = (judge(t, Question(), np.random.default_rng(0), starts=False) for t in (told, turned))
    assert (one.winner, one.leader) == (other.winner, other.leader)
    assert {p.other: p.p for p in one.pairs} == {p.other: p.p for p in other.pairs}


def test_rotation_sensitivity_is_read_off_twins():
    costs = np.array([[[10.0, 20.0]] * 2, [[10.0, 20.0], [np.inf, np.inf]], [[40.0, 80.0]] * 2])
    told = pool(costs, families=["rastrigin", "rastrigin", "other"])
    places = [
        dataclasses.replace(told.places[0], transforms=("shift",)),
        dataclasses.replace(told.places[1], transforms=("shift", "rotate")),
        told.places[2],
    ]
    told = dataclasses.replace(told, places=tuple(places))
    assert twins(told) == [(0, 1)]
    plain, lost = rotation_sensitivity(told)
    assert (plain.solved, plain.rotated, plain.slower) == (1.0, 1.0, pytest.approx(1.0))
    assert (lost.solved, lost.rotated) == (1.0, 0.0) and np.isnan(lost.slower)
    assert rotation_sensitivity(pool(costs)) == []
