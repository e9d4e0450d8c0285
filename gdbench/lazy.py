"""JAX, optax and the other libraries of optimizers, imported at first use.

Catalogue files name ``jnp`` or ``optax`` in formulas that run only inside a descent. Listing the catalogue,
validating a suite or writing a report must not pay for (or initialise) JAX, so the modules stand here behind a
proxy that imports them at the first attribute access.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any


class _Lazy:
    """A module imported at its first attribute access."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def __repr__(self) -> str:
        return f"<{self._name}, imported at first use>"


if TYPE_CHECKING:
    import cma
    import jax
    import jax.numpy as jnp
    import optax
    import optimistix
    import scipy.optimize as scipy_optimize
    from jax import lax
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton
else:
    jax, jnp, lax, optax = _Lazy("jax"), _Lazy("jax.numpy"), _Lazy("jax.lax"), _Lazy("optax")
    cma, optimistix, scipy_optimize = _Lazy("cma"), _Lazy("optimistix"), _Lazy("scipy.optimize")
    pl, triton = _Lazy("jax.experimental.pallas"), _Lazy("jax.experimental.pallas.triton")

__all__ = ["cma", "jax", "jnp", "lax", "optax", "optimistix", "pl", "scipy_optimize", "triton"]
