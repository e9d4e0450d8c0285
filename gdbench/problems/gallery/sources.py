"""Where the functions of the gallery are listed."""

from __future__ import annotations

SURVEY = "Jamil and Yang, Int. J. Mathematical Modelling and Numerical Optimisation 4 (2013) 150-194"
"""175 functions with their minima; several of its formulas and minima are wrong, which the entries say."""

COLLECTION = "Moré, Garbow and Hillstrom, ACM Transactions on Mathematical Software 7 (1981) 17-41"
"""Sums of squares with standard starts; the numbers are those of its list."""


def surveyed(origin: str) -> str:
    """The origin of a function, and the survey that lists it."""
    return f"{origin}; listed by {SURVEY}"


def collected(number: int, origin: str) -> str:
    """The origin of a function, and its number in the collection."""
    return f"{origin}; number {number} of {COLLECTION}"
