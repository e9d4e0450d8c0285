"""Arrays packed for the page: byte planes, deflated, as base64; ``unpack`` of templates/page.js reads them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

KINDS = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32, "f4": np.float32, "f8": np.float64}
"""How values may be stored: unsigned whole numbers and floats; ``bf`` beside these is half of a float32."""


def pack(arrays: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Arrays as one deflated string: the first octets of all values, then the second ones, and so on.

    Values that differ little have the same leading octets, which deflate to almost nothing that way.

    Args:
        arrays: by name, the kind ("u1", "u2", "u4", "f4", "f8" or "bf") and the values, of any shape, flattened in C
            order. "bf" keeps the upper 16 bits of a float32: 8 binary digits, for what is drawn and read off.

    Returns:
        ``fields`` (name, kind, number of values; in order) and ``deflated`` (raw deflate, base64).
    """
    fields, parts = [], []
    for name, (kind, values) in arrays.items():
        # What diverged may be too large for a float32: infinite is what it is then.
        with np.errstate(over="ignore"):
            flat = bfloat16(values) if kind == "bf" else np.asarray(values).astype(KINDS[kind])
        flat = np.ascontiguousarray(flat.ravel()).astype(flat.dtype.newbyteorder("<"))
        parts.append(flat.view(np.uint8).reshape(flat.size, flat.itemsize).T.tobytes())
        fields.append([name, kind, flat.size])
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = squeeze.compress(b"".join(parts)) + squeeze.flush()
    return {"fields": fields, "deflated": base64.b64encode(deflated).decode("ascii")}


def bfloat16(values: Any) -> np.ndarray:
    """The upper half of float32 values, rounded to nearest, as uint16; NaN and infinities stay what they are."""
    single = np.asarray(values, dtype=np.float32)
    bits = np.ascontiguousarray(single).view(np.uint32).reshape(single.shape)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))
    half = np.where(np.isfinite(single), rounded, bits) >> 16
    return np.where(np.isnan(single), 0x7FC0, half).astype(np.uint16)


def fractions(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Values as 16-bit fractions of [low, high], those outside at its ends; NaN as the lower one."""
    share = (np.nan_to_num(values, nan=-np.inf) - low) / (high - low)
    return np.round(np.clip(share, 0.0, 1.0) * 65535).astype(np.uint16)
