"""The hand-written limit: C, compiled when it is first asked for, run on one core and on all of them."""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gdbench.bench.timing import Ready, UnavailableError, cores, timed
from gdbench.bench.work import Work

SOURCE = Path(__file__).parent / "limit.c"

FLAGS = ("-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-fopenmp-simd", "-fPIC")
"""Descents that diverge become infinite and NaN, and must not spoil the minimum: that costs nothing here."""
WIDTHS = (64, 128, 256)
"""Lanes that go through their steps together; the fastest is taken, for it differs between machines."""


def compiler_path() -> str | None:
    """The C compiler of this machine, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def compiler_version() -> str | None:
    """The first line that the compiler says of itself."""
    compiler = compiler_path()
    if compiler is None:
        return None
    told = subprocess.run([compiler, "--version"], capture_output=True, text=True)
    return next(iter(told.stdout.splitlines()), None)


@functools.cache
def libraries() -> tuple[dict[int, Any], float]:
    """The compiled functions by the lanes that go together, and the seconds that compiling one of them took.

    Raises:
        UnavailableError: there is no C compiler, or it does not compile this.
    """
    compiler = compiler_path()
    if compiler is None:
        raise UnavailableError("no C compiler")
    folder = Path(tempfile.mkdtemp(prefix="gdbench-limit-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    begin = time.perf_counter()
    found = {width: _compiled(compiler, folder, width) for width in WIDTHS}
    return found, (time.perf_counter() - begin) / len(WIDTHS)


def _compiled(compiler: str, folder: Path, width: int) -> Any:
    made, library = folder / f"limit{width}.o", folder / f"limit{width}.so"
    # Linked without -ffast-math, which would have the whole process flush subnormal numbers.
    for command in (
        [compiler, *FLAGS, f"-DGROUP={width}", "-c", str(SOURCE), "-o", str(made)],
        [compiler, "-shared", str(made), "-o", str(library), "-lm"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            told = (done.stderr.strip().splitlines() or ["no message"])[0]
            raise UnavailableError(f"the C compiler fails: {told}")
    return ctypes.CDLL(str(library))


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)


def best_values(library: Any, work: Work, arguments: tuple[np.ndarray, ...], pool: Executor | None) -> np.ndarray:
    """Best values of all lanes [n], on one core or by as many threads as there are cores.

    ctypes lets go of the interpreter, so that threads of Python run beside each other.
    """
    n = len(arguments[0])
    best = np.empty(n, np.float32)
    function, addresses = getattr(library, work.optimizer), [_pointer(a) for a in (*arguments, best)]

    def part(first: int, last: int) -> None:
        function(ctypes.c_long(first), ctypes.c_long(last), ctypes.c_int(work.steps), *addresses)

    if pool is None:
        part(0, n)
        return best
    # Some parts for each thread: one core may be busy with something else.
    ends = np.linspace(0, n, PARTS * cores() + 1).astype(int).tolist()
    for _ in pool.map(part, ends[:-1], ends[1:]):
        pass
    return best


PARTS = 4


def ready(work: Work, every_core: bool) -> Ready:
    """The limit, with the fastest width."""
    found, seconds = libraries()
    arguments, pool = work.arguments(), _pool() if every_core else None
    few = tuple(column[:4096] for column in arguments)

    def probed(width: int) -> float:
        return min(timed(lambda: best_values(found[width], work, few, None), 2)[0].steady)

    library = found[min(found, key=probed)]
    return Ready(lambda: best_values(library, work, arguments, pool), np.asarray, np.arange(work.lanes), seconds)


@functools.cache
def _pool() -> Executor:
    return ThreadPoolExecutor(cores())
