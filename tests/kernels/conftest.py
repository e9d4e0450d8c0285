"""Lets the tests of the kernels import their own helpers, which lie beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken from what earlier tests compiled: the kernel is changed under it."""
    from gdbench import plan
    from gdbench.kernels import execute

    monkeypatch.setattr(plan, "_identity_of", lambda problem, optimizer: None)
    monkeypatch.setattr(execute, "_judges", {})
