"""The evolution strategy with covariance matrix adaptation, by pycma, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdbench.contracts import Hyperparameter
from gdbench.lazy import cma
from gdbench.optimizers.rules import documented, host_method

NEVER = {
    "tolfun": 0, "tolfunhist": 0, "tolxstagnation": False, "tolstagnation": np.inf, "tolconditioncov": np.inf,
    "maxiter": np.inf, "maxfevals": np.inf, "timeout": np.inf,
}  # fmt: skip
"""pycma's rules of termination that are out of force: those that end it while the gap can still fall."""

QUIET = {"verbose": -10, "verb_disp": 0, "verb_log": 0, "verb_plot": 0, "signals_filename": "", "seed": np.nan}
"""No output, no files, and numpy's global generator left alone."""

ROUNDING = 64
"""Values within so many roundings of each other are told apart by chance alone."""

SMALL = 1e-3
"""Share of the resolution of the box at which samples are one point."""


def _cma_es(oracle: Any, x0: np.ndarray, h: Any) -> None:
    """x_i ~ N(m, σ² C), i ≤ population;  m ← weighted mean of the better half;  C, σ from where they lie and m went

    A step is a generation and costs population values (4 + 3 ln n by default, where population is 0). σ begins at
    sigma times the width of the start box. The iterate is the mean m, from x0 on: it is what converges, and comes to
    rest where the method does. The best sample of a generation is not judged, for it may be a lucky one that the
    method leaves again. It ends where samples cannot be told apart any more, for there σ would follow chance.

    Source: Hansen, arXiv 1604.00772 (2016), as pycma has it.
    """
    random = np.random.default_rng(oracle.seed)
    # pycma takes two coordinates at least: a second one that f does not see makes up for that.
    start = x0 if oracle.dim > 1 else np.append(x0, 0.0)
    options = {**NEVER, **QUIET, "randn": lambda *shape: random.standard_normal(shape)}
    options["tolx"] = SMALL * oracle.eps * oracle.width
    if h.population:
        options["popsize"] = h.population
    strategy = cma.CMAEvolutionStrategy(start, h.sigma * oracle.width, options)
    alike = False
    while not (alike or strategy.stop()):
        samples = strategy.ask()
        values = oracle.values(np.array(samples)[:, : oracle.dim])
        # A value that is no number is worse than any: pycma ranks infinity last.
        values = np.where(np.isnan(values), np.inf, values)
        strategy.tell(samples, values.tolist())
        alike = bool(np.ptp(values) < ROUNDING * oracle.eps * abs(np.median(values)))
        oracle.visit(strategy.mean[: oracle.dim])


_FORMULA, _SOURCE = documented(_cma_es)

cma_es = host_method(
    "cma_es", _cma_es,
    hyperparameters={
        "sigma": Hyperparameter(0.25, "pycma: a quarter of the width of the region to search"),
        "population": Hyperparameter(0, "pycma: 4 + 3 ln n, rounded down", static=True),
    },
    formula=_FORMULA, source=_SOURCE, family="derivative-free", uses_gradient=False, most_dim=200,
    random=True,
)  # fmt: skip
