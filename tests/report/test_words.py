"""Numbers in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbench.report.words import count, listing, number, percent, seconds, setting, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1, "1"), (19.5, "19.5"), (1234.4, "1,230"), (0.00123, "0.00123"), (0.000123, "1.23×10⁻⁴"),
        (4.5e-7, "4.5×10⁻⁷"),
        (1e6, "1×10⁶"), (-2, "−2"), (math.inf, "∞"), (-math.inf, "−∞"), (math.nan, "–"), (None, "–"),
        (0.99999, "1"), (999499.0, "999,000"),
    ],
)  # fmt: skip
def test_number(value, text):
    assert number(value) == text


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_number_keeps_three_digits(value):
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-", ",")
    back = float(number(value).translate(digits).replace("×10", "e"))
    assert back == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (1, "100%"), (0.001, "<1%"), (0.999, ">99%"), (0.5, "50%"), (math.nan, "–")]
)
def test_percent_never_rounds_to_none_or_all(share, text):
    assert percent(share) == text


def test_words():
    assert (count(1, "start"), count(12000, "start")) == ("1 start", "12,000 starts")
    assert [listing(n) for n in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["none", "a", "a and b", "a, b and c"]
    assert listing(list("abcdef"), most=2) == "a, b and 4 more"
    assert setting({"learning_rate": 0.01, "b1": 0.9}) == "learning_rate 0.01, b1 0.9"
    assert [seconds(s) for s in (0.0031, 12.44, 125.0, None)] == ["3.1 ms", "12.4 s", "2 min 5 s", "–"]
    assert (size(100), size(12_345), size(1_260_000)) == ("1 kB", "12 kB", "1.3 MB")
