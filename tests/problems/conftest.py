from __future__ import annotations

import contextlib

import numpy as np
import pytest


def flat_objective(problem, dtype: str):
    """(x, data, parameters) -> scalar for a flat x, with data and parameters of that dtype, as a kernel casts them."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    if problem.template is None:
        unravel = lambda x: x  # noqa: E731
    else:
        unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), problem.template))[1]
    data = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), problem.data)
    parameters = {name: jnp.asarray(value, dtype) for name, value in problem.parameters.items()}
    return (lambda x, d, p: problem.objective(unravel(x), d, p)), data, parameters


@contextlib.contextmanager
def precision(dtype: str):
    import jax

    with jax.enable_x64(dtype == "float64"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def flat():
    return flat_objective


@pytest.fixture
def in_dtype():
    return precision


@pytest.fixture
def at():
    """(problem, points [n, dim], dtype, of) -> values or derivatives of the objective at the points, in float64."""
    import jax
    import jax.numpy as jnp

    from gdbench.kernels.compiler import jit

    def evaluate(problem, points, dtype="float64", of=lambda f: f):
        with precision(dtype):
            f, data, parameters = flat_objective(problem, dtype)
            over = jit(jax.vmap(of(f), in_axes=(0, None, None)))
            results = over(jnp.asarray(points, dtype), data, parameters)
            assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(results))
            return jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), results)

    return evaluate
