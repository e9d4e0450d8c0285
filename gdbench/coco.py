"""A run of BBOB functions in COCO's data format, which its postprocessing ``cocopp`` reads.

    FOLDER/<optimizer>-<setting>/bbobexp_f8.info                a header, a comment and a line of trials a dimension
    FOLDER/<optimizer>-<setting>/data_f8/bbobexp_f8_DIM2.dat    evaluations at which each target was reached
    FOLDER/<optimizer>-<setting>/data_f8/bbobexp_f8_DIM2.tdat   best value by evaluations: the trace, where one is kept

COCO counts evaluations of f from 1. Here they are the protocol's cost, f_evals + c g_evals + 2 hvp_evals rounded up,
and at least 1, for judging a point is free: a start that no evaluation was paid for is COCO's first. So the expected
running time that COCO finds, the evaluations of all trials over the number of successes, is that of the stored table.

Source: N. Hansen et al., COCO: a platform for comparing continuous optimizers in a black-box setting, Optimization
Methods and Software 36 (2021), 114-144; the format is that of coco-experiment 2.8 ("bbob-new2"), whose column "g
evaluations" counts constraints and is 0 here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame

from gdbench.contracts import COST_OF_GRADIENT, COST_OF_HVP, EVALUATIONS
from gdbench.errors import GdbenchError, NothingSelectedError, StoreError, did_you_mean
from gdbench.figures.choose import floats, split, where
from gdbench.measures.base import cost
from gdbench.problems.bbob.instances import Instance
from gdbench.report import study
from gdbench.report.study import Results
from gdbench.report.words import number

PRECISION = 1e-8
"""COCO's final target precision."""

BELOW = 1e-12
"""Part of a target that a value which reached it is written below it, for COCO compares what it reads strictly."""

COLUMNS = (
    "% f evaluations | g evaluations | best noise-free fitness - Fopt ({:.12e}) + sum g_i+ | measured fitness | best "
    "measured fitness or single-digit g-values"
)

Lines = tuple[np.ndarray, np.ndarray]
"""Evaluations and best gaps of the lines of one trial."""


@dataclass(frozen=True)
class Trials:
    """One function in one dimension at one setting, a trial a descent.

    Attributes:
        function: its number, 1 to 24.
        dim: its dimension.
        comment: how the setting came about and how evaluations are counted.
        instances: instance of each trial.
        runtimes: lines of the ``.dat`` file of each trial.
        progress: lines of the ``.tdat`` file of each trial.
    """

    function: int
    dim: int
    comment: str
    instances: list[int]
    runtimes: list[Lines]
    progress: list[Lines]


def export_coco(
    results: Results,
    folder: Path | str,
    setting: str = "best",
    optimizers: Sequence[str] = (),
    gradient: float | None = COST_OF_GRADIENT,
) -> list[Path]:
    """Write the BBOB cells of a run in COCO's data format, a folder an optimizer.

    Args:
        results: a run with problems bbob/f1 to bbob/f24 and targets.
        folder: where the folders go; files of an earlier export are replaced.
        setting: "best" or the first word of another regime of the report's answers ("default"): the setting that stands
            there for each problem. Or "learning_rate=0.1,b1=0.9": this one for all problems, as COCO's rules ask.
        optimizers: only those with these labels; all when empty.
        gradient: c, what a gradient costs in evaluations of f; None for the dimension, COCO's advice for methods that
            it is to be compared with.

    Returns:
        The folders. A chosen setting is exported on held-out starts and seeds; where there are none its name says
        "in-sample".

    Raises:
        NothingSelectedError: no cell can be told to COCO.
        GdbenchError: an unknown regime or optimizer, or a setting that is not on the grid.
        StoreError: the folder cannot be written.
    """
    results.need_whole("COCO's data")
    groups: dict[tuple[str, str, str], dict[tuple[int, int], Trials]] = {}
    cells = _cells(results, optimizers)
    twice = _ambiguous(cells)
    chosen = _settings(results, setting, cells)
    for cell in cells:
        frame = results.table(_columns(cell), [cell["id"]])
        frame, name, comment = _at(cell, frame, chosen[cell["id"]], setting)
        if len(frame):
            key = (cell["optimizer"]["label"] + f" {name}", cell["dtype"], cell["experiment"] if twice else "")
            trials = _trials(cell, frame, comment, gradient)
            groups.setdefault(key, {})[trials.function, trials.dim] = trials
    if not groups:
        raise NothingSelectedError("no descents at that setting: nothing to tell COCO")
    dtypes = {dtype for _, dtype, _ in groups}
    written = []
    for (label, dtype, experiment), trials in groups.items():
        words = [label, *([dtype] if len(dtypes) > 1 else []), *([experiment] if experiment else [])]
        written.append(_write(Path(folder), " ".join(words), trials))
    return written


