"""What every test shares: two CPU devices, a cache folder of its own, and programs that are quickly compiled.

This file imports no JAX, for tests of reports, figures and theory must not pay for it. All is said through environment
variables, which JAX reads at its first import and which child processes inherit.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import subprocess
import sys
import tempfile

import pytest
from hypothesis import settings

# How long an example takes says something of the machine, not of the code.
settings.register_profile("gdbench", deadline=None)
settings.load_profile("gdbench")

_cache = tempfile.TemporaryDirectory(prefix="gdbench-tests-")
os.environ["GDBENCH_CACHE"] = _cache.name
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUM_CPU_DEVICES"] = "2"
os.environ.setdefault("MPLBACKEND", "agg")
for _name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_X64"):
    os.environ.pop(_name, None)

# Most of a test's time is XLA's. Without LLVM's optimizations, and with its older code generator, it takes a third of
# it; and the second core is another worker's. What optimizations might get wrong is looked for by the tests that ask
# for ``compiled_for_users``; bbob/f21 and f22 need it, since jaxlib 0.10.2 gives NaN on them without optimizations.
QUICKLY = {
    "xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}  # fmt: skip
FOR_USERS = {
    "xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True,
    "xla_cpu_parallel_codegen_split_count": 32,
}  # fmt: skip
# A flag that XLA does not know ends the process: only where these have been tried.
KNOWN = importlib.metadata.version("jaxlib").startswith("0.10.")
FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in QUICKLY.items())
# What ``gdbench.kernels.compiler`` adds as long as JAX has not started; in a test it may have.
FLAGS += " --xla_backend_extra_options=-vectorize-memory-check-threshold=4096"
if KNOWN and FLAGS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}".strip()


MANY = 10
"""Slow cases of one test function from which on they are many alike."""


def pytest_addoption(parser):
    parser.addoption(
        "--share", type=int, default=1, metavar="N",
        help="of slow tests that are many alike (10 cases or more of one function) run every N-th; HEAD says which",
    )  # fmt: skip


def others(names, share, head):
    """Those of many test functions' names, one an item, that are not run: all but every ``share``-th of each."""
    seen, left = {}, []
    for i, name in enumerate(names):
        place = seen[name] = seen.get(name, -1) + 1
        if (place + int(head, 16)) % share:
            left.append((i, name))
    return [i for i, name in left if seen[name] + 1 >= MANY]


LONG = ("test_articles.py", "test_verdict.py", "test_faults.py", "test_networks.py", "test_lesson.py", "test_docs.py")
"""Files of few tests that take long: begun last, one process would wait for another at the end."""


def pytest_collection_modifyitems(config, items):
    """Long files first; of tests that are many alike a share, and commit by commit all of them."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    share = config.getoption("share")
    if share < 2:
        return
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=config.rootpath)
    slow = [item for item in items if item.get_closest_marker("slow")]
    names = [item.nodeid.split("[")[0] for item in slow]
    left = {id(slow[i]) for i in others(names, share, told.stdout.strip() or "0")}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
    items[:] = [item for item in items if id(item) not in left]


def pytest_collection_finish():
    """What was imported stays: the garbage collector, which took a fifth of the time to trace, looks less at it."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def compile_quickly(lowered, compiler_options=None, **more):
    """``jax.stages.Lowered.compile``, for which a level that gdbench asks for is none."""
    options = {name: value for name, value in (compiler_options or {}).items() if name not in QUICKLY}
    return lowered.compile_as_asked(compiler_options=options or None, **more)


def pytest_runtest_setup(item):
    """As soon as someone has imported JAX."""
    stages = sys.modules.get("jax.stages")
    if KNOWN and stages is not None and not hasattr(stages.Lowered, "compile_as_asked"):
        stages.Lowered.compile_as_asked, stages.Lowered.compile = stages.Lowered.compile, compile_quickly


@pytest.fixture
def compiled_for_users(monkeypatch):
    """Everything that gdbench compiles is compiled as it is for users, with all optimizations; the options for that.

    For what is said to the last bit, too: without optimizations a lane's last bit may depend on where it stands.
    """
    from jax.stages import Lowered

    from gdbench.kernels import compiler, execute

    if not KNOWN:
        return compiler.compiler_options()
    monkeypatch.setattr(Lowered, "compile", getattr(Lowered, "compile_as_asked", Lowered.compile))
    options = compiler.compiler_options() | FOR_USERS
    for module in (compiler, execute):
        monkeypatch.setattr(module, "compiler_options", lambda platform=None: options)
    return options
