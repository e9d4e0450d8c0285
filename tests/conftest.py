"""What every test shares: two CPU devices and a cache folder of its own.

This file imports no JAX, for tests of reports, figures and theory must not pay for it. All is said through environment
variables, which JAX reads at its first import and which child processes inherit.
"""

from __future__ import annotations

import os
import tempfile

_cache = tempfile.TemporaryDirectory(prefix="gdbench-tests-")
os.environ["GDBENCH_CACHE"] = _cache.name
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUM_CPU_DEVICES"] = "2"
os.environ.setdefault("MPLBACKEND", "agg")
for _name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_X64"):
    os.environ.pop(_name, None)
