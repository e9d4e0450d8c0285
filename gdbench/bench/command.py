"""The command ``gdbench bench``: choose rows, measure them, print and store them with the machine they are of."""

from __future__ import annotations

import contextlib
import importlib.metadata
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gdbench import store, terminal
from gdbench.bench import curve, descents, larger, upkeep, ways
from gdbench.bench.sizes import FULL, QUICK, Sizes
from gdbench.bench.timing import Row, attempt, cores
from gdbench.bench.work import OPTIMIZERS, make_work
from gdbench.errors import NothingSelectedError, UnknownNameError, did_you_mean

Say = Callable[[str], None]

FORM = 1
"""Version of the JSON document."""

GROUPS: Mapping[str, Callable[[Sizes, Say], Iterator[Row]]] = {
    curve.GROUP: curve.rows, **larger.GROUPS, **upkeep.GROUPS,
}  # fmt: skip
"""What is measured beside the descents, by name."""


def names() -> list[str]:
    """Everything that ``--only`` takes: the ways to do the descents, all of these at once, and the further groups."""
    return [descents.GROUP, *(way.name for way in ways.all_ways()), *GROUPS]


def checked_names(only: Sequence[str], left_out: tuple[str, ...] = ()) -> list[str]:
    """The names to measure, by default all but those that are left out.

    Raises:
        UnknownNameError: with the nearest name.
    """
    known = names()
    for name in only:
        if name not in known:
            raise UnknownNameError(f"the benchmark has no row {name!r}: {did_you_mean(name, known)}")
    wanted = [way.name for way in ways.all_ways()] if descents.GROUP in only else []
    rest = [name for name in known if name != descents.GROUP]
    return [*only, *wanted] or [name for name in rest if not name.endswith(left_out or (" ",))]


def measure(wanted: Sequence[str], sizes: Sizes, say: Say) -> Iterator[Row]:
    """The rows of these names."""
    chosen = [way for way in ways.all_ways() if way.name in wanted]
    if chosen:
        works = [make_work(name, sizes.rates, sizes.starts, sizes.steps, sizes.single) for name in OPTIMIZERS]
        yield from descents.rows(works, chosen, say)
    for name, rows in GROUPS.items():
        if name in wanted:
            yield from group(name, rows, sizes, say)


def group(name: str, rows: Callable[[Sizes, Say], Iterator[Row]], sizes: Sizes, say: Say) -> Iterator[Row]:
    """The rows of a group; where it fails as a whole, one that says why."""
    found: list[Row] = []
    told = attempt(Row(name, name), lambda _: found.extend(rows(sizes, say)))
    yield from found
    if told.why is not None:
        yield told


@contextlib.contextmanager
def without_cache() -> Iterator[None]:
    """JAX on all cores as in a run, and without its compilation cache: what is compiled is compiled."""
    import jax

    from gdbench import runner

    runner.start_jax()
    before = jax.config.jax_enable_compilation_cache  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)


def machine() -> dict[str, Any]:
    """What the numbers hold for: processor and its instruction sets, cores, versions, commit."""
    from gdbench.bench import limit
    from gdbench.kernels import execute

    facts = store.environment(execute.local_devices(), 0)
    facts = {name: value for name, value in facts.items() if name != "seed"}
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:  # it is optional; the rows of torch say so too
        torch = None
    told = {"torch": torch, "cores_usable": cores(), "instruction_sets": instruction_sets(), "load": load()}
    return facts | told | {"compiler": limit.compiler_version()}


VECTORS = ("sse4_2", "avx", "avx2", "fma", "avx512", "avx_", "amx", "asimd", "sve")
"""Beginnings of the flags that say how wide vectors are and what can be done with them."""


