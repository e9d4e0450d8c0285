"""Probability of improvement, counted over sorted values."""

from __future__ import annotations

import numpy as np
import pytest

from gdbench.stats.aggregates import probability_of_improvement
from gdbench.stats.bootstrap import stratified_bootstrap
from gdbench.stats.improvement import improvement

INF = np.inf


@pytest.mark.parametrize("strata, expected", [
    ([[[1, 2], [3, 4]]], 1.0), ([[[3, 4], [1, 2]]], 0.0), ([[[1, INF], [INF, INF]]], 0.75),
    ([[[1, 2], [1, 2]]], 0.5), ([[[1, 1], [2, 2]], [[2, 2, 2], [1, 1, 1]]], 0.5),
])  # fmt: skip
def test_by_hand(strata, expected):
    found = improvement([np.array(one, float) for one in strata], np.random.default_rng(0), resamples=50)
    assert found.value == pytest.approx(expected) and found.low <= found.value <= found.high


def test_agrees_with_the_count_of_all_pairs_and_its_bootstrap():
    rng = np.random.default_rng(1)
    strata = [np.round(rng.normal(size=(2, n)), 1) for n in (5, 8, 13)]
    found = improvement(strata, rng, resamples=20_000)
    assert found.value == pytest.approx(np.mean([probability_of_improvement(*one[:, None])[0] for one in strata]))

    def mean(*drawn):
        return np.mean([probability_of_improvement(one[..., :1, :], one[..., 1:, :])[..., 0] for one in drawn], axis=0)

    other = stratified_bootstrap(strata, mean, rng, resamples=20_000)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.02)


def test_many_runs_in_chunks_change_nothing(monkeypatch):
    strata = [np.random.default_rng(2).random((2, 500))]
    whole = improvement(strata, np.random.default_rng(3), resamples=300)
    monkeypatch.setattr("gdbench.stats.improvement.CHUNK", 7000)
    assert improvement(strata, np.random.default_rng(3), resamples=300) == pytest.approx(whole)
