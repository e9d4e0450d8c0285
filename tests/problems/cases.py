"""The problems that tests over the whole catalogue run on, and the few that a rule does not hold for."""

from __future__ import annotations

from gdbench.catalogue import gather
from gdbench.contracts import Problem, ProblemFamily

FAMILIES = gather("gdbench.problems", ProblemFamily)

FURTHER: list[tuple[str, dict]] = [
    ("quadratic", {"dim": 1, "condition": 7.0}),
    ("quadratic", {"dim": 5, "spectrum": "linear", "condition": 0.5}),
    ("quadratic", {"dim": 6, "rotation": True, "instance": 3}),
    ("quartic", {"dim": 3}),
    ("double_well", {"dim": 3}),
    ("double_well", {"dim": 6}),
    ("rosenbrock", {"dim": 5}),
    ("rastrigin", {"dim": 4}),
    ("digits_softmax", {"batch": 1797}),
    ("quadratic", {"dim": 7, "spectrum": "clusters", "condition": 1000.0}),
    ("quadratic", {"dim": 5, "spectrum": "outlier", "rotation": True}),
    ("quadratic", {"dim": 12, "spectrum": "marchenko_pastur", "condition": 50.0}),
    ("quadratic", {"dim": 1, "spectrum": "marchenko_pastur"}),
    ("noisy_quadratic", {"dim": 5, "spectrum": "outlier", "noise": 0.0}),
    ("nesterov_worst", {"dim": 60, "smoothness": 12.5}),
    ("nesterov_strongly_convex", {"dim": 40, "condition": 1e4}),
    ("log_sum_exp", {"dim": 20, "smoothing": 0.05, "instance": 3}),
    ("l1_norm", {"dim": 10}),
    ("max_norm", {"dim": 10}),
    ("maxq", {"dim": 11}),
    ("quadratic_deep", {"batch": 1000}),
    ("ackley", {"dim": 3, "a": 10.0, "b": 0.5, "c": 3.0}),
    ("griewank", {"dim": 10}),
    ("levy", {"dim": 5}),
    ("schwefel", {"dim": 6}),
    ("sum_different_powers", {"dim": 6}),
    ("trid", {"dim": 10}),
    ("zakharov", {"dim": 10}),
    ("dixon_price", {"dim": 10}),
    ("michalewicz", {"dim": 10}),
    ("michalewicz", {"dim": 3, "m": 4}),
    ("perm", {"dim": 3, "beta": 5.0}),
    ("perm0", {"dim": 8}),
    ("powell", {"dim": 8}),
    ("styblinski_tang", {"dim": 5}),
    ("rotated_hyper_ellipsoid", {"dim": 6}),
    ("pinter", {"dim": 5}),
    ("pathological", {"dim": 4}),
    ("xin_she_yang_4", {"dim": 5}),
    ("alpine_n2", {"dim": 5}),
    ("vincent", {"dim": 3}),
    ("trigonometric", {"dim": 10}),
    ("broyden_tridiagonal", {"dim": 50}),
    ("bounded_saddle", {"dim": 5, "escape": 0.1}),
    ("cliff", {"dim": 4, "steepness": 100.0, "height": 50.0}),
    ("fractional_power", {"dim": 3, "power": 0.5}),
    ("spiral", {"condition": 1e4, "twist": 5.0}),
    ("badly_scaled", {"dim": 8, "decades": 10.0}),
    ("cosine_multiplicative", {"dim": 4}),
    ("trainability", {"width": 5, "activation": "relu"}),
    ("trainability", {"width": 3, "rows": 1}),
    ("ridge_regression", {"l2": 0.0, "batch": 16}),
    ("logistic_regression", {"l2": 1e-4, "label_noise": 0.2, "batch": 32}),
    ("softmax_regression", {"dataset": "iris", "l2": 1e-3, "instance": 2}),
    ("matrix_factorisation", {"rank": 10}),
    ("deep_linear", {"depth": 2, "width": 10}),
    ("digits_mlp", {"activation": "relu"}),
    *[(f"bbob/f{n}", {"dim": 5, "instance": 7}) for n in (2, 4, 7, 9, 12, 13, 17, 20, 21, 24)],
]
"""Settings worth a test beside the defaults."""

CASES = [(name, {}) for name in FAMILIES] + FURTHER


def label(case: tuple[str, dict]) -> str:
    """The name of a case in a test's output."""
    name, settings = case
    return name + "".join(f"-{key}={value}" for key, value in settings.items())


def build(case: tuple[str, dict]) -> Problem:
    """The problem of a case."""
    return FAMILIES[case[0]](**case[1])


STEPS: dict[str, float] = {
    "bbob/f16": 1e-9,
    "bbob/f19": 1e-9,
    "bbob/f23": 0.0,
    "schaffer_n2": 1e-7,
    "schaffer_n4": 1e-7,
    "trigonometric_2": 1e-8,
    "whitley": 1e-9,
    "digits_conv": 1e-9,
    "digits_mlp": 1e-9,
    "modular_addition": 1e-9,
    "cutest/genhumps": 1e-8,
    "cutest/humps": 1e-8,
    "cutest/loghairy": 1e-8,
}
"""Steps of the difference quotient, as a share of the box's width, where a millionth is too long: the function
oscillates on a finer scale. Zero: it has a kink every 1e-10, and a test of its own."""

COARSE = {"bbob/f16", "bbob/f19", "bbob/f23"}
"""Functions whose finest oscillation float32 cannot hold: gradients differ from program to program."""

OPTIMIZED = {"bbob/f21", "bbob/f22"}
"""Functions that jaxlib 0.10.2 gets wrong where it is to compile them without optimizations."""
