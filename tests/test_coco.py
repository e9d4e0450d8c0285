"""COCO's data format: what cocopp reads from it is what the table says."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from gdbench.coco import export_coco
from gdbench.contracts import FLAGS, OUTCOMES
from gdbench.errors import GdbenchError, NothingSelectedError
from gdbench.problems.bbob.instances import Instance
from gdbench.results import Results

TARGETS = [float(t) for t in 10.0 ** np.linspace(2, -8, 51)]
STEPS, INSTANCES, STARTS, RATES = 300, 3, 4, [0.01, 0.1]

needs_cocopp = pytest.mark.skipif(
    importlib.util.find_spec("cocopp") is None, reason="cocopp is not installed: pip install 'gdbench[oracles]'"
)


def cell(function: int, dim: int, optimizer: str = "gd", **more) -> dict:
    """A cell as a run describes it."""
    case = Instance(function, dim, 1)
    return {
        "id": f"f{function}-{dim}-{optimizer}", "experiment": f"dimension {dim}", "dtype": "float64", "failed": None,
        "steps": STEPS, "targets": TARGETS, "trace_steps": [0, 1, 10, 100, STEPS], "path_steps": [],
        "record": "outcome",
        "lanes": INSTANCES * STARTS * len(RATES), "window": 32, "engine": "scan", "block": 64,
        "optimizer": {
            "name": optimizer, "label": optimizer, "cost": None, "init_cost": [0, 0, 0], "family": "gradient",
            "hyperparameters": {"learning_rate": None}, "defaults": {"learning_rate": 0.1}, "rule": None, "notes": "",
        },
        "problem": {
            "name": f"bbob/f{function}", "label": f"bbob/f{function}", "settings": {"dim": dim, "instance": 1},
            "dim": dim, "minimum": case.f_opt, "offset": case.f_opt, "minimizers": [[0.0] * dim], "batch_share": 1.0,
            "tolerance": 1e-8, "scale": 1.0, "goal": "minimum",
        },
        "axes": [
            {"name": "learning_rate", "kind": "hyperparameter", "values": RATES, "scale": "list"},
            {"name": "instance", "kind": "instance", "values": list(range(1, INSTANCES + 1)), "scale": "list"},
            {"name": "start", "kind": "start", "values": list(range(STARTS)), "scale": "list"},
        ],
        **more,
    }  # fmt: skip


def table(info: dict, rng: np.random.Generator) -> pa.Table:
    """Descents whose gap falls by chance: some reach every target, some none, some at the start or many in one step."""
    rate, instance, start = (x.ravel() for x in np.meshgrid(
        RATES, np.arange(1, INSTANCES + 1), np.arange(STARTS), indexing="ij"
    ))  # fmt: skip
    n, dim = len(rate), info["problem"]["dim"]
    falls = rng.choice([0.0, 0.01, 0.2, 3.0], size=(n, STEPS), p=[0.5, 0.3, 0.15, 0.05]) * rng.choice([0, 1, 2], (n, 1))
    gaps = 10.0 ** (rng.uniform(-1, 5, (n, 1)) - np.cumsum(np.c_[np.zeros(n), falls], axis=1))
    gaps = np.maximum(gaps, 1e-13)
    hits = np.array([[int(np.argmax(row <= t)) if (row <= t).any() else -1 for t in TARGETS] for row in gaps])
    f, g = rng.integers(0, 3, size=(n, 1)), rng.integers(1, 3, size=(n, 1))
    trace = gaps[:, info["trace_steps"]]

    function = int(re.findall(r"f(\d+)", info["problem"]["name"])[0])
    minima = [Instance(function, dim, int(i)).f_opt for i in instance]

    def lists(values: np.ndarray) -> pa.Array:
        return pa.array(values.tolist(), pa.list_(pa.float64()))

    spent = [np.where(hits >= 0, weight * hits, -1) for weight in (f, g, 0 * f)]
    names = ("f_evals", "g_evals", "hvp_evals")
    solved = gaps[:, -1] <= 1e-8
    settled = np.where(solved, np.maximum(hits[:, -1], 0), 0)
    columns = {
        "learning_rate": rate, "instance": pa.array(instance, pa.int32()), "start": pa.array(start, pa.int32()),
        "seed": pa.array(np.zeros(n), pa.int32()),
        "outcome": pa.DictionaryArray.from_arrays(
            pa.array(np.where(solved, OUTCOMES.index("converged"), OUTCOMES.index("unfinished")), pa.int8()),
            list(OUTCOMES),
        ),
        "flag": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n), pa.int8()), list(FLAGS)),
        "steps": pa.array(np.full(n, STEPS), pa.int32()), "settle_step": pa.array(settled, pa.int32(), mask=~solved),
        "f_start": gaps[:, 0] + minima,
        "f_final": gaps[:, -1], "gap_final": gaps[:, -1], "gap_best": gaps[:, -1],
        **{name: (weight * STEPS)[:, 0].astype(float) for name, weight in zip(names, (f, g, 0 * f), strict=True)},
        **{f"settle_{name}": pa.array((weight[:, 0] * settled).astype(float), mask=~solved)
           for name, weight in zip(names, (f, g, 0 * f), strict=True)},
        "hits": pa.array(hits.tolist(), pa.list_(pa.int32())), "trace_best": lists(trace), "trace_gap": lists(trace),
        **{f"hits_{name}": lists(x.astype(float)) for name, x in zip(names, spent, strict=True)},
        **{f"trace_{name}": lists((weight * np.array(info["trace_steps"])).astype(float))
           for name, weight in zip(names, (f, g, 0 * f), strict=True)},
    }  # fmt: skip
    return pa.table(columns)


def made(*cells: dict, seed: int = 0) -> Results:
    """A run in memory of these cells."""
    results = Results(None, {"suite": {"name": "bbob", "seed": 0}}, list(cells), {})
    rng = np.random.default_rng(seed)
    for info in cells:
        if not info["failed"]:
            results.keep(info["id"], table(info, rng))
    return results


def expected_running_time(results: Results, info: dict, gradient: float, **at: float) -> np.ndarray:
    """Evaluations of all descents, up to the hit, over the hits, for each target: from the table's own columns."""
    frame = results.table(cells=[info["id"]])
    for name, value in at.items():
        frame = frame[frame[name] == value]
    total = (frame["f_evals"] + gradient * frame["g_evals"]).to_numpy()[:, None]
    by_hit = np.stack(frame["hits_f_evals"]) + gradient * np.stack(frame["hits_g_evals"])
    reached = np.stack(frame["hits"]) >= 0
    with np.errstate(divide="ignore"):
        return np.where(reached, np.maximum(by_hit, 1), total).sum(axis=0) / reached.sum(axis=0)


