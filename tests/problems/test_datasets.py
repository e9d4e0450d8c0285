"""Data sets read from scikit-learn's files are those that scikit-learn loads."""

from __future__ import annotations

import numpy as np
import pytest

from gdbench.problems import datasets


@pytest.mark.parametrize("name", datasets.SOURCES)
def test_a_table_is_that_of_scikit_learn(name):
    read, loaded = datasets._read(name), datasets._loaded(name)
    assert read is not None
    for ours, theirs in zip(read, loaded, strict=True):
        assert (ours.dtype, ours.shape, ours.strides) == (theirs.dtype, theirs.shape, theirs.strides)
        assert ours.tobytes() == theirs.tobytes()
    assert all(not array.flags.writeable for array in datasets.table(name))


def test_another_release_may_have_other_files(monkeypatch):
    monkeypatch.setitem(datasets.FILES, "digits", ("digits.parquet",))
    assert datasets._read("digits") is None
    table = datasets.table.__wrapped__("digits")
    assert table.columns.max() == 1 and np.array_equal(table.answers, datasets.table("digits").answers)


def test_a_table_of_another_size_than_it_says_is_left_to_scikit_learn(monkeypatch, tmp_path):
    (tmp_path / "datasets" / "data").mkdir(parents=True)
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    for rows, known in ((2, True), (3, False)):
        (tmp_path / "datasets" / "data" / "iris.csv").write_text(f"{rows},2,a,b\n0.5,1.5,0\n2.5,3.5,1\n")
        assert (datasets._read("iris") is not None) is known
