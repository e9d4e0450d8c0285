from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdbench import store
from gdbench.contracts import FLAGS, OUTCOMES, RESTS
from gdbench.errors import StoreError
from gdbench.results import Results, load
from gdbench.rows import CONSTANT_COLUMNS, empty_schema, to_table
from gdbench.store import RunFolder, write_atomically, write_json

LANES = 6


def info(key: str = "c0", dtype: str = "float32", dim: int = 2, **facts) -> dict:
    """A cell with three rates and two starts."""
    axes = [
        {"name": "learning_rate", "kind": "hyperparameter", "values": [0.1, 0.2, 0.3], "scale": "list"},
        {"name": "seed", "kind": "seed", "values": [0], "scale": "list"},
        {"name": "start", "kind": "start", "values": [0, 1], "scale": "list"},
    ]
    return {
        "id": key, "key": key, "experiment": "e", "dtype": dtype, "steps": 100, "lanes": LANES, "failed": None,
        "problem": {
            "label": f"problem of {key}", "dim": dim, "batch_share": 1.0, "settings": {}, "minimizers": [[0.0] * dim],
        },
        "optimizer": {"label": f"rule of {key}", "cost": [0, 1, 0], "init_cost": [0, 0, 0]},
        "axes": axes, "record": "full", "trace_steps": [0, 10, 100], "path_steps": [0, 100], "targets": [1e-2],
    } | facts  # fmt: skip


