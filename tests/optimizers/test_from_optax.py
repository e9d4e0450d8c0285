"""optax's optimizers: found by introspection, told what they ask for, run by optax's own code."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.choices import resolve_optimizer
from gdbench.contracts import Optimizer, Oracle
from gdbench.errors import GdbenchError, SuiteError
from gdbench.optimizers import from_optax
from gdbench.optimizers.optax_step import look_into
from gdbench.optimizers.optax_wrappers import base_of, parse_base

CATALOGUE = gather("gdbench.optimizers", Optimizer)
NAMES = sorted(name.removeprefix("optax/") for name in CATALOGUE if name.startswith("optax/"))
WRAPPERS = {
    "backtracking_linesearch", "contrib/mechanize", "contrib/reduce_on_plateau", "contrib/sam",
    "contrib/schedule_free", "lookahead", "zoom_linesearch",
}  # fmt: skip
TOLD = ("f_min", "lower_bound", "key", "seed", "hessian_diagonal_fn")
NO_NUMBERS = (*TOLD, "dtype", "mask", "linesearch", "verbose", "print")


def _exported(path: str) -> Any:
    return functools.reduce(getattr, path.split("/"), optax)


def _parameters(path: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(_exported(path)).parameters)


# What is there


def test_every_optimizer_of_optax_is_there() -> None:
    found = {"": optax, "contrib/": contrib}
    public = {
        prefix + name
        for prefix, package in found.items()
        for name, thing in vars(package).items()
        # Partial objects are no functions; type aliases are callable, and have no signature.
        if (inspect.isfunction(thing) or isinstance(thing, functools.partial)) and not name.startswith("_")
    }
    rated = {n for n in public if {"learning_rate", "max_learning_rate"} & set(_parameters(n)) and "scale_by" not in n}
    assert sum("contrib/" not in n for n in rated) >= 31 and sum("contrib/" in n for n in rated) >= 18
    assert rated | WRAPPERS == set(NAMES)


def test_listing_them_imports_neither_optax_nor_jax() -> None:
    code = (
        "import sys; from gdbench.catalogue import gather; from gdbench.contracts import Optimizer\n"
        "assert 'optax/contrib/muon' in gather('gdbench.optimizers', Optimizer)\n"
        "print(sorted({'jax', 'optax'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


@pytest.mark.parametrize("name", sorted(set(NAMES) - WRAPPERS))
def test_hyperparameters_are_those_of_the_signature(name: str) -> None:
    real, found = _parameters(name), dict(CATALOGUE[f"optax/{name}"].hyperparameters)
    rate = found.pop("learning_rate")
    own = real.get("learning_rate") or real["max_learning_rate"]
    assert rate.default == own.default or own.default in (None, inspect.Parameter.empty)
    for parameter, spec in found.items():
        if "weight_decay" in parameter:
            assert spec.default == 0.0 and not spec.static and "decay moves the minimum" in spec.origin
            continue
        whole, _, part = parameter.rpartition("_")
        default = real[parameter].default if parameter in real else real[whole].default[int(part) - 1]
        if default is inspect.Parameter.empty:
            assert name == "contrib/dpsgd" and spec.default > 0
            continue
        assert (spec.default, type(spec.default)) == (default, type(default)), parameter
        assert spec.static == isinstance(default, (bool, int, str)) or default is None
    numbers = {n for n, p in real.items() if isinstance(p.default, (bool, int, float, str))} - {"max_learning_rate"}
    assert {n for n in numbers if not any(word in n for word in NO_NUMBERS)} <= {*found, "learning_rate"}


def test_what_shapes_the_program_is_static() -> None:
    static = {
        "optax/lbfgs": {"memory_size", "scale_init_precond"},
        "optax/contrib/galore": {"rank", "update_proj_gap"},
        "optax/contrib/schedule_free_sgd": {"warmup_steps"},
        "optax/contrib/mechanize": {"base", "num_betas"},
        "optax/lookahead": {"base", "sync_period", "reset_state"},
        "optax/rmsprop": {"centered", "eps_in_sqrt", "bias_correction", "nesterov"},
    }
    for name, expected in static.items():
        assert {n for n, spec in CATALOGUE[name].hyperparameters.items() if spec.static} == expected, name


# What an update asks for


class Own:
    """A user's optimizer as an object."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def init(self, params: Any) -> Any:
        return self.inner.init(params)

    def update(self, updates: Any, state: Any, params: Any = None, **more: Any) -> Any:
        return self.inner.update(updates, state, params, **more)


