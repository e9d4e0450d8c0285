"""The types that everything else speaks: Problem, Optimizer, and the outcomes of a descent.

They are plain, frozen and small; behaviour is pure functions held as fields.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from gdbench.errors import SuiteError, did_you_mean

OUTCOMES = ("nonfinite", "diverged", "converged", "trapped", "oscillating", "unfinished")
"""How a descent ended; the order is the order in which they are decided (see the README, Outcomes)."""

NONFINITE, DIVERGED, CONVERGED, TRAPPED, OSCILLATING, UNFINISHED = range(len(OUTCOMES))

RESTS = ("", "minimum", "saddle", "maximum", "plateau", "stalled")
"""What a trapped descent rests at, from the signs of the Hessian's eigenvalues."""

FLAGS = ("", "unverified", "rounding", "noise", "below", "spent")
"""A qualification of the outcome: converged without a known minimum, updates lost to rounding, a noise floor, a value
below the minimum that was stated, a budget of evaluations that ended before the steps did."""

UNVERIFIED, ROUNDING, NOISE, BELOW, SPENT = range(1, len(FLAGS))

EVALUATIONS = ("f_evals", "g_evals", "hvp_evals")
VALUES = ("f_final", "f_best", "gap_final", "gap_best")
RECORDED = (
    "outcome", "rest", "flag", "steps", "settle_step", "f_start", *VALUES, "grad_norm_final", "distance", "f_held_out",
    "basin", "rate", "overshoots", *EVALUATIONS, *(f"settle_{name}" for name in EVALUATIONS), "end_0", "end_1", "end_2",
)  # fmt: skip
"""Columns of a descent's record that a suite can name; what only ``VALUES`` need costs least."""
"""What is counted: values alone, joint values and gradients, Hessian-vector products."""

Regime = Literal["best per problem", "one setting for all", "default"]
REGIMES: tuple[Regime, ...] = get_args(Regime)
"""Tuning regimes: what an optimizer's setting is chosen for."""

COST_OF_GRADIENT, COST_OF_HVP = 1.0, 2.0
"""c and h in cost = f_evals + c g_evals + h hvp_evals."""

NEEDS = {
    "residuals": "a sum of squares whose residuals are known",
    "minimum": "a known minimum, which it is told",
    "full batch": "a deterministic problem",
}
"""What an optimizer may need of a problem, in words; a pair that lacks it is refused with these words."""

Array = Any  # a NumPy or JAX array, or a tracer: jax.Array would import JAX
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Problem:
    """A function to minimise, with what is known of it; unknown facts are None.

    ``objective(x, data, parameters)`` is pure JAX and returns a scalar: the part of the value that is resolved near
    the minimum (the gap f - f*, where the formula allows). ``offset`` is the constant left out of it, so that
    f(x) = objective(x) + offset.

    Attributes:
        name: name in the catalogue.
        objective: (x, data, parameters) -> scalar.
        dim: number of coordinates (of all leaves together, where x is a pytree).
        formula: f in plain text.
        source: where the function and its facts come from.
        box: (low, high), each of shape [dim]: where starts are drawn.
        start: the default start, shape [dim].
        minimum: f*, the global minimum.
        minimizers: global minimizers, shape [n, dim].
        all_minimizers: whether ``minimizers`` holds every global minimizer.
        curvature: parameters -> (m, L), the smallest and largest eigenvalue of the Hessian (everywhere, or at the
            minimizer where ``curvature_is_local``).
        curvature_is_local: the curvature holds at the minimizer only.
        bounded: whether f is bounded below.
        offset: the constant left out of ``objective``.
        target: a value that counts as solved, where no minimum is known.
        tolerance: the gap that counts as converged, where the rule of the outcomes does not serve.
        parameters: traced scalars with their defaults; any of them may be an axis.
        data: a pytree of arrays, traced, constant within a block.
        settings: the arguments that this problem was built with (dim, instance, …).
        label: name with the settings that differ from the defaults.
        target_origin: how the target was chosen.
        target_unit: what the τ of a suite's targets f* + τ are multiples of; None for S, the scale of f.
        convex: whether f is convex on its box; None where that is unknown.
        separable: f is a sum of functions of one coordinate each.
        within_box: the minimum is that of the box: outside of it f goes lower.
        quadratic: the Hessian is the same everywhere.
        residuals: (x, data, parameters) -> r, shape [m], with objective = sum r^2 (up to rounding); None where f is no
            such sum.
        kinks: points of the box at which f is not differentiable, shape [n, dim]; None where f is smooth.
        notes: what a reader of results should know.
        held_out: data of the same form as ``data`` that no step sees; the end point is also judged on them.
        sample: (data, key) -> data of one mini-batch; None when the objective is deterministic.
        batch_share: share of the data in one mini-batch, the cost of one evaluation.
        judge_every: a stochastic problem is judged on the full data every so many steps.
        template: a pytree of zeros of the shape of x; None when x is a plain vector.
    """

    name: str
    objective: Callable[[Any, Any, Mapping[str, Any]], Array]
    dim: int
    formula: str = ""
    source: str = ""
    box: Box | None = None
    start: np.ndarray | None = None
    minimum: float | None = None
    minimizers: np.ndarray | None = None
    all_minimizers: bool = False
    curvature: Callable[[Mapping[str, float]], tuple[float, float]] | None = None
    curvature_is_local: bool = False
    bounded: bool = True
    offset: float = 0.0
    target: float | None = None
    tolerance: float | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    target_origin: str = ""
    target_unit: float | None = None
    convex: bool | None = None
    separable: bool = False
    within_box: bool = False
    quadratic: bool = False
    residuals: Callable[[Any, Any, Mapping[str, Any]], Array] | None = None
    kinks: np.ndarray | None = None
    notes: str = ""
    data: Any = ()
    held_out: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    sample: Callable[[Any, Array], Any] | None = None
    batch_share: float = 1.0
    judge_every: int = 1
    template: Any = None

    def __call__(self, x: Any, **parameters: float) -> Array:
        """f(x), in JAX and differentiable; parameters that are not given take their defaults."""
        unknown = set(parameters) - set(self.parameters)
        if unknown:
            name = sorted(unknown)[0]
            raise SuiteError([f"{self.name} has no parameter {name!r}: {did_you_mean(name, self.parameters)}"])
        return self.objective(x, self.data, {**self.parameters, **parameters}) + self.offset

    @property
    def stochastic(self) -> bool:
        """Whether a step sees a random part of the data."""
        return self.sample is not None

    @property
    def goal(self) -> str:
        """What ``converged`` means here: 'minimum', 'target', 'rest' (nothing known) or 'unbounded'."""
        if not self.bounded:
            return "unbounded"
        if self.minimum is not None:
            return "minimum"
        return "target" if self.target is not None else "rest"