def rows(cell: dict, first: int = 0, last: int = LANES) -> pa.Table:
    """Rows as a kernel would have returned them: numbers made up, with NaN and infinity among them."""
    n, dim = last - first, cell["problem"]["dim"]
    rng = np.random.default_rng(sum(map(ord, cell["key"])))
    draw = {name: rng.standard_normal(LANES) for name in ("f_start", "f_final", "f_best", "grad_norm_final", "rate")}
    draw["f_final"][0], draw["f_final"][1], draw["rate"][2] = np.nan, np.inf, np.nan
    records = {
        **draw, "gap_final": draw["f_final"], "gap_best": draw["f_best"], "distance": np.full(LANES, np.nan),
        "outcome": np.arange(LANES, dtype=np.int8) % len(OUTCOMES), "flag": np.zeros(LANES, np.int8),
        "steps": np.full(LANES, 100, np.int32), "settle_step": np.arange(-1, LANES - 1, dtype=np.int32),
        "basin": np.full(LANES, -1, np.int32), "overshoots": np.zeros(LANES, np.int32),
        "trace": rng.standard_normal((LANES, 3)), "trace_best": rng.standard_normal((LANES, 3)),
        "hits": np.full((LANES, 1), -1, np.int32), "path": rng.standard_normal((LANES, 2, dim)),
        "endpoint": rng.standard_normal((LANES, dim)),
    }  # fmt: skip
    records = {name: column[first:last] for name, column in records.items()}
    index = np.arange(first, last)
    coordinates = {
        "learning_rate": np.array([0.1, 0.2, 0.3])[index // 2], "seed": np.zeros(n, int), "start": index % 2,
    }  # fmt: skip
    sampled = index % 2 == 0
    return to_table(cell, coordinates, np.zeros((n, dim)), records, np.zeros(n, np.int8), sampled)


def make_run(path: Path, cells: list[dict], width: int = 4) -> Results:
    """A finished run on disk, in shards of so many rows."""
    with RunFolder(path) as folder:
        folder.begin({"suite": {"name": "s"}, "experiment": []}, cells, {"python": "3"})
        for cell in cells:
            for first in range(0, LANES, width):
                last = min(first + width, LANES)
                folder.write(cell["key"], first, last, rows(cell, first, last), {"gdbench.version": "0"})
                folder.note(event="shard", cell=cell["id"], rows=[first, last])
            folder.note(event="cell", cell=cell["id"], compile_seconds=1.0)
    return load(path)


def hidden(path: Path) -> list[Path]:
    return [p for p in path.rglob("*") if p.name.startswith(".") and p.name != ".lock"]


# Atomic writing


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.bin"
    write_atomically(path, lambda file: file.write(b"one"))
    assert path.read_bytes() == b"one" and hidden(tmp_path) == []
    write_atomically(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"


@pytest.mark.parametrize("failure", [RuntimeError("no"), KeyboardInterrupt(), pa.ArrowInvalid("no")], ids=repr)
@pytest.mark.parametrize("before", [b"before", None])
def test_a_writer_that_fails_leaves_nothing_and_no_temporary(tmp_path, failure, before):
    path = tmp_path / "a.bin"
    if before is not None:
        path.write_bytes(before)

    def write(file):
        file.write(b"half")
        raise failure

    with pytest.raises(type(failure)):
        write_atomically(path, write)
    assert hidden(tmp_path) == []
    assert path.read_bytes() == before if before is not None else not path.exists()


def _no_room(*_args, **_options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["os.fsync", "os.replace", "write"])
def test_a_full_disk_is_one_line_and_what_was_written_stays(tmp_path, monkeypatch, where):
    cell = info()
    results = make_run(tmp_path / "run", [cell])
    before = results.table()
    with RunFolder(tmp_path / "run") as folder:
        with monkeypatch.context() as patched:
            if where == "write":
                patched.setattr(pq, "write_table", _no_room)
            else:
                patched.setattr(where, _no_room)
            with pytest.raises(StoreError) as caught:
                folder.write("c1", 0, LANES, rows(cell), {})
        assert not folder.has("c1", 0, LANES)
        assert "\n" not in str(caught.value)
        assert "no room left" in str(caught.value) and "run again" in str(caught.value)
        assert str(folder.shard("c1", 0, LANES)) in str(caught.value)
        folder.write("c1", 0, LANES, rows(cell), {})
        assert folder.has("c1", 0, LANES)
    assert hidden(tmp_path) == []
    pd.testing.assert_frame_equal(load(tmp_path / "run").table(), before)


def test_a_manifest_that_cannot_grow_is_one_line(tmp_path, monkeypatch):
    with RunFolder(tmp_path / "run") as folder:
        monkeypatch.setattr("builtins.open", _no_room)
        with pytest.raises(StoreError, match="manifest.jsonl: no room left"):
            folder.note(event="shard")


def test_another_fault_of_the_disk_keeps_its_own_words(tmp_path, monkeypatch):
    def refused(*_args):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("os.replace", refused)
    with pytest.raises(StoreError, match="cannot be written: Read-only file system"):
        write_json(tmp_path / "a.json", {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"), RunFolder(tmp_path / "file" / "run"):
        pass


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB that is really full when it is full."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"this system cannot mount a tmpfs: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    cell = info()
    make_run(small_disk / "run", [cell])
    before = load(small_disk / "run").table()
    noise = pa.table({"x": np.random.default_rng(0).standard_normal(100_000)})
    with RunFolder(small_disk / "run") as folder, pytest.raises(StoreError, match="no room left") as caught:
        folder.write("big", 0, 100_000, noise, {})
    assert "\n" not in str(caught.value)
    assert hidden(small_disk) == []
    pd.testing.assert_frame_equal(load(small_disk / "run").table(), before)


# Lock and leftovers


def test_a_second_folder_is_refused_while_the_first_is_open(tmp_path):
    with RunFolder(tmp_path / "run"):
        with pytest.raises(StoreError, match="another process is writing"), RunFolder(tmp_path / "run"):
            pass
        with RunFolder(tmp_path / "other"):
            pass
    with RunFolder(tmp_path / "run"):
        pass


def test_another_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom gdbench.store import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])):\n    print('open', flush=True)\n    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match="another process is writing this run"), RunFolder(tmp_path / "run"):
            pass
    finally:
        child.kill()
        child.communicate()
    with RunFolder(tmp_path / "run"):
        pass


def test_the_lock_is_given_back_when_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path / "run"):
        raise ZeroDivisionError
    with RunFolder(tmp_path / "run"):
        pass


@pytest.mark.parametrize("place", ["descents/.x.parquet.1.tmp", "surfaces/.y.parquet.1.tmp", ".run.json.1.tmp"])
def test_what_a_killed_process_was_writing_is_swept_away(tmp_path, place):
    make_run(tmp_path / "run", [info()])
    left = tmp_path / "run" / place
    left.write_bytes(b"half")
    with RunFolder(tmp_path / "run"):
        pass
    assert not left.exists()


