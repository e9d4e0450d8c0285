"""Minimisers and least-squares solvers of optimistix, as ``optimistix/<name>``, one of their steps a step of ours.

A solver is taken through its ``init`` and ``step`` alone: it never ends a descent, raises nothing, and its tolerances
(zero here) only decide its own verdict, which is not asked. The iterate is the point that it accepted last.

Each step evaluates one trial point. Counted is what the lane asks at it: where the point is accepted, the value and
the gradient are one joint evaluation (1 g), or the residuals and their Jacobian of n columns are n g; where it is
rejected, the value or the residuals alone are 1 f. The first step evaluates, and accepts, the start. Products with a
Jacobian that is known already are not counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.errors import SuiteError
from gdbench.lazy import jax, jnp, optimistix

NEVER: Mapping[str, Any] = {"rtol": 0.0, "atol": 0.0}
"""Tolerances at which a solver finds itself converged nowhere."""

MOST_DENSE, MOST_SIMPLEX = 500, 100
"""Dimensions up to which a lane may carry n × n matrices, or a simplex be of use."""

CONJUGATE = ("polak_ribiere", "fletcher_reeves", "hestenes_stiefel", "dai_yuan")

Function = Callable[[Array, Any], tuple[Array, None]]


def _value(oracle: Oracle) -> Function:
    return lambda x, _: (oracle.value(x), None)


def _residuals(oracle: Oracle) -> Function:
    residuals = oracle.residuals
    assert residuals is not None, "a problem without residuals is refused before"
    return lambda x, _: (residuals(x), None)


def _begin(solver: Any, function: Function, x: Array) -> Any:
    """The solver's own state before its first step."""
    shape, none = jax.eval_shape(lambda: function(x, None))
    return solver.init(function, x, None, {}, shape, none, frozenset())


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))


def _arrays(state: Any) -> list[Array]:
    """What changes in a state: its arrays. The rest (linear operators as programs) is the same at every step."""
    return [jnp.asarray(leaf) for leaf in jax.tree.leaves(state) if _is_array(leaf)]


def _filled(blank: Any, arrays: Any) -> Any:
    """A state with these arrays in place of its own."""
    leaves, form = jax.tree.flatten(blank)
    left = iter(arrays)
    return jax.tree.unflatten(form, [next(left) if _is_array(leaf) else leaf for leaf in leaves])


def _from_solver(
    name: str,
    make: Callable[[Any], Any],
    function_of: Callable[[Oracle], Function],
    read: Callable[[Any, Any, Array], Step],
    mend: Callable[[Any], Any] = lambda state: state,
    arrange: Callable[[Any, Array, Any], Any] = lambda state, x, h: state,
    **facts: Any,
) -> Optimizer:
    """An optimizer from ``make(h) -> solver``.

    ``read(before, after, y)`` makes the step, without its state, of the solver's states before and after it and the
    point y that it gives. ``mend`` sets a fault of the solver's new state right,
    ``arrange(state, x, h)`` one of its first.
    """

    def init(oracle: Oracle, x: Array, h: Any) -> tuple[Array, ...]:
        return tuple(_arrays(arrange(_begin(make(h), function_of(oracle), x), x, h)))

    def step(oracle: Oracle, x: Array, state: tuple[Array, ...], h: Any, k: Array) -> Step:
        solver, function = make(h), function_of(oracle)
        # A state holds functions too, which no scan can carry: they are made anew, and are the same.
        before = _filled(_begin(solver, function, x), state)
        y, after, _ = solver.step(function, x, None, {}, before, frozenset())
        after = mend(after)
        kept = tuple(new.astype(old.dtype) for new, old in zip(_arrays(after), state, strict=True))
        return read(before, after, y)._replace(state=kept)

    facts = {"hyperparameters": {}, "needs": ("full batch",), "costs": "counted", **facts}
    return Optimizer(f"optimistix/{name}", init, step, **facts)


def _cost(accepted: Array, gradients: int) -> Cost:
    return Cost(jnp.where(accepted, 0, 1).astype(jnp.int32), jnp.where(accepted, gradients, 0).astype(jnp.int32))


