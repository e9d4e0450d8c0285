"""Programs are compiled without what a compiler is known to get wrong."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from gdbench.kernels.compiler import WIDE, WITHOUT_YNN, compiler_options, jit


@pytest.mark.skipif(jaxlib.__version__ not in ("0.10.2", "0.11.0"), reason="the fault is in two releases")
def test_the_option_is_known_where_it_is_needed():
    assert compiler_options() == WITHOUT_YNN | WIDE


@pytest.mark.usefixtures("compiled_for_users")
@pytest.mark.parametrize(("dtype", "n"), [("float64", 16_385), ("float32", 32_769)])
def test_a_batched_product_under_a_reduction_is_right(dtype, n):
    # The public example of jax issue 39103, whose last entry came out wrong in jaxlib 0.10.2.
    with jax.enable_x64(dtype == "float64"):
        x = jnp.stack([jnp.arange(n, dtype=dtype), jnp.zeros(n, dtype), jnp.zeros(n, dtype)], axis=1)
        matrix = jnp.eye(3, dtype=dtype)
        last = jit(lambda x: jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2))(x))(x)[-1]
    assert float(last) == float(np.asarray(n - 1, dtype) ** 2)
