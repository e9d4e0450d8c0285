"""What the longer commands do: run, its dry run, status, export, compare, doctor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdbench import terminal
from gdbench.contracts import OUTCOMES
from gdbench.errors import GdbenchError
from gdbench.results import Results
from gdbench.suite import Suite

if TYPE_CHECKING:
    from gdbench.comparison.rows import Comparison

REPORTED = 1_000_000
"""A run of more descents is not reported on by itself: figures read whole tables."""


def dry_run(suite: Suite, devices: int | None, engine: str, root: Path, as_json: bool) -> None:
    """Say what a run would do."""
    from gdbench import plan, runner
    from gdbench.kernels import execute

    runner.start_jax(devices)
    found = execute.local_devices(devices)
    cells = plan.make_plan(suite, found[0].platform, engine=engine)
    cost = plan.estimate(cells, len(found))
    folder = runner.run_folder_of(suite, cells, root)
    rows = [
        {
            "experiment": c.info["experiment"], "problem": c.info["problem"]["label"],
            "optimizer": c.info["optimizer"]["label"], "dtype": c.dtype, "descents": c.grid.size,
            "steps": c.info["steps"], "engine": c.info["engine"], "block": c.block,
            "blocks": -(-c.grid.size // c.block), "cell": c.key,
        }
        for c in cells
    ]  # fmt: skip
    if as_json:
        terminal.print_json({**vars(cost), "folder": str(folder), "plan": rows})
        return
    terminal.print_table(list(rows[0]), [[str(v) for v in row.values()] for row in rows])
    print(
        f"\n{cost.cells} cells, {cost.descents:,} descents, {terminal.big(cost.evaluations)} evaluations\n"
        f"about {_time(cost.seconds)} on {len(found)} {found[0].platform} device(s), within a factor of 3 or so\n"
        f"about {cost.peak_bytes / 2**30:.1f} GiB of memory, {cost.disk_bytes / 2**20:.0f} MiB on disk\n"
        f"into {folder}"
    )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run(
    suite: Suite, devices: int | None, timeout: float, tile: int | None, engine: str, root: Path, report: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Run a suite, write its report, say how it went; the exit code."""
    from gdbench import runner

    progress = terminal.progress(as_json)
    try:
        options = runner.Options(devices, tile, timeout, progress, engine=engine)
        results = runner.run_suite(suite, options, root)
    finally:
        progress.close()
    counts = results.counts()
    descents = sum(sum(tally.values()) for tally in counts.values())
    page = None
    if report and descents > REPORTED:
        terminal.say(f"no report by itself above {REPORTED:,} descents: gdbench report {results.path}")
    elif report and results.partial is not None:
        terminal.say("no report: it needs the whole record, and the suite asks for some columns alone")
    elif report:
        from gdbench.report import write_report

        terminal.say("writing the report")
        page = write_report(results)
    summary = _summary(results, counts)
    if as_json:
        document = {"run": str(results.path), "report": str(page) if page else None, "descents": descents}
        document |= {"cells": summary, "failures": results.failures}
        terminal.print_json(document | ({"claims": claims_rows(results)} if results.suite.get("claim") else {}))
    else:
        _print_summary(summary)
        if results.suite.get("claim"):
            print()
            print_claims(results)
        print(f"\ntable   {results.path}\nreport  {page or 'not written'}")
    failures = [failure for failure in results.failures if not failure["refused"]]
    if len(failures) < len(results.failures):
        left_out = len(results.failures) - len(failures)
        terminal.say(
            f"{left_out} of {len(results.cells)} cells left out: their optimizers are not made for the problem"
        )
    for failure in failures:
        place = f"{failure['experiment']} / {failure['problem']} / {failure['optimizer']}"
        terminal.say(f"gdbench: error: {place} failed: {failure['error']}")
    return 1 if failures else 0


