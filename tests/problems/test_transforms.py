"""Every transform: what it makes of a problem is what its formula says, and the facts that it carries along hold."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import gdbench as gd
from gdbench.catalogue import gather
from gdbench.errors import GdbenchError, SuiteError
from gdbench.kernels.compiler import jit
from gdbench.transforms.base import Transform

TRANSFORMS = gather("gdbench.transforms", Transform)
GEOMETRIC = ["shift", "rotate", "scale", {"name": "embed", "dim": 5}, "oscillate", "asymmetric", "penalty"]
NOISE = ["additive_noise", "multiplicative_noise", "heavy_tailed_noise"]


def test_every_transform_is_tested_here():
    named = {t if isinstance(t, str) else t["name"] for t in GEOMETRIC + NOISE}
    assert named == set(TRANSFORMS) and all(t.summary.endswith(".") for t in TRANSFORMS.values())


@pytest.mark.parametrize("change", [*GEOMETRIC, ["shift", "rotate"], ["penalty", "scale", "oscillate"]], ids=str)
@pytest.mark.parametrize("name", ["rastrigin", "himmelblau", "rosenbrock"])
def test_minimizers_are_carried_along(name, change, at):
    plain = gd.problem(name)
    problem = gd.problem(name, transform=change, instance=4)
    low, high = problem.box
    assert problem.minimum == plain.minimum and problem.dim == len(low) == problem.minimizers.shape[1]
    assert np.all((low <= problem.minimizers) & (problem.minimizers <= high))
    assert np.all((low <= problem.start) & (problem.start <= high))
    values, gradients = at(problem, problem.minimizers, of=jax.value_and_grad)
    np.testing.assert_allclose(values, 0, atol=1e-20)
    assert np.abs(gradients).max() < 1e-9
    points = np.random.default_rng(0).uniform(low, high, (256, problem.dim))
    assert at(problem, points).min() > 0
    if problem.curvature is not None:
        eigenvalues = np.linalg.eigvalsh(at(problem, problem.minimizers, of=jax.hessian))
        m, L = problem.curvature(problem.parameters)
        assert eigenvalues.min() >= m - 1e-8 * L and eigenvalues.max() <= L * (1 + 1e-8)


def test_shift_and_rotation_are_what_they_say(at):
    plain, points = gd.problem("rosenbrock", dim=3), np.random.default_rng(1).uniform(-1, 1, (8, 3))
    shifted = gd.problem("rosenbrock", dim=3, transform="shift", instance=1)
    by = shifted.minimizers[0] - plain.minimizers[0]
    assert np.all(by != 0) and np.all(np.abs(by) <= 0.2 * 4.096)
    np.testing.assert_allclose(at(shifted, points + by), at(plain, points), rtol=1e-12)
    turned = gd.problem("rosenbrock", dim=3, transform="rotate", instance=1)
    centre = plain.minimizers[0]
    q = np.asarray(turned.data["change"]["rotation"])
    np.testing.assert_allclose(q @ q.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(at(turned, points), at(plain, centre + (points - centre) @ q.T), rtol=1e-10)
    assert plain.separable is turned.separable is False
    assert gd.problem("rastrigin").separable and not gd.problem("rastrigin", transform="rotate").separable


def test_scale_makes_a_sphere_of_that_condition(at):
    problem = gd.problem("quadratic", dim=4, condition=1.0, transform={"name": "scale", "condition": 1e4})
    eigenvalues = np.linalg.eigvalsh(at(problem, problem.minimizers, of=jax.hessian))[0]
    np.testing.assert_allclose(eigenvalues, np.logspace(-4, 0, 4), rtol=1e-9)


def test_further_coordinates_of_an_embedding_change_nothing(at):
    problem = gd.problem("himmelblau", transform={"name": "embed", "dim": 4})
    points = np.random.default_rng(2).uniform(-5, 5, (6, 4))
    np.testing.assert_allclose(at(problem, points), at(gd.problem("himmelblau"), points[:, :2]), rtol=1e-12)
    assert problem.curvature({})[0] == 0


def test_warps_are_the_published_ones(at):
    # On a parabola of box [-5, 5] the value is T(u)^2 itself.
    u = np.array([-4.0, -0.3, 0.2, 3.0])[:, None]
    log = np.log(np.abs(u))
    fast, slow = np.where(u > 0, 10, 5.5), np.where(u > 0, 7.9, 3.1)
    bent = np.exp(log + 0.049 * (np.sin(fast * log) + np.sin(slow * log)))
    np.testing.assert_allclose(at(gd.problem("parabola", transform="oscillate"), u), (bent**2)[:, 0], rtol=1e-12)
    up = np.where(u > 0, np.abs(u) ** (1 + 0.2 * np.sqrt(np.abs(u))), u)
    np.testing.assert_allclose(at(gd.problem("parabola", transform="asymmetric"), u), (up**2)[:, 0], rtol=1e-12)


def test_a_penalty_walls_the_box_in(at):
    problem = gd.problem("parabola", transform={"name": "penalty", "weight": 3.0})
    np.testing.assert_allclose(at(problem, np.array([[2.0], [7.0], [-6.0]])), [4, 25 + 3 * 4, 25 + 3], rtol=1e-12)


def test_instances_differ_in_data_alone_and_are_drawn_again_alike():
    changes = ["shift", "rotate"]
    first, second = (gd.problem("rastrigin", dim=3, transform=changes, instance=i) for i in (1, 2))
    again = gd.problem("rastrigin", dim=3, transform=changes, instance=1)
    assert first.objective is second.objective and first.label == second.label == "rastrigin(dim=3) + shift + rotate"
    assert not np.array_equal(first.minimizers, second.minimizers)
    np.testing.assert_array_equal(first.minimizers, again.minimizers)
    assert first.settings["instance"] == 1 and first.settings["transform"] == [{"name": n} for n in changes]


def test_instances_of_a_suite_share_one_program():
    from gdbench.kernels.execute import compile_count

    before = compile_count()
    entry = {"name": "rastrigin", "transform": ["shift", {"name": "scale", "condition": 10}], "instance": [1, 2, 3]}
    suite = {
        "suite": {"name": "twins"},
        "experiment": [
            {
                "problems": [entry],
                "optimizers": ["gd"],
                "learning_rate": 1e-3,
                "steps": 40,
                "starts": {"kind": "box", "num": 4},
            }
        ],
    }
    from gdbench.runner import Options, run_in_memory
    from gdbench.suite import build_suite

    table = run_in_memory(build_suite(suite), Options()).table()
    assert compile_count() == before + 1 and sorted(table["instance"].unique()) == [1, 2, 3]
    assert table.groupby("instance")["f_start"].mean().nunique() == 3


NOISY = {"additive_noise": 1.5, "heavy_tailed_noise": 0.5, "multiplicative_noise": 0.7}


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize("of", ["rosenbrock", pytest.param("digits_softmax", marks=pytest.mark.slow)])
def test_noise_has_mean_zero_and_vanishes_on_the_full_data(name, of, in_dtype, flat):
    settings = {"tail": 5.0} if name == "heavy_tailed_noise" else {}
    problem = gd.problem(of, transform=name, noise=NOISY[name], **settings)
    plain = gd.problem(of)
    x = np.asarray(plain.start, float) + 0.05
    with in_dtype("float64"):
        f, data, parameters = flat(problem, "float64")
        bare, own, none = flat(plain, "float64")
        assert float(f(x, data, parameters)) == pytest.approx(float(bare(x, own, none)), rel=1e-12)
        keys = jax.random.split(jax.random.key(0), 2048)
        slopes = jit(jax.vmap(lambda key: jax.grad(f)(x, problem.sample(data, key), parameters)))(keys)
        exact = np.asarray(jax.grad(bare)(x, own, none))
    noise = np.asarray(slopes) - exact
    assert noise.std() > 0
    assert np.abs(noise.mean(axis=0)).max() < 6 * noise.std(axis=0).max() / np.sqrt(len(keys))
    if of == "rosenbrock":
        tail = 5 / 3  # variance of Student's t with 5 degrees of freedom
        expected = {
            "additive_noise": np.full(2, 1.5**2), "heavy_tailed_noise": np.full(2, 0.25 * tail),
            "multiplicative_noise": (0.7 * exact) ** 2,
        }[name]  # fmt: skip
        np.testing.assert_allclose(noise.var(axis=0), expected, rtol=0.25)


def test_heavy_tails_are_those_of_student(in_dtype):
    from scipy.stats import kstest

    problem = gd.problem("parabola", transform="heavy_tailed_noise", noise=1.0, tail=1.5)
    with in_dtype("float64"):
        keys = jax.random.split(jax.random.key(1), 4000)
        slope = jax.grad(lambda x, data: problem.objective(x, data, problem.parameters))
        draws = jit(jax.vmap(lambda key: slope(np.zeros(1), problem.sample(problem.data, key))[0]))(keys)
    assert kstest(np.asarray(draws), "t", args=(1.5,)).pvalue > 1e-3


@pytest.mark.slow
def test_every_optimizer_and_grid_meets_the_same_noise_in_both_precisions():
    noisy = gd.problem("parabola", transform="additive_noise", noise=0.5)

    def ends(optimizer, rates, dtype="float32", **more):
        table = gd.sweep(noisy, optimizer, learning_rate=rates, seeds=3, steps=2, dtype=dtype, **more).table
        return table[table["learning_rate"] == 0.1].sort_values("seed")["end_0"].to_numpy()

    alone = ends("gd", [0.1])
    assert len(set(alone)) == 3
    np.testing.assert_array_equal(alone, ends("gd", [0.01, 0.1, 0.3]))
    np.testing.assert_allclose(alone, ends("optax/sgd", [0.1]), rtol=1e-6)
    np.testing.assert_allclose(alone, ends("gd", [0.1], "float64"), rtol=1e-5)


@pytest.mark.slow
def test_noise_level_is_an_axis():
    problem = gd.problem("parabola", transform="additive_noise")
    table = gd.sweep(problem, "gd", learning_rate=0.1, noise=[0.0, 1.0], seeds=8, steps=300).table
    outcomes = table.groupby("noise")["outcome"].agg(set)
    assert outcomes[0.0] == {"converged"} and outcomes[1.0] <= {"oscillating", "unfinished"}


@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        ("rosenbrock", {"transform": "shft"}, "did you mean 'shift'?"),
        ("rosenbrock", {"transform": [3]}, "a transform is a name or a table with a name, got 3"),
        ("rosenbrock", {"transform": {"name": "shift", "amount": 1}}, "transform 'shift' has no setting 'amount'"),
        ("rosenbrock", {"transform": {"name": "shift", "share": 0.0}}, "share must be in (0, 1]"),
        ("rosenbrock", {"transform": {"name": "scale", "condition": -1.0}}, "condition must be positive and finite"),
        ("rosenbrock", {"transform": {"name": "embed", "dim": 1}}, "must be an integer of at least 2"),
        ("rosenbrock", {"transform": "shift", "instance": -1}, "instance must be a whole number"),
        ("rosenbrock", {"transform": ["additive_noise"] * 2}, "has a parameter 'noise' already"),
        ("rosenbrock", {"transform": {"name": "penalty", "weight": 0.0}}, "weight must be positive"),
        ("rosenbrock", {"transform": {"name": "asymmetric", "beta": -1.0}}, "beta must be at least 0"),
        ("digits_softmax", {"transform": "rotate"}, "only vectors can be transformed"),
        ("sphere", {"transform": "additive_noise", "noise": "abc"}, "'noise' must be a number, got 'abc'"),
        ("sphere", {"transform": {"name": "shift", "share": "a"}}, "transform 'shift'"),
        ("sphere", {"transform": {"name": "shift", "instance": 3}}, "has no setting 'instance'"),
        ("sphere", {"transform": {"name": "scale", "condition": float("inf")}}, "positive and finite"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(name, settings, rule):
    with pytest.raises(GdbenchError) as caught:
        gd.problem(name, **settings)
    assert rule in str(caught.value) and "\n" not in str(caught.value)


def test_a_function_that_is_lower_outside_of_its_box_is_walled_in_before_it_is_turned(at):
    import dataclasses

    inner = dataclasses.replace(gd.problem("rastrigin"), within_box=True)
    with pytest.raises(SuiteError, match="put 'penalty' before it"):
        gd.problem(inner, transform="rotate")
    assert not gd.problem(inner, transform=["penalty", "rotate"]).within_box
    moved = gd.problem(inner, transform="shift", instance=3)
    np.testing.assert_allclose(moved.box[0] - inner.box[0], moved.minimizers[0], rtol=1e-12)


def test_a_family_keeps_its_own_default_instance():
    assert gd.problem("bbob/f8", dim=3, transform="shift").settings["instance"] == 1
    assert gd.problem("sphere", transform="shift").settings["instance"] == 0


def build_at(dim=2, instance=0):
    from gdbench.contracts import Problem

    at = np.full((1, dim), float(instance))
    return Problem("at", lambda x, data, p: ((x - data) ** 2).sum(), dim, minimum=0.0, minimizers=at, data=at[0])


def test_a_builder_of_ones_own_gets_its_instance_and_a_function_shares_one_program():
    assert gd.problem(build_at, instance=3, transform="additive_noise").minimizers.tolist() == [[3.0, 3.0]]
    from gdbench.choices import choose_problem

    def build(dim=2):
        return dataclasses.replace(build_at(dim), box=(np.full(dim, -5.0), np.full(dim, 5.0)))

    import dataclasses
    import sys
    import types

    module = types.ModuleType("mine_for_a_test")
    module.build = build
    sys.modules["mine_for_a_test"] = module
    try:
        choice = choose_problem({"name": "mine_for_a_test:build", "transform": ["shift"], "instance": [1, 2]})
    finally:
        del sys.modules["mine_for_a_test"]
    first, second = choice.instances
    assert first.objective is second.objective and not np.array_equal(first.minimizers, second.minimizers)


def test_a_penalty_bounds_what_was_not_and_rows_of_transforms_add_up():
    assert gd.problem("saddle", transform="penalty").bounded
    twice = gd.problem(gd.problem("sphere", transform="shift", instance=3), transform="rotate")
    assert [entry["name"] for entry in twice.settings["transform"]] == ["shift", "rotate"]
