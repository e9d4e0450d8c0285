"""Records of a kernel as rows of a table: names, types, and the few columns that are worked out on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gdbench.contracts import EVALUATIONS, FLAGS, OUTCOMES, RESTS

SCHEMA_VERSION = "2"

CONSTANT_COLUMNS = ("cell", "experiment", "problem", "optimizer", "dtype")
"""Columns that are the same in all rows of a cell: not stored in its files, added when they are read."""

ALONG_PATH = ("path_f", "sharpness")
"""Value, and largest eigenvalue of the Hessian, at the points of a recorded path."""

CATEGORIES = {"outcome": OUTCOMES, "rest": RESTS, "flag": FLAGS}
_CATEGORY = pa.dictionary(pa.int8(), pa.string())


def evaluations(
    info: dict[str, Any], records: dict[str, np.ndarray], steps: np.ndarray, counted: str = "counts"
) -> np.ndarray:
    """f, g and Hessian-vector evaluations spent after so many steps, shape of ``steps`` and 3, float64.

    A mini-batch counts its share. Where steps differ in cost they were counted as the descent went: ``counted`` names
    the record of those that were spent by ``steps``.
    """
    if counted in records:
        counts = records[counted].astype(float)
    else:
        per_step, at_start = np.array(info["optimizer"]["cost"], float), np.array(info["optimizer"]["init_cost"], float)
        counts = at_start + steps[..., None] * per_step
    return counts * info["problem"]["batch_share"]


def to_table(
    info: dict[str, Any],
    coordinates: dict[str, np.ndarray],
    starts: np.ndarray,
    records: dict[str, np.ndarray],
    rests: np.ndarray,
    sampled: np.ndarray,
) -> pa.Table:
    """Rows of a cell as an Arrow table.

    Args:
        info: the cell's description.
        coordinates: value of every grid axis, by name.
        starts: the start of every row, [rows, dim].
        records: what the kernel returned.
        rests: index into RESTS for every row.
        sampled: rows that keep their path.
    """
    shown = min(starts.shape[1], 3) if starts.shape[1] <= 3 else 0
    real = pa.float32() if info["dtype"] == "float32" else pa.float64()
    columns: dict[str, pa.Array] = {}
    columns["instance"] = pa.array(np.full(len(starts), info["problem"]["settings"].get("instance", 0), np.int32))
    whole = {"instance", "start", "seed"}
    for name, values in coordinates.items():
        # A setting keeps its exact value, whatever the dtype it is rounded to in the kernel.
        columns[name] = pa.array(values.astype(np.int32)) if name in whole else pa.array(values, pa.float64())
    for i in range(shown):
        columns[f"start_{i}"] = pa.array(starts[:, i], real)
    axes = list(columns)
    values = {name: pa.array(records[name], real) for name in ("f_start", "f_final", "f_best") if name in records}
    # A gap can be NaN because the descent is; where it is unknown for the whole cell it is null.
    values |= {name: _nullable(records[name], real) for name in ("gap_final", "gap_best")}
    columns |= values if "outcome" not in records else _judged(info, records, rests, values, real, shown)
    if isinstance(info["record"], str):
        return pa.table(columns | _asked(info, records, real, sampled))
    kept = {name: column for name, column in columns.items() if name in axes or name in info["record"]}
    return pa.table(kept | _asked(info, records, real, sampled))


def _judged(
    info: dict[str, Any], records: dict[str, np.ndarray], rests: np.ndarray, values: dict[str, pa.Array], real: Any,
    shown: int,
) -> dict[str, pa.Array]:  # fmt: skip
    """The columns of a judged descent, in the order of the table."""
    columns: dict[str, pa.Array] = {}
    columns["outcome"] = pa.DictionaryArray.from_arrays(pa.array(records["outcome"].astype(np.int8)), list(OUTCOMES))
    columns["rest"] = pa.DictionaryArray.from_arrays(pa.array(rests.astype(np.int8)), list(RESTS))
    columns["flag"] = pa.DictionaryArray.from_arrays(pa.array(records["flag"].astype(np.int8)), list(FLAGS))
    steps = records["steps"]
    columns["steps"] = pa.array(steps)
    settle = records["settle_step"]
    columns["settle_step"] = pa.array(settle, pa.int32(), mask=settle < 0)
    columns |= values
    for name in ("grad_norm_final", "distance"):
        columns[name] = _nullable(records[name], real)
    if "f_held_out" in records:
        columns["f_held_out"] = _nullable(records["f_held_out"], real)
    columns["basin"] = pa.array(records["basin"], pa.int32())
    columns["rate"] = _nullable(records["rate"], real)
    columns["overshoots"] = pa.array(
        records["overshoots"], mask=np.full(len(steps), info["record"] != "full" and "overshoots" not in info["record"])
    )
    spent = evaluations(info, records, steps)
    by_then = evaluations(info, records, settle, "settle_counts")
    for i, name in enumerate(EVALUATIONS):
        columns[name] = pa.array(spent[:, i], pa.float64())
    for i, name in enumerate(EVALUATIONS):
        columns[f"settle_{name}"] = pa.array(by_then[:, i], pa.float64(), mask=settle < 0)
    if "endpoint" in records:
        for i in range(shown):
            columns[f"end_{i}"] = _nullable(records["endpoint"][:, i], real)
    return columns


def _asked(info: dict[str, Any], records: dict[str, np.ndarray], real: Any, sampled: np.ndarray) -> dict[str, pa.Array]:
    """The columns of what was asked for at certain steps and targets."""
    columns: dict[str, pa.Array] = {}
    share = info["problem"]["batch_share"]
    if info["trace_steps"]:
        columns["trace_gap"] = _lists(records["trace"], real)
        columns["trace_best"] = _lists(records["trace_best"], real)
        if "trace_counts" in records:
            columns |= _spent("trace", records["trace_counts"] * share)
    if info["targets"]:
        hits = records["hits"]
        columns["hits"] = _lists(hits, pa.int32())
        by_hit = evaluations(info, records, hits, "hit_counts")
        columns |= _spent("hits", np.where(hits[..., None] < 0, -1, by_hit))
    if "path" in records:
        flat = records["path"].reshape(len(sampled), -1)
        columns["path"] = _lists(flat, real, ~sampled)
    columns |= {name: _lists(records[name], real, ~sampled) for name in ALONG_PATH if name in records}
    return columns


def _spent(what: str, counts: np.ndarray) -> dict[str, pa.Array]:
    """List columns of the evaluations spent by the steps of a trace or by the hits, from counts [rows, n, 3]."""
    return {f"{what}_{name}": _lists(counts[:, :, i], pa.float64()) for i, name in enumerate(EVALUATIONS)}


def _nullable(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind, mask=np.isnan(values))


def _lists(values: np.ndarray, kind: pa.DataType, missing: np.ndarray | None = None) -> pa.Array:
    """Rows of a matrix as a list column; rows that are missing take no room."""
    n, width = values.shape
    missing = np.zeros(n, bool) if missing is None else missing
    offsets = np.concatenate([[0], np.cumsum(np.where(missing, 0, width))]).astype(np.int32)
    flat = pa.array(values[~missing].ravel(), kind)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(missing))


def found_basins(frame: pd.DataFrame, info: dict[str, Any]) -> np.ndarray | None:
    """Basins of a problem without known minimizers: clusters of the end points that rest at a minimum, numbered by f.

    End points within a thousandth of the widest extent of all of them are one minimum. None where the minimizers are
    known, or the end points are not stored.
    """
    ends = [name for name in ("end_0", "end_1", "end_2") if name in frame]
    if info["problem"]["minimizers"] is not None or len(ends) != info["problem"]["dim"]:
        return None
    basins = np.full(len(frame), -1, np.int32)
    rows = np.flatnonzero((frame["rest"] == "minimum") & frame["outcome"].isin(["converged", "trapped"]))
    points = np.stack([np.asarray(frame[name], float)[rows] for name in ends], axis=1)
    reach = 1e-3 * max(float(np.ptp(points, axis=0).max()), 1e-12) if len(rows) else 0.0
    centres: list[np.ndarray] = []
    for i in np.argsort(np.asarray(frame["f_final"], float)[rows], kind="stable"):
        near = [n for n, centre in enumerate(centres) if np.abs(points[i] - centre).max() <= reach]
        if not near and len(centres) < MOST_BASINS:
            centres.append(points[i])
            near = [len(centres) - 1]
        basins[rows[i]] = near[0] if near else -1
    return basins


MOST_BASINS = 1000
"""Clusters beyond these are not numbered."""


def empty_schema(infos: list[dict[str, Any]]) -> pa.Schema:
    """The columns of a run with these cells, in the order of the table."""
    real = pa.float64() if any(i["dtype"] == "float64" for i in infos) else pa.float32()
    fields: dict[str, pa.DataType] = {name: pa.string() for name in CONSTANT_COLUMNS}
    axes = [axis for info in infos for axis in info["axes"]]
    fields["instance"] = pa.int32()
    fields |= {a["name"]: pa.float64() for a in axes if a["kind"] in ("hyperparameter", "parameter")}
    fields |= {"seed": pa.int32(), "start": pa.int32()}
    shown = max((i["problem"]["dim"] for i in infos if i["problem"]["dim"] <= 3), default=0)
    fields |= {f"start_{i}": real for i in range(shown)}
    fields |= {
        "outcome": _CATEGORY,
        "rest": _CATEGORY,
        "flag": _CATEGORY,
        "steps": pa.int32(),
        "settle_step": pa.int32(),
    }
    fields |= {
        n: real for n in ("f_start", "f_final", "f_best", "gap_final", "gap_best", "grad_norm_final", "distance")
    }
    if any(i["problem"].get("held_out") for i in infos):
        fields["f_held_out"] = real
    fields |= {"basin": pa.int32(), "rate": real, "overshoots": pa.int32()}
    fields |= {f"{when}{name}": pa.float64() for when in ("", "settle_") for name in EVALUATIONS}
    fields |= {f"end_{i}": real for i in range(shown)}
    if any(i["trace_steps"] for i in infos):
        fields |= {"trace_gap": pa.list_(real), "trace_best": pa.list_(real)}
        fields |= {f"trace_{name}": pa.list_(pa.float64()) for name in EVALUATIONS}
    if any(i["targets"] for i in infos):
        fields |= {"hits": pa.list_(pa.int32())} | {f"hits_{name}": pa.list_(pa.float64()) for name in EVALUATIONS}
    if any(i["path_steps"] for i in infos):
        fields["path"] = pa.list_(real)
    if any(i.get("sharpness") for i in infos):
        fields |= dict.fromkeys(ALONG_PATH, pa.list_(real))
    return pa.schema(list(fields.items()))