def instruction_sets() -> list[str]:
    """The vector instructions of the processor, as Linux names them; none where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("flags", "features")):
                return sorted({flag for flag in line.partition(":")[2].split() if flag.startswith(VECTORS)})
    return []


def load() -> float | None:
    """Processes that wanted a core in the last minute: numbers of a busy machine are low."""
    import os

    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


BUSY = 0.5
"""Load for each core above which the numbers are not those of the machine alone."""


def run(quick: bool, as_json: bool, out: Path | None, only: Sequence[str], sizes: Sizes | None = None) -> int:
    """Measure, print and store; the exit code.

    Raises:
        WrongAnswerError: when a way gives wrong answers; nothing is shown.
        NothingSelectedError: when none of the rows asked for could be measured.
    """
    sizes = sizes or (QUICK if quick else FULL)
    wanted, begin = checked_names(only, sizes.left_out), time.perf_counter()

    def say(line: str) -> None:
        terminal.say(f"[{time.perf_counter() - begin:5.1f} s] {line}")

    before = load()
    if before is not None and before > BUSY * cores():
        terminal.say(f"gdbench: other processes want the cores too (load {before:.1f}): numbers will be low")
    path = out or store.RESULTS / "bench" / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    rows: list[Row] = []
    with without_cache():
        document: dict[str, Any] = {"form": FORM, "quick": quick, "machine": machine(), "sizes": asdict(sizes)}
        for row in measure(wanted, sizes, say):
            rows.append(row)
            if row.measured:  # what is measured is kept, should the rest be interrupted
                keep(document_of(document, rows, begin, False), path)
    document = document_of(document, rows, begin, True)
    if not any(row.measured for row in rows):
        why = "; ".join(dict.fromkeys(f"{row.name}: {row.why}" for row in rows))
        raise NothingSelectedError(f"nothing could be measured: {why}")
    keep(document, path)
    draw(document, rows, path)
    if as_json:
        terminal.print_json(document)
    else:
        show(document, rows)
    terminal.say(f"written to {path}")
    for row in rows:
        if row.failed:
            terminal.say(f"gdbench: error: {row.group}, {row.name} failed: {row.why}")
    return 1 if any(row.failed for row in rows) else 0


def document_of(head: Mapping[str, Any], rows: Sequence[Row], begin: float, complete: bool) -> dict[str, Any]:
    """The JSON document with the rows so far."""
    seconds = time.perf_counter() - begin
    return {**head, "complete": complete, "seconds": seconds, "rows": [asdict(row) for row in rows]}


def keep(document: Mapping[str, Any], path: Path) -> None:
    """Write the document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_json(path, document)


def draw(document: Mapping[str, Any], rows: Sequence[Row], path: Path) -> None:
    """Figure 18 beside the document, where the curve was measured."""
    if curve.frame_of(rows).empty:
        return
    from gdbench.figures import base

    base.save(curve.figure(rows, document["machine"]), path.parent, f"{path.stem}-{curve.GROUP}")


HEADER = (
    "what", "way", "lanes", "steps", "compile s", "first s", "steady s", "lane-steps/s", "to a table", "× plain",
    "× limit", "× peer", "note",
)  # fmt: skip


LEGEND = """
A lane is one descent; of ways that take one at a time a few are run. lane-steps/s: until all is computed; to a table:
until it is a table in memory. × plain: against jit-vmap-scan, × limit: against limit-all-cores, × peer: against the
first row of its kind, all of this run. Every answer was checked before its row was shown (of throughput, those of at
most 100,000 lanes)."""


def show(document: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """The tables on stdout."""
    here = document["machine"]
    loaded = "" if here["load"] is None else f", load {here['load']:.1f} when it began"
    print(f"{here['cpu']}, {here['cores_usable']} cores{loaded}; jax {here['jax']}, commit {here['commit']}\n")
    timed = [row for row in rows if row.unit is None]
    if timed:
        terminal.print_table(HEADER, [line(row) for row in timed])
        print(LEGEND)
    single = [row for row in rows if row.unit is not None]
    if single:
        print()
        told = [[r.summary, "" if r.value is None else f"{r.value:.4g}", r.unit, r.why or ""] for r in single]
        terminal.print_table(("what", "value", "unit", "note"), told)


def line(row: Row) -> list[str]:
    """A row for people."""

    def number(value: float | None, form: str = ".3g") -> str:
        return "" if value is None else f"{value:{form}}"

    def rate(value: float | None) -> str:
        return "" if value is None else terminal.big(value)

    return [
        row.group, row.name, number(row.lanes, ","), number(row.steps, ","), number(row.compile_seconds),
        number(row.first_seconds), number(row.seconds), rate(row.lane_steps_per_second),
        rate(row.table_lane_steps_per_second), number(row.to_plain), number(row.to_limit),
        number(row.to_peer), row.why or "",
    ]  # fmt: skip
