"""How everything that gdbench computes is compiled."""

from __future__ import annotations

import functools
import importlib.util
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib

WITHOUT_YNN: dict[str, Any] = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""No YNNPACK fusions on a CPU: those of jaxlib 0.10.2 and 0.11.0 read memory that was never written when a batched
matrix product or reduction meets another reduction (jax issues 39103 and 39257), and so return another number at each
call. Without them compiling and running were not slower here."""


WIDE: dict[str, Any] = {"xla_cpu_prefer_vector_width": 512}
"""Whole registers where a CPU has AVX-512: the engine ``lanes`` is 1.6 times as fast so, and nothing is slower."""


FEW, MANY = 128, 4096
"""Pairs of arrays up to which LLVM checks that they do not overlap, by itself and where it is told to; it vectorizes
no loop over more of them."""
CHECKS = "vectorize-memory-check-threshold"
FLAG = f"--xla_backend_extra_options=-{CHECKS}={MANY}"


def check_many_pairs() -> None:
    """Tell LLVM to, through ``XLA_FLAGS``, which XLA reads when it starts: not later, and for no program alone.

    An option that LLVM does not know ends the process, so it is looked for in its library; and nothing is said where a
    plugin brings an LLVM of its own.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    in_a_file = bool(flags) and not flags.startswith("-")
    if in_a_file or "xla_backend_extra_options" in flags or not _knows(CHECKS):
        return
    os.environ["XLA_FLAGS"] = f"{flags} {FLAG}".strip()


def _knows(option: str) -> bool:
    """Whether JAX's library for CPUs, the only one that will start, has an LLVM with this option."""
    if os.environ.get("JAX_PLATFORMS") != "cpu" and importlib.util.find_spec("jax_plugins") is not None:
        return False
    library = Path(jaxlib.__file__).parent / "libjax_common.so"
    try:
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(option.encode()) >= 0
    except (OSError, ValueError):  # another release, or another system, keeps it elsewhere
        return False


def pairs_checked() -> int:
    """Pairs of arrays that LLVM checks in this process."""
    return MANY if FLAG in os.environ.get("XLA_FLAGS", "") else FEW


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