SEARCH = {"value", "grad", "value_fn"}


@pytest.mark.parametrize("transformation, extra, judged", [
    (optax.adam(0.1), set(), None),
    (optax.chain(optax.clip(1.0), optax.adamw(0.1)), set(), None),
    (optax.lbfgs(), SEARCH, None),
    (optax.chain(optax.clip(1.0), optax.chain(optax.sgd(1.0), optax.scale_by_zoom_linesearch(15))), SEARCH, None),
    (optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(15)), SEARCH, None),
    (optax.polyak_sgd(), {"value"}, None),
    (optax.apply_if_finite(optax.polyak_sgd(), 3), {"value"}, None),
    (contrib.momo(), {"value"}, None),
    (contrib.sophia(0.1), {"obj_fn"}, None),
    (contrib.mechanize(contrib.momo()), {"value"}, None),
    (contrib.sam(optax.sgd(0.1), optax.sgd(0.1), opaque_mode=True), {"grad_fn"}, "sam"),
    (contrib.schedule_free_sgd(), set(), "schedule_free"),
    (optax.lookahead(optax.sgd(0.1), 5, 0.5), set(), "lookahead"),
    (optax.inject_hyperparams(optax.sgd)(learning_rate=0.1), set(), None),
    (optax.MultiSteps(optax.polyak_sgd(), 2), {"value"}, None),
    (Own(optax.lbfgs()), SEARCH, None),
])  # fmt: skip
def test_looking_into_a_transformation_tells_what_it_asks_for(transformation: Any, extra: set, judged: Any) -> None:
    asked = look_into(transformation)
    assert (set(asked.extra), asked.judged) == (extra, judged)


def test_those_that_are_told_the_minimum_say_so_and_are_refused_without_one() -> None:
    told = {n for n in NAMES if CATALOGUE[f"optax/{n}"].family == "oracle"}
    assert told == {"polyak_sgd", "contrib/momo", "contrib/momo_adam"}
    assert {n for n in NAMES if "minimum" in CATALOGUE[f"optax/{n}"].needs} == told
    with pytest.raises(GdbenchError, match="a known minimum"):
        gd.sweep(lambda x: jnp.sum(x**2), "optax/polyak_sgd", x0=[1.0], steps=2)


# Aliases


