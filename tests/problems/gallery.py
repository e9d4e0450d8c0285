"""The functions of the gallery, plainly and in NumPy: what the catalogue's own forms are compared with.

Every function takes x of shape [dim] and returns f(x) by the published formula (with its sign turned where that is a
maximum), without any care for digits near the minimum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import cos, exp, log, log10, pi, prod, sin, sqrt

Formula = Callable[[np.ndarray], float]


def i_of(x):
    return np.arange(1.0, len(x) + 1)


# One basin


def schwefel_1_2(x):
    return sum(np.sum(x[: i + 1]) ** 2 for i in range(len(x)))


def schwefel_2_22(x):
    return np.sum(np.abs(x)) + prod(np.abs(x))


def chung_reynolds(x):
    return np.sum(x**2) ** 2


def brown(x):
    squares = x**2
    return sum(a ** (b + 1) + b ** (a + 1) for a, b in zip(squares[:-1], squares[1:], strict=True))


def exponential(x):
    return -exp(-0.5 * np.sum(x**2))


def paviani(x):
    return np.sum(log(x - 2) ** 2 + log(10 - x) ** 2) - prod(x) ** 0.2


# Waves


def cosine_mixture(x):
    return -0.1 * np.sum(cos(5 * pi * x)) + np.sum(x**2)


def csendes(x):
    return np.sum(x**6 * (2 + sin(1 / x)))


def pinter(x):
    total, n = 0.0, len(x)
    for i in range(n):
        before, here, after = x[i - 1], x[i], x[(i + 1) % n]
        a = before * sin(here) + sin(after)
        b = before**2 - 2 * here + 3 * after - cos(here) + 1
        total += (i + 1) * (here**2 + 20 * sin(a) ** 2 + log10(1 + (i + 1) * b**2))
    return total


def whitley(x):
    total = 0.0
    for a in x:
        for b in x:
            y = 100 * (a**2 - b) ** 2 + (1 - b) ** 2
            total += y**2 / 4000 - cos(y) + 1
    return total


def wavy(x):
    return 1 - np.mean(cos(10 * x) * exp(-(x**2) / 2))


def trigonometric_2(x):
    square = (x - 0.9) ** 2
    return 1 + np.sum(8 * sin(7 * square) ** 2 + square) + 6 * sin(14 * square[0]) ** 2


def outside(x, a):
    return sum(100 * (t - a) ** 4 if t > a else 100 * (-t - a) ** 4 if t < -a else 0.0 for t in x)


def penalized_1(x):
    y = 1 + (x + 1) / 4
    middle = np.sum((y[:-1] - 1) ** 2 * (1 + 10 * sin(pi * y[1:]) ** 2))
    return pi / len(x) * (10 * sin(pi * y[0]) ** 2 + middle + (y[-1] - 1) ** 2) + outside(x, 10)


def penalized_2(x):
    middle = np.sum((x[:-1] - 1) ** 2 * (1 + sin(3 * pi * x[1:]) ** 2))
    last = (x[-1] - 1) ** 2 * (1 + sin(2 * pi * x[-1]) ** 2)
    return 0.1 * (sin(3 * pi * x[0]) ** 2 + middle + last) + outside(x, 5)


# Distances


def salomon(x):
    r = sqrt(np.sum(x**2))
    return 1 - cos(2 * pi * r) + 0.1 * r


def schaffer_f6(x):
    s = np.sum(x**2)
    return 0.5 + (sin(sqrt(s)) ** 2 - 0.5) / (1 + 0.001 * s) ** 2


def schaffer_f7(x):
    s = x[:-1] ** 2 + x[1:] ** 2
    return np.sum(s**0.25 * (sin(50 * s**0.1) ** 2 + 1))


def pathological(x):
    a, b = x[:-1], x[1:]
    waves = sin(sqrt(100 * a**2 + b**2)) ** 2
    return np.sum(0.5 + (waves - 0.5) / (1 + 0.001 * (a**2 - 2 * a * b + b**2) ** 2))


def xin_she_yang_2(x):
    return np.sum(np.abs(x)) * exp(-np.sum(sin(x**2)))


def xin_she_yang_3(x):
    return exp(-np.sum((x / 15) ** 10)) - 2 * exp(-np.sum(x**2)) * prod(cos(x) ** 2)


def xin_she_yang_4(x):
    return (np.sum(sin(x) ** 2) - exp(-np.sum(x**2))) * exp(-np.sum(sin(sqrt(np.abs(x))) ** 2))


# Grids of minima


def qing(x):
    return np.sum((x**2 - i_of(x)) ** 2)


def quintic(x):
    return np.sum(np.abs(x**5 - 3 * x**4 + 4 * x**3 + 2 * x**2 - 10 * x - 4))


def alpine_n1(x):
    return np.sum(np.abs(x * sin(x) + 0.1 * x))


def alpine_n2(x):
    return -prod(sqrt(x) * sin(x))


def vincent(x):
    return -np.mean(sin(10 * log(x)))


def deb_1(x):
    return -np.mean(sin(5 * pi * x) ** 6)


# Two coordinates


def adjiman(x):
    return cos(x[0]) * sin(x[1]) - x[0] / (x[1] ** 2 + 1)


def aluffi_pentini(x):
    return 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.1 * x[0] + 0.5 * x[1] ** 2


def bird(x):
    a, b = x
    return sin(a) * exp((1 - cos(b)) ** 2) + cos(b) * exp((1 - sin(a)) ** 2) + (a - b) ** 2


def cubic_valley(x):
    return 100 * (x[1] - x[0] ** 3) ** 2 + (1 - x[0]) ** 2


def dekkers_aarts(x):
    s = np.sum(x**2)
    return 1e5 * x[0] ** 2 + x[1] ** 2 - s**2 + 1e-5 * s**4


def egg_crate(x):
    return np.sum(x**2) + 25 * np.sum(sin(x) ** 2)


def giunta(x):
    u = 16 / 15 * x - 1
    return 0.6 + np.sum(sin(u) + sin(u) ** 2 + sin(4 * u) / 50)


def hosaki(x):
    a, b = x
    return (1 - 8 * a + 7 * a**2 - 7 / 3 * a**3 + a**4 / 4) * b**2 * exp(-b)


def price_4(x):
    a, b = x
    return (2 * a**3 * b - b**3) ** 2 + (6 * a - b**2 + b) ** 2


def zettl(x):
    return (x[0] ** 2 + x[1] ** 2 - 2 * x[0]) ** 2 + 0.25 * x[0]


def parsopoulos(x):
    return cos(x[0]) ** 2 + sin(x[1]) ** 2


def periodic(x):
    return 1 + np.sum(sin(x) ** 2) - 0.1 * exp(-np.sum(x**2))


def ripple_25(x):
    return -np.sum(exp(-2 * log(2) * ((x - 0.1) / 0.8) ** 2) * sin(5 * pi * x) ** 6)


def ripple_1(x):
    fading = exp(-2 * log(2) * ((x - 0.1) / 0.8) ** 2)
    return -np.sum(fading * (sin(5 * pi * x) ** 6 + 0.1 * cos(500 * pi * x) ** 2))


def trefethen(x):
    a, b = x
    return (
        exp(sin(50 * a)) + sin(60 * exp(b)) + sin(70 * sin(a)) + sin(sin(80 * b)) - sin(10 * (a + b))
        + (a**2 + b**2) / 4
    )  # fmt: skip


def ursem_1(x):
    return -sin(2 * x[0] - 0.5 * pi) - 3 * cos(x[1]) - 0.5 * x[0]


def venter_sobieski(x):
    return np.sum(x**2 - 100 * cos(x) ** 2 - 100 * cos(x**2 / 30))


def bartels_conn(x):
    a, b = x
    return abs(a**2 + b**2 + a * b) + abs(sin(a)) + abs(cos(b))


def table(x):
    r = sqrt(np.sum(x**2))
    return abs(sin(x[0]) * sin(x[1]) * exp(abs(100 - r / pi))) + 1


def cross_leg_table(x):
    return -(table(x) ** -0.1)


def crowned_cross(x):
    return 0.0001 * table(x) ** 0.1


def damavandi(x):
    a, b = x
    sines = sin(pi * (a - 2)) * sin(pi * (b - 2)) / (pi**2 * (a - 2) * (b - 2))
    return (1 - abs(sines) ** 5) * (2 + (a - 7) ** 2 + 2 * (b - 7) ** 2)


def keane(x):
    return -(sin(x[0] - x[1]) ** 2 * sin(x[0] + x[1]) ** 2) / sqrt(np.sum(x**2))


def price_1(x):
    return np.sum((np.abs(x) - 5) ** 2)


def testtube_holder(x):
    return -4 * abs(sin(x[0]) * cos(x[1]) * exp(abs(cos(np.sum(x**2) / 200))))


testtube_holder.__test__ = False  # not a test, whatever pytest makes of its name


# Sums of squares


def freudenstein_roth(x):
    a, b = x
    return (-13 + a + ((5 - b) * b - 2) * b) ** 2 + (-29 + a + ((b + 1) * b - 14) * b) ** 2


def powell_badly_scaled(x):
    return (1e4 * x[0] * x[1] - 1) ** 2 + (exp(-x[0]) + exp(-x[1]) - 1.0001) ** 2


def brown_badly_scaled(x):
    return (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2) ** 2


def helical_valley(x):
    turns = np.arctan(x[1] / x[0]) / (2 * pi) + (0 if x[0] > 0 else 0.5)
    return 100 * ((x[2] - 10 * turns) ** 2 + (sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2) + x[2] ** 2


def trigonometric(x):
    i = i_of(x)
    return np.sum((len(x) - np.sum(cos(x)) + i * (1 - cos(x)) - i * sin(x)) ** 2)


def variably_dimensioned(x):
    s = np.sum(i_of(x) * (x - 1))
    return np.sum((x - 1) ** 2) + s**2 + s**4


def brown_almost_linear(x):
    n = len(x)
    return sum((x[i] + np.sum(x) - (n + 1)) ** 2 for i in range(n - 1)) + (prod(x) - 1) ** 2


def broyden_tridiagonal(x):
    padded = [0.0, *x, 0.0]
    return sum(
        ((3 - 2 * padded[i]) * padded[i] - padded[i - 1] - 2 * padded[i + 1] + 1) ** 2 for i in range(1, len(x) + 1)
    )


def jennrich_sampson(x):
    return sum((2 + 2 * i - (exp(i * x[0]) + exp(i * x[1]))) ** 2 for i in range(1, 11))


def bard(x):
    y = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
    total = 0.0
    for i in range(1, 16):
        u, v, w = i, 16 - i, min(i, 16 - i)
        total += (y[i - 1] - (x[0] + u / (v * x[1] + w * x[2]))) ** 2
    return total


def gulf(x):
    total = 0.0
    for i in range(1, 100):
        y = 25 + (-50 * log(i / 100)) ** (2 / 3)
        total += (exp(-(abs(y - x[1]) ** x[2]) / x[0]) - i / 100) ** 2
    return total


def box_3d(x):
    t = [0.1 * i for i in range(1, 11)]
    return sum((exp(-s * x[0]) - exp(-s * x[1]) - x[2] * (exp(-s) - exp(-10 * s))) ** 2 for s in t)


def kowalik_osborne(x):
    y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
    u = [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
    return sum(
        (a - x[0] * (b**2 + b * x[1]) / (b**2 + b * x[2] + x[3])) ** 2 for a, b in zip(y, u, strict=True)
    )  # fmt: skip


def brown_dennis(x):
    t = [i / 5 for i in range(1, 21)]
    return sum(((x[0] + s * x[1] - exp(s)) ** 2 + (x[2] + x[3] * sin(s) - cos(s)) ** 2) ** 2 for s in t)


def biggs_exp6(x):
    total = 0.0
    for i in range(1, 14):
        t = 0.1 * i
        y = exp(-t) - 5 * exp(-10 * t) + 3 * exp(-4 * t)
        total += (x[2] * exp(-t * x[0]) - x[3] * exp(-t * x[1]) + x[5] * exp(-t * x[4]) - y) ** 2
    return total


def osborne_1(x):
    y = (
        "0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751 0.718 0.685 0.658 0.628 0.603 0.580 0.558 "
        "0.538 0.522 0.506 0.490 0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406"
    )
    t = 10.0 * np.arange(33)
    return np.sum((np.array(y.split(), float) - (x[0] + x[1] * exp(-t * x[3]) + x[2] * exp(-t * x[4]))) ** 2)


def meyer(x):
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    return sum((x[0] * exp(x[1] / ((45 + 5 * i) + x[2])) - y[i - 1]) ** 2 for i in range(1, 17))


NOT_FORMULAS = {"i_of", "outside", "table"}
FORMULAS: dict[str, Formula] = {
    {"cubic_valley": "cube"}.get(name, name): value
    for name, value in list(globals().items())
    if getattr(value, "__module__", "") == __name__ and callable(value) and name not in NOT_FORMULAS
}
"""By the names of the catalogue."""