def read_by_cocopp(folders, tmp_path) -> dict[tuple[str, int, int], dict]:
    """What cocopp reads, in a process of its own: it looks for archives in a network and in the home folder."""
    code = (
        "import json, sys, warnings\n"
        "import cocopp\n"
        "warnings.simplefilter('error')\n"
        "targets = [float(10 ** (k / 5)) for k in range(10, -41, -1)]\n"
        "found = []\n"
        "for folder in sys.argv[1:]:\n"
        "    for ds in cocopp.load(folder):\n"
        "        found.append({'folder': folder, 'f': ds.funcId, 'dim': ds.dim, 'ert': ds.detERT(targets),\n"
        "                      'instances': ds.instancenumbers, 'comment': ds.comment,\n"
        "                      'successes': [int(n) for n in ds.detSuccesses(targets)]})\n"
        "print('READ' + json.dumps(found))\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "MPLBACKEND": "agg"}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout.rpartition("READ")[2])
    return {(row["folder"].rpartition("/")[2], row["f"], row["dim"]): row for row in rows}


@needs_cocopp
@pytest.mark.slow
def test_cocopp_finds_our_expected_running_time(tmp_path):
    cells = [cell(f, dim, name) for name in ("gd", "adam") for f in (1, 8, 24) for dim in (2, 5)]
    results = made(*cells, seed=3)
    folders = export_coco(results, tmp_path / "out", "learning_rate=0.1", gradient=4.0)
    read = read_by_cocopp(folders, tmp_path)
    assert len(read) == len(cells)
    for info in cells:
        name = f"{info['optimizer']['label']}-learning_rate=0.1"
        row = read[name, int(info["problem"]["name"][6:]), info["problem"]["dim"]]
        ours = expected_running_time(results, info, 4.0, learning_rate=0.1)
        assert np.isfinite(ours).any() and (np.diff(ours[np.isfinite(ours)]) >= 0).all()
        np.testing.assert_allclose(row["ert"], ours, rtol=1e-12)
        assert sorted(row["instances"]) == sorted(list(range(1, INSTANCES + 1)) * STARTS)
        assert "learning_rate 0.1, for all problems" in row["comment"] and "f + 4 g" in row["comment"]
    assert any(0 < min(row["successes"]) < max(row["successes"]) for row in read.values())


@needs_cocopp
@pytest.mark.slow
def test_a_real_run_is_read_by_cocopp(tmp_path):
    import gdbench as gd

    suite = {
        "suite": {"name": "real", "dtype": "float64"},
        "experiment": [{
            "name": "two", "problems": [{"name": "bbob/f1", "dim": 2, "instance": [1, 2]}], "optimizers": ["gd"],
            "steps": 60, "learning_rate": [0.01, 0.2], "starts": {"kind": "sobol", "num": 4},
            "targets": {"log": [1e2, 1e-8], "num": 51}, "trace": 8,
        }],
    }  # fmt: skip
    run = gd.run(suite, results=tmp_path / "results")
    results = run.results
    folders = export_coco(results, tmp_path / "out")
    row = read_by_cocopp(folders, tmp_path)["gd-best", 1, 2]
    frame = results.table()
    frame = frame[(frame["start"] % 2 == 1) & (frame["learning_rate"] == 0.2)]
    ours = np.maximum(np.stack(frame["hits_g_evals"]), 1).mean(axis=0)
    assert (np.stack(frame["hits"]) >= 0).all(), "gradient descent at 0.2 reaches every target of the sphere"
    np.testing.assert_allclose(row["ert"], ours, rtol=1e-12)
    assert "even-numbered starts" in row["comment"]


def entries(folder, function: int) -> list[list[str]]:
    """The entries of an info file: three lines each."""
    lines = (folder / f"bbobexp_f{function}.info").read_text().splitlines()
    assert len(lines) % 3 == 0
    return [lines[i : i + 3] for i in range(0, len(lines), 3)]


def trials(path) -> list[np.ndarray]:
    """The trials of a data file: evaluations and best gaps."""
    blocks = re.split(r"^%.*\n", path.read_text(), flags=re.MULTILINE)[1:]
    return [np.array([line.split() for line in block.splitlines()], float)[:, [0, 2]] for block in blocks]


def test_the_files_say_the_same_everywhere(tmp_path):
    results = made(cell(8, 2), cell(8, 5))
    (folder,) = export_coco(results, tmp_path, "default")
    assert folder.name == "gd-default"
    found = entries(folder, 8)
    assert len(found) == 2
    for (header, comment, data), dim in zip(found, (2, 5), strict=True):
        assert re.search(
            rf"suite = 'bbob', funcId = 8, DIM = {dim}, Precision = 1.000e-08, algId = 'gd default'", header
        )
        assert comment.startswith("% ") and "default" in comment and "f + 1 g + 2 hvp" in comment
        name, *ends = data.split(", ")
        assert len(ends) == INSTANCES * STARTS
        for kind in (".dat", ".tdat"):
            runs = trials((folder / name).with_suffix(kind))
            assert len(runs) == len(ends)
            for run, end in zip(runs, ends, strict=True):
                assert run[0, 0] == 1 and (np.diff(run[:, 0]) > 0).all() and (np.diff(run[:-1, 1]) < 0).all()
                spent, gap = end.split(":")[1].split("|")
                assert run[-1, 0] == int(spent) and f"{run[-1, 1]:.1e}" == gap


def test_a_chosen_setting_is_shown_on_held_out_starts(tmp_path):
    results = made(cell(1, 2))
    (folder,) = export_coco(results, tmp_path)
    ((header, comment, data),) = entries(folder, 1)
    assert "algId = 'gd best'" in header and "even-numbered starts" in comment
    assert len(data.split(", ")) - 1 == INSTANCES * STARTS // 2
    one_start = cell(1, 2)
    alone = Results(None, results.suite, [one_start], {})
    rows = table(one_start, np.random.default_rng(0))
    alone.keep(one_start["id"], rows.filter(pa.compute.equal(rows["start"], 0)))
    (folder,) = export_coco(alone, tmp_path / "alone")
    ((header, comment, _),) = entries(folder, 1)
    assert "in-sample" in header and "the very descents" in comment


def test_two_experiments_with_the_same_function_go_into_two_folders(tmp_path):
    second = cell(1, 2) | {"id": "again", "experiment": "again, longer"}
    folders = export_coco(made(cell(1, 2), second), tmp_path, "default")
    assert {folder.name for folder in folders} == {"gd-default-dimension-2", "gd-default-again-longer"}


@pytest.mark.parametrize("setting, why", [
    ("learning_rate", "name=value"), ("learning_rate=x", "name=value"), ("learning_rate=0.05", "nearest is 0.01"),
    ("momentum=1", "no axis 'momentum'"), ("beste", "did you mean 'best'"),
])  # fmt: skip
def test_a_setting_that_is_none(tmp_path, setting, why):
    with pytest.raises(GdbenchError, match=why):
        export_coco(made(cell(1, 2)), tmp_path, setting)


def test_what_coco_does_not_know(tmp_path):
    other = cell(1, 2)
    other["problem"] = other["problem"] | {"name": "rotated(bbob/f1)"}
    for cells in ([other], [cell(1, 2, targets=[])], [cell(1, 2, failed="boom")]):
        with pytest.raises(NothingSelectedError, match="bbob/f1 to bbob/f24"):
            export_coco(made(*cells), tmp_path, "default")
    with pytest.raises(GdbenchError, match="no optimizer 'adm'"):
        export_coco(made(cell(1, 2)), tmp_path, "default", ["adm"])