def _walk(rule: Optimizer, values: dict[str, Any], steps: int = 6) -> np.ndarray:
    """Iterates of a rule outside of any kernel."""
    given = {n: s.default for n, s in rule.hyperparameters.items()} | {"learning_rate": 0.01} | values
    traced = {n: v if v is None or rule.hyperparameters[n].static else jnp.asarray(v) for n, v in given.items()}

    def valley(x: Any) -> Any:
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    oracle = Oracle(
        valley, jax.value_and_grad(valley), lambda x: x, lambda x: x, False, key=lambda: jax.random.key(0), steps=steps
    )  # fmt: skip
    h, x = SimpleNamespace(**traced), jnp.array([-1.2, 1.0])
    state, path = rule.init(oracle, x, h), []
    for k in range(steps):
        x, state, *_ = rule.step(oracle, x, state, h, jnp.int32(k))
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("name, values, rule", [
    ("sgd", {}, "gd"),
    ("sgd", {"momentum": 0.8}, "momentum"),
    ("sgd", {"momentum": 0.8, "nesterov": True}, "nesterov"),
    ("adam", {}, "adam"),
    ("adam", {"nesterov": True}, "optax/nadam"),
    ("adam", {"eps_root": 1e-8}, "optax/adam"),
    ("adamw", {}, "adam"),
    ("adamw", {"weight_decay": 0.1}, "optax/adamw"),
    ("adamw", {"nesterov": True, "weight_decay": 0.1}, "optax/nadamw"),
    ("nadamw", {}, "optax/nadam"),
    ("adamaxw", {}, "optax/adamax"),
    ("adagrad", {}, "adagrad"),
    ("rmsprop", {}, "rmsprop"),
    ("rmsprop", {"momentum": 0.5}, None),
    ("rmsprop", {"centered": True}, None),
    ("signum", {"beta": 0.0}, "optax/sign_sgd"),
    ("optimistic_adam", {}, "optax/optimistic_adam_v2"),
    ("optimistic_gradient_descent", {"beta": 0.0}, "gd"),
    ("contrib/ademamix", {"alpha": 0.0}, "adam"),
    ("contrib/schedule_free", {}, "optax/contrib/schedule_free_sgd"),
    ("contrib/muon", {}, None),
])  # fmt: skip
def test_one_rule_under_many_names_is_known_as_one(name: str, values: dict[str, Any], rule: str | None) -> None:
    entry = CATALOGUE[f"optax/{name}"]
    whole = {n: s.default for n, s in entry.hyperparameters.items()} | values
    said = entry.rule(whole) if callable(entry.rule) else entry.rule
    assert said == rule
    if rule is not None and rule != entry.name:
        other = CATALOGUE[rule]
        given = {n: v for n, v in values.items() if n in other.hyperparameters}
        with jax.enable_x64(True):
            np.testing.assert_allclose(_walk(entry, values), _walk(other, given), rtol=1e-12)


# Bases of wrappers


def test_a_base_is_a_name_with_numbers() -> None:
    assert parse_base("sgd") == ("sgd", {})
    assert parse_base("optax/contrib/adopt( b1=0.5, nesterov=True )") == (
        "contrib/adopt",
        {"b1": 0.5, "nesterov": True},
    )
    with jax.enable_x64(True):
        g, x = jnp.array([3.0, -1e-3]), jnp.ones(2)
        made, meant = base_of(_keyed(), "adamw(b1=0.0)", 0.1), optax.adam(0.1, b1=0.0)
        np.testing.assert_array_equal(made.update(g, made.init(x), x)[0], meant.update(g, meant.init(x), x)[0])


def _keyed() -> Oracle:
    return Oracle(jnp.sum, jax.value_and_grad(jnp.sum), lambda x: x, lambda x: x, False, key=lambda: jax.random.key(0))


