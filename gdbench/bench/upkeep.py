"""What gdbench costs beside its descents: memory, disk, the time until a command begins, and that to compile."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gdbench.bench.curve import square
from gdbench.bench.sizes import Sizes
from gdbench.bench.timing import Row
from gdbench.bench.work import HIGH, LOW

STEPS = 10
"""Few, so that what a descent leaves behind weighs more than what it computes."""

COMMANDS = (("--help",), ("list", "problems"))


def command(*words: str) -> list[str]:
    """gdbench as a process of its own, of this source."""
    return [sys.executable, "-m", "gdbench.cli", *words]


def environment() -> dict[str, str]:
    """The process sees the package that this one runs."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


SUITE = """
[suite]
name = "memory"

[[experiment]]
problems = ["rosenbrock"]
optimizers = [{{ name = "gd", learning_rate = {{ log = [{low}, {high}], num = {rates} }} }}]
starts = {{ kind = "box", num = {starts} }}
steps = {steps}
"""


def stored(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Row]:
    """Peak memory of a run from the command line into a folder, and what a descent takes on the disk."""
    n = sizes.stored
    say(f"memory and disk, {n:,} descents of {STEPS} steps")
    with tempfile.TemporaryDirectory(prefix="gdbench-memory-") as folder:
        suite = Path(folder) / "memory.toml"
        rates, starts = square(n)
        suite.write_text(SUITE.format(low=LOW, high=HIGH, rates=rates, starts=starts, steps=STEPS))
        words = command("run", str(suite), "--no-report", "--json", "--results", folder)
        peak, seconds, error = watched(words, Path(folder) / "peak")
        size = sum(path.stat().st_size for path in Path(folder).glob("memory/*/descents/*.parquet"))
    what = f"a run of {n:,} descents of {STEPS} steps"
    each = None if error else size / n
    yield Row("memory", "memory", f"peak memory, {what}", value=peak, unit="MiB", why=error)
    yield Row("memory", "disk", f"disk for each descent, {what}", value=each, unit="bytes", why=error)
    yield Row("memory", "run", f"start to exit, {what}", value=seconds, unit="s", why=error)


WATCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdout=subprocess.DEVNULL)
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command and writes down its peak memory. On Linux a process begins with the peak of the one that started it,
so that this must be a small one between gdbench and the benchmark, which is not."""


def watched(
    words: list[str], peak: Path, more: Mapping[str, str] | None = None
) -> tuple[float | None, float | None, str | None]:  # fmt: skip
    """Peak memory in MiB and seconds of a command, in an environment with ``more``, or what it said last."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(peak), *words], capture_output=True, text=True,
        env=environment() | dict(more or {}),
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return None, None, f"the run failed: {lines[-1]}"
    # Linux counts in KiB, macOS in bytes.
    return int(peak.read_text()) / (2**20 if sys.platform == "darwin" else 2**10), seconds, None


def starting(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Row]:
    """Seconds from start to exit of commands that run nothing."""
    for words in COMMANDS:
        shown = " ".join(("gdbench", *words))
        say(f"start of {shown}")
        told = Row("startup", shown, f"{shown}, start to exit", unit="s")
        seconds = []
        for _ in range(sizes.starting):
            begin = time.perf_counter()
            done = subprocess.run(command(*words), capture_output=True, env=environment())
            seconds.append(time.perf_counter() - begin)
            if done.returncode:
                told.why = f"exit code {done.returncode}"
        told.repetitions = seconds
        told.value = None if told.why else statistics.median(seconds)
        yield told


OPTIMIZERS = (
    "gd", "momentum", "nesterov", "ema_momentum", "quasi_hyperbolic", "normalized_gd", "adagrad", "rmsprop", "adam",
    "amsgrad", "rprop", "decayed_gd", "optax/sgd", "optax/adam", "optax/adamw", "optax/adagrad", "optax/rmsprop",
    "optax/adadelta", "optax/adamax", "optax/adamaxw", "optax/amsgrad", "optax/adabelief", "optax/adan",
    "optax/lamb", "optax/lars", "optax/lion", "optax/nadam", "optax/nadamw", "optax/novograd", "optax/radam",
    "optax/rprop", "optax/sign_sgd", "optax/signum", "optax/sm3", "optax/yogi", "optax/optimistic_gradient_descent",
    "optax/fromage", "optax/contrib/acprop", "optax/contrib/ademamix", "optax/contrib/adopt",
)  # fmt: skip
PROBLEMS = (
    "rosenbrock", "beale", "himmelblau", "booth", "matyas", "rastrigin", "styblinski_tang", "levy", "ackley",
    "griewank", "sphere", "quadratic", "goldstein_price", "branin", "easom", "three_hump_camel", "six_hump_camel",
    "mccormick", "schwefel", "zakharov", "dixon_price", "bohachevsky1", "drop_wave", "eggholder", "michalewicz",
)  # fmt: skip
SHORT_STEPS = 200


CELLS = """
[suite]
name = "cells"

[[experiment]]
problems = {problems}
optimizers = {optimizers}
learning_rate = {{ log = [{low}, {high}], num = {rates} }}
starts = {{ kind = "box", num = {starts} }}
steps = {steps}
"""


def many(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Row]:
    """Start to exit of a run of many cells, each with a program of its own: all compiled, and all kept from before."""
    optimizers, problems, lanes = sizes.cells
    rates, starts = square(lanes)
    names = {"optimizers": json.dumps(OPTIMIZERS[:optimizers]), "problems": json.dumps(PROBLEMS[:problems])}
    what = f"{optimizers * problems:,} cells of {lanes:,} descents of {SHORT_STEPS} steps"
    with tempfile.TemporaryDirectory(prefix="gdbench-cells-") as folder:
        suite, cache = Path(folder) / "cells.toml", {"GDBENCH_CACHE": str(Path(folder) / "cache")}
        suite.write_text(CELLS.format(low=LOW, high=HIGH, rates=rates, starts=starts, steps=SHORT_STEPS, **names))
        for name in ("compiled", "kept"):
            say(f"{what}, all programs {name}")
            words = command("run", str(suite), "--no-report", "--results", str(Path(folder) / name))
            _, seconds, error = watched(words, Path(folder) / "peak", cache)
            summary = f"start to exit, {what}, all programs {name}"
            yield Row("cells", f"cells-{name}", summary, value=seconds, unit="s", why=error)


GROUPS: Mapping[str, Callable[[Sizes, Callable[[str], None]], Iterator[Row]]] = {
    "memory": stored, "startup": starting, "cells": many,
}  # fmt: skip
