"""Curves fitted to data by least squares, with the digits of the fit."""

from __future__ import annotations

import itertools

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jnp
from gdbench.problems.boxes import cube
from gdbench.problems.facts import ends_of_squares, fixed
from gdbench.problems.gallery.sources import collected

# Fits with a residual left, their values and their curvatures are polished to 20 digits: Levenberg and Marquardt's
# method, then Newton's, in 50-digit arithmetic.

BEST_OF_JENNRICH = 0.25782521367036407685


def _jennrich_sampson(x, data, parameters):
    # With r the residuals left and d their change, the gap is the sum of (r + d)^2 - r^2.
    growth = jnp.sum(jnp.expm1(data["order"][:, None] * (x - BEST_OF_JENNRICH)[None, :]), axis=1)
    change = -data["exponentials"] * growth
    return jnp.sum(change * (change + 2 * data["left"]))


@problem_family()
def jennrich_sampson() -> Problem:
    """Two exponentials fitted to a straight line: they come out equal, and the residual stays large, 124.4."""
    order = np.arange(1.0, 11)
    exponentials = np.exp(order * BEST_OF_JENNRICH)
    return Problem(
        name="jennrich_sampson",
        objective=_jennrich_sampson,
        dim=2,
        formula="sum_i (2 + 2 i - exp(i x) - exp(i y))^2, i = 1 ... 10",
        source=collected(6, "Jennrich and Sampson, Technometrics 10 (1968) 63-72"),
        box=cube(2, 1),
        start=np.array([0.3, 0.4]),
        minimum=124.36218235561485351,
        minimizers=np.full((1, 2), BEST_OF_JENNRICH),
        all_minimizers=True,
        curvature=fixed(4484.2472036416260633, 135786.04175552558949),
        curvature_is_local=True,
        offset=124.36218235561485351,
        convex=False,
        data={"order": order, "exponentials": exponentials, "left": 2 + 2 * order - 2 * exponentials},
    )


def _terms_of_bard(x, data, parameters):
    return data["y"] - (x[0] + data["u"] / (data["v"] * x[1] + data["w"] * x[2]))


def _bard(x, data, parameters):
    return jnp.sum(_terms_of_bard(x, data, parameters) ** 2)


@problem_family()
def bard() -> Problem:
    """A fraction fitted to 15 points: small residuals, and a second valley without end where f is 17.4."""
    u = np.arange(1.0, 16)
    y = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
    return Problem(
        name="bard",
        objective=_bard,
        residuals=_terms_of_bard,
        dim=3,
        formula="sum_i (y_i - x_1 - i/((16 - i) x_2 + min(i, 16 - i) x_3))^2, i = 1 ... 15",
        source=collected(8, "Bard, SIAM Journal on Numerical Analysis 7 (1970) 157-186"),
        box=(np.array([-2.0, 0.1, 0.1]), np.array([2.0, 5.0, 5.0])),
        start=np.ones(3),
        minimum=0.008214877306578974752,
        minimizers=np.array([[0.082410559749788932414, 1.1330360920297215621, 2.3436951786425371401]]),
        curvature=fixed(0.0074105203643421020605, 33.56267956049396402),
        curvature_is_local=True,
        data={"y": np.array(y), "u": u, "v": 16 - u, "w": np.minimum(u, 16 - u)},
    )


def _terms_of_gulf(x, data, parameters):
    gap = jnp.abs(data["u"] - x[1])
    apart = gap > 0
    power = jnp.where(apart, jnp.where(apart, gap, 1) ** x[2], 0)
    return jnp.exp(-power / x[0]) - data["share"]


def _gulf(x, data, parameters):
    return jnp.sum(_terms_of_gulf(x, data, parameters) ** 2)


@problem_family()
def gulf() -> Problem:
    """A Weibull distribution fitted to its own 99 percentiles: a valley in three parameters, condition 7e6."""
    share = np.arange(1.0, 100) / 100
    u = 25 + (-50 * np.log(share)) ** (2 / 3)
    power = (u - 25) ** 1.5
    slopes = np.stack([power / 2500, 1.5 * np.sqrt(u - 25) / 50, -power * np.log(u - 25) / 50], axis=1)
    return Problem(
        name="gulf",
        objective=_gulf,
        residuals=_terms_of_gulf,
        dim=3,
        formula="sum_i (exp(-|u_i - x_2|^x_3/x_1) - i/100)^2, u_i = 25 + (-50 ln(i/100))^(2/3), i = 1 ... 99",
        source=collected(11, "Cox, 1969"),
        box=(np.array([0.1, 0.0, 0.0]), np.array([100.0, 25.6, 5.0])),
        start=np.array([5.0, 2.5, 0.15]),
        minimum=0.0,
        minimizers=np.array([[50.0, 25.0, 1.5]]),
        curvature=lambda parameters: ends_of_squares(share[:, None] * slopes),
        curvature_is_local=True,
        convex=False,
        data={"u": u, "share": share},
        notes="a local minimum of 0.038 at (99.90, 60.61, 9.161), outside of the box",
    )


