"""Runs that are stopped in the middle: what was done is kept, and the end is the same to the last byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gdbench as gd
from gdbench import cells, plan, runner
from gdbench.kernels import execute

ROOT = Path(__file__).parent.parent
KILLS = 10

SUITE = """
[suite]
name = "many"

[[experiment]]
name = "shards"
problems = ["rosenbrock"]
optimizers = ["gd", "adam"]
steps = 100000
learning_rate = { log = [1e-5, 1e-3], num = 50 }
starts = { kind = "sobol", num = 64 }
trace = 8
paths = 50
"""
# Blocks and shards of 64 rows: 50 files a cell.
WRAPPER = """
import os
import signal
from gdbench import plan, store
from gdbench.kernels import execute
execute.block_lanes = lambda *args: 64
plan.SHARD_ROWS = 64
from gdbench import cli

# Killed by its own hand, at the worst moments of writing: before a file is synced, renamed, or noted.
name, _, count = os.environ.get("KILL_BEFORE", "").partition(":")
if name:
    left, (owner, real) = int(count), {
        "fsync": (os, os.fsync), "replace": (os, os.replace), "note": (store.RunFolder, store.RunFolder.note),
    }[name]

    def stop(*args, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)

    setattr(owner, name, stop)
cli.main()
"""
FILES = 100


def frame_bytes(frame: pd.DataFrame) -> list[bytes]:
    """Every column as bytes: equal only where every bit of every number is."""
    columns = []
    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            columns.append(repr(list(values.cat.categories)).encode() + values.cat.codes.to_numpy().tobytes())
        elif values.dtype == object:
            columns.append(b"|".join(b"-" if v is None else np.asarray(v).tobytes() for v in values))
        else:
            columns.append(f"{name} {values.dtype}".encode() + values.to_numpy().tobytes())
    return columns


def files_of(run: gd.Run) -> dict[str, bytes]:
    assert run.path is not None
    return {path.name: path.read_bytes() for path in (run.path / "descents").iterdir()}


def same_to_the_last_byte(a: gd.Run, b: gd.Run) -> None:
    one, two = a.table(), b.table()
    assert list(one.dtypes) == list(two.dtypes)
    for name, x, y in zip(one.columns, frame_bytes(one), frame_bytes(two), strict=True):
        assert x == y, name
    assert files_of(a) == files_of(b)


# In this process


@pytest.fixture
def small_shards(monkeypatch):
    """Files of 64 rows."""
    monkeypatch.setattr(execute, "block_lanes", lambda *args: 64)
    monkeypatch.setattr(plan, "SHARD_ROWS", 64)


TABLE = {
    "suite": {"name": "small"},
    "experiment": [
        {"name": "first", "problems": ["rosenbrock"], "optimizers": ["gd", "adam"], "steps": 30,
         "learning_rate": {"log": [1e-4, 1], "num": 6}, "starts": {"kind": "sobol", "num": 64}, "trace": 4},
    ],
}  # fmt: skip


class Stopping(runner.Silent):
    """Progress that stops the run after so many dispatches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, descents: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def kept(root: Path) -> int:
    return len(list(root.glob("*/*/descents/*.parquet")))


@pytest.mark.parametrize("after", [1, 9])
def test_an_interrupt_between_two_shards_loses_one_at_most(tmp_path, small_shards, after):
    with pytest.raises(KeyboardInterrupt):
        gd.run(TABLE, results=tmp_path / "stopped", progress=Stopping(after), tile=1)
    assert kept(tmp_path / "stopped") == after - 1
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "stopped").rglob("*.parquet")}
    done = gd.run(TABLE, results=tmp_path / "stopped", tile=1)
    assert kept(tmp_path / "stopped") == 12
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in before.items())
    same_to_the_last_byte(done, gd.run(TABLE, results=tmp_path / "undisturbed"))


def test_a_cell_that_runs_out_of_time_keeps_what_it_finished(tmp_path, small_shards, monkeypatch):
    class Clock:
        now = 0.0

        @classmethod
        def perf_counter(cls) -> float:
            return cls.now

    class Slow(runner.Silent):
        def advance(self, descents: int) -> None:
            Clock.now += 1

    with monkeypatch.context() as patched:
        for module in (runner, cells):
            patched.setattr(module, "time", Clock)
        made = gd.run(TABLE, results=tmp_path / "slow", progress=Slow(), timeout=2.5, tile=1)
    assert [f["error"].split(":")[0] for f in made.failures] == ["timed out"] * 2
    assert len(made.table()) == 2 * 3 * 64
    done = gd.run(TABLE, results=tmp_path / "slow", tile=1)
    assert done.failures == []
    same_to_the_last_byte(done, gd.run(TABLE, results=tmp_path / "undisturbed"))