def _summary(results: Results, counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    return [
        {
            "cell": c["id"], "experiment": c["experiment"], "problem": c["problem"]["label"],
            "optimizer": c["optimizer"]["label"], "dtype": c["dtype"], "descents": c["lanes"],
            "stored": sum(counts[c["id"]].values()), "outcomes": counts[c["id"]], "failed": c["failed"],
            "refused": c["refused"],
        }
        for c in results.cells
    ]  # fmt: skip


def _print_summary(summary: list[dict[str, Any]]) -> None:
    shown = [name for name in OUTCOMES if any(name in row["outcomes"] for row in summary)]
    rows = []
    for row in summary:
        total = max(1, row["stored"])
        shares = [f"{100 * row['outcomes'].get(name, 0) / total:.1f}%" for name in shown]
        rows.append([row["experiment"], row["problem"], row["optimizer"], f"{row['stored']:,}", *shares])
    terminal.print_table(["experiment", "problem", "optimizer", "descents", *shown], rows)


def claims_rows(results: Results) -> list[dict[str, Any]]:
    """The claims of a run with their verdicts."""
    from gdbench.claims.verdicts import claims_frame

    return claims_frame(results).to_dict("records")


def print_claims(results: Results) -> None:
    """The table of claims: what is said, the number that decides, the verdict, the figure."""
    from gdbench.figures.choose import ran

    rows = claims_rows(results)
    shown = [[row["claim"], row["says"], row["number"], row["verdict"], row["figure"]] for row in rows]
    terminal.print_wrapped(["claim", "said", "measured", "verdict", "figure"], shown, [7, 50, 50, 36, 17])
    stored, whole = len(ran(results)), len(results.cells)
    if stored < whole:
        print(f"\n{whole - stored} of {whole} cells have no descents: the verdicts rest on the others")


def claims(results: Results, as_json: bool) -> None:
    """Weigh the claims of a run's suite."""
    if not results.suite.get("claim"):
        raise GdbenchError(f"the suite {results.suite['suite']['name']!r} claims nothing: add [[claim]] tables to it")
    if as_json:
        terminal.print_json({"run": str(results.path), "claims": claims_rows(results)})
    else:
        print_claims(results)


def status(results: Results, as_json: bool) -> int:
    """Say what of a run is done; 0 when all is, 1 when cells failed or are missing."""
    summary = _summary(results, results.counts())
    done = sum(row["stored"] == row["descents"] or bool(row["refused"]) for row in summary)
    if as_json:
        terminal.print_json({"run": str(results.path), "done": done, "cells": summary})
    else:
        state = [
            "done"
            if r["stored"] == r["descents"]
            else f"{'left out' if r['refused'] else 'failed'}: {r['failed']}"
            if r["failed"]
            else "to run"
            for r in summary
        ]
        rows = [
            [r["experiment"], r["problem"], r["optimizer"], r["dtype"], f"{r['stored']:,}/{r['descents']:,}", s]
            for r, s in zip(summary, state, strict=True)
        ]
        terminal.print_table(["experiment", "problem", "optimizer", "dtype", "descents", "state"], rows)
        print(f"\n{done} of {len(summary)} cells done in {results.path}")
    return 0 if done == len(summary) else 1


def export(results: Results, out: Path, setting: str, optimizers: Sequence[str], gradient: str, as_json: bool) -> None:
    """Write a run in COCO's data format, and say where."""
    from gdbench.coco import export_coco

    try:
        weight = None if gradient == "dimension" else float(gradient)
    except ValueError:
        raise GdbenchError(f"--gradient is a number or 'dimension', not {gradient!r}") from None
    folders = [str(folder) for folder in export_coco(results, out, setting, optimizers, weight)]
    if as_json:
        terminal.print_json({"format": "coco", "folders": folders})
    else:
        print("\n".join(folders))


def compare(runs: Sequence[Results], rules: Sequence[str], out: Path | None, as_json: bool) -> int:
    """Compare runs with the first, say how, and give 1 where a rule is broken."""
    from gdbench import comparison
    from gdbench.comparison import rules as bounds
    from gdbench.comparison import text

    asked = bounds.read_rules(rules)
    found = comparison.compare(runs)
    verdict = bounds.apply_rules(found, asked) if asked else None
    page = comparison.write_comparison(found, out, verdict) if out is not None else None
    if as_json:
        terminal.print_json(text.document(found, verdict) | ({"page": str(page)} if page else {}))
    else:
        _print_comparison(found)
    if page is not None and not as_json:
        print(f"\n{page}")
    if verdict is not None:
        terminal.say(text.verdict_text(verdict))
        for failure in verdict.failures:
            terminal.say(f"gdbench: error: {text.failure_text(failure)}")
    return 1 if verdict and verdict.failures else 0


def _print_comparison(found: Comparison) -> None:
    """Runs, what differs, and the tables; the gaps, which few need, stand in the files."""
    from gdbench.comparison import text

    for letter, line in text.run_lines(found):
        print(f"{letter}  {line}")
    print()
    if found.differences:
        rows = [[d.part, d.name, *d.values] for d in found.differences]
        terminal.print_table(["differs", "", *found.letters], rows)
    else:
        print("nothing differs but the descents themselves")
    for note in found.notes:
        print(note)
    for group in text.groups(found):
        shown = [i for i, head in enumerate(group.heads) if "gap" not in head]
        print(f"\n{group.title}")
        terminal.print_table([group.heads[i] for i in shown], [[line.texts[i] for i in shown] for line in group.lines])
    print(f"\n{text.MEANING}")


def doctor(as_json: bool) -> None:
    """Say what gdbench runs on."""
    import time

    from gdbench import kept, runner, store
    from gdbench.kernels import execute

    runner.start_jax()
    devices = execute.local_devices()
    facts = store.environment(devices, 0)
    facts = {k: v for k, v in facts.items() if k not in ("seed", "command", "started")}
    cache = kept.cache_folder()
    facts["cache"] = str(cache)
    parent = next(p for p in [cache, *cache.parents] if p.exists())
    facts["cache_writable"] = os.access(parent, os.W_OK)
    from gdbench.face import sweep

    begin = time.perf_counter()
    table = sweep(
        "parabola", "gd", learning_rate=[0.1, 1.1], starts={"kind": "points", "points": [[1.0]]}, steps=200
    ).table
    facts["first_sweep_seconds"] = round(time.perf_counter() - begin, 2)
    facts["first_sweep"] = "good" if list(table["outcome"]) == ["converged", "diverged"] else "WRONG RESULT"
    if as_json:
        terminal.print_json(facts)
    else:
        terminal.print_table(["what", "here"], list(facts.items()))


def engines(as_json: bool) -> None:
    """Say which engine runs what by the rule, every optimizer on one problem and every problem with one optimizer."""
    from gdbench import plan, runner
    from gdbench.catalogue import gather
    from gdbench.contracts import Optimizer, ProblemFamily
    from gdbench.kernels import execute

    runner.start_jax()
    platform = execute.local_devices(1)[0].platform
    rows = []
    for kind, names in (
        ("optimizer", sorted(gather("gdbench.optimizers", Optimizer))),
        ("problem", sorted(gather("gdbench.problems", ProblemFamily))),
    ):
        for name in names:
            problem, optimizer = ("rosenbrock", name) if kind == "optimizer" else (name, "gd")
            engine, refusal = execute.ruled(plan.plain_descent(problem, optimizer), platform)
            rows.append({"what": kind, "name": name, "engine": engine, "because": refusal or ""})
    if as_json:
        terminal.print_json(rows)
        return
    terminal.print_table(list(rows[0]), [list(row.values()) for row in rows])
