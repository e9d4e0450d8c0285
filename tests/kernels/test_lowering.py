"""The kernel lowers for CUDA on a machine without a GPU, whatever the optimizer asks of it."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.choices import resolve_optimizer
from gdbench.kernels.descent import Descent, Shared, numerics
from gdbench.kernels.execute import Program, local_devices, to_dtype
from gdbench.kernels.layout import Shape
from gdbench.kernels.scan import descend
from gdbench.optimizers.rules import static_values


@pytest.mark.parametrize("optimizer", ["gd", "adam", "trial_and_error", "optax/lion"])
@pytest.mark.parametrize("problem", ["rosenbrock", "digits_softmax"])
def test_a_block_lowers_for_cuda(problem, optimizer):
    f, rule = gd.problem(problem), resolve_optimizer(optimizer)
    descent = Descent(f, rule, static_values(rule, {}), Shape(100, (0, 20, 100), (0, 100), 2, f.dim < 10))
    words = (np.uint32(0), np.uint32(0))
    shared = to_dtype(Shared(f.data, words, np.zeros((0, f.dim)), np.ones(2)), "float32")
    lanes = Program(descent, "float32", 64, 1, local_devices(1)).lanes(64)
    with numerics("float32"):
        block = jax.jit(jax.vmap(functools.partial(descend, descent), in_axes=(0, None)))
        text = block.trace(lanes, shared).lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo.while" in text
