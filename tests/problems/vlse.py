"""The test functions of the Virtual Library of Simulation Experiments, plainly and in NumPy: what the catalogue's own
forms, written to keep their digits near the minimum, are compared with.

Every function takes x of shape [dim] and returns f(x) by the published formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import cos, exp, pi, prod, sin, sqrt

Formula = Callable[..., Any]


def i_of(x):
    return np.arange(1.0, len(x) + 1)


def levy(x):
    w = 1 + (x - 1) / 4
    inner = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * sin(pi * w[:-1] + 1) ** 2))
    return sin(pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + sin(2 * pi * w[-1]) ** 2)


def shubert(x):
    return prod([sum(i * cos((i + 1) * t + i) for i in range(1, 6)) for t in x])


def langermann(x):
    centres, weights = np.array([[3, 5], [5, 2], [2, 1], [1, 4], [7, 9]]), np.array([1, 2, 5, 2, 3])
    squares = np.sum((x - centres) ** 2, axis=1)
    return np.sum(weights * exp(-squares / pi) * cos(pi * squares))


def perm(x, beta=0.5):
    j = i_of(x)
    return sum(np.sum((j**i + beta) * ((x / j) ** i - 1)) ** 2 for i in j)


def perm0(x, beta=10.0):
    j = i_of(x)
    return sum(np.sum((j + beta) * (x**i - 1 / j**i)) ** 2 for i in j)


def power_sum(x):
    return sum((np.sum(x**i) - b) ** 2 for i, b in enumerate((8, 18, 44, 114), start=1))


def de_jong_n5(x):
    a = np.tile([-32, -16, 0, 16, 32], 5)
    b = np.repeat([-32, -16, 0, 16, 32], 5)
    return 1 / (0.002 + np.sum(1 / (np.arange(1, 26) + (x[0] - a) ** 6 + (x[1] - b) ** 6)))


def zakharov(x):
    s = np.sum(0.5 * i_of(x) * x)
    return np.sum(x**2) + s**2 + s**4


def goldstein_price(x):
    x, y = x
    first = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    return first * (30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2))


def colville(x):
    a, b, c, d = x
    valleys = 100 * (a**2 - b) ** 2 + (a - 1) ** 2 + (c - 1) ** 2 + 90 * (c**2 - d) ** 2
    return valleys + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)


def powell(x):
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    return np.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = np.array([[0.3689, 0.1170, 0.2673], [0.4699, 0.4387, 0.7470], [0.1091, 0.8732, 0.5547], [0.0381, 0.5743, 0.8828]])
A6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P6 = np.array(
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ]
)


def hollows(x, a, p):
    return -np.sum(np.array([1, 1.2, 3, 3.2]) * exp(-np.sum(a * (x - p) ** 2, axis=1)))


def shekel(x, holes):
    c = np.array([[4, 1, 8, 6, 3, 2, 5, 8, 6, 7], [4, 1, 8, 6, 7, 9, 3, 1, 2, 3.6]] * 2)
    b = np.array([1, 2, 2, 4, 4, 6, 3, 7, 5, 5]) / 10
    return -sum(1 / (np.sum((x - c[:, k]) ** 2) + b[k]) for k in range(holes))


MANY_MINIMA: dict[str, Formula] = {
    "ackley": lambda x: 20 + np.e - 20 * exp(-0.2 * sqrt(np.mean(x**2))) - exp(np.mean(cos(2 * pi * x))),
    "bukin_n6": lambda x: 100 * sqrt(abs(x[1] - 0.01 * x[0] ** 2)) + 0.01 * abs(x[0] + 10),
    "cross_in_tray": lambda x: -0.0001 * (abs(prod(sin(x)) * exp(abs(100 - sqrt(x @ x) / pi))) + 1) ** 0.1,
    "drop_wave": lambda x: -(1 + cos(12 * sqrt(x @ x))) / (0.5 * (x @ x) + 2),
    "eggholder": lambda x: (
        -(x[1] + 47) * sin(sqrt(abs(x[1] + x[0] / 2 + 47))) - x[0] * sin(sqrt(abs(x[0] - (x[1] + 47))))
    ),
    "gramacy_lee": lambda x: sin(10 * pi * x[0]) / (2 * x[0]) + (x[0] - 1) ** 4,
    "griewank": lambda x: np.sum(x**2 / 4000) - prod(cos(x / sqrt(i_of(x)))) + 1,
    "holder_table": lambda x: -abs(sin(x[0]) * cos(x[1]) * exp(abs(1 - sqrt(x @ x) / pi))),
    "langermann": langermann,
    "levy": levy,
    "levy_n13": lambda x: (
        sin(3 * pi * x[0]) ** 2
        + (x[0] - 1) ** 2 * (1 + sin(3 * pi * x[1]) ** 2)
        + (x[1] - 1) ** 2 * (1 + sin(2 * pi * x[1]) ** 2)
    ),
    "rastrigin": lambda x: 10 * len(x) + np.sum(x**2 - 10 * cos(2 * pi * x)),
    "schaffer_n2": lambda x: 0.5 + (sin(x[0] ** 2 - x[1] ** 2) ** 2 - 0.5) / (1 + 0.001 * (x @ x)) ** 2,
    "schaffer_n4": lambda x: 0.5 + (cos(sin(abs(x[0] ** 2 - x[1] ** 2))) ** 2 - 0.5) / (1 + 0.001 * (x @ x)) ** 2,
    # The library's constant, 418.9829, is the same number rounded.
    "schwefel": lambda x: 418.9828872724337 * len(x) - np.sum(x * sin(sqrt(abs(x)))),
    "shubert": shubert,
}
BOWLS: dict[str, Formula] = {
    "bohachevsky1": lambda x: x[0] ** 2 + 2 * x[1] ** 2 - 0.3 * cos(3 * pi * x[0]) - 0.4 * cos(4 * pi * x[1]) + 0.7,
    "bohachevsky2": lambda x: x[0] ** 2 + 2 * x[1] ** 2 - 0.3 * cos(3 * pi * x[0]) * cos(4 * pi * x[1]) + 0.3,
    "bohachevsky3": lambda x: x[0] ** 2 + 2 * x[1] ** 2 - 0.3 * cos(3 * pi * x[0] + 4 * pi * x[1]) + 0.3,
    "perm0": perm0,
    "rotated_hyper_ellipsoid": lambda x: sum(np.sum(x[: i + 1] ** 2) for i in range(len(x))),
    "sphere": lambda x: x @ x,
    "sum_different_powers": lambda x: np.sum(abs(x) ** (i_of(x) + 1)),
    "sum_squares": lambda x: np.sum(i_of(x) * x**2),
    "trid": lambda x: np.sum((x - 1) ** 2) - np.sum(x[1:] * x[:-1]),
}
PLATES: dict[str, Formula] = {
    "booth": lambda x: (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2,
    "matyas": lambda x: 0.26 * (x @ x) - 0.48 * x[0] * x[1],
    "mccormick": lambda x: sin(x[0] + x[1]) + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1,
    "power_sum": power_sum,
    "zakharov": zakharov,
}
VALLEYS: dict[str, Formula] = {
    "three_hump_camel": lambda x: 2 * x[0] ** 2 - 1.05 * x[0] ** 4 + x[0] ** 6 / 6 + x[0] * x[1] + x[1] ** 2,
    "six_hump_camel": lambda x: (
        (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (-4 + 4 * x[1] ** 2) * x[1] ** 2
    ),
    "dixon_price": lambda x: (x[0] - 1) ** 2 + np.sum(i_of(x)[1:] * (2 * x[1:] ** 2 - x[:-1]) ** 2),
    "rosenbrock": lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (x[:-1] - 1) ** 2),
}
STEEP: dict[str, Formula] = {
    "de_jong_n5": de_jong_n5,
    "easom": lambda x: -cos(x[0]) * cos(x[1]) * exp(-((x[0] - pi) ** 2) - (x[1] - pi) ** 2),
    "michalewicz": lambda x: -np.sum(sin(x) * sin(i_of(x) * x**2 / pi) ** 20),
}
OTHER: dict[str, Formula] = {
    "beale": lambda x: sum((c - x[0] + x[0] * x[1] ** i) ** 2 for i, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
    "branin": lambda x: (
        (x[1] - 5.1 / (4 * pi**2) * x[0] ** 2 + 5 / pi * x[0] - 6) ** 2 + 10 * (1 - 1 / (8 * pi)) * cos(x[0]) + 10
    ),
    "colville": colville,
    "forrester": lambda x: (6 * x[0] - 2) ** 2 * sin(12 * x[0] - 4),
    "goldstein_price": goldstein_price,
    "hartmann3": lambda x: hollows(x, A3, P3),
    "hartmann4": lambda x: (1.1 + hollows(x, A6[:, :4], P6[:, :4])) / 0.839,
    "hartmann6": lambda x: hollows(x, A6, P6),
    "perm": perm,
    "powell": powell,
    "shekel5": lambda x: shekel(x, 5),
    "shekel7": lambda x: shekel(x, 7),
    "shekel10": lambda x: shekel(x, 10),
    "styblinski_tang": lambda x: np.sum(x**4 - 16 * x**2 + 5 * x) / 2,
}

FORMULAS: dict[str, Formula] = {**MANY_MINIMA, **BOWLS, **PLATES, **VALLEYS, **STEEP, **OTHER}
"""All of them by their names in the catalogue."""

VARIANTS = {
    "bohachevsky": ("bohachevsky1", "bohachevsky2", "bohachevsky3"),
    "shekel": ("shekel5", "shekel7", "shekel10"),
}
"""Functions of the library that are several families here."""