def _cells(results: Results, optimizers: Sequence[str]) -> list[dict[str, Any]]:
    """The cells that COCO knows the problem of, with targets."""
    labels = list(dict.fromkeys(cell["optimizer"]["label"] for cell in results.cells))
    for name in optimizers:
        if name not in labels:
            raise GdbenchError(f"this run has no optimizer {name!r}: {did_you_mean(name, labels)}")
    found = [cell for cell in results.cells if not cell["failed"] and cell["targets"] and _function(cell)]
    kept = [cell for cell in found if not optimizers or cell["optimizer"]["label"] in optimizers]
    if not kept:
        raise NothingSelectedError(
            "COCO knows the problems bbob/f1 to bbob/f24, with targets: this run has none of them"
        )
    return kept


def _function(cell: Mapping[str, Any]) -> int | None:
    """The number of a cell's BBOB function; None for any other problem, a transformed one among them."""
    found = re.fullmatch(r"bbob/f(\d+)", cell["problem"]["name"])
    return int(found[1]) if found else None


def _ambiguous(cells: list[dict[str, Any]]) -> bool:
    """Whether two experiments have the same function, dimension, optimizer and dtype."""
    keys = [(_function(c), c["problem"]["dim"], c["optimizer"]["label"], c["dtype"]) for c in cells]
    return len(set(keys)) < len(keys)


