"""How everything that gdbench computes is compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

WITHOUT_YNN: dict[str, Any] = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""No YNNPACK fusions on a CPU: those of jaxlib 0.10.2 and 0.11.0 read memory that was never written when a batched
matrix product or reduction meets another reduction (jax issues 39103 and 39257), and so return another number at each
call. Without them compiling and running were not slower here."""


WIDE: dict[str, Any] = {"xla_cpu_prefer_vector_width": 512}
"""Whole registers where a CPU has AVX-512: the engine ``lanes`` is 1.6 times as fast so, and nothing is slower."""


@functools.cache
def compiler_options(platform: str | None = None) -> dict[str, Any]:
    """Options for the compiler of a platform, that of the default backend say; empty where it does not know them."""
    if (platform or jax.default_backend()) != "cpu":
        return {}
    try:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            jax.jit(jnp.negative).lower(0.0).compile(compiler_options=WITHOUT_YNN | WIDE)
    except Exception:  # jaxlib raises its own type, which differs between releases; without the option is as before
        return {}
    return WITHOUT_YNN | WIDE


def jit(function: Callable[..., Any], platform: str | None = None, **more: Any) -> Any:
    """``jax.jit`` with these options."""
    return jax.jit(function, compiler_options=compiler_options(platform), **more)