@pytest.mark.parametrize("text, message", [
    ("sgdd", "no 'sgdd' to be a base.*sgd"),
    ("sgd(0.1)", "a base is a name below optax/"),
    ("sgd(momentum=f)", "a base is a name below optax/"),
    ("sgd(", "a base is a name below optax/"),
    ("adam(b3=0.1)", "the base adam has no 'b3'"),
    ("sgd(learning_rate=0.1)", "the base sgd has no 'learning_rate'"),
    ("lookahead", "no 'lookahead' to be a base"),
    ("lbfgs", "lbfgs cannot be a base: it asks for grad"),
    ("contrib/schedule_free_sgd", "cannot be a base: it is judged elsewhere"),
])  # fmt: skip
def test_a_base_that_cannot_be_one_is_refused(text: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        base_of(_keyed(), text, 0.1)


# In a sweep


@pytest.mark.slow
def test_a_number_left_out_and_a_number_given_are_different_rules() -> None:
    options = {"learning_rate": 0.1, "x0": [[1.0, 0.0]], "steps": 20, "dtype": "float64"}
    with_none = gd.sweep("quadratic", "optax/sgd", **options).table
    given = gd.sweep("quadratic", "optax/sgd", momentum=[0.0, 0.5], **options).table
    assert with_none["f_final"].iloc[0] == pytest.approx(0.5 * 0.9**40, rel=1e-12)
    assert given["f_final"].iloc[0] == pytest.approx(0.5 * 0.9**40, rel=1e-12)
    assert given["f_final"].iloc[1] != pytest.approx(0.5 * 0.9**40, rel=1e-3)


def test_a_flag_cannot_be_an_axis() -> None:
    with pytest.raises(SuiteError, match="nesterov"):
        gd.sweep("quadratic", "optax/sgd", learning_rate=0.1, momentum=0.9, nesterov=[True, False])


def test_a_base_that_cannot_be_one_is_refused_by_a_sweep() -> None:
    with pytest.raises(GdbenchError, match="cannot be a base"):
        gd.sweep("quadratic", "optax/lookahead", learning_rate=0.1, base="lbfgs", steps=2)


@pytest.mark.slow
@pytest.mark.parametrize("name, more", [
    ("noisy_sgd", {}),
    ("contrib/dpsgd", {}),
    # At its defaults every step is clipped, and so the same whatever the noise.
    ("contrib/sophia", {"b2": 0.5, "gamma": 1.0, "clip_threshold": 100.0, "update_interval": 1}),
])  # fmt: skip
def test_every_lane_has_noise_of_its_own_and_the_same_again(name: str, more: dict[str, Any]) -> None:
    def bowl(x: Any) -> Any:
        # Its Hessian is no diagonal, so that an estimate of the diagonal is noisy.
        return jnp.sum(x**2) + 1.5 * x[0] * x[1]

    # Twice the same start, which is two descents with two keys.
    options = {"x0": [[1.0, 2.0], [1.0, 2.0]], "minimum": 0.0, "learning_rate": [0.01, 0.02], "steps": 20, **more}
    table, again = (gd.sweep(bowl, f"optax/{name}", seed=5, **options).table for _ in range(2))
    ends = table[["end_0", "end_1"]].to_numpy()
    np.testing.assert_array_equal(ends, again[["end_0", "end_1"]].to_numpy())
    assert len(np.unique(ends[:, 0])) == 4
    other = gd.sweep(bowl, f"optax/{name}", seed=6, **options).table
    assert not np.isin(other["end_0"], ends[:, 0]).any()


# A user's own


def clipped(learning_rate: float, clip: float = 0.5, nesterov: bool = False, power: int = 1, mask: Any = None) -> Any:
    """A user's own: clipped gradients, then optax's gradient descent."""
    assert isinstance(nesterov, bool) and isinstance(power, int)
    return optax.chain(optax.clip(clip), optax.sgd(learning_rate * 2 ** (power - 1)))


def test_a_function_of_ones_own_has_its_numbers_as_axes() -> None:
    found = from_optax.from_callable(clipped).hyperparameters
    assert list(found) == ["learning_rate", "clip", "nesterov", "power"]
    assert {n for n, spec in found.items() if spec.static} == {"nesterov", "power"}
    options = {"x0": [3.0], "steps": 10, "dtype": "float64"}
    table = gd.sweep("parabola", clipped, learning_rate=0.1, clip=[0.5, 1.0], power=2, **options).table
    # The slope 2x is clipped all the way: x falls by 2 0.1 clip a step.
    np.testing.assert_allclose(table["end_0"], [3 - 10 * 0.1, 3 - 10 * 0.2])


def test_a_number_without_a_default_must_be_given() -> None:
    def bare(learning_rate: float, clip: float) -> Any:
        return optax.chain(optax.clip(clip), optax.sgd(learning_rate))

    with pytest.raises(SuiteError, match="clip"):
        gd.sweep("parabola", bare, learning_rate=0.1)


def test_a_finished_transformation_runs_and_takes_no_rate() -> None:
    row = gd.sweep("parabola", optax.sgd(0.1), x0=[2.0], steps=10, dtype="float64").table.iloc[0]
    assert row["end_0"] == pytest.approx(2 * 0.8**10, rel=1e-12)
    with pytest.raises(SuiteError, match="learning_rate"):
        gd.sweep("parabola", optax.sgd(0.1), learning_rate=0.1)


def test_a_constructor_of_optax_on_a_tree_of_parameters() -> None:
    def loss(p: dict[str, Any]) -> Any:
        return jnp.sum((p["weights"] - 1) ** 2) + (p["bias"] + 2) ** 2

    table = gd.sweep(
        loss, optax.adamw, x0={"weights": np.zeros((2, 2)), "bias": 0.0}, learning_rate=[0.1, 1e-9], steps=300,
        weight_decay=0.0, minimum=0.0,
    ).table  # fmt: skip
    assert table["f_start"].tolist() == [8.0, 8.0]
    assert table["outcome"].tolist() == ["converged", "unfinished"]


def test_a_constructor_of_optax_is_told_what_its_name_is_told() -> None:
    for make in (optax.polyak_sgd, optax.noisy_sgd, contrib.sophia, optax.nadam):
        rule = resolve_optimizer(make)
        path = next(n for n in NAMES if n not in WRAPPERS and _exported(n) is make)
        named = CATALOGUE[f"optax/{path}"]
        assert (rule.needs, rule.family, set(rule.hyperparameters)) == (
            named.needs, named.family, set(named.hyperparameters),
        )  # fmt: skip
    assert resolve_optimizer(optax.adamw).hyperparameters["weight_decay"].default == 1e-4
    assert resolve_optimizer(contrib.schedule_free_sgd).judge is not None


def averaged(learning_rate: float) -> Any:
    """A user's own around one that is judged elsewhere."""
    return optax.chain(optax.clip(1.0), contrib.schedule_free(optax.sgd(learning_rate), learning_rate))


def test_a_function_of_ones_own_is_judged_where_its_method_wants() -> None:
    assert resolve_optimizer(averaged).judge is not None
    assert resolve_optimizer(averaged(0.1)).judge is not None
    assert resolve_optimizer(clipped).judge is None

    def shy(learning_rate: float) -> Any:
        """Refuses to be looked into."""
        assert not isinstance(learning_rate, float)
        return averaged(learning_rate)

    with pytest.raises(GdbenchError, match="judged elsewhere than at x"):
        gd.sweep("parabola", shy, learning_rate=0.1, steps=2)


def tried(rate: float) -> optax.GradientTransformationExtraArgs:
    """Takes the step where that lowers f, half of it otherwise: one value more, in no search of optax's."""

    def update(g: Any, s: Any, p: Any = None, *, value: Any, value_fn: Any) -> Any:
        change = jax.tree.map(lambda a: -rate * a, g)
        better = value_fn(optax.apply_updates(p, change)) < value
        return jax.tree.map(lambda a: jnp.where(better, a, a / 2), change), s

    return optax.GradientTransformationExtraArgs(lambda p: (), update)


def test_what_an_own_update_asks_through_its_functions_is_counted() -> None:
    # On x^2 a rate of 1.25 is too long (x -> -1.5 x), and half of it is good (x -> -0.25 x).
    row = gd.sweep("parabola", tried(1.25), x0=[2.0], steps=10, dtype="float64").table.iloc[0]
    assert row["end_0"] == pytest.approx(2 * 0.25**10, rel=1e-12)
    assert (row["f_evals"], row["g_evals"]) == (10, 10)


def slope_beyond() -> optax.GradientTransformationExtraArgs:
    """Extragradient: the slope at the point that a plain step would reach, from a differentiated value_fn."""

    def update(g: Any, s: Any, p: Any = None, *, value_fn: Any) -> Any:
        beyond = jax.grad(value_fn)(jax.tree.map(lambda a, b: a - 0.1 * b, p, g))
        return jax.tree.map(lambda a: -0.1 * a, beyond), s

    return optax.GradientTransformationExtraArgs(lambda p: (), update)


@pytest.mark.slow
def test_a_slope_that_an_own_update_asks_for_is_a_gradient() -> None:
    row = gd.sweep("parabola", slope_beyond(), x0=[2.0], steps=10, dtype="float64").table.iloc[0]
    # x -> x - 0.1 2 (x - 0.1 2 x) = 0.84 x
    assert row["end_0"] == pytest.approx(2 * 0.84**10, rel=1e-12)
    assert (row["f_evals"], row["g_evals"]) == (0, 20)