def _read_gradient(accepted: Callable[[Any, Any], Array]) -> Callable[[Any, Any, Array], Step]:
    """A step of a method that keeps value and gradient of the accepted point: judging asks for nothing then."""

    def read(before: Any, after: Any, y: Array) -> Step:
        first = before.first_step
        value = jnp.where(first, after.f_info.f, before.f_info.f)
        gradient = jnp.where(first, after.f_info.grad, before.f_info.grad)
        return Step(y, None, value, gradient, _cost(accepted(before, after), 1))

    return read


def _by_count(before: Any, after: Any) -> Array:
    return after.num_accepted_steps > before.num_accepted_steps


def _by_search(before: Any, after: Any) -> Array:
    """Accepted where backtracking begins anew with its first, longest, step."""
    return before.first_step | (after.search_state.step_size >= before.search_state.step_size)


def _read_residuals(before: Any, after: Any, y: Array) -> Step:
    return Step(y, None, cost=_cost(_by_count(before, after), y.shape[0]))


def _read_simplex(before: Any, after: Any, y: Array) -> Step:
    """The best vertex: optimistix itself gives another one wherever the best was replaced in the same step."""
    first, vertices = before.first_pass, after.f_simplex.shape[0]
    best = after.simplex[jnp.argmin(after.f_simplex)]
    # The start is the last vertex.
    value = jnp.where(first, after.f_simplex[-1], jnp.min(before.f_simplex))
    shrunk = jnp.where(after.stats.n_shrink > before.stats.n_shrink, vertices, 0)
    spent = jnp.where(first, vertices, 2 + shrunk).astype(jnp.int32)
    return Step(best, None, value, cost=Cost(f=spent))


def _whole_simplex(state: Any, x: Array, h: Any) -> Any:
    """The simplex that optimistix means; what 0.1.0 makes from three coordinates on has two edges alone."""
    edges = jnp.diag(h.rdelta * x + h.adelta)
    return dataclasses.replace(state, simplex=jnp.concatenate([x + edges, x[None]]))


def _vertices_as_they_are(state: Any) -> Any:
    """The best and the worst vertex from the new simplex; optimistix 0.1.0 looks them up in the one before."""
    f, simplex = state.f_simplex, state.simplex
    best, worst = jnp.argmin(f), jnp.argmax(f)
    return dataclasses.replace(state, best=(f[best], simplex[best], best), worst=(f[worst], simplex[worst], worst))


def _conjugate(h: Any) -> Any:
    if h.method not in CONJUGATE:
        raise SuiteError([f"optimistix/nonlinear_cg: method is one of {', '.join(CONJUGATE)}, got {h.method!r}"])
    return optimistix.NonlinearCG(**NEVER, method=getattr(optimistix, h.method))


_SEARCH = "t halved from 1 until f(x + t d) ≤ f(x) + 0.1 t ∇f·d, one trial a step"
_ABSOLUTE = "skips an update of its matrix where Δx·Δg ≤ ε, the precision of the numbers: an absolute bound"

bfgs = _from_solver(
    "bfgs", lambda h: optimistix.BFGS(**NEVER), _value, _read_gradient(_by_count),
    family="quasi-Newton", most_dim=MOST_DENSE, notes=_ABSOLUTE,
    formula=f"x ← x + t d, d = −H g, H the inverse Hessian by the updates of BFGS from H = 1;  {_SEARCH}",
    source="optimistix.BFGS; Nocedal, Wright, Numerical Optimization (2006), section 6.1",
)  # fmt: skip

dfp = _from_solver(
    "dfp", lambda h: optimistix.DFP(**NEVER), _value, _read_gradient(_by_count),
    family="quasi-Newton", most_dim=MOST_DENSE, notes=_ABSOLUTE,
    formula=f"x ← x + t d, d = −H g, H the inverse Hessian by the updates of DFP from H = 1;  {_SEARCH}",
    source="optimistix.DFP; Nocedal, Wright, Numerical Optimization (2006), section 6.1",
)  # fmt: skip