def _terms_of_box_3d(x, data, parameters):
    t = data["t"]
    target = x[2] * (jnp.exp(-t) - jnp.exp(-10 * t))
    return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - target


def _box_3d(x, data, parameters):
    return jnp.sum(_terms_of_box_3d(x, data, parameters) ** 2)


@problem_family()
def box_3d() -> Problem:
    """A difference of two exponentials fitted to another: two isolated minima of 0, and a whole line of them."""
    return Problem(
        name="box_3d",
        objective=_box_3d,
        residuals=_terms_of_box_3d,
        dim=3,
        formula="sum_i (exp(-t x_1) - exp(-t x_2) - x_3 (exp(-t) - exp(-10 t)))^2, t = i/10, i = 1 ... 10",
        source=collected(12, "Box, The Computer Journal 9 (1966) 67-77"),
        box=(np.array([0.0, 0.0, -20.0]), np.full(3, 20.0)),
        start=np.array([0.0, 10.0, 20.0]),
        minimum=0.0,
        minimizers=np.array([[1.0, 10.0, 1.0], [10.0, 1.0, -1.0], [5.0, 5.0, 0.0]]),
        convex=False,
        data={"t": np.arange(1.0, 11) / 10},
        notes="every point (a, a, 0) is a global minimizer too; one of them is listed",
    )


def _terms_of_kowalik_osborne(x, data, parameters):
    u = data["u"]
    return data["y"] - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def _kowalik_osborne(x, data, parameters):
    return jnp.sum(_terms_of_kowalik_osborne(x, data, parameters) ** 2)


@problem_family()
def kowalik_osborne() -> Problem:
    """A rational function with four parameters fitted to 11 points: a long flat valley, condition 3000."""
    y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
    u = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
    best = [0.19280693457903785444, 0.19128232873436695864, 0.123056506926320653, 0.13606233068379483665]
    return Problem(
        name="kowalik_osborne",
        objective=_kowalik_osborne,
        residuals=_terms_of_kowalik_osborne,
        dim=4,
        formula="sum_i (y_i - x_1 (u_i^2 + u_i x_2)/(u_i^2 + u_i x_3 + x_4))^2, i = 1 ... 11",
        source=collected(15, "Kowalik and Osborne, Methods for Unconstrained Optimization Problems, 1968"),
        box=(np.zeros(4), np.ones(4)),
        start=np.array([0.25, 0.39, 0.415, 0.39]),
        minimum=0.00030750560384923742741,
        minimizers=np.array([best]),
        curvature=fixed(0.0028973466121164146761, 8.8475956464648374497),
        curvature_is_local=True,
        data={"y": np.array(y), "u": np.array(u)},
        notes="outside of the box the denominator has zeros",
    )


BEST_OF_BROWN_AND_DENNIS = (
    -11.594439904762165383,
    13.203630051207203821,
    -0.40343948817685951964,
    0.23677877445573629915,
)


def _brown_dennis(x, data, parameters):
    away = x - data["best"]
    da = away[0] + data["t"] * away[1]
    db = away[2] + data["sine"] * away[3]
    # With r = a^2 + b^2 the residuals left and d their change, the gap is the sum of (r + d)^2 - r^2.
    change = da * (da + 2 * data["a"]) + db * (db + 2 * data["b"])
    return jnp.sum(change * (change + 2 * data["left"]))


@problem_family()
def brown_dennis() -> Problem:
    """Fourth powers of two fits at once: a large residual, 85822, which the gap does without."""
    t = np.arange(1.0, 21) / 5
    best = np.array(BEST_OF_BROWN_AND_DENNIS)
    a, b = best[0] + t * best[1] - np.exp(t), best[2] + np.sin(t) * best[3] - np.cos(t)
    return Problem(
        name="brown_dennis",
        objective=_brown_dennis,
        dim=4,
        formula="sum_i ((x_1 + t x_2 - exp t)^2 + (x_3 + x_4 sin t - cos t)^2)^2, t = i/5, i = 1 ... 20",
        source=collected(16, "Brown and Dennis, Numerische Mathematik 18 (1971) 289-297"),
        box=cube(4, 30),
        start=np.array([25.0, 5.0, -5.0, -1.0]),
        minimum=85822.201626356344661,
        minimizers=best[None, :],
        # Each term is the square of a convex function >= 0.
        all_minimizers=True,
        curvature=fixed(1230.6684551867215526, 93031.794782863385746),
        curvature_is_local=True,
        offset=85822.201626356344661,
        convex=True,
        data={"best": best, "t": t, "sine": np.sin(t), "a": a, "b": b, "left": a**2 + b**2},
    )


def _terms_of_biggs_exp6(x, data, parameters):
    t = data["t"]
    return x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + x[5] * jnp.exp(-t * x[4]) - data["y"]


def _biggs_exp6(x, data, parameters):
    return jnp.sum(_terms_of_biggs_exp6(x, data, parameters) ** 2)


