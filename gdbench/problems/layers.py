"""Models as named arrays: their initial scales, and the box and start that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Layers = dict[str, tuple[tuple[int, ...], float]]
"""Shape and half-width of the uniform initial distribution, for every array of a model."""


def glorot(fan_in: int, fan_out: int) -> float:
    """sqrt(6/(in + out)), for tanh and linear layers.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
    """
    return math.sqrt(6 / (fan_in + fan_out))


def he(fan_in: int) -> float:
    """sqrt(6/in), for layers before a rectifier.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015.
    """
    return math.sqrt(6 / fan_in)


def bias(fan_in: int) -> float:
    """1/sqrt(in), the scale of biases that PyTorch takes; a box needs some width."""
    return 1 / math.sqrt(fan_in)


def dense(name: str, fan_in: int, fan_out: int, rectified: bool = False) -> Layers:
    """The weights [in, out] and biases [out] of a layer, as ``name_weights`` and ``name_bias``."""
    scale = he(fan_in) if rectified else glorot(fan_in, fan_out)
    return {f"{name}_weights": ((fan_in, fan_out), scale), f"{name}_bias": ((fan_out,), bias(fan_in))}


def flattened(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """One vector, in the order in which JAX flattens a dictionary: sorted by name."""
    return np.concatenate([np.ravel(arrays[name]) for name in sorted(arrays)])


def initialised(layers: Layers) -> dict[str, Any]:
    """The fields ``dim``, ``box``, ``start`` and ``template`` of a Problem: the start is one draw from the box."""
    widths = flattened({name: np.full(shape, width) for name, (shape, width) in layers.items()})
    return {
        "dim": len(widths),
        "box": (-widths, widths),
        "start": np.random.default_rng(0).uniform(-widths, widths),
        "template": {name: np.zeros(shape) for name, (shape, _) in layers.items()},
    }


def kink(fields: Mapping[str, Any], *names: str) -> np.ndarray:
    """The start with some arrays at 0, [1, dim]: every unit that they feed stands at the kink of its rectifier."""
    kept = {name: np.full(leaf.shape, name not in names) for name, leaf in fields["template"].items()}
    return np.where(flattened(kept), fields["start"], 0.0)[None, :]
