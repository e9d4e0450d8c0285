"""Shapes that break methods: saddles, plateaus, cliffs, bad scales, and functions without a minimum.

Each says which methods it breaks and why; where theory has the number, it is stated.
"""

from __future__ import annotations

from gdbench.contracts import ProblemFamily
from gdbench.problems.shapes import cliffs, plateaus, ravines, saddles, unbounded

FILES = (cliffs, plateaus, ravines, saddles, unbounded)


def entries() -> list[ProblemFamily]:
    """Every family of this folder."""
    return [entry for file in FILES for entry in vars(file).values() if isinstance(entry, ProblemFamily)]
