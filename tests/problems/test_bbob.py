"""The 24 functions of BBOB against COCO's values, and what gradients need that COCO never asks for."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.contracts import ProblemFamily
from gdbench.errors import SuiteError
from gdbench.problems import bbob
from gdbench.problems.bbob.instances import _next, normal, rotation, uniform
from tests.problems.cases import OPTIMIZED

FAMILIES = {n: getattr(bbob, f"f{n}") for n in range(1, 25)}
NUMBERS = sorted(FAMILIES)
DIMS = (2, 3, 5, 10, 20, 40)
INSTANCES = (*range(1, 16), 51, 99)

INSIDE, OUTSIDE = (0.5, -1.5, 2.25), (-3.0, 5.5, 1.0)
COCO = {
    1: (394.48, 452.39068048, 488.74898048, (-3.8984, -2.8904, -3.8024)),
    2: (-92.09, 5055582.204190421, 722969.0651640436, (0.7256, 2.6216, 0.0904)),
    3: (77.66, 387.5248998090632, 573.6807676222721, (2.3984, -0.856, -1.272)),
    4: (77.66, 1018.8465675080679, 294.2941748511858, (2.3984, -0.856, 1.272)),
    5: (655.99, 744.0579718105894, 757.193915431768, (5.0, -5.0, -5.0)),
    6: (31.37, 181.53060254268541, 33703.50770648171, (-0.272, 1.8968, -3.884)),
    7: (35.35, 586.3752677874418, 294.45685365016413, (1.7616, 1.4856, 3.9752)),
    8: (-1000.0, 41503.90799276566, 78770.73516946161, (-2.8482, 1.1766, 1.524)),
    9: (47.51, 3555.814359558309, 1629.4463617364452, (0.139066105008, 0.561287099405, 0.644683961705)),
    10: (59.13, 719080.9573915309, 9065174.072500916, (-2.2608, 2.1192, -1.5936)),
    11: (-22.55, 7189671.0705827065, 21073731.637529097, (2.5656, 2.58, 2.5096)),
    12: (-254.82, 627968830.2654874, 528835541.9878412, (3.7408, 3.7608, -0.116)),
    13: (-51.71, 1220.26073122274, 1088.0518762908418, (2.604, 3.1328, -3.3616)),
    14: (-179.54, -145.6802959550156, -110.99061511424155, (0.7936, 0.5136, -3.448)),
    15: (70.03, 264.96292171025163, 1560.347390390922, (-0.8504, -2.496, -3.9824)),
    16: (-355.22, -262.4063349034382, -311.18295751106143, (-0.8064, 2.7352, 3.9624)),
    17: (18.81, 29.106952575013338, 47.55493806023893, (-0.1912, 1.7808, -0.8224)),
    18: (18.81, 195.47525531954568, 168.67895826182527, (-0.1912, 1.7808, -0.8224)),
    19: (71.69, 89.2107322281521, 145.7170149593712, (0.552501187302, -0.643039593432, -0.176755535437)),
    20: (1000.0, 62272.62017890464, 18262.523722260037, (-2.10484373165, 2.10484373165, -2.10484373165)),
    21: (-1.6, 9.435081960894866, 67.32548629675884, (1.128448421661, -2.012501127092, 0.571089202804)),
    22: (1000.0, 1047.1085056970871, 1084.482861459179, (-0.714562205968, -1.403024856841, -2.053437356005)),
    23: (0.01, 16.922433081265062, 31.437007390980007, (0.54, -2.0, -0.0696)),
    24: (93.3, 121.93559502243812, 2694.2031878732464, (-1.25, -1.25, 1.25)),
}
"""f_opt, f(INSIDE), f(OUTSIDE) and x_opt of instance 2 in three dimensions, by cocoex 2.8.2 (`BareProblem`)."""

LANES = 64
"""Points evaluated at once, always as many, so that a function and precision is compiled once for all tests."""

every_function = pytest.mark.parametrize("number", NUMBERS)


@functools.cache
def program(objective, dtype: str):
    """(points [LANES, dim], data) -> values and gradients; a jitted function of its own for each precision."""
    import jax

    from gdbench.kernels.compiler import jit

    return jit(jax.vmap(jax.value_and_grad(lambda x, data: objective(x, data, {})), in_axes=(0, None)))


@pytest.fixture
def evaluate(in_dtype, request):
    """(problem, points [n, dim], dtype, data) -> values [n] and gradients [n, dim] of the objective."""

    def run(problem, points, dtype="float64", data=None):
        if problem.name in OPTIMIZED:
            request.getfixturevalue("compiled_for_users")
        points = np.asarray(points, dtype)
        whole = np.concatenate([points, np.repeat(points[-1:], LANES - len(points), axis=0)])
        arrays = {name: np.asarray(array, dtype) for name, array in (data or problem.data).items()}
        with in_dtype(dtype):
            values, gradients = program(problem.objective, dtype)(whole, arrays)
        assert values.dtype == gradients.dtype == dtype
        return np.asarray(values)[: len(points)], np.asarray(gradients)[: len(points)]

    return run


def test_all_24_are_there():
    found = gather("gdbench.problems", ProblemFamily)
    assert {name for name in found if name.startswith("bbob/")} == {f"bbob/f{n}" for n in NUMBERS}
    for number, family in FAMILIES.items():
        assert found[f"bbob/f{number}"] is family and family.theme == "bbob"
        assert dict(family.settings) == {"dim": 2, "instance": 1} and not family.parameters


@every_function
def test_values_are_those_of_coco(number, evaluate):
    f_opt, inside, outside, x_opt = COCO[number]
    problem = FAMILIES[number](dim=3, instance=2)
    assert problem.minimum == problem.offset == f_opt
    np.testing.assert_allclose(problem.minimizers, [x_opt], atol=1e-9 if number == 20 else 1e-12)
    values, _ = evaluate(problem, [INSIDE, OUTSIDE])
    np.testing.assert_allclose(values, np.array([inside, outside]) - f_opt, rtol=1e-11, atol=1e-12 * (1 + abs(f_opt)))


@every_function
def test_instances_share_one_compiled_program(number, evaluate):
    first, *others = [FAMILIES[number](dim=3, instance=i) for i in (2, 1, 3, 99, 100_000)]
    values = [evaluate(first, [INSIDE])[0] + first.offset]
    compiled = program(first.objective, "float64")
    programs = compiled._cache_size()
    for other in others:
        assert other.objective is first.objective and other.label == first.label == f"bbob/f{number}(dim=3)"
        values.append(evaluate(other, [INSIDE])[0] + other.offset)
    assert compiled._cache_size() == programs and len(set(np.concatenate(values))) == len(values)


def hard_points(problem, rng) -> np.ndarray:
    """Minimizers, kinks, corners and what lies around them: where logarithms, roots and powers meet 0."""
    dim, x_opt = problem.dim, problem.minimizers[0]
    sides = np.sign(rng.standard_normal((4, dim)))
    near = [x_opt + size * sides[:2] for size in (1e-300, 1e-40, 1e-15, 1e-6)]
    along = [x_opt + size * np.eye(dim)[:1] for size in (-1e-9, 1e-9)]
    kinks = np.zeros((0, dim)) if problem.kinks is None else problem.kinks
    inside, outside = rng.uniform(-5, 5, (16, dim)), rng.uniform(-12, 12, (8, dim))
    blocks = [problem.start[None], problem.minimizers, kinks, 5 * sides, 10 * sides, *near, *along, inside, outside]
    return np.concatenate(blocks)


def check_finite(problem, dtype, evaluate):
    rng = np.random.default_rng(problem.dim)
    values, gradients = evaluate(problem, hard_points(problem, rng), dtype)
    assert np.isfinite(values).all() and np.isfinite(gradients).all() and values.min() >= 0
    # Around an optimum at the origin x - x_opt takes the smallest numbers there are, those below the normal ones too.
    sizes = [0.0, 1e-320, 1e-308, 1e-160, 1e-45, 1e-39, 1e-38, 1e-30, 1e-20, 1e-10]
    points = np.concatenate([size * np.stack([*np.sign(rng.standard_normal((2, problem.dim))),
                                              np.eye(problem.dim)[0], -np.eye(problem.dim)[1]])
                             for size in sizes])  # fmt: skip
    origin = {**problem.data, "x_opt": np.zeros(problem.dim)}
    values, gradients = evaluate(problem, points, dtype, origin)
    assert np.isfinite(values).all() and np.isfinite(gradients).all()


@every_function
def test_values_and_gradients_are_finite_where_formulas_are_delicate(number, evaluate):
    check_finite(FAMILIES[number](dim=3, instance=2), "float64", evaluate)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 20])
@every_function
def test_values_and_gradients_are_finite_in_float32(number, dim, evaluate):
    check_finite(FAMILIES[number](dim=dim, instance=5), "float32", evaluate)


@every_function
def test_the_optimum_is_at_rest_and_resolved(number, evaluate):
    problem = FAMILIES[number](dim=3, instance=2)
    x_opt = problem.minimizers[0]
    inwards = -np.where(x_opt == 0, 1, np.sign(x_opt)) * (1, 0.7, 0.4)
    values, gradients = evaluate(problem, [x_opt, x_opt + 1e-7 * inwards])
    assert abs(values[0]) <= 1e-12 and not gradients[0].any()
    # f - f_opt itself, not the rounding error of a number of the size of f_opt.
    assert 0 < values[1] < 1e-3 and values[1] != pytest.approx(values[0], abs=1e-60)
    if problem.curvature is not None:
        low, high = problem.curvature({})
        half = 0.5 * np.sum((1e-7 * inwards) ** 2)
        assert 0.99 * low * half <= values[1] <= 1.01 * high * half


@every_function
def test_nan_stays_nan(number, evaluate):
    values, _ = evaluate(FAMILIES[number](dim=3), [(np.nan, 1.0, 1.0), (1.0, 1.0, np.nan)])
    assert np.isnan(values).all()


@pytest.mark.slow
def test_curvature_is_that_of_the_hessian(in_dtype):
    import jax

    from gdbench.kernels.compiler import jit

    stated = []
    for number in NUMBERS:
        problem = FAMILIES[number](dim=3, instance=4)
        if problem.curvature is None:
            continue
        stated.append(number)
        with in_dtype("float64"):
            hessian = jit(jax.hessian(problem.objective))(problem.minimizers[0], problem.data, {})
        eigenvalues = np.linalg.eigvalsh(hessian)
        low, high = problem.curvature({})
        np.testing.assert_allclose(eigenvalues[[0, -1]], [low, high], rtol=1e-9, atol=2e-15 * high)
    assert stated == [1, 8, 9, 12, 19, 20, 24]


def test_the_step_ellipsoid_is_flat_but_for_its_middle_and_outside(evaluate):
    problem = FAMILIES[7](dim=3, instance=2)
    rng = np.random.default_rng(3)
    values, gradients = evaluate(problem, rng.uniform(-5, 5, (60, 3)))
    assert not gradients.any() and len(np.unique(values.round(9))) > 50
    _, outside = evaluate(problem, [(6.0, 0.0, -7.0)])
    np.testing.assert_allclose(outside, [(2.0, 0.0, -4.0)], rtol=1e-12)
    value, middle = evaluate(problem, problem.minimizers + 1e-3)
    np.testing.assert_allclose(np.abs(middle[0]), 1e-5 * np.abs(problem.data["stretched"][0]), rtol=1e-9)
    assert 0 < value[0] < 1e-7
    # The hyperplane on which it is lowest.
    along = np.linalg.solve(problem.data["stretched"], (0.0, 0.04, -0.04))
    assert evaluate(problem, problem.minimizers + along)[0] == pytest.approx(0, abs=1e-20)


def test_linear_slope_is_flat_beyond_its_corner(evaluate):
    problem = FAMILIES[5](dim=3, instance=2)
    values, gradients = evaluate(problem, problem.minimizers * [[1.0, 1.0, 1.0], [1.1, 1.0, 3.0], [1.1, 0.8, 1.0]])
    assert not values[:2].any() and not gradients[:2].any()
    assert values[2] == pytest.approx(10**0.5) and np.flatnonzero(gradients[2]).tolist() == [1]


def test_katsuura_has_further_minima_and_the_slope_of_its_pieces(evaluate):
    problem = FAMILIES[23](dim=3, instance=2)
    further = problem.minimizers + np.linalg.solve(problem.data["matrix"], (0.5, -1.0, 0.0))
    assert np.abs(further).max() < 5 and evaluate(problem, further)[0] == pytest.approx(0, abs=1e-12)
    # With its first eight scales only, its pieces are long enough for difference quotients.
    coarse = {**problem.data, "powers": np.concatenate([2.0 ** np.arange(1, 9), np.full(24, 2.0**8)])}
    points = np.random.default_rng(5).uniform(-4, 4, (8, 3))
    values, gradients = evaluate(problem, points, data=coarse)
    ahead, behind = (evaluate(problem, points + step * np.ones(3), data=coarse)[0] for step in (1e-7, -1e-7))
    np.testing.assert_allclose((ahead - behind) / 2e-7, gradients.sum(axis=1), rtol=1e-5)


def test_weierstrass_has_further_minima(evaluate):
    from scipy.optimize import root_scalar

    from gdbench.problems.bbob.transforms import oscillated

    problem = FAMILIES[16](dim=2, instance=2)
    bent = np.linalg.solve(problem.data["matrix"], (0.0, -1.0))
    plain = [root_scalar(lambda t, b=b: float(oscillated(np.float64(t))) - b, bracket=(-9, 9)).root for b in bent]
    x = problem.minimizers + problem.data["rotation"].T @ plain
    assert np.abs(x).max() < 5 and evaluate(problem, x)[0] < 1e-12 and not problem.all_minimizers


@pytest.mark.parametrize("number", [21, 22])
def test_gallagher_kink_is_where_two_peaks_meet(number, evaluate):
    problem = FAMILIES[number](dim=3, instance=2)
    step = 1e-7 * (problem.kinks - problem.minimizers)
    values, gradients = evaluate(problem, np.concatenate([problem.kinks - step, problem.kinks + step]))
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert np.linalg.norm(gradients[0] - gradients[1]) > 0.1 * np.linalg.norm(gradients, axis=1).min()


def test_schwefel_is_resolved_on_both_sides_of_its_two_formulas(evaluate):
    problem = FAMILIES[20](dim=2, instance=2)
    t = np.linspace(0, 2 * 1.06, 40)
    x = problem.minimizers - t[:, None] * np.eye(2)[1] * problem.data["signs"]
    z = 420.96874635998203 - 200 * np.sqrt(10) * t
    inside = np.abs(z) < 500
    expected = 0.005 * (418.98288727243374 - z * np.sin(np.sqrt(np.abs(z))))
    np.testing.assert_allclose(evaluate(problem, x)[0][inside], expected[inside], rtol=1e-10, atol=1e-14)
    assert inside.sum() > 20 and z[inside].min() < 0


def test_generator_is_that_of_park_and_miller():
    state = 1
    for _ in range(10_000):
        state = _next(state)
    assert state == 1043618065  # printed in their article


def test_what_is_drawn_is_uniform_normal_and_orthogonal():
    numbers = uniform(7, 4000)
    assert numbers.min() > 0 and numbers.max() <= 1 and np.abs(np.sort(numbers) - np.arange(4000) / 4000).max() < 0.03
    gaussian = normal(7, 4000)
    assert abs(gaussian.mean()) < 0.06 and gaussian.std() == pytest.approx(1, abs=0.04)
    turn = rotation(7, 40)
    np.testing.assert_allclose(turn @ turn.T, np.eye(40), atol=1e-10)
    assert np.abs(turn - rotation(8, 40)).max() > 0.1 and not turn.flags.writeable


@pytest.mark.parametrize(
    ("instance", "f_opt", "x_opt"),
    [
        (1_000_000, 47.04, (1.8688, -0.1288, 0.3784, -0.336, -2.9528)),
        (123_456_789, 400.73, (-0.7672, 2.6056, -3.356, -0.1232, -0.0672)),
    ],
)
def test_large_instances_are_those_of_coco(instance, f_opt, x_opt):
    # By cocoex 2.8.2, f10 in five dimensions; their seeds lie above 2^31.
    problem = FAMILIES[10](dim=5, instance=instance)
    assert problem.minimum == f_opt
    np.testing.assert_allclose(problem.minimizers, [x_opt], atol=1e-12)


def test_dimensions_that_coco_has_not_are_there_too(evaluate):
    for number in (9, 17, 19, 21):
        problem = FAMILIES[number](dim=70, instance=3)
        values, gradients = evaluate(problem, [problem.minimizers[0], problem.start])
        assert abs(values[0]) < 1e-12 < values[1] and np.isfinite(gradients).all()
        assert np.abs(problem.minimizers).max() < 5


@pytest.mark.parametrize("settings", [{"dim": 1}, {"dim": 2.0}, {"instance": 0}, {"instance": True}])
def test_bad_settings_are_refused(settings):
    ((name, value),) = settings.items()
    with pytest.raises(SuiteError) as caught:
        FAMILIES[3](**settings)
    (line,) = caught.value.problems
    assert line.startswith("problem 'bbob/f3': ") and name in line and repr(value) in line


def drawn_points(problems, seed: int) -> np.ndarray:
    """Twenty points for each problem: ten in the box, six around it, and four at and next to the optimum."""
    rng, dim = np.random.default_rng(seed), problems[0].dim
    points = rng.uniform(-5, 5, (len(problems), 20, dim))
    points[:, 10:16] *= 1.8
    for own, problem in zip(points, problems, strict=True):
        steps = np.array([0, 1e-6, 1e-3, 1e-1])
        own[16:] = problem.minimizers[0] + steps[:, None] * rng.standard_normal((4, dim))
    return points


@pytest.mark.slow
@every_function
def test_all_instances_and_dimensions_agree_with_coco(number, in_dtype):
    import jax

    from gdbench.kernels.compiler import jit

    cocoex = pytest.importorskip("cocoex")
    for dim in DIMS:
        problems = [FAMILIES[number](dim=dim, instance=i) for i in INSTANCES]
        points = drawn_points(problems, 100 * number + dim)
        theirs = [cocoex.BareProblem("bbob", number, dim, i) for i in INSTANCES]
        expected = np.array([their(own) for their, own in zip(theirs, points, strict=True)])
        f_opt = np.array([their.best_value() for their in theirs])
        np.testing.assert_allclose([p.minimum for p in problems], f_opt, rtol=0, atol=1e-12)
        for problem, their in zip(problems, theirs, strict=True):
            np.testing.assert_allclose(problem.minimizers[0], their.best_parameter(), rtol=0, atol=1e-9)
        data = {name: np.stack([p.data[name] for p in problems]) for name in problems[0].data}
        with in_dtype("float64"):
            gaps = jit(jax.vmap(jax.vmap(problems[0].objective, in_axes=(0, None, None)), in_axes=(0, 0, None)))
            values = np.asarray(gaps(points, data, {}))
        np.testing.assert_allclose(values, expected - f_opt[:, None], rtol=1e-9, atol=1e-9, err_msg=f"dim {dim}")
