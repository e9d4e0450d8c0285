"""The hand-written limit: C, compiled when it is first asked for, run on one core and on all of them."""

from __future__ import annotations

import atexit
import concurrent.futures
import ctypes
import functools
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gdbench.bench.timing import Ready, UnavailableError, cores
from gdbench.bench.work import Work

SOURCE = Path(__file__).parent / "limit.c"

FLAGS = ("-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-fopenmp-simd", "-fPIC")
"""Descents that diverge become infinite and NaN, and must not spoil the minimum: that costs nothing here."""
WIDTHS = (64, 128, 256)
"""Lanes that go through their steps together; the fastest is taken, for it differs between machines."""


@functools.cache
def libraries() -> tuple[dict[int, Any], float]:
    """The compiled functions by the lanes that go together, and the seconds that compiling one of them took.

    Raises:
        UnavailableError: there is no C compiler, or it does not compile this.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
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


def best_values(library: Any, work: Work, arguments: tuple[np.ndarray, ...], threads: int) -> np.ndarray:
    """Best values of all lanes [n]; ctypes lets go of the interpreter, so Python's threads run on cores of their own."""
    n = len(arguments[0])
    best = np.empty(n, np.float32)
    function, addresses = getattr(library, work.optimizer), [_pointer(a) for a in (*arguments, best)]
    ends = np.linspace(0, n, threads + 1).astype(int)

    def part(first: int, last: int) -> None:
        function(ctypes.c_long(first), ctypes.c_long(last), ctypes.c_int(work.steps), *addresses)

    if threads == 1:
        part(0, n)
        return best
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(part, int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]:
            done.result()
    return best


def ready(work: Work, every_core: bool) -> Ready:
    """The limit, with the fastest width."""
    found, seconds = libraries()
    arguments, threads = work.arguments(), cores() if every_core else 1
    # An engine gives an outcome for each lane too; this is the limit of the descents alone.
    width = min(found, key=lambda w: min(_seconds(found[w], work, arguments) for _ in range(2)))
    return Ready(
        lambda: best_values(found[width], work, arguments, threads), np.asarray, np.arange(work.lanes), seconds
    )


def _seconds(library: Any, work: Work, arguments: tuple[np.ndarray, ...]) -> float:
    few = tuple(column[:4096] for column in arguments)
    begin = time.perf_counter()
    best_values(library, work, few, 1)
    return time.perf_counter() - begin