# Shards


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "tail"])
def test_a_shard_that_cannot_be_read(tmp_path, damage):
    cell = info()
    run = tmp_path / "run"
    before = make_run(run, [cell]).table()
    shard = run / "descents" / store.shard_name("c0", 0, 4)
    content = shard.read_bytes()
    shard.write_bytes(
        {"empty": b"", "cut": content[: len(content) // 2], "other": b"x" * 100, "tail": content[:-1]}[damage]
    )
    with pytest.raises(StoreError) as caught:
        load(run).table()
    assert str(shard) in str(caught.value) and "run the suite again" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError):
        load(run).counts()
    with RunFolder(run) as folder:
        assert not folder.has("c0", 0, 4)
        assert not shard.exists()
        assert folder.has("c0", 4, 6)
        folder.write("c0", 0, 4, rows(cell, 0, 4), {})
    pd.testing.assert_frame_equal(load(run).table(), before)


def test_a_shard_with_damaged_pages_is_made_again_as_the_message_promises(tmp_path):
    cell = info()
    run = tmp_path / "run"
    make_run(run, [cell])
    shard = run / "descents" / store.shard_name("c0", 0, 4)
    content = bytearray(shard.read_bytes())
    column = pq.read_metadata(shard).row_group(0).column(1)  # pages of one column, the footer is left whole
    begin = column.dictionary_page_offset or column.data_page_offset
    content[begin : begin + column.total_compressed_size] = bytes(column.total_compressed_size)
    shard.write_bytes(content)
    with pytest.raises(StoreError, match="run the suite again to rebuild it"):
        load(run).table()
    with RunFolder(run) as folder:
        assert not folder.has("c0", 0, 4), "the advice of the message leads nowhere: the damaged shard counts as done"


def test_a_shard_of_another_schema_or_length_is_not_taken(tmp_path):
    cell = info()
    with RunFolder(tmp_path / "run") as folder:
        folder.write("c0", 0, 5, rows(cell), {})
        assert not folder.has("c0", 0, 5)
        folder.write("c0", 0, LANES, rows(cell), {"gdbench.schema": "0"})
        assert not folder.has("c0", 0, LANES)


def test_shards_carry_their_schema_version_and_where_they_come_from(tmp_path):
    make_run(tmp_path / "run", [info()])
    told = pq.read_metadata(tmp_path / "run" / "descents" / store.shard_name("c0", 0, 4)).metadata
    assert told[b"gdbench.schema"] == store.SCHEMA_VERSION.encode()
    assert told[b"gdbench.cell"] == b"c0" and told[b"gdbench.version"] == b"0"


def test_a_shard_is_adopted_from_another_run_as_a_hard_link(tmp_path):
    make_run(tmp_path / "s" / "one", [info()])
    with RunFolder(tmp_path / "s" / "two") as folder:
        assert folder.adopt("c0", 0, 4, tmp_path)
        own = folder.shard("c0", 0, 4)
        assert own.samefile(tmp_path / "s" / "one" / "descents" / own.name)
        assert not folder.adopt("c9", 0, 4, tmp_path)
        assert not folder.adopt("c0", 0, 2, tmp_path)


def test_a_shard_is_copied_where_the_disk_has_no_links(tmp_path, monkeypatch):
    make_run(tmp_path / "s" / "one", [info()])

    def refused(*_args):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    with RunFolder(tmp_path / "s" / "two") as folder:
        assert folder.adopt("c0", 0, 4, tmp_path)
        other = tmp_path / "s" / "one" / "descents" / store.shard_name("c0", 0, 4)
        assert folder.shard("c0", 0, 4).read_bytes() == other.read_bytes()


def test_a_damaged_shard_is_not_adopted(tmp_path):
    make_run(tmp_path / "s" / "one", [info()])
    (tmp_path / "s" / "one" / "descents" / store.shard_name("c0", 0, 4)).write_bytes(b"")
    with RunFolder(tmp_path / "s" / "two") as folder:
        assert not folder.adopt("c0", 0, 4, tmp_path)


# Manifest


def test_a_manifest_with_a_cut_off_last_line_is_read(tmp_path):
    results = make_run(tmp_path / "run", [info()])
    whole = results.lines
    with open(tmp_path / "run" / "manifest.jsonl", "a") as file:
        file.write('{"event": "fail')
    assert load(tmp_path / "run").lines == whole


def test_a_line_after_a_cut_off_one_is_not_lost(tmp_path):
    make_run(tmp_path / "run", [info()])
    with open(tmp_path / "run" / "manifest.jsonl", "a") as file:
        file.write('{"event": "sha')
    with RunFolder(tmp_path / "run") as folder:
        folder.note(event="failed", cell="c0", error="no luck")
    assert [f["error"] for f in load(tmp_path / "run").failures] == ["no luck"]


def test_the_manifest_can_be_missing(tmp_path):
    before = make_run(tmp_path / "run", [info()]).table()
    (tmp_path / "run" / "manifest.jsonl").unlink()
    again = load(tmp_path / "run")
    assert again.failures == [] and again.timing == []
    pd.testing.assert_frame_equal(again.table(), before)


def test_the_last_try_of_a_cell_decides_whether_it_failed(tmp_path):
    cell = info()
    with RunFolder(tmp_path / "run") as folder:
        folder.begin({}, [cell], {})
        folder.note(event="failed", cell="c0", error="no luck")
        (failure,) = load(tmp_path / "run").failures
        assert failure["cell"] == "c0" and failure["error"] == "no luck" and failure["optimizer"] == "rule of c0"
        assert load(tmp_path / "run").cells[0]["failed"] == "no luck"
        folder.note(event="cell", cell="c0")
    assert load(tmp_path / "run").failures == [] and load(tmp_path / "run").cells[0]["failed"] is None


# Reading back


def test_the_table_has_the_constants_the_categories_and_every_row(tmp_path):
    results = make_run(tmp_path / "run", [info("c1"), info("c0")])
    frame = results.table()
    assert len(frame) == 2 * LANES
    assert list(frame.columns) == empty_schema(results.cells).names
    assert [str(name) for name in frame["cell"].cat.categories] == ["c1", "c0"]
    assert list(frame["outcome"].cat.categories) == list(OUTCOMES)
    assert list(frame["rest"].cat.categories) == list(RESTS) and list(frame["flag"].cat.categories) == list(FLAGS)
    assert list(frame["learning_rate"][:LANES]) == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert frame["settle_step"].isna().sum() == 2 and frame["distance"].isna().all()
    assert frame["path"].notna().sum() == LANES and len(frame["path"][0]) == 2 * 2
    assert np.isinf(frame["f_final"][1]) and frame["f_final"].dtype == np.float32
    assert results.counts() == {c: {name: 1 for name in OUTCOMES} for c in ("c1", "c0")}


def test_columns_and_cells_can_be_chosen(tmp_path):
    results = make_run(tmp_path / "run", [info("c0"), info("c1")])
    frame = results.table(["rate", "cell", "outcome"], cells=["c1"])
    assert list(frame.columns) == ["rate", "cell", "outcome"] and set(frame["cell"]) == {"c1"}
    with pytest.raises(StoreError, match="no column 'outcom': did you mean 'outcome'"):
        results.table(["outcom"])


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as plain text and lists as tuples, for frames that came by different ways."""
    frame = frame.copy()
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == "str":
            frame[name] = column.astype(object)
        elif column.dtype == object:
            frame[name] = [tuple(v) if isinstance(v, (list, np.ndarray)) else v for v in column]
    return frame


MIXED = [info("c0"), info("c1", "float64"), info("c2", dim=1, trace_steps=[], path_steps=[], targets=[])]


@pytest.mark.parametrize("cells", [[info()], MIXED], ids=["one", "mixed"])
@pytest.mark.parametrize("memory", [False, True])
def test_the_lazy_dataset_equals_the_table(tmp_path, cells, memory):
    results = make_run(tmp_path / "run", cells)
    if memory:
        results = Results(None, {}, cells, {})
        for cell in cells:
            results.keep(cell["id"], rows(cell))
    frame = results.table()
    scanned = results.scan()
    lazy = scanned.to_table(columns=list(frame.columns)).to_pandas()
    pd.testing.assert_frame_equal(comparable(lazy), comparable(frame), check_exact=True)
    assert scanned.schema.names == list(frame.columns)
    part = results.scan([cells[-1]["id"]]).to_table(columns=["cell", "rate"]).to_pandas()
    assert set(part["cell"]) == {cells[-1]["id"]} and len(part) == LANES


def test_the_lazy_dataset_filters(tmp_path):
    import pyarrow.dataset as ds

    results = make_run(tmp_path / "run", MIXED)
    found = results.scan().to_table(filter=(ds.field("cell") == "c1") & (ds.field("learning_rate") > 0.15))
    assert len(found) == 4
    assert results.scan().count_rows() == 3 * LANES


def test_a_run_of_both_precisions_keeps_the_digits_of_float64(tmp_path):
    results = make_run(tmp_path / "run", MIXED)
    frame = results.table(["cell", "dtype", "f_best", "end_1", "trace_gap"])
    assert frame["f_best"].dtype == np.float64
    single, double = (frame[frame["dtype"] == d] for d in ("float32", "float64"))
    assert (single["f_best"] == single["f_best"].astype(np.float32)).all()
    assert not (double["f_best"] == double["f_best"].astype(np.float32)).any()
    assert frame[frame["cell"] == "c2"]["end_1"].isna().all()
    assert frame[frame["cell"] == "c2"]["trace_gap"].isna().all()
    assert list(frame["dtype"].cat.categories) == ["float32", "float64"]


@pytest.mark.parametrize("memory", [False, True])
def test_a_run_without_rows_has_an_empty_table(tmp_path, memory):
    cell = info()
    with RunFolder(tmp_path / "run") as folder:
        folder.begin({}, [cell], {})
    results = Results(None, {}, [cell], {}) if memory else load(tmp_path / "run")
    frame = results.table()
    assert len(frame) == 0 and list(frame.columns) == empty_schema([cell]).names
    assert list(frame["outcome"].cat.categories) == list(OUTCOMES)
    assert results.scan().count_rows() == 0
    assert results.counts() == {"c0": {}}


def test_one_key_in_two_experiments_is_stored_once_and_read_twice(tmp_path):
    first, second = info("c0"), info("c0", id="c0-2", experiment="again")
    results = make_run(tmp_path / "run", [first])
    results = Results(results.path, {}, [first, second], {})
    frame = results.table()
    assert len(frame) == 2 * LANES and list(frame["experiment"].unique()) == ["e", "again"]
    halves = [comparable(frame[frame["cell"] == c].drop(columns=["cell", "experiment"])) for c in ("c0", "c0-2")]
    pd.testing.assert_frame_equal(halves[0], halves[1].set_index(halves[0].index))


def test_constants_are_not_stored_and_stand_in_the_schema(tmp_path):
    make_run(tmp_path / "run", [info()])
    stored = pq.read_schema(tmp_path / "run" / "descents" / store.shard_name("c0", 0, 4)).names
    assert not set(CONSTANT_COLUMNS) & set(stored)
    assert list(empty_schema([info()]).names[:5]) == list(CONSTANT_COLUMNS)


# Finding runs


def test_the_newest_run_of_a_suite(tmp_path):
    for name in ("one", "two"):
        make_run(tmp_path / "s" / name, [info()])
    past = time.time() - 100
    os.utime(tmp_path / "s" / "two" / "run.json", (past, past))
    assert load(tmp_path / "s").path == tmp_path / "s" / "one"


def test_no_run_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="no run there: run a suite first"):
        load(tmp_path / "nothing")
    make_run(Path("results") / "quick" / "abc", [info()])
    with pytest.raises(StoreError, match="did you mean 'results/quick/abc'"):
        load("results/quik")


@pytest.mark.parametrize("name", ["run.json", "environment.json"])
def test_a_run_whose_description_is_damaged(tmp_path, name):
    make_run(tmp_path / "run", [info()])
    (tmp_path / "run" / name).write_text('{"schema": ')
    with pytest.raises(StoreError, match="not a run that can be read") as caught:
        load(tmp_path / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", "[]", '{"schema": "1"}'])
def test_a_run_json_of_another_form_is_a_store_error(tmp_path, content):
    make_run(tmp_path / "run", [info()])
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(StoreError):
        load(tmp_path / "run")


def test_a_run_of_another_schema_version_is_refused_with_both_versions(tmp_path):
    make_run(tmp_path / "run", [info()])
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    write_json(tmp_path / "run" / "run.json", {**told, "schema": "99"})
    with pytest.raises(StoreError, match="schema version '99'"):
        load(tmp_path / "run")
