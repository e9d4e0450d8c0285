"""Real data, bundled with scikit-learn: loaded once, split by a seed, with wrong labels where they are asked for."""

from __future__ import annotations

import functools
import importlib.util
import math
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdbench.problems.batches import JUDGE_EVERY, row_sampler
from gdbench.problems.settings import whole_number

HELD_OUT_SHARE = 5
"""One row in so many is held out."""

SOURCES = {
    "diabetes": "Efron, Hastie, Johnstone and Tibshirani, Annals of Statistics 32 (2004); bundled with scikit-learn",
    "digits": "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998; bundled with scikit-learn",
    "breast_cancer": "Street, Wolberg and Mangasarian, Breast Cancer Wisconsin (Diagnostic), UCI, 1993; bundled with "
    "scikit-learn",
    "wine": "Aeberhard and Forina, Wine, UCI, 1991; bundled with scikit-learn",
    "iris": "Fisher, Annals of Eugenics 7 (1936) 179-188; bundled with scikit-learn",
}

NOISE_ORIGIN = "; on top of it the entropy of the wrong labels, which one who does not learn them by heart must pay"


class Table(NamedTuple):
    """Measurements [n, d] in their own units, and classes [n] counted from 0 (numbers in a regression)."""

    columns: np.ndarray
    answers: np.ndarray


class Split(NamedTuple):
    """Indices of the rows to train on, and of those that are held out."""

    train: np.ndarray
    held_out: np.ndarray


def frozen(*arrays: np.ndarray) -> None:
    """Make arrays read-only, for they are shared by all problems that are built on them."""
    for array in arrays:
        array.setflags(write=False)


FILES = {
    "diabetes": ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"), "digits": ("digits.csv.gz",),
    "breast_cancer": ("breast_cancer.csv",), "wine": ("wine_data.csv",), "iris": ("iris.csv",),
}  # fmt: skip
"""Where scikit-learn has them; the last column of a table alone holds the answers."""

HEADED = ("breast_cancer", "wine", "iris")
"""Tables that begin with a line of their size and names."""


@functools.cache
def table(name: str) -> Table:
    """The data set of that name, float64; pixels of the digits are in [0, 1]."""
    columns, answers = _read(name) or _loaded(name)
    found = Table(columns / 16.0 if name == "digits" else columns, answers)
    frozen(*found)
    return found


def _read(name: str) -> Table | None:
    """The data set from scikit-learn's file, without importing that: it takes longer than all the rest of a catalogue.

    None where another release has other files, or a table of another size than it says.
    """
    spec = importlib.util.find_spec("sklearn")
    folders = [Path(folder, "datasets", "data") for folder in (spec and spec.submodule_search_locations) or ()]
    paths = [folder / file for folder in folders for file in FILES[name]]
    if not paths or not all(path.is_file() for path in paths):
        return None
    separator = None if name == "diabetes" else ","
    parts = [np.loadtxt(path, delimiter=separator, skiprows=int(name in HEADED), ndmin=2) for path in paths]
    if name == "diabetes":
        return Table(parts[0], parts[1][:, 0])
    if name in HEADED:
        with open(paths[0], encoding="utf-8") as file:
            rows, columns = map(int, file.readline().split(",")[:2])
        if parts[0].shape != (rows, columns + 1):
            return None
    return Table(np.ascontiguousarray(parts[0][:, :-1]), parts[0][:, -1].astype(int))


def _loaded(name: str) -> Table:
    """The data set as scikit-learn loads it."""
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    bundle: Any = getattr(datasets, f"load_{name}")(**options)
    return Table(np.array(bundle.data, float), np.array(bundle.target))


@functools.cache
def split(count: int, instance: int, held_out: int | None = None) -> Split:
    """So many rows (a fifth, where nothing is said) are held out at random, the same for the same arguments."""
    order = np.random.default_rng((count, instance)).permutation(count)
    held_out = count // HELD_OUT_SHARE if held_out is None else held_out
    found = Split(np.sort(order[held_out:]), np.sort(order[:held_out]))
    frozen(*found)
    return found


def standardised(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1 over the given rows, and a last column of ones for the intercept."""
    mean, deviation = columns[rows].mean(axis=0), columns[rows].std(axis=0)
    # A pixel that is blank in all of these images stays where it is.
    scaled = (columns - mean) / np.where(deviation > 0, deviation, 1.0)
    return np.column_stack([scaled, np.ones(len(columns))])


def one_hot(classes: np.ndarray, kinds: int) -> np.ndarray:
    """Float64 [n, kinds]."""
    return np.eye(kinds)[classes]


def mislabelled(classes: np.ndarray, kinds: int, share: float, instance: int) -> np.ndarray:
    """The classes with that share of them (to the nearest whole number) replaced, each by one of the others."""
    rng, wrong = np.random.default_rng((len(classes), kinds, instance)), round(share * len(classes))
    rows = rng.permutation(len(classes))[:wrong]
    changed = np.array(classes)
    changed[rows] = (changed[rows] + rng.integers(1, kinds, wrong)) % kinds
    return changed


def entropy_of_noise(share: float, kinds: int) -> float:
    """Cross-entropy of one who knows every true label and that this share was replaced, but not which.

    -(1 - s) log(1 - s) - s log(s/(K - 1)) for the share s of K classes, replaced by any of the others.
    """
    wrong = share * math.log(share / (kinds - 1)) if share else 0.0
    return -wrong - ((1 - share) * math.log(1 - share) if share < 1 else 0.0)


@functools.cache
def _sampler(batch: int) -> Callable[[Any, Any], dict[str, Any]]:
    draw = row_sampler(batch)
    return lambda data, key: {**data, "rows": draw(data["rows"], key)}


def batches_of_rows(count: int, batch: int) -> dict[str, Any]:
    """The fields of a Problem that say how a step sees ``data["rows"]``, of so many rows; batch 0 is all of them."""
    if batch in (0, count):
        return {"sample": None, "batch_share": 1.0, "judge_every": 1}
    return {"sample": _sampler(batch), "batch_share": batch / count, "judge_every": JUDGE_EVERY}


def faults_of_rows(problem: str, count: int, batch: Any, instance: Any, label_noise: Any = 0.0) -> list[str]:
    """Faults of the settings that problems on data have in common."""
    faults = whole_number(problem, "batch", batch, 0, count) + whole_number(problem, "instance", instance, 0)
    return faults + number(problem, "label_noise", label_noise, 0.0, 1.0)


def number(problem: str, setting: str, value: Any, least: float, most: float = math.inf) -> list[str]:
    """The fault, if the value is not a finite number in [least, most]."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        if math.isfinite(value) and least <= float(value) <= most:
            return []
    rule = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
    return [f"problem {problem!r}: {setting} must be a number {rule}, received {value!r}"]
