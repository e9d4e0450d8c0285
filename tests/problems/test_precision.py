"""float32 and float64 end alike: outcomes of a fixed sample of descents, over a sample of the whole catalogue."""

from __future__ import annotations

import numpy as np
import pytest

import gdbench as gd
from gdbench.kernels.scale import measure_scales
from tests.problems.cases import FAMILIES

pytestmark = pytest.mark.slow

STRIDE = 16
"""Every sixteenth family of the catalogue, in the order of the names."""

STEPS = 300
SHARES = (1e-3, 1e-2, 1e-1)
"""Learning rates, in widths of the box over G: the first step of gradient descent goes so far."""

EXCEPTIONS = {
    "bbob/f16": "oscillates on a scale that float32 does not resolve",
    "bukin_n6": "a crease that descents bounce off: the last digit decides how",
    "deceptive": "rounding keeps the gradient at the local minimum above what counts as rest",
}
"""Problems on which more than one outcome in a hundred differs, and why. Outside this sample the same holds for
bbob/f23, cross_leg_table and langermann."""

SAMPLE = sorted(FAMILIES)[::STRIDE]


def outcomes(name: str, dtype: str) -> np.ndarray:
    problem = gd.problem(name)
    ((scale, slope),) = measure_scales(problem, [problem.parameters])
    # One tolerance for both: the rule's own is a thousand times finer in float64, and takes longer to reach.
    tolerance = max(1e-5 * min(1, scale), 64 * float(np.finfo("float32").eps) * abs(problem.minimum or 0))
    width = float(np.max(problem.box[1] - problem.box[0]))
    rates = [share * width / slope for share in SHARES]
    starts = {"kind": "sobol", "num": 32} if problem.dim <= 64 else {"kind": "box", "num": 8}
    table = gd.sweep(
        problem, "gd", learning_rate=rates, starts=starts, steps=STEPS, dtype=dtype, outcomes={"tolerance": tolerance}
    ).table
    return table.sort_values(["learning_rate", "start"])["outcome"].astype(str).to_numpy()


def test_outcomes_agree_on_99_of_100_descents():
    same, total, unlike = 0, 0, {}
    for name in SAMPLE:
        single, double = outcomes(name, "float32"), outcomes(name, "float64")
        assert len(single) == len(double) >= 24
        if name in EXCEPTIONS:
            assert np.mean(single != double) > 0.01, f"{name} is no exception any more"
            continue
        same, total = same + int(np.sum(single == double)), total + len(single)
        changed = np.flatnonzero(single != double)
        if len(changed) > 0.01 * len(single):
            unlike[name] = [f"{single[i]} / {double[i]}" for i in changed[:3]] + [len(changed)]
    print(f"{same} of {total} outcomes agree; {unlike}")
    assert same >= 0.99 * total, unlike
    assert set(EXCEPTIONS) <= set(SAMPLE)
