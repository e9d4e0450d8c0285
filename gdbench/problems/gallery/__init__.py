"""Test functions of optimizer galleries and surveys, with their published facts checked and, where wrong, corrected."""

from __future__ import annotations

from gdbench.contracts import ProblemFamily
from gdbench.problems.gallery import bowls, fits, grids, periodic, plane, residuals, rings, systems, tables, waves

FILES = (bowls, fits, grids, periodic, plane, residuals, rings, systems, tables, waves)


def entries() -> list[ProblemFamily]:
    """Every family of this folder."""
    return [entry for file in FILES for entry in vars(file).values() if isinstance(entry, ProblemFamily)]
