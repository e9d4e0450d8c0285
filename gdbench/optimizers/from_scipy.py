"""Minimisers of scipy, as ``scipy/<name>``: they run on the host, and one of their iterations is a step.

A step ends where scipy calls back; what it returns is the last point, and is held when it ends by itself. Tolerances
are set so that it does not end while the gap can still fall: to zero, or to 1e-150 (norms of the gradient, and SLSQP's
fall of f). TNC, which wanders at zero, ends where f falls by less than 1e-20, Powell has such a rule built in, and
COBYQA ends where its trust radius is the precision of the numbers. Limits of iterations and evaluations are out of
reach. Gradients are those of the problem: no difference quotient of values is formed.

Counted is what scipy asks: a value alone is 1 f, a value of which the gradient is asked as well is 1 g, a product with
the Hessian is 1 h, and a whole Hessian is n h.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdbench.contracts import Hyperparameter, Optimizer
from gdbench.lazy import scipy_optimize
from gdbench.optimizers.rules import host_method

ENDLESS = 10**9
"""Iterations or evaluations that no budget reaches."""

LEAST = 1e-150
"""The gradient norm that counts as none: squares of smaller ones leave the range of numbers, and BFGS with them."""

Options = Callable[[Any, Any], Mapping[str, Any]]


def minimize(oracle: Any, x0: np.ndarray, method: str, options: Mapping[str, Any], asks: str) -> None:
    """One descent; ``asks`` names what the method asks beside values: 'g', 'gv' (products) or 'gh' (Hessians)."""
    more = {"jac": oracle.gradient} if "g" in asks else {}
    more |= {"hessp": oracle.hvp} if "v" in asks else {}
    more |= {"hess": oracle.hessian} if "h" in asks else {}
    more |= {"callback": oracle.visit}
    if method == "SLSQP":
        # It calls back at the first trial of a search; the gradient is asked at the accepted point alone.
        more |= {"callback": None, "jac": _visiting(oracle)}
    value = oracle.value_first if "g" in asks else oracle.value
    oracle.end(scipy_optimize.minimize(value, x0, method=method, options=dict(options), **more).x)


def _visiting(oracle: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient, where every point at which it is asked, but for the start, is one that a step ended at."""
    calls = itertools.count()

    def gradient(x: np.ndarray) -> np.ndarray:
        answer = oracle.gradient(x)
        if next(calls):
            oracle.visit(x)
        return answer

    return gradient


def _method(name: str, method: str, asks: str, options: Options, formula: str, source: str, **facts: Any) -> Optimizer:
    def run(oracle: Any, x0: np.ndarray, h: Any) -> None:
        minimize(oracle, x0, method, options(oracle, h), asks)

    facts = {"hyperparameters": {}, "uses_gradient": "g" in asks, **facts}
    told = f"scipy.optimize.minimize(method={method!r}); {source}"
    return host_method(f"scipy/{name}", run, formula=formula, source=told, **facts)


_BOOK = "Nocedal, Wright, Numerical Optimization (2006)"

l_bfgs_b = _method(
    "l_bfgs_b", "L-BFGS-B", "g",
    lambda oracle, h: {"maxcor": h.maxcor, "ftol": 0, "gtol": LEAST, "maxiter": ENDLESS, "maxfun": ENDLESS},
    "x ← x − t H g, H by BFGS from the last maxcor pairs (Δx, Δg), t by Moré and Thuente's search",
    "Byrd, Lu, Nocedal, Zhu, SIAM J. Sci. Comput. 16 (1995), 1190–1208",
    hyperparameters={"maxcor": Hyperparameter(10, "scipy", static=True)}, family="quasi-Newton",
)  # fmt: skip

bfgs = _method(
    "bfgs", "BFGS", "g", lambda oracle, h: {"gtol": LEAST, "maxiter": ENDLESS},
    "x ← x − t H g, H the inverse Hessian by the updates of BFGS from H = 1, t by a search for Wolfe's conditions",
    f"{_BOOK}, section 6.1", most_dim=1000, family="quasi-Newton",
)  # fmt: skip

cg = _method(
    "cg", "CG", "g", lambda oracle, h: {"gtol": LEAST, "maxiter": ENDLESS},
    "d ← −g + β d, β = max(0, Δg·g / |g₋|²);  x ← x + t d, t by a search for Wolfe's conditions",
    f"{_BOOK}, section 5.2", family="conjugate gradient",
)  # fmt: skip

