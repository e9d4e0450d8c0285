"""Kinks: subgradients that are ones, and what a constant step does there."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.problems.nonsmooth import l1_norm, max_norm, maxq

FAMILIES = {"l1_norm": l1_norm, "max_norm": max_norm, "maxq": maxq}
VALUES = {
    "l1_norm": lambda x: np.abs(x).sum(axis=-1),
    "max_norm": lambda x: np.abs(x).max(axis=-1),
    "maxq": lambda x: (x**2).max(axis=-1),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dim", [2, 7])
def test_values(name, dim, at):
    problem = FAMILIES[name](dim=dim)
    points = np.random.default_rng(0).uniform(*problem.box, (20, dim))
    np.testing.assert_allclose(at(problem, points), VALUES[name](points), rtol=1e-15)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dim", [2, 7])
def test_at_a_kink_the_gradient_is_a_subgradient(name, dim, at):
    problem = FAMILIES[name](dim=dim)
    points = np.concatenate([problem.kinks, problem.minimizers])
    values, slopes = at(problem, points, of=jax.value_and_grad)
    others = np.random.default_rng(1).uniform(*problem.box, (200, dim))
    for point, value, slope in zip(points, values, slopes, strict=True):
        assert np.all(VALUES[name](others) >= value + (others - point) @ slope - 1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_stated_kinks_are_kinks(name, at):
    problem = FAMILIES[name](dim=4)
    directions = np.random.default_rng(2).standard_normal((50, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for kink in problem.kinks:
        ahead, behind = (at(problem, kink + sign * 1e-6 * directions) for sign in (1, -1))
        bends = (ahead + behind - 2 * at(problem, kink[None])) / 1e-6
        assert bends.max() > 0.1


@pytest.mark.slow
def test_a_constant_step_never_arrives_at_a_sharp_minimum():
    # Every coordinate ends in a swing of the width of the step: the floor is at most the sum of the steps.
    swept = gd.sweep(l1_norm(dim=3), "gd", learning_rate=[0.3, 0.07], steps=400).table
    assert list(swept["outcome"]) == ["oscillating"] * 2
    assert np.all(swept["gap_final"] <= 3 * swept["learning_rate"]) and np.all(swept["gap_final"] > 1e-3)


def test_maxq_begins_as_in_the_literature():
    np.testing.assert_array_equal(maxq(dim=5).start, [1, 2, -3, -4, -5])
    assert float(maxq(dim=20)(maxq(dim=20).start)) == 400