lbfgs = _from_solver(
    "lbfgs", lambda h: optimistix.LBFGS(**NEVER, history_length=h.history_length), _value, _read_gradient(_by_count),
    hyperparameters={"history_length": Hyperparameter(10, "optimistix", static=True)},
    family="quasi-Newton", notes=_ABSOLUTE,
    formula=f"x ← x + t d, d = −H g, H by BFGS from the last history_length pairs (Δx, Δg);  {_SEARCH}",
    source="optimistix.LBFGS; Byrd, Nocedal, Schnabel, Math. Program. 63 (1994), 129–156",
)  # fmt: skip

nonlinear_cg = _from_solver(
    "nonlinear_cg", _conjugate, _value, _read_gradient(_by_search),
    hyperparameters={"method": Hyperparameter("polak_ribiere", "optimistix", static=True)},
    family="conjugate gradient",
    formula=f"d ← −g + β d, or −g where that does not descend, β by method;  x ← x + t d;  {_SEARCH}",
    source="optimistix.NonlinearCG; Nocedal, Wright, Numerical Optimization (2006), section 5.2",
)  # fmt: skip

_LEAST_SQUARES: Mapping[str, Any] = {
    "family": "least squares", "needs": ("residuals", "full batch"), "most_dim": MOST_DENSE,
}  # fmt: skip

gauss_newton = _from_solver(
    "gauss_newton", lambda h: optimistix.GaussNewton(**NEVER), _residuals, _read_residuals, **_LEAST_SQUARES,
    formula="x ← x − argmin_p |J p − r|², J the Jacobian of the residuals r;  every step is taken",
    source="optimistix.GaussNewton; Nocedal, Wright, Numerical Optimization (2006), section 10.3",
)  # fmt: skip

levenberg_marquardt = _from_solver(
    "levenberg_marquardt", lambda h: optimistix.LevenbergMarquardt(**NEVER), _residuals, _read_residuals,
    **_LEAST_SQUARES,
    formula="x ← x − argmin_p |J p − r|² + λ |p|², taken if r falls;  λ from 1, ÷3.5 where the model holds, ×4 "
            "where it fails",
    source="optimistix.LevenbergMarquardt; Moré, LNM 630 (1978), 105–116",
)  # fmt: skip

dogleg = _from_solver(
    "dogleg", lambda h: optimistix.Dogleg(**NEVER), _residuals, _read_residuals, **_LEAST_SQUARES,
    formula="x ← x + p, p on the path 0 → Cauchy point → Gauss–Newton point at the trust radius, taken if r falls",
    source="optimistix.Dogleg; Powell, in Rabinowitz (ed.), Numerical Methods for Nonlinear Algebraic Equations (1970)",
)  # fmt: skip

_SIMPLEX: Mapping[str, Any] = {
    "hyperparameters": {"rdelta": Hyperparameter(0.05, "optimistix"), "adelta": Hyperparameter(2.5e-4, "optimistix")},
    "family": "derivative-free", "uses_gradient": False, "most_dim": MOST_SIMPLEX,
    "formula": "reflect, expand, contract or shrink the simplex of x and x + (rdelta xᵢ + adelta) eᵢ; "
               "x is its best vertex",
}  # fmt: skip


def _nelder_mead(h: Any) -> Any:
    return optimistix.NelderMead(**NEVER, rdelta=h.rdelta, adelta=h.adelta)


as_released = _from_solver(
    "nelder_mead", _nelder_mead, _value, _read_simplex, **_SIMPLEX,
    source="optimistix.NelderMead; Nelder, Mead, Computer J. 7 (1965), 308–313",
    notes="optimistix 0.1.0 starts from a flat simplex in three dimensions or more, and takes a replaced vertex for "
          "the best one; judged at the best",
)  # fmt: skip

nelder_mead = dataclasses.replace(
    _from_solver("", _nelder_mead, _value, _read_simplex, _vertices_as_they_are, _whole_simplex, **_SIMPLEX),
    name="nelder_mead",
    source="Nelder, Mead, Computer J. 7 (1965), 308–313; optimistix.NelderMead with simplex and best vertex set right",
)
