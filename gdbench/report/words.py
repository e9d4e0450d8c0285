"""Numbers in words: the same number looks the same everywhere in a report."""

from __future__ import annotations

import math
from collections.abc import Mapping

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a few significant digits: 0.012, 1,230, 4.5×10⁻⁷, ∞; a dash for NaN and None."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 < power < 6:
        places = max(0, digits - 1 - power)
        text = f"{float(f'{mantissa}e{power}'):,.{places}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}×10{str(power).translate(_SUPERSCRIPT)}"
    return text.replace("-", "−")


def percent(share: float | None) -> str:
    """A share in percent; what is neither none nor all never rounds to 0% or 100%."""
    if share is None or math.isnan(share):
        return MISSING
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def count(n: int, noun: str, nouns: str | None = None) -> str:
    """A counted noun: 1 start, 12,000 descents."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def listing(names: list[str], most: int = 12) -> str:
    """Names in a row: a, b and c; the number of those beyond the first ``most``."""
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most:,} more"]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else "none"


def setting(values: Mapping[str, float]) -> str:
    """A setting of hyperparameters: learning_rate 0.01, b1 0.9; a dash where nothing is set."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items()) or MISSING


def seconds(value: float | None) -> str:
    """A duration: 3.2 ms, 12.4 s, 2 min 5 s."""
    if value is None or math.isnan(value):
        return MISSING
    if value < 1:
        return f"{number(value * 1000)} ms"
    if value < 120:
        return f"{number(value)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes:,} min {rest} s"


def size(octets: int) -> str:
    """A file size: 12 kB, 1.3 MB."""
    return f"{max(1, round(octets / 1e3)):,} kB" if octets < 1e6 else f"{octets / 1e6:.1f} MB"