def test_an_unfinished_run_can_be_read(tmp_path, small_shards):
    with pytest.raises(KeyboardInterrupt):
        gd.run(TABLE, results=tmp_path, progress=Stopping(9), tile=1)
    run = gd.load(tmp_path / "small")
    assert len(run.table()) == 8 * 64 and run.failures == []
    counts = run.results.counts()
    assert [sum(counts[c["id"]].values()) for c in run.cells] == [6 * 64, 2 * 64]
    whole = gd.run(TABLE, results=tmp_path).table()
    first = run.table()
    assert len(whole) == 12 * 64 and len(first) == 12 * 64  # what was loaded reads the folder as it is now


def test_a_damaged_manifest_does_not_stop_a_run(tmp_path, small_shards):
    with pytest.raises(KeyboardInterrupt):
        gd.run(TABLE, results=tmp_path, progress=Stopping(5), tile=1)
    (manifest,) = tmp_path.rglob("manifest.jsonl")
    manifest.write_bytes(manifest.read_bytes()[:-9])
    done = gd.run(TABLE, results=tmp_path)
    assert len(done.table()) == 12 * 64 and done.failures == []
    assert [t["cell"] for t in done.results.timing] == [c["id"] for c in done.cells]


# Processes that are killed


def furnish(folder: Path) -> Path:
    (folder / "many.toml").write_text(SUITE)
    (folder / "gdbench_small_shards.py").write_text(WRAPPER)
    return folder


@pytest.fixture
def place(tmp_path):
    return furnish(tmp_path)


COMMAND = ["run", "many.toml", "--no-report", "--tile", "1", "--results"]


def begin(place: Path, results: str, **environment: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "gdbench_small_shards.py", *COMMAND, results]
    env = {**os.environ, "PYTHONPATH": paths, **environment}
    env.pop("XLA_FLAGS", None)  # compiled as for users: long descents take longer to run than to compile
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def wait_for_files(child: subprocess.Popen[str], root: Path, wanted: int, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while child.poll() is None and kept(root) < wanted and time.monotonic() < until:
        time.sleep(0.002)
    assert time.monotonic() < until, "nothing was written in time"


def finish(place: Path, results: str) -> gd.Run:
    """Run to the end, without a disturbance."""
    with begin(place, results) as child:
        told = child.communicate(timeout=120)
    assert child.returncode == 0, told
    assert kept(place / results) == FILES
    return gd.load(place / results / "many")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The run to whose bytes every other must come."""
    return finish(furnish(tmp_path_factory.mktemp("undisturbed")), "undisturbed")


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_as_if_it_had_not_been(place, undisturbed):
    dice = random.Random(0)
    for i in range(KILLS):
        with begin(place, "killed") as child:
            if i in (2, 6):
                time.sleep(dice.uniform(0.1, 2.0))  # while it imports, plans or compiles
            else:
                wait_for_files(child, place / "killed", kept(place / "killed") + dice.randint(1, 8))
                time.sleep(dice.uniform(0, 0.02))
            child.kill()
            told = child.communicate()
        assert child.returncode == -signal.SIGKILL, told
    assert 0 < kept(place / "killed") < FILES, "nothing was left for the last run to do"
    gd.load(place / "killed" / "many").table()  # whatever is there can be read
    run = finish(place, "killed")
    assert run.failures == []
    same_to_the_last_byte(run, undisturbed)
    assert list((place / "killed").rglob("*.tmp")) == []


@pytest.mark.slow
def test_a_process_killed_at_the_worst_moments_of_writing(place, undisturbed):
    # The first calls write the descriptions and the surface, the later ones shards.
    for moment in ("fsync:1", "replace:2", "replace:3", "fsync:5", "replace:11", "note:1", "note:51"):
        with begin(place, "killed", KILL_BEFORE=moment) as child:
            told = child.communicate(timeout=120)
        assert child.returncode == -signal.SIGKILL, (moment, told)
    run = finish(place, "killed")
    same_to_the_last_byte(run, undisturbed)
    assert list((place / "killed").rglob("*.tmp")) == []
    assert run.failures == []


@pytest.mark.slow
def test_an_interrupted_process_names_the_command_that_goes_on(place):
    with begin(place, "stopped") as child:
        wait_for_files(child, place / "stopped", 3)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert 3 <= kept(place / "stopped") < FILES
    assert "Traceback" not in said
    assert said.strip().endswith(" ".join(["go on with: gdbench", *COMMAND, "stopped"])), said
    with begin(place, "stopped") as child:
        told = child.communicate(timeout=120)
    assert child.returncode == 0, told
    assert kept(place / "stopped") == FILES


@pytest.mark.slow
def test_two_processes_do_not_write_one_run(place):
    with begin(place, "shared") as first:
        wait_for_files(first, place / "shared", 1)
        with begin(place, "shared") as second:
            _, said = second.communicate(timeout=60)
        alone = first.poll() is None
        told = first.communicate(timeout=120)
    assert first.returncode == 0, told
    assert not alone or (second.returncode == 2 and "another process is writing this run" in said), said
    assert kept(place / "shared") == FILES
    (manifest,) = (place / "shared").rglob("manifest.jsonl")
    assert all(json.loads(line) for line in manifest.read_text().splitlines())