def _settings(results: Results, wanted: str, cells: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The setting of every cell: one named by the user, or that of a regime of the report's answers."""
    if "=" in wanted:
        named = _named(wanted)
        return {cell["id"]: _on_grid(cell, named) for cell in cells}
    rows = [row for row in study.read(results).answers if row.cell in {cell["id"] for cell in cells}]
    regimes = {row.regime.split()[0] for row in rows}
    if wanted not in regimes:
        raise GdbenchError(f"--setting {wanted}: {did_you_mean(wanted, regimes)}, or name=value")
    found = {row.cell: dict(row.setting) for row in rows if row.regime.split()[0] == wanted and not row.lost}
    cells[:] = [cell for cell in cells if cell["id"] in found]
    return found


def _named(text: str) -> dict[str, float]:
    """A setting from name=value,name=value."""
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise GdbenchError(f"--setting {text}: write name=value, as in learning_rate=0.1,b1=0.9") from None


def _on_grid(cell: Mapping[str, Any], named: Mapping[str, float]) -> dict[str, float]:
    """The named values as they stand on the grid of a cell."""
    axes = {axis["name"]: np.array(axis["values"], float) for axis in cell["axes"] if axis["kind"] == "hyperparameter"}
    where_ = f"{cell['optimizer']['label']} on {cell['problem']['label']}"
    for name in named:
        if name not in axes:
            raise GdbenchError(f"--setting: {where_} has no axis {name!r}: {did_you_mean(name, axes)}")
    for name, values in axes.items():
        if name not in named and len(values) > 1:
            raise GdbenchError(f"--setting: {where_} has several values of {name}: name one of them")
    found = {name: float(axes[name][np.argmin(np.abs(axes[name] - value))]) for name, value in named.items()}
    for name, value in named.items():
        if not np.isclose(found[name], value, rtol=1e-6, atol=0):
            raise GdbenchError(
                f"--setting: {where_}: {name} = {value:g} is not on the grid: the nearest is {found[name]:g}"
            )
    return found


def _columns(cell: Mapping[str, Any]) -> list[str]:
    """What is read of a cell."""
    kinds = ("hyperparameter", "start", "seed")
    grid = [axis["name"] for axis in cell["axes"] if axis["kind"] in kinds]
    traced = ["trace_best", *(f"trace_{name}" for name in EVALUATIONS)] if cell["trace_steps"] else []
    wanted = ["instance", "start", "seed", *grid, "outcome", "f_start", "gap_best", *EVALUATIONS, "hits"]
    return list(dict.fromkeys([*wanted, *(f"hits_{name}" for name in EVALUATIONS), *traced]))


def _at(
    cell: Mapping[str, Any], frame: DataFrame, setting: Mapping[str, float], wanted: str
) -> tuple[DataFrame, str, str]:
    """The descents to export, the words that name them, and the comment on them."""
    shown = ", ".join(f"{name} {number(value)}" for name, value in setting.items()) or "no hyperparameter on a grid"
    frame = where(frame, setting)
    if "=" in wanted:
        return frame, wanted.replace(",", " "), f"{shown}, for all problems, on all starts"
    if wanted == "default":
        return frame, wanted, f"{shown}, the library's default, on all starts"
    held_out = split(frame)[1]
    if len(held_out):
        return held_out, wanted, f"{shown}, {wanted} on even-numbered starts and seeds, shown on the odd ones"
    return frame, f"{wanted} in-sample", f"{shown}, {wanted} on the very descents that are shown"


def _trials(cell: Mapping[str, Any], frame: DataFrame, comment: str, gradient: float | None) -> Trials:
    """The trials of a cell, those of an instance side by side."""
    frame = frame.sort_values(["instance", "start", "seed"], kind="stable", ignore_index=True)
    function, dim = _function(cell), cell["problem"]["dim"]
    assert function is not None
    c = float(dim) if gradient is None else gradient
    instances = frame["instance"].to_numpy(dtype=int)
    minima = {i: Instance(function, dim, int(i)).f_opt for i in np.unique(instances)}
    first = floats(frame, "f_start") - np.array([minima[i] for i in instances])
    best = np.minimum(floats(frame, "gap_best"), first)
    spent = _whole(cost(frame, c))
    hits, by_hit = _lists(frame, "hits"), _whole(_listed_cost(frame, "hits", c))
    reached = np.maximum(np.array(cell["targets"]) * (1 - BELOW), best[:, None])
    reached = np.where(hits >= 0, reached, np.inf)
    runtimes = _lines(first, by_hit, reached, spent, best)
    progress = runtimes
    if cell["trace_steps"]:
        gaps = np.maximum(np.nan_to_num(_lists(frame, "trace_best"), nan=np.inf), best[:, None])
        progress = _lines(first, _whole(_trace_cost(cell, frame, c)), gaps, spent, best)
    counted = f"evaluations = f + {c:g} g + {COST_OF_HVP:g} hvp"
    return Trials(function, dim, f"{comment}; {counted}", instances.tolist(), runtimes, progress)


def _whole(spent: np.ndarray) -> np.ndarray:
    """Costs as COCO's numbers of evaluations."""
    return np.maximum(np.ceil(np.nan_to_num(spent, nan=0.0)), 1).astype(np.int64)


def _lists(frame: DataFrame, column: str) -> np.ndarray:
    """A list column as a matrix [rows, n]."""
    return np.stack(frame[column].to_list()).astype(float)


def _listed_cost(frame: DataFrame, what: str, gradient: float) -> np.ndarray:
    """Cost at each entry of a list column, [rows, n]."""
    f, g, hvp = (_lists(frame, f"{what}_{name}") for name in EVALUATIONS)
    return f + gradient * g + COST_OF_HVP * hvp


def _trace_cost(cell: Mapping[str, Any], frame: DataFrame, gradient: float) -> np.ndarray:
    """Cost at each step of the trace, [rows, n]."""
    if bool(frame["trace_g_evals"].notna().to_numpy().all()):
        return _listed_cost(frame, "trace", gradient)
    weights = np.array([1.0, gradient, COST_OF_HVP])
    first, step = (float(weights @ np.array(cell["optimizer"][name], float)) for name in ("init_cost", "cost"))
    return np.tile(first + step * np.array(cell["trace_steps"], float), (len(frame), 1))


def _lines(
    first: np.ndarray, evaluations: np.ndarray, gaps: np.ndarray, spent: np.ndarray, best: np.ndarray
) -> list[Lines]:
    """The lines of each trial: the first evaluation, every one with a new best gap, the last.

    Args:
        first: gap at the start, [trials].
        evaluations: when something is known of a trial, [trials, n].
        gaps: best gap by then, [trials, n]; infinite where nothing is known.
        spent: evaluations of the whole trial, [trials].
        best: best gap of the whole trial, [trials].
    """
    ones = np.ones((len(first), 1), np.int64)
    evaluations = np.concatenate([ones, np.minimum(evaluations, spent[:, None]), spent[:, None]], axis=1)
    gaps = np.concatenate([first[:, None], gaps, best[:, None]], axis=1)
    gaps = np.nan_to_num(gaps, nan=np.inf, posinf=np.finfo(float).max)
    order = np.lexsort((-gaps, evaluations), axis=1)
    evaluations, gaps = np.take_along_axis(evaluations, order, 1), np.take_along_axis(gaps, order, 1)
    gaps = np.minimum.accumulate(gaps, axis=1)
    last_of_its_kind = np.diff(evaluations, axis=1, append=-1) != 0
    found = []
    for n, gap, whole in zip(evaluations, gaps, last_of_its_kind, strict=True):
        n, gap = n[whole], gap[whole]
        news = np.r_[True, gap[1:] < gap[:-1]]
        news[-1] = True
        found.append((n[news], gap[news]))
    return found


def _write(folder: Path, name: str, trials: Mapping[tuple[int, int], Trials]) -> Path:
    """One optimizer's folder."""
    target = folder / re.sub(r"[^\w.=+-]+", "-", name).strip("-")
    name = re.sub(r"[^\w .=+()/-]", "_", name)  # neither quotes nor commas stand in a header
    try:
        for function in sorted({t.function for t in trials.values()}):
            data = f"data_f{function}"
            (target / data).mkdir(parents=True, exist_ok=True)
            entries = []
            for one in sorted((t for t in trials.values() if t.function == function), key=lambda t: t.dim):
                file = f"{data}/bbobexp_f{function}_DIM{one.dim}"
                for kind, lines in (("dat", one.runtimes), ("tdat", one.progress)):
                    (target / f"{file}.{kind}").write_text(_data(one, lines), encoding="utf-8")
                entries.append(_entry(one, name, f"{file}.dat"))
            (target / f"bbobexp_f{function}.info").write_text("\n".join(entries) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write COCO's data into {target}: {error.strerror or error}") from error
    return target


def _entry(trials: Trials, name: str, file: str) -> str:
    """The three lines of an ``.info`` file for one dimension."""
    header = {
        "suite": "'bbob'", "funcId": trials.function, "DIM": trials.dim, "Precision": f"{PRECISION:.3e}",
        "algId": f"'{name}'", "logger": "'bbob'", "data_format": "'bbob-new2'",
    }  # fmt: skip
    ends = [
        f"{instance}:{evaluations[-1]}|{gaps[-1]:.1e}"
        for instance, (evaluations, gaps) in zip(trials.instances, trials.runtimes, strict=True)
    ]
    first = ", ".join(f"{key} = {value}" for key, value in header.items())
    return f"{first}\n% gdbench: {trials.comment}\n" + ", ".join([file, *ends])


def _data(trials: Trials, lines: list[Lines]) -> str:
    """A ``.dat`` or ``.tdat`` file: a line of comment before each trial."""
    parts = []
    for instance, (evaluations, gaps) in zip(trials.instances, lines, strict=True):
        minimum = Instance(trials.function, trials.dim, instance).f_opt
        parts.append(COLUMNS.format(minimum))
        parts += [
            f"{n} 0 {gap:+.15e} {minimum + gap:+.9e} {minimum + gap:+.9e}"
            for n, gap in zip(evaluations, gaps, strict=True)
        ]
    return "\n".join(parts) + "\n"