@dataclass(frozen=True)
class ProblemFamily:
    """An entry of the problem catalogue: a builder with its static settings and traced parameters."""

    name: str
    build: Callable[..., Problem]
    settings: Mapping[str, Any]
    parameters: Mapping[str, float]
    summary: str

    @property
    def theme(self) -> str:
        """The file or folder of the catalogue that it stands in."""
        return self.build.__module__.removeprefix("gdbench.problems.").split(".")[0]

    def __call__(self, **settings: Any) -> Problem:
        """The problem with these settings; values of traced parameters become its defaults."""
        traced = {key: self._number(key, settings.pop(key)) for key in list(settings) if key in self.parameters}
        for key in settings:
            if key not in self.settings:
                known = {**self.settings, **self.parameters}
                raise SuiteError([f"problem {self.name!r} has no setting {key!r}: {did_you_mean(key, known)}"])
        try:
            problem = self.build(**settings)
        except SuiteError:
            raise
        except Exception as error:  # a user's builder may fail in any way
            raise SuiteError([f"problem {self.name!r} cannot be built: {type(error).__name__}: {error}"]) from error
        if not isinstance(problem, Problem):
            raise SuiteError([f"problem {self.name!r} must build a Problem, it gives {problem!r}"])
        chosen = {**self.settings, **settings}
        shown = [f"{k}={v}" for k, v in chosen.items() if v != self.settings[k] and k != "instance"]
        label = self.name + (f"({', '.join(shown)})" if shown else "")
        parameters = {**self.parameters, **traced}
        return dataclasses.replace(problem, name=self.name, settings=chosen, parameters=parameters, label=label)

    def _number(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise SuiteError([f"problem {self.name!r}: the parameter {key!r} must be a number, got {value!r}"])
        return float(value)


def problem_family(name: str = "", /, **parameters: float) -> Callable[[Callable[..., Problem]], ProblemFamily]:
    """Make a builder an entry of the catalogue; keywords are the traced parameters with their defaults.

    The name is that of the builder, unless another one is given.
    """

    def wrap(build: Callable[..., Problem]) -> ProblemFamily:
        settings = {name: p.default for name, p in inspect.signature(build).parameters.items()}
        summary = (inspect.getdoc(build) or "").split("\n")[0]
        return ProblemFamily(name or build.__name__, build, settings, parameters, summary)

    return wrap


class Cost(NamedTuple):
    """Evaluations spent: value only, joint value and gradient, Hessian-vector products.

    The Jacobian of n columns of a sum of squares counts as n gradients. What a step asks for is counted, not what
    ``vmap`` makes the device do for it.

    Python integers say that every step costs the same; arrays are counted as the descent goes.
    """

    f: Any = 0
    g: Any = 0
    h: Any = 0


class Step(NamedTuple):
    """What one step returns.

    ``value`` and ``gradient`` are those at the point the step began from, if the step computed them there: judging
    then costs nothing twice. None where it did not.
    """

    x: Array
    state: Any
    value: Array | None = None
    gradient: Array | None = None
    cost: Cost = Cost(g=1)


class Oracle(NamedTuple):
    """What a step may ask of the problem. On a stochastic problem each step gets one with its own mini-batch.

    Attributes:
        value: x -> f, shape []. ``x`` is always a flat vector of shape [dim].
        value_and_grad: x -> (f, gradient [dim]).
        unravel: flat vector -> the problem's own pytree.
        ravel: such a pytree -> flat vector.
        stochastic: whether another step sees another part of the data.
        hvp: (x, v) -> H v, shape [dim].
        residuals: x -> r with f = sum r^2; None where f is no such sum.
        minimum: the value of f at the minimum; None where it is unknown. Only optimizers that say so may look.
        quadratic: the Hessian is the same everywhere.
        key: () -> a random key of the descent's own for this step, apart from that of the mini-batches.
        steps: the budget of the descent.
    """

    value: Callable[[Array], Array]
    value_and_grad: Callable[[Array], tuple[Array, Array]]
    unravel: Callable[[Array], Any]
    ravel: Callable[[Any], Array]
    stochastic: bool
    hvp: Callable[[Array, Array], Array] | None = None
    residuals: Callable[[Array], Array] | None = None
    minimum: Array | None = None
    quadratic: bool = False
    key: Callable[[], Array] | None = None
    steps: int = 0


@dataclass(frozen=True)
class Hyperparameter:
    """A named number of an update rule.

    Attributes:
        default: its value when a suite names none; None when one must be given (a learning rate).
        origin: where the default comes from.
        static: it shapes the program (a flag, a length): changing it compiles anew, and it cannot be an axis.
        optional: None is a value of its own and leaves a part of the rule out; a number is traced as any other.
    """

    default: Any = None
    origin: str = ""
    static: bool = False
    optional: bool = False


Named = str | Callable[[Mapping[str, Any]], str | None] | None
"""A name, or a function of the hyperparameters (None among them where absent) that gives it."""


@dataclass(frozen=True, eq=False)
class Optimizer:
    """An update rule with named hyperparameters.

    ``init(oracle, x, h) -> state`` and ``step(oracle, x, state, h, k) -> Step``, pure JAX, where x is a flat vector,
    ``h`` holds the hyperparameters as attributes (traced scalars of the problem's dtype) and k = 0, 1, … is the step.

    Attributes:
        name: name in the catalogue.
        init: state before the first step.
        step: one step.
        hyperparameters: by name, in the order of the formula.
        formula: the update in plain text.
        source: reference.
        family: 'gradient', 'derivative-free', ….
        judge: (x, state, h) -> the point at which the method wants to be judged; None for x itself.
        uses_gradient: at rest means a vanishing gradient; otherwise that no move is proposed.
        rests: whether a step without a move says that no other follows: not so where proposals are drawn at random,
            and such a method is never at rest (only asked where it uses no gradient).
        random: whether it draws random numbers of its own, so that seeds are an axis on deterministic problems too.
        init_cost: evaluations spent by ``init``.
        theory: name of the closed form in ``gdbench.theory`` that describes it on a quadratic.
        notes: known faults and limits, printed by the report.
        needs: what it asks of a problem beside values and gradients, keys of ``NEEDS``.
        most_dim: the largest dimension it is made for; None for any.
        rule: the name that one rule has under all of its names in the catalogue, so that it is ranked once; None where
            it has no other.
        costs: cost of a step in plain text, n the dimension: '1 g', 'n+1 f'.
        host: runs a whole descent on the host, (HostOracle, x0, h) -> None, see ``gdbench.kernels.host``; ``init`` and
            ``step`` are then not asked. None for a method in JAX.
    """

    name: str
    init: Callable[..., Any]
    step: Callable[..., Step]
    hyperparameters: Mapping[str, Hyperparameter]
    formula: str = ""
    source: str = ""
    family: str = "gradient"
    judge: Callable[..., Array] | None = None
    uses_gradient: bool = True
    rests: bool = True
    random: bool = False
    init_cost: Cost = Cost()
    theory: Named = None
    notes: str = ""
    needs: tuple[str, ...] = ()
    most_dim: int | None = None
    rule: Named = None
    costs: str = "1 g"
    host: Callable[..., None] | None = None

    def refusal(self, problem: Problem) -> str | None:
        """Why it cannot be run on a problem; None when it can."""
        has = {
            "residuals": problem.residuals is not None,
            "minimum": problem.minimum is not None,
            "full batch": not problem.stochastic,
        }
        for need in self.needs:
            if not has[need]:
                return f"{self.name} needs {NEEDS[need]}"
        if self.most_dim is not None and problem.dim > self.most_dim:
            return f"{self.name} is made for at most {self.most_dim} dimensions, and this has {problem.dim}"
        return None


@dataclass(frozen=True)
class Schedule:
    """How a learning rate changes over a descent: rate at step k = learning rate * factor.

    Attributes:
        name: name in the catalogue.
        factor: (k, steps, h) -> scalar, k = 0, 1, … traced, ``steps`` the budget, ``h`` its numbers as attributes.
        hyperparameters: its numbers by name; any of them may be an axis.
        formula: the factor in plain text.
        source: reference.
    """

    name: str
    factor: Callable[[Array, int, Any], Array]
    hyperparameters: Mapping[str, Hyperparameter]
    formula: str = ""
    source: str = ""
