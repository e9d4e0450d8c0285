"""Boxes that starts are drawn from."""

from __future__ import annotations

import numpy as np

from gdbench.contracts import Box


def cube(dim: int, half_width: float) -> Box:
    """(low, high), each of shape [dim]: the cube of that half width around the origin."""
    return np.full(dim, -float(half_width)), np.full(dim, float(half_width))
