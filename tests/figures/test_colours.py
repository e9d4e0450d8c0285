"""Colours stay apart for readers who see fewer of them, measured by an independent library."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from gdbench.figures.style import OUTCOME_COLOURS, RATE_MAP
from gdbench.figures.theory_check import DIFFERENCE_MAP

colorspacious = pytest.importorskip("colorspacious", reason="colorspacious (extra oracles) is not installed")

VISION = [None, "protanomaly", "deuteranomaly", "tritanomaly"]


def seen(rgb: np.ndarray, vision: str | None) -> np.ndarray:
    """Colours [n, 3] in CAM02-UCS as they are seen without one of the three cones (Machado et al. 2009)."""
    if vision is not None:
        space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
        rgb = np.clip(colorspacious.cspace_convert(rgb, space, "sRGB1"), 0, 1)
    return colorspacious.cspace_convert(rgb, "sRGB1", "CAM02-UCS")


@pytest.mark.parametrize("vision", VISION)
def test_outcomes_stay_apart(vision):
    names = list(OUTCOME_COLOURS)
    points = seen(np.array([to_rgb(OUTCOME_COLOURS[name]) for name in names]), vision)
    pairs = itertools.combinations(range(len(names)), 2)
    apart = {(names[i], names[j]): float(np.linalg.norm(points[i] - points[j])) for i, j in pairs}
    assert min(apart.values()) >= 12, apart


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", [RATE_MAP, DIFFERENCE_MAP])
def test_opposite_signs_stay_apart(name, vision):
    size = np.linspace(0.4, 1.0, 25)
    low, high = (seen(colormaps[name]((1 + sign * size) / 2)[:, :3], vision) for sign in (-1, 1))
    assert np.linalg.norm(low - high, axis=1).min() >= 25


@pytest.mark.parametrize("vision", VISION)
def test_the_middle_of_the_rate_map_stays_apart_from_both_ends(vision):
    low, middle, high = seen(colormaps[RATE_MAP](np.array([0.0, 0.5, 1.0]))[:, :3], vision)
    assert min(np.linalg.norm(low - middle), np.linalg.norm(high - middle)) >= 25


def test_the_measure_tells_a_map_that_fails():
    # figures that are red against green are what this is about
    low, high = seen(colormaps["RdYlGn"](np.array([0.15, 0.85]))[:, :3], "deuteranomaly")
    assert np.linalg.norm(low - high) < 25