newton_cg = _method(
    "newton_cg", "Newton-CG", "gv", lambda oracle, h: {"xtol": 0, "maxiter": ENDLESS},
    "x ← x + t d, H d ≈ −g by conjugate gradients until negative curvature, t by a search for Wolfe's conditions",
    f"{_BOOK}, section 7.1", family="second order",
)  # fmt: skip


def _trust(name: str, method: str, asks: str, inner: str, source: str, **facts: Any) -> Optimizer:
    return _method(
        name, method, asks, lambda oracle, h: {"gtol": LEAST, "maxiter": ENDLESS},
        f"x ← x + p if f falls by over 0.15 of what the model says, p ≈ argmin g·p + ½ p·H p with |p| ≤ Δ: {inner}",
        source, family="second order", **facts,
    )  # fmt: skip


trust_ncg = _trust(
    "trust_ncg", "trust-ncg", "gv", "conjugate gradients up to the boundary",
    "Steihaug, SIAM J. Numer. Anal. 20 (1983), 626–637",
)  # fmt: skip

trust_krylov = _trust(
    "trust_krylov", "trust-krylov", "gv", "the Krylov subspace, past the boundary",
    "Gould, Lucidi, Roma, Toint, SIAM J. Optim. 9 (1999), 504–525",
)  # fmt: skip

trust_exact = _trust(
    "trust_exact", "trust-exact", "gh", "nearly exact, by factorisations of H + λ",
    "Moré, Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983), 553–572", most_dim=500,
)  # fmt: skip

dogleg = _trust(
    "dogleg", "dogleg", "gh", "the path from 0 over the Cauchy point to Newton's",
    f"{_BOOK}, section 4.1", most_dim=500, notes="ends where the Hessian is not positive definite",
)  # fmt: skip

tnc = _method(
    "tnc", "TNC", "g",
    # It forms products with the Hessian from differences of gradients, whose precision it must be told.
    # Without a lower bound it would take f ≥ 0 as known, which is no one's knowledge but ours.
    lambda oracle, h: {
        "ftol": 1e-20, "xtol": 0, "gtol": 0, "accuracy": oracle.eps**0.5, "minfev": -np.inf, "maxfun": ENDLESS,
    },
    "x ← x + t d, H d ≈ −g by truncated conjugate gradients, H d from differences of gradients, t by a search",
    "Nash, SIAM J. Numer. Anal. 21 (1984), 770–788", family="second order",
)  # fmt: skip

slsqp = _method(
    "slsqp", "SLSQP", "g", lambda oracle, h: {"ftol": LEAST, "maxiter": ENDLESS},
    "x ← x − t B⁻¹ g, B the Hessian by damped updates of BFGS, t by a search",
    "Kraft, DFVLR-FB 88-28 (1988)", most_dim=200, family="quasi-Newton",
)  # fmt: skip

nelder_mead = _method(
    "nelder_mead", "Nelder-Mead", "",
    lambda oracle, h: {
        "xatol": 0, "fatol": 0, "adaptive": h.adaptive, "maxiter": ENDLESS, "maxfev": ENDLESS,
    },
    "reflect, expand, contract or shrink a simplex, by coefficients that follow the dimension if adaptive; "
    "x its best vertex",
    "Gao, Han, Comput. Optim. Appl. 51 (2012), 259–277",
    hyperparameters={"adaptive": Hyperparameter(False, "scipy", static=True)}, most_dim=100, family="derivative-free",
)  # fmt: skip

powell = _method(
    "powell", "Powell", "", lambda oracle, h: {"ftol": 0, "maxiter": ENDLESS, "maxfev": ENDLESS},
    "x ← its minimum along each of n directions in turn;  one direction is replaced by the whole move",
    "Powell, Computer J. 7 (1964), 155–162", most_dim=200,
    notes="ends where an iteration lowers f by less than 5e-21", family="derivative-free",
)  # fmt: skip

cobyqa = _method(
    "cobyqa", "COBYQA", "",
    lambda oracle, h: {"final_tr_radius": oracle.eps, "maxiter": ENDLESS, "maxfev": ENDLESS},
    "x ← x + p where f falls, p minimises a quadratic through 2 n + 1 values in the trust radius;  one value a step",
    "Ragonneau, Model-Based Derivative-Free Optimization Methods and Software (2022)", most_dim=50,
    notes="a step is an evaluation, after which the best point so far is visited", family="derivative-free",
)  # fmt: skip