def _fits_of_biggs() -> np.ndarray:
    """The six ways [6, 6] of giving the terms exp(-t), -5 exp(-10 t) and 3 exp(-4 t) to the three places."""
    terms = [(1.0, 1.0), (10.0, -5.0), (4.0, 3.0)]
    orders = itertools.permutations(terms)
    return np.array([[a, b, p, -q, c, r] for (a, p), (b, q), (c, r) in orders])


@problem_family()
def biggs_exp6() -> Problem:
    """A sum of three exponentials fitted to itself: six equal minima, condition 1.3e6, and local ones of 0.00566.

    The literature states one minimizer; the three terms may change places.
    """
    t = np.arange(1.0, 14) / 10
    slow, fast, middle = np.exp(-t), np.exp(-10 * t), np.exp(-4 * t)
    jacobian = np.stack([-t * slow, 5 * t * fast, slow, -fast, -3 * t * middle, middle], axis=1)
    return Problem(
        name="biggs_exp6",
        objective=_biggs_exp6,
        residuals=_terms_of_biggs_exp6,
        dim=6,
        formula="sum_i (x_3 exp(-t x_1) - x_4 exp(-t x_2) + x_6 exp(-t x_5) - y_i)^2, "
        "y_i = exp(-t) - 5 exp(-10 t) + 3 exp(-4 t), t = i/10, i = 1 ... 13",
        source=collected(18, "Biggs, J. Institute of Mathematics and its Applications 8 (1971) 315-327"),
        box=(np.array([0.0, 0.0, -20.0, -20.0, 0.0, -20.0]), np.full(6, 20.0)),
        start=np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0]),
        minimum=0.0,
        minimizers=_fits_of_biggs(),
        # Two different sums of so few exponentials cannot agree at 13 points.
        all_minimizers=True,
        # Changing places and signs leaves the eigenvalues as they are.
        curvature=lambda parameters: ends_of_squares(jacobian),
        curvature_is_local=True,
        convex=False,
        data={"t": t, "y": slow - 5 * fast + 3 * middle},
    )


OSBORNE = (
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
    0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
    0.406,
)  # fmt: skip


def _terms_of_osborne_1(x, data, parameters):
    t = data["t"]
    return data["y"] - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))


def _osborne_1(x, data, parameters):
    return jnp.sum(_terms_of_osborne_1(x, data, parameters) ** 2)


@problem_family()
def osborne_1() -> Problem:
    """Two decaying exponentials and a constant fitted to 33 measurements: condition 2.5e9 at the fit."""
    best = [
        0.37541005210695204221, 1.935846912712367362, -1.4646871366134231239,
        0.012867534640057288739, 0.022122699661672611065,
    ]  # fmt: skip
    return Problem(
        name="osborne_1",
        objective=_osborne_1,
        residuals=_terms_of_osborne_1,
        dim=5,
        formula="sum_i (y_i - x_1 - x_2 exp(-t x_4) - x_3 exp(-t x_5))^2, t = 10 (i - 1), i = 1 ... 33",
        source=collected(17, "Osborne, 1972"),
        box=(np.array([0.0, 0.0, -3.0, 0.0, 0.0]), np.array([1.0, 3.0, 0.0, 0.1, 0.1])),
        start=np.array([0.5, 1.5, -1.0, 0.01, 0.02]),
        minimum=5.4648946974829064159e-5,
        minimizers=np.array([best]),
        curvature=fixed(3.8865653792922834664e-5, 95295.258857464040664),
        curvature_is_local=True,
        data={"t": 10 * np.arange(33.0), "y": np.array(OSBORNE)},
    )


def _terms_of_meyer(x, data, parameters):
    return x[0] * jnp.exp(x[1] / (data["t"] + x[2])) - data["y"]


def _meyer(x, data, parameters):
    return jnp.sum(_terms_of_meyer(x, data, parameters) ** 2)


@problem_family()
def meyer() -> Problem:
    """Resistance of a thermistor against temperature: parameters from 0.006 to 6000, condition 1e16 at the fit."""
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    best = [0.0056096364710280525353, 6181.3463462863722794, 345.2236346241364959]
    return Problem(
        name="meyer",
        objective=_meyer,
        residuals=_terms_of_meyer,
        dim=3,
        formula="sum_i (x_1 exp(x_2/(45 + 5 i + x_3)) - y_i)^2, i = 1 ... 16",
        source=collected(10, "Meyer, 1970"),
        box=(np.array([0.0, 3000.0, 200.0]), np.array([0.1, 8000.0, 500.0])),
        start=np.array([0.02, 4000.0, 250.0]),
        minimum=87.945855170851120897,
        minimizers=np.array([best]),
        curvature=fixed(0.024878075821788462873, 247283704064128.81769),
        curvature_is_local=True,
        data={"t": 45 + 5 * np.arange(1.0, 17), "y": np.array(y, float)},
        notes="at the rounded minimizer the gradient is still 1e-3; in the box it reaches 1e27",
    )
