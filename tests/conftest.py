"""What every test shares: two CPU devices and a cache folder of its own.

This file imports no JAX, for tests of reports, figures and theory must not pay for it. All is said through environment
variables, which JAX reads at its first import and which child processes inherit.
"""

from __future__ import annotations

import os
import tempfile

import pytest

_cache = tempfile.TemporaryDirectory(prefix="gdbench-tests-")
os.environ["GDBENCH_CACHE"] = _cache.name
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUM_CPU_DEVICES"] = "2"
os.environ.setdefault("MPLBACKEND", "agg")
for _name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_X64"):
    os.environ.pop(_name, None)


@pytest.fixture
def quickly_compiled(monkeypatch):
    """Cells are compiled without LLVM's optimizations, which take a third of the time: for tests of what a method does.

    What a compiler's optimizations might get wrong is looked for in tests/problems and tests/kernels/test_program.py.
    """
    from gdbench.kernels import execute

    options = execute.compiler_options() | {"xla_backend_optimization_level": 0}
    monkeypatch.setattr(execute, "compiler_options", lambda platform=None: options)
