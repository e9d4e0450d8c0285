"""The answers as numbers: every figure of an answer, whole after CSV and Parquet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gdbench.figures.regimes import BEST, DEFAULT, ONE
from gdbench.report import FORMATS, write_report
from gdbench.report.lines import leaders
from gdbench.report.study import read
from gdbench.report.tables import answers_frame


@pytest.fixture
def results(make, tmp_path):
    """Two optimizers, one of them with an axis of its problem and a default on the grid; a cell that failed."""
    condition = [{"name": "condition", "kind": "parameter", "values": [1.0, 100.0], "scale": "log"}]
    known = make.optimizer("momentum", 0.5, defaults={"learning_rate": make.rates[4], "momentum": 0.5})
    cells = [
        make.cell("c0", axes=condition), make.cell("c1", optimizer=known),
        make.cell("c2", optimizer=make.optimizer("broken"), failed="boom"),
    ]  # fmt: skip
    return make.results(cells, path=tmp_path)


def test_a_row_an_answer_with_all_its_numbers(results):
    study = read(results)
    frame = answers_frame(results, study)
    assert len(frame) == len(study.answers) and set(frame["regime"]) == {BEST, ONE, DEFAULT}
    tables = [(table, row) for table in study.tables for row in table.rows]
    for (table, answer), (_, row) in zip(tables, frame.iterrows(), strict=True):
        assert (row["experiment"], row["problem"], row["dtype"]) == (table.experiment, table.problem, table.dtype)
        assert row["optimizer"] == answer.optimizer and row["leads"] == any(answer is one for one in leaders(table))
        assert row["parameter_condition"] == table.at["condition"] if table.at else np.isnan(row["parameter_condition"])
        if answer.judged is None:
            assert row["n"] == 0 and np.isnan(row["share"]) and row["note"] == "failed: boom"
            continue
        judged = answer.judged
        assert row["setting_learning_rate"] == answer.setting["learning_rate"]
        assert (row["n"], row["k"], row["units"]) == (judged.descents, judged.converged, judged.units)
        assert (row["share"], row["share_low"], row["share_high"]) == (judged.share, *judged.interval)
        assert (row["cost"], row["cost_low"], row["cost_high"]) == tuple(judged.cost)
        assert row["cost_c_4"] == judged.other_costs["c = 4"] and row["gap"] == judged.gap and row["gap_known"]
        assert row["usable_width"] == judged.usable.width and row["tuning_cost"] == answer.tuning_cost
    assert np.isinf(frame["cost"]).any(), "the case without a finite cost is among them"


def test_csv_and_parquet_hold_the_same(results, tmp_path):
    first = write_report(results, tmp_path / "out", formats=["csv", "parquet"])
    assert first == tmp_path / "out" / "answers.csv"
    assert {path.name for path in first.parent.iterdir()} == {"answers.csv", "answers.parquet"}
    frame = answers_frame(results, read(results))
    stored, text = pd.read_parquet(first.with_suffix(".parquet")), pd.read_csv(first)
    pd.testing.assert_frame_equal(stored, frame)
    assert list(text) == list(frame)
    numbers = [name for name in frame if frame[name].dtype == float]
    assert len(numbers) > 15
    for name in numbers:
        assert np.array_equal(text[name].to_numpy(float), frame[name].to_numpy(), equal_nan=True), name


def test_a_run_without_cells(make, tmp_path):
    empty = make.results([], path=tmp_path)
    assert write_report(empty, formats=["csv", "parquet", "latex", "md"]).name == FORMATS["csv"]
    assert answers_frame(empty, read(empty)).empty
